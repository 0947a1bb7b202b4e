/** The list of standing alerts: built anew when one comes, goes or is acted upon. */
import {clock} from './figures.js';
import {lang, t} from './i18n.js';

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Alert} Alert
 */
const HEADS = ['severity', 'alert', 'place', 'since', 'state', 'owner', 'note'];

/** The name of the gate or zone it is about. @param {Store} store @param {{zone: string, gate: string}} alert */
export function place(store, alert) {
  const {gates, zones} = store.layout ?? {gates: [], zones: []};
  const found = alert.gate ? gates.find((g) => g.id === alert.gate) : zones.find((z) => z.id === alert.zone);
  return found?.name[lang] ?? (alert.gate || alert.zone);
}

/** Whether it lies on the shelf now. @param {Store} store @param {Alert} alert */
export function shelved(store, alert) {
  return alert.shelved_until_ms != null && alert.shelved_until_ms > store.now();
}

/** @param {Store} store @param {Alert} alert @returns {string[]} */
function cells(store, alert) {
  const zone = store.layout?.run.timezone ?? 'UTC', put = shelved(store, alert);
  return [
    t(`severity_${alert.severity}`),
    `${t(`kind_${alert.kind}`)} (${alert.rule})`,
    place(store, alert),
    clock(alert.began_ms, zone, true),
    put ? t('shelved', {until: clock(alert.shelved_until_ms ?? 0, zone, true)}) : t(`alert_${alert.state}`),
    alert.owner || '—',
    (put ? alert.shelved_for : alert.note) || '—',
  ];
}

export class AlertList {
  /** @param {HTMLTableElement} table */
  constructor(table) {
    this.table = table;
    this.shown = '';
  }

  /** Bring the list up to date; how many stand and are not on the shelf. @param {Store} store */
  update(store) {
    const rows = store.alerts.map((alert) => cells(store, alert));
    const key = JSON.stringify([lang, rows]);
    if (key !== this.shown) {
      this.shown = key;
      this.draw(rows, store.alerts);
    }
    return store.alerts.filter((alert) => !shelved(store, alert)).length;
  }

  /** @param {string[][]} rows @param {Alert[]} alerts */
  draw(rows, alerts) {
    const thead = document.createElement('thead'), tbody = document.createElement('tbody');
    const head = thead.insertRow();
    for (const key of HEADS) {
      const th = document.createElement('th');
      th.scope = 'col';
      th.textContent = t(key);
      head.append(th);
    }
    rows.forEach((texts, i) => {
      const row = tbody.insertRow();
      row.className = `severity-${alerts[i].severity}`;
      row.dataset.alert = alerts[i].id;
      for (const text of texts) row.insertCell().textContent = text;
    });
    if (!rows.length) {
      const cell = tbody.insertRow().insertCell();
      cell.colSpan = HEADS.length;
      cell.className = 'soft';
      cell.textContent = t('noAlerts');
    }
    this.table.replaceChildren(thead, tbody);
  }
}
