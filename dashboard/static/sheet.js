/**
 * The situation sheet: one printed page (A4, black on white) of what is known now, or at the time that is played. Drawn
 * when it is printed; on the screen there is its button only.
 */
import {against, mark, order} from './alert-words.js';
import {place, shelved} from './alerts.js';
import {ask, past} from './ask.js';
import {ago, clock, inside, level, percent} from './figures.js';
import {addWords, lang, t} from './i18n.js';
import {toLocal} from './local-time.js';
import {newest, observed, worth} from './now.js';
import {zoneNow} from './zone-now.js';

addWords({
  ja: {
    sh_print: '印刷', sh_title: '状況シート', sh_live: '現在 LIVE', sh_replay: '再生 REPLAY', sh_workbench: '試算 WORKBENCH', sh_at: '時刻', sh_age: 'データの経過', sh_coverage: '観測率', sh_place: '場所',
    sh_worst: '混雑しているゾーン', sh_zone: 'ゾーン', sh_los: '水準', sh_density: '密度（人/m²）', sh_people: '滞在人数', sh_trend: '15 分の変化', sh_since: '開始', sh_owner: '担当', sh_note: 'メモ', sh_state: '状態',
    sh_alerts: '継続中の警報', sh_noAlerts: '継続中の警報はありません', sh_what: '警報', sh_limit: '値と限度', sh_unknown: '不明のゾーン', sh_noUnknown: '不明のゾーンはありません', sh_sensors: '正常でないセンサー', sh_noSensors: '異常の報告はありません',
    sh_noZones: '値のあるゾーンがありません', sh_more: 'ほか {n} 件', sh_versions: '根拠の版', sh_run: '実行', sh_registry: '台帳', sh_code: 'コード', sh_config: '設定', sh_by: '印刷 {who}（{role}）{time}', sh_sign: '署名', sh_notNow: '現在の値ではありません',
    sh_up: '↑ 増', sh_down: '↓ 減', sh_same: '→ 横ばい',
  },
  en: {
    sh_print: 'Print', sh_title: 'Situation sheet', sh_live: 'LIVE', sh_replay: 'REPLAY', sh_workbench: 'WORKBENCH', sh_at: 'Time', sh_age: 'Age of data', sh_coverage: 'Coverage', sh_place: 'Place',
    sh_worst: 'Most crowded zones', sh_zone: 'Zone', sh_los: 'Level', sh_density: 'Density (/m²)', sh_people: 'People inside', sh_trend: '15 min trend', sh_since: 'Since', sh_owner: 'Owner', sh_note: 'Note', sh_state: 'State',
    sh_alerts: 'Standing alerts', sh_noAlerts: 'No alert stands', sh_what: 'Alert', sh_limit: 'Value and limit', sh_unknown: 'Unknown zones', sh_noUnknown: 'No zone is unknown', sh_sensors: 'Sensors not ok', sh_noSensors: 'None is reported',
    sh_noZones: 'No zone has figures', sh_more: '{n} more', sh_versions: 'What it rests on', sh_run: 'run', sh_registry: 'registry', sh_code: 'code', sh_config: 'config', sh_by: 'printed by {who} ({role}) {time}', sh_sign: 'Signature', sh_notNow: 'not the present',
    sh_up: '↑ up', sh_down: '↓ down', sh_same: '→ level',
  },
});

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./components.js').Context} Context
 * @typedef {{name: string, row: number, why: string, age: number | null}} Zone
 */
const WORST = 12, ALERTS = 20, NAMES = 40;
const TREND_MS = 900_000;
const LEVEL = 0.05; // people per m²: less than that is no change

/** @param {string} tag @param {string} className @param {Element} into @param {string} [text] */
function make(tag, className, into, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  into.append(e);
  return e;
}

export class Sheet {
  /** @param {HTMLElement} element the sheet itself @param {HTMLElement} into where the button goes @param {Context} context */
  constructor(element, into, context) {
    this.element = element;
    this.context = context;
    /** @type {Record<string, string>} */ this.trends = {};
    this.button = /** @type {HTMLButtonElement} */ (make('button', '', into));
    this.button.type = 'button';
    this.button.id = 'print';
    this.button.onclick = () => this.print();
    addEventListener('beforeprint', () => this.draw(context.store)); // by the browser's own menu too
    addEventListener('afterprint', () => { this.element.replaceChildren(); this.trends = {}; });
    this.build();
  }

  build() { this.button.textContent = t('sh_print'); }

  update() { /* drawn when it is printed */ }

  async print() {
    this.button.disabled = true;
    this.trends = await this.learnTrends(this.context.store);
    this.button.disabled = false;
    window.print();
  }

  /** The change of density of the worst zones; without history there is none on the sheet. @param {Store} store */
  async learnTrends(store) {
    const {layout} = store, worst = known(store).filter(({why}) => !why).slice(0, WORST).map(({row}) => layout?.zones[row].id ?? '');
    /** @type {Record<string, string>} */ const out = {};
    if (!layout || !worst.length) return out;
    const to = Math.ceil(store.now());
    try {
      const {zones} = await ask(`/api/history?${new URLSearchParams({
        run: layout.run.id, from: String(to - TREND_MS), to: String(to), zones: worst.join(',')})}`);
      for (const id of worst) out[id] = trend(zones[id]?.dens ?? []);
    } catch { /* a sheet without trends is better than none; their column says so */ }
    return out;
  }

  /** @param {Store} store */
  draw(store) {
    const {element} = this, {layout} = store;
    element.replaceChildren();
    if (!layout) return;
    const zone = layout.run.timezone, end = newest(store), zones = known(store);
    const mode = past() || layout.run.kind === 'replay' ? 'replay' : layout.run.kind === 'workbench' ? 'workbench' : 'live';
    const head = make('header', '', element), place_ = this.context.levels.places.find(({id}) => id === this.context.levels.place);
    make('p', 'sheet-mode', head, t(`sh_${mode}`));
    make('h1', '', head, t('sh_title'));
    const facts = make('dl', '', head);
    this.fact(facts, 'sh_place', place_?.name[lang] ?? '—');
    this.fact(facts, 'sh_at', clock(mode === 'live' || past() ? store.now() : end ?? store.now(), zone, true));
    this.fact(facts, 'sh_age', mode === 'live' ? (end == null ? '—' : ago(store.now() - end)) : t('sh_notNow'));
    this.fact(facts, 'sh_coverage', percent(observed(store)));
    this.worst(store, zones.filter(({why}) => !why));
    this.alerts(store, zone);
    this.names('sh_unknown', 'sh_noUnknown', zones.filter(({why}) => why).map(({name, why, age}) => `${name} (${t(why)}${age == null ? '' : ` ${ago(age)}`})`));
    this.names('sh_sensors', 'sh_noSensors', (store.health?.rows ?? []).map((s) => `${s.id} ${s.place?.[lang] ?? ''} ${t(s.state)} ${t('sinceTime', {time: clock(s.since, zone, true)})}`));
    this.foot(store, zone);
  }

  /** @param {HTMLElement} list @param {string} key @param {string} text */
  fact(list, key, text) {
    const box = make('div', '', list);
    make('dt', '', box, t(key));
    make('dd', '', box, text);
  }

  /** @param {string} title @param {string[]} heads @param {string[][]} rows @param {string} none @param {number} most */
  table(title, heads, rows, none, most) {
    make('h2', '', this.element, t(title));
    if (!rows.length) {
      make('p', '', this.element, t(none));
      return;
    }
    const e = /** @type {HTMLTableElement} */ (make('table', '', this.element)), head = e.createTHead().insertRow(), body = e.createTBody();
    for (const key of heads) make('th', '', head, t(key)).setAttribute('scope', 'col');
    for (const texts of rows.slice(0, most)) {
      const row = body.insertRow();
      for (const text of texts) row.insertCell().textContent = text;
    }
    if (rows.length > most) make('p', '', this.element, t('sh_more', {n: rows.length - most}));
  }

  /** @param {Store} store @param {Zone[]} zones */
  worst(store, zones) {
    const z = store.zones;
    this.table('sh_worst', ['sh_zone', 'sh_los', 'sh_density', 'sh_people', 'sh_trend', 'sh_age', 'sh_coverage'], zones.map(({name, row, age}) => {
      const {id} = store.layout?.zones[row] ?? {}, at = (/** @type {string} */ column) => z[column]?.[row] ?? null;
      const people = inside(at('occ'), at('occ_lo'), at('occ_hi'), at('err'));
      const {low, high} = zoneNow(store, row);
      const dense = at('dens'), range = low == null || high == null ? '' : ` (${low.toFixed(2)}–${high.toFixed(2)})`;
      return [name, level(at('los'), null, null).text, `${dense == null ? '—' : dense.toFixed(2)}${range}`, `${people.text} ${people.kind === 'unknown' ? '' : people.note}`.trim(),
        this.trends[id ?? ''] || '—', age == null ? '—' : ago(age), percent(at('c'))];
    }), 'sh_noZones', WORST);
  }

  /** @param {Store} store @param {string} zone of time */
  alerts(store, zone) {
    // the sheet's own date stands in its head: a row that wraps is a row less on the page
    const today = toLocal(store.now(), zone).slice(0, 10);
    const rows = [...store.alerts].sort(order).map((alert) => {
      const put_by = shelved(store, alert);
      return [`${mark(alert)} ${t(`severity_${alert.severity}`).replace(/^\S+ /, '')} ${t(`kind_${alert.kind}`)}`, place(store, alert), clock(alert.began_ms, zone, toLocal(alert.began_ms, zone).slice(0, 10) !== today), against(alert),
        put_by ? t('shelved', {until: clock(alert.shelved_until_ms ?? 0, zone)}) : t(`alert_${alert.state}`), alert.owner || '—', (put_by ? alert.shelved_for : alert.note) || '—'];
    });
    this.table('sh_alerts', ['sh_what', 'sh_zone', 'sh_since', 'sh_limit', 'sh_state', 'sh_owner', 'sh_note'], rows, 'sh_noAlerts', ALERTS);
  }

  /** @param {string} title @param {string} none @param {string[]} names */
  names(title, none, names) {
    make('h2', '', this.element, `${t(title)} ${names.length || ''}`.trim());
    const more = names.length > NAMES ? ` ${t('sh_more', {n: names.length - NAMES})}` : '';
    make('p', '', this.element, names.length ? names.slice(0, NAMES).join(lang === 'ja' ? '、' : ', ') + more : t(none));
  }

  /** @param {Store} store @param {string} zone of time */
  foot(store, zone) {
    const {session} = this.context, run = store.layout?.run, foot = make('footer', '', this.element);
    make('p', '', foot, `${t('sh_versions')}: ${t('sh_run')} ${run?.id} · ${t('sh_registry')} ${run?.registry_version ?? '—'} · ${t('sh_code')} ${run?.code_version ?? '—'} · ${t('sh_config')} ${run?.config_hash ?? '—'}`);
    make('p', '', foot, t('sh_by', {who: session.name || '—', role: t(`role_${session.role}`), time: clock((this.context.present ?? store).now(), zone, true)}));
    make('p', 'sheet-sign', foot, t('sh_sign'));
  }
}

/** All zones, the worst first; `why` where nothing is known of one. @param {Store} store @returns {Zone[]} */
function known(store) {
  const {layout, zones: z} = store;
  const all = (layout?.zones ?? []).map((zone, row) => {
    const {age, why} = layout ? worth(store, zone, z.t?.[row], layout) : {age: null, why: 'noRow'};
    return {name: zone.name[lang], row, age, why: why || (z.s?.[row] === 0 && z.dens?.[row] == null && z.occ_lo?.[row] == null ? 'notObserved' : '')};
  });
  const at = (/** @type {string} */ column, /** @type {Zone} */ zone) => z[column]?.[zone.row] ?? -1;
  return all.sort((a, b) => at('los', b) - at('los', a) || at('dens', b) - at('dens', a) || at('occ_hi', b) - at('occ_hi', a) || a.row - b.row);
}

/** The words for the first and the last density known. @param {(number | null)[]} densities */
export function trend(densities) {
  const told = densities.filter((d) => d != null);
  if (told.length < 2) return '';
  const change = told[told.length - 1] - told[0], sign = change < 0 ? '−' : '+';
  return `${t(Math.abs(change) < LEVEL ? 'sh_same' : change > 0 ? 'sh_up' : 'sh_down')} ${sign}${Math.abs(change).toFixed(2)}`;
}
