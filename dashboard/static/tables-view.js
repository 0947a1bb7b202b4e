/** The plain view: every figure of every gate and zone in tables, with the run's own counters. */
import {AlertList} from './alerts.js';
import {ago, whole} from './figures.js';
import {t} from './i18n.js';
import {WINDOWS} from './levels.js';
import {Sensors, gateTable, put, wayTable, zoneTable} from './tables.js';

const REASONS = ['malformed', 'unknown_type', 'missing_field', 'bad_value', 'unknown_sensor', 'not_approved', 'no_consent',
  'no_contract', 'too_far_in_future', 'span_too_long', 'late', 'duplicate'];

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const table = (id) => /** @type {HTMLTableElement} */ ($(id));

/** @typedef {import('./store.js').Store} Store */

export class TablesView {
  /** @param {HTMLElement} _ @param {import('./components.js').Context} context */
  constructor(_, context) {
    this.levels = context.levels;
    this.gates = gateTable(table('gate-table'));
    this.zones = zoneTable(table('zone-table'));
    this.ways = wayTable(table('way-table'));
    this.alerts = new AlertList(table('alert-table'));
    this.sensors = new Sensors($('sensor-list'), $('sensors-known'));
    this.runs = /** @type {HTMLSelectElement} */ ($('runs'));
    /** @type {{run_id: string, kind: string}[]} */ this.known = [];
    /** @type {Map<string, HTMLElement>} */ this.reasons = new Map();
    this.runs.onchange = () => this.levels.go({run: this.runs.value || null}, true);
    this.levels.onchange((reopen) => { if (reopen) this.list(); });
    $('windows').append(...WINDOWS.map((name) => {
      const b = document.createElement('button');
      b.type = 'button';
      b.dataset.window = name;
      b.textContent = name;
      b.onclick = () => this.levels.go({window: name}, true);
      return b;
    }));
    this.learn();
    setInterval(() => this.learn(), 30_000);
  }

  /** @param {Store} store */
  build({layout}) {
    this.gates.build(layout?.gates ?? []);
    this.zones.build(layout?.zones ?? []);
    this.ways.build(layout?.headings.zones ?? []);
    $('ways').hidden = !this.ways.rows.length;
    $('windows').setAttribute('aria-label', t('window'));
    $('reasons').replaceChildren(...REASONS.map((reason) => {
      const box = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
      dt.textContent = t(reason);
      dd.className = 'num';
      dd.dataset.reason = reason;
      this.reasons.set(reason, dd);
      box.append(dt, dd);
      return box;
    }));
    this.list();
  }

  /** @param {Store} store */
  update(store) {
    if (!store.ready) return;
    const {layout, status, closed} = store, {gates, zones, ways} = this;
    const unknowns = gates.update(store) + zones.update(store) + ways.update(store);
    put($('watermark'), closed == null ? '—' : ago(store.now() - closed));
    put($('standing'), whole(this.alerts.update(store)));
    put($('unknowns'), `${unknowns} / ${gates.rows.length + zones.rows.length + ways.rows.length}`);
    put($('unwell'), whole(this.sensors.update(store)));
    put($('read'), whole(status?.read ?? 0));
    put($('accepted'), whole(status?.accepted ?? 0));
    const rejected = status?.rejected ?? {};
    put($('rejected'), whole(Object.values(rejected).reduce((a, b) => a + b, 0)));
    for (const [reason, e] of this.reasons) {
      put(e, whole(rejected[reason] ?? 0));
      e.parentElement?.classList.toggle('zero', !rejected[reason]);
    }
    put($('counters'), t(layout?.exact ? 'countersExact' : 'counters'));
    for (const b of $('windows').children) {
      b.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (b).dataset.window === (this.levels.window || layout?.window)));
    }
  }

  /** The runs to choose from. */
  list() {
    const {run} = this.levels;
    const options = [['', t('auto')], ...this.known.map(({run_id, kind}) => [run_id, `${run_id} — ${t(kind)}`])];
    if (run && !this.known.some(({run_id}) => run_id === run)) options.push([run, run]);
    this.runs.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === run)));
  }

  async learn() {
    try {
      const answer = await fetch('/api/runs');
      if (!answer.ok) return;
      this.known = await answer.json();
      if (document.activeElement !== this.runs) this.list();
    } catch { /* the banner tells that the server is away */ }
  }
}
