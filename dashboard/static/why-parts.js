/** The answer to "why this colour?" as headings, tables and one scale; every text of the store as text. */
import {clock, percent, span} from './figures.js';
import {addWords, lang, t} from './i18n.js';

addWords({
  ja: {
    why_title: '根拠', why_of: '根拠: {place}', why_empty: '地図や表で場所を選ぶと、その値と色の根拠を示します', why_loading: '読み込み中…',
    why_failed: '根拠が読めません: {why}', why_again: '再試行', why_newer: '新しい値で読み直す', why_close: '閉じる',
    why_grade: 'サービス水準', why_scheme: '判定表', why_source: '出典', why_edges: '境界', why_edges_density: '密度の上限 A–E（人/m²）', why_edges_flow: '流量の下限 B–E（人/分/m）',
    why_because: '決め手', why_because_density: '密度（幅のある値の悪い側）', why_because_flow: '流量', why_because_speed: '歩行速度（詰まって遅い）',
    why_because_unknown_status: '不明: 観測なし', why_because_unknown_area: '不明: 面積の登録なし', why_because_unknown_people: '不明: 滞在人数の基準なし', why_because_unknown_range: '不明: 幅が広く判定できない', why_because_unknown_readings: '不明: 読み取りが不確か',
    why_inputs: '入力', why_value: '値', why_range: '幅', why_unit: '単位', why_what: '項目',
    why_in_density: '密度', why_in_flow: '流量', why_in_speed: '歩行速度', why_in_occupancy: '滞在人数', why_in_inflow: '流入', why_in_outflow: '流出', why_in_error: '誤差の見込み', why_in_drift: 'ずれ', why_in_gate_flow: 'ゲートの流量',
    why_in_ab: 'A → B', why_in_ba: 'B → A', why_in_unknown: '向き不明', why_from: '{low} 以上', 'why_unit_people': '人', 'why_unit_people/m²': '人/m²', 'why_unit_people/m/min': '人/m/分', 'why_unit_m/s': 'm/s',
    why_thresholds: 'しきい値', why_rule: '規則', why_limit: '限度', why_recovery: '復帰', why_band: '時間帯', why_delay: '遅延', why_now: '現在', why_holds: '適用中', why_not: '適用外',
    why_delays: '発報 {on} 秒・解除 {off} 秒', why_always: '常時', why_noLimits: 'この場所のしきい値はありません',
    why_day_mon: '月', why_day_tue: '火', why_day_wed: '水', why_day_thu: '木', why_day_fri: '金', why_day_sat: '土', why_day_sun: '日',
    why_sensors: 'センサー', why_approval: '承認', why_approved: '承認済み', why_notApproved: '未承認', why_noSensors: 'センサーがありません', why_sensorState: '状態', why_kind: '種類', why_group: '組',
    why_state_ok: '正常', why_state_unknown: '不明',
    why_window: '集計', why_coverage: '観測率', why_status: '公開', why_status_released: '公開済み', why_status_range: '幅で公開', why_status_suppressed: '少数のため非公開', why_status_unknown: '観測なし',
    why_versions: '版', why_run: '実行', why_registry: '台帳の版', why_code: 'コードの版', why_config: '設定のハッシュ', why_k: '公開の最小人数', why_changes: '最近の変更', why_change: '{at} {by}（版 {version}）{rules}', why_noChanges: '変更の記録はありません', why_unsigned: '署名なし',
    why_scale: '密度 {value} 人/m²（{low}–{high}）、水準 {los}',
  },
  en: {
    why_title: 'Why', why_of: 'Why: {place}', why_empty: 'Choose a place on the map or in a table to see what its figures and its colour rest on', why_loading: 'loading…',
    why_failed: 'Cannot be read: {why}', why_again: 'Try again', why_newer: 'Load the newer figures', why_close: 'Close',
    why_grade: 'Level of service', why_scheme: 'Scheme', why_source: 'Source', why_edges: 'Edges', why_edges_density: 'most density of A–E (/m²)', why_edges_flow: 'least flow of B–E (/min/m)',
    why_because: 'Decided by', why_because_density: 'density (the worse end of its range)', why_because_flow: 'flow', why_because_speed: 'speed (dense and slow)',
    why_because_unknown_status: 'unknown: not observed', why_because_unknown_area: 'unknown: no area is registered', why_because_unknown_people: 'unknown: no anchor for the people inside', why_because_unknown_range: 'unknown: the range may be any grade', why_because_unknown_readings: 'unknown: readings are not sure',
    why_inputs: 'Inputs', why_value: 'Value', why_range: 'Range', why_unit: 'Unit', why_what: 'What',
    why_in_density: 'density', why_in_flow: 'flow', why_in_speed: 'speed', why_in_occupancy: 'people inside', why_in_inflow: 'in', why_in_outflow: 'out', why_in_error: 'likely error', why_in_drift: 'drift', why_in_gate_flow: 'flow of the gate',
    why_in_ab: 'A → B', why_in_ba: 'B → A', why_in_unknown: 'no direction', why_from: '{low} or more', 'why_unit_people': 'people', 'why_unit_people/m²': '/m²', 'why_unit_people/m/min': '/m/min', 'why_unit_m/s': 'm/s',
    why_thresholds: 'Thresholds', why_rule: 'Rule', why_limit: 'Limit', why_recovery: 'Recovery', why_band: 'When', why_delay: 'Delays', why_now: 'Now', why_holds: 'in force', why_not: 'not now',
    why_delays: 'on {on} s, off {off} s', why_always: 'always', why_noLimits: 'No thresholds apply to this place',
    why_day_mon: 'Mon', why_day_tue: 'Tue', why_day_wed: 'Wed', why_day_thu: 'Thu', why_day_fri: 'Fri', why_day_sat: 'Sat', why_day_sun: 'Sun',
    why_sensors: 'Sensors', why_approval: 'Approval', why_approved: 'approved', why_notApproved: 'not approved', why_noSensors: 'No sensors', why_sensorState: 'State', why_kind: 'Kind', why_group: 'group',
    why_state_ok: 'ok', why_state_unknown: 'unknown',
    why_window: 'Window', why_coverage: 'Coverage', why_status: 'Release', why_status_released: 'released', why_status_range: 'released as a range', why_status_suppressed: 'few people: suppressed', why_status_unknown: 'not observed',
    why_versions: 'Versions', why_run: 'Run', why_registry: 'Registry version', why_code: 'Code version', why_config: 'Config hash', why_k: 'Least people released', why_changes: 'Last edits', why_change: '{at} {by} (version {version}) {rules}', why_noChanges: 'No edits are recorded', why_unsigned: 'not signed',
    why_scale: 'density {value} /m² ({low}–{high}), level {los}',
  },
});

/**
 * @typedef {{what: string, value: number | null, low: number | null, high: number | null, unit: string, gate?: string}} Input
 * @typedef {{id: string, kind: string, severity: string, window?: string, limit: number, recovery: number, on_delay_s: number, off_delay_s: number,
 *   days: string[], from: string | null, to: string | null, holds: boolean, value: number | null}} Limit
 * @typedef {{id: string, kind: string, gate: string | null, zone: string | null, approved: boolean, state: string | null,
 *   since: number | null, group: string | null}} Sensor
 * @typedef {{run: {id: string, kind: string, registry_version: string, code_version: string, config_hash: string, k: number},
 *   place: {id: string, name: Record<string, string>}, window: string, start: number | null, end: number | null, status: string | null,
 *   coverage: number | null, inputs: Input[],
 *   grade: {los: string | null, scheme: string | null, source: string | null, density: number[], flow: number[] | null, because: string} | null,
 *   thresholds: Limit[], changes: {version: string, by: string | null, at: string | null, rules?: string[]}[], sensors: Sensor[]}} Answer
 */
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const LETTERS = 'ABCDEF';
const PEOPLE = ['inflow', 'outflow', 'occupancy', 'ab', 'ba', 'unknown']; // counts: a range without a middle is of few people

/** @param {string} tag @param {string} className @param {Element} into @param {string} [text] */
function make(tag, className, into, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  into.append(e);
  return e;
}

/** The word for `key`, else the thing itself: the server may know more than this page. @param {string} key @param {string} otherwise */
function word(key, otherwise) {
  const found = t(key);
  return found === key ? otherwise : found;
}

/** @param {number | null | undefined} n */
function number(n) {
  return n == null ? '—' : n.toLocaleString(lang, {maximumFractionDigits: 2});
}

/** @param {HTMLElement} into @param {Answer} a @param {string} zone of time */
export function drawWhy(into, a, zone) {
  const facts = make('dl', 'why-facts', into);
  fact(facts, 'why_window', `${a.window} ${a.start == null || a.end == null ? '—' : span(a.start, a.end, zone)}`);
  fact(facts, 'why_status', a.status ? word(`why_status_${a.status}`, a.status) : t('noRow'));
  fact(facts, 'why_coverage', percent(a.coverage));
  if (a.grade) grade(into, a.grade, a.inputs);
  inputs(into, a.inputs);
  limits(into, a.thresholds);
  sensors(into, a.sensors, zone);
  versions(into, a, zone);
}

/** @param {HTMLElement} list @param {string} key @param {string} text */
function fact(list, key, text) {
  const box = make('div', '', list);
  make('dt', '', box, t(key));
  return make('dd', 'num', box, text);
}

/** @param {HTMLElement} into @param {NonNullable<Answer['grade']>} g @param {Input[]} given */
function grade(into, g, given) {
  const los = g.los && LETTERS.includes(g.los) ? g.los : t('unknown'), density = given.find(({what}) => what === 'density');
  if (g.density.length) scale(into, g.density, density, los);
  const list = make('dl', 'why-facts', into);
  fact(list, 'why_grade', los).className = 'why-los';
  fact(list, 'why_because', word(`why_because_${g.because}`, g.because));
  fact(list, 'why_scheme', g.scheme || '—');
  if (g.source) fact(list, 'why_source', g.source);
  if (g.density.length) fact(list, 'why_edges_density', g.density.map(number).join(' · '));
  if (g.flow?.length) fact(list, 'why_edges_flow', g.flow.map(number).join(' · '));
}

/**
 * Position before colour: the grades as bands to scale, the range of the density as a bar over them.
 * @param {HTMLElement} into @param {number[]} edges @param {Input | undefined} density @param {string} los
 */
function scale(into, edges, density, los) {
  const most = Math.max(edges[edges.length - 1] * 1.25, (density?.high ?? 0) * 1.05), box = make('div', 'why-scale', into);
  box.setAttribute('role', 'img');
  box.setAttribute('aria-label', t('why_scale', {value: number(density?.value), low: number(density?.low), high: number(density?.high), los}));
  const at = (/** @type {number} */ x) => `${100 * x / most}%`;
  [...edges, most].forEach((edge, i) => {
    const from = i ? edges[i - 1] : 0, band = make('span', 'why-band', box, LETTERS[i]);
    band.dataset.grade = LETTERS[i].toLowerCase();
    band.style.left = at(from);
    band.style.width = at(edge - from);
  });
  if (density?.low == null || density.high == null) return;
  const bar = make('span', 'why-pointer', box);
  bar.style.left = at(density.low);
  bar.style.width = at(density.high - density.low);
}

/** @param {HTMLElement} into @param {string} title @param {string[]} heads keys of the words */
function table(into, title, heads) {
  const e = /** @type {HTMLTableElement} */ (make('table', 'why-table', into));
  e.createCaption().textContent = t(title);
  const row = e.createTHead().insertRow();
  for (const head of heads) make('th', '', row, t(head)).setAttribute('scope', 'col');
  return e.createTBody();
}

/** @param {HTMLTableSectionElement} body @param {string[]} texts */
function row(body, texts) {
  const e = body.insertRow();
  texts.forEach((text, i) => {
    if (i) e.insertCell().textContent = text;
    else make('th', '', e, text).setAttribute('scope', 'row');
  });
  return e;
}

/** @param {HTMLElement} into @param {Input[]} given */
function inputs(into, given) {
  const body = table(into, 'why_inputs', ['why_what', 'why_value', 'why_range', 'why_unit']);
  for (const {what, value, low, high, unit, gate} of given) {
    const told = value != null ? number(value) : low == null && high == null ? t('unknown') : PEOPLE.includes(what) ? t('few') : '—';
    const range = low == null ? '—' : high == null ? t('why_from', {low: number(low)}) : low === high ? t('exact') : `${number(low)}–${number(high)}`;
    row(body, [`${word(`why_in_${what}`, what)}${gate ? ` ${gate}` : ''}`, told, range, word(`why_unit_${unit}`, unit)]);
  }
}

/** @param {Limit} limit */
function band({days, from, to}) {
  const every = !days?.length || DAYS.every((day) => days.includes(day));
  const hours = !from || !to || (from === to) ? '' : `${from}–${to}`;
  return [every ? '' : days.map((day) => word(`why_day_${day}`, day)).join(lang === 'ja' ? '' : ' '), hours].filter(Boolean).join(' ') || t('why_always');
}

/** @param {HTMLElement} into @param {Limit[]} all */
function limits(into, all) {
  if (!all.length) {
    make('p', 'soft', into, t('why_noLimits'));
    return;
  }
  const body = table(into, 'why_thresholds', ['why_rule', 'why_limit', 'why_recovery', 'why_band', 'why_delay', 'why_now']);
  for (const one of all) {
    const e = row(body, [`${t(`severity_${one.severity}`)} ${word(`kind_${one.kind}`, one.kind)} (${[one.id, one.window].filter(Boolean).join(' ')})`, number(one.limit), number(one.recovery),
      band(one), t('why_delays', {on: number(one.on_delay_s), off: number(one.off_delay_s)}), `${t(one.holds ? 'why_holds' : 'why_not')} · ${number(one.value)}`]);
    e.classList.toggle('soft', !one.holds);
  }
}

/** @param {HTMLElement} into @param {Sensor[]} all @param {string} zone of time */
function sensors(into, all, zone) {
  if (!all.length) {
    make('p', 'soft', into, t('why_noSensors'));
    return;
  }
  const body = table(into, 'why_sensors', ['why_sensors', 'why_kind', 'why_sensorState', 'why_approval']);
  for (const one of all) {
    const state = one.state == null ? t('why_state_unknown') : word(`why_state_${one.state}`, word(one.state, one.state));
    const since = one.since == null ? '' : ` ${t('sinceTime', {time: clock(one.since, zone)})}`;
    row(body, [`${one.id}${one.group ? ` (${t('why_group')} ${one.group})` : ''}`, `${one.kind} ${one.gate ?? one.zone ?? ''}`.trim(), state + since,
      t(one.approved ? 'why_approved' : 'why_notApproved')]);
  }
}

/** @param {HTMLElement} into @param {Answer} a @param {string} zone of time */
function versions(into, {run, changes}, zone) {
  make('h3', '', into, t('why_versions'));
  const list = make('dl', 'why-facts', into);
  fact(list, 'why_run', `${run.id} (${t(run.kind)})`);
  fact(list, 'why_registry', run.registry_version || '—');
  fact(list, 'why_code', run.code_version || '—');
  fact(list, 'why_config', run.config_hash || '—');
  fact(list, 'why_k', number(run.k));
  make('h3', '', into, t('why_changes'));
  if (!changes.length) make('p', 'soft', into, t('why_noChanges'));
  const edits = make('ul', 'why-edits', into);
  for (const {version, by, at, rules} of changes) {
    const ms = at == null ? NaN : Date.parse(at);
    make('li', '', edits, t('why_change', {at: Number.isNaN(ms) ? at ?? '—' : clock(ms, zone, true), by: by || t('why_unsigned'), version, rules: rules?.join(', ') ?? ''}));
  }
  if (!changes.length) edits.remove();
}
