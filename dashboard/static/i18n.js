/** All words of the page, in Japanese and English; both hold the same keys. */
export const TEXT = {
  ja: {
    skip: '表へ移動', run: '実行', auto: '自動（最新）', window: '集計の長さ', other: 'English', toLight: '明るく', toDark: '暗く',
    watermark: '確定の遅れ', unknowns: '不明', read: '受信', accepted: '採用', rejected: '不採用',
    rejectedByReason: '不採用の理由', counters: '公開済みの集計だけを数えています。少人数の分は、まとまってから加わります。', countersExact: 'すべてのイベントをそのまま数えています（模擬データなど、保護の要らない実行）。',
    gates: 'ゲート（通過人数）', zones: 'ゾーン（流入・流出・滞在人数）', ways: 'ゾーン（移動の向き）',
    gate: 'ゲート', zone: 'ゾーン', ab: 'A → B', ba: 'B → A', undirected: '向き不明', inflow: '流入', outflow: '流出', inside: '滞在', drift: 'ずれ', los: 'サービス水準', way: '平均の向き', strength: '揃い R',
    noOneWay: '向きはばらばら', north: '北', northEast: '北東', east: '東', southEast: '南東', south: '南', southWest: '南西', west: '西', northWest: '北西',
    coverage: '観測率', span: '集計の時間', age: '経過', outside: '外',
    unknown: '不明', exact: '確定', about: '約 {n}', few: '少数', noRow: '集計なし', notObserved: '観測なし', tooOld: '古い', from: '{w} から',
    notMeasured: '測定なし', noAnchor: '基準なし', notGraded: '判定なし', aboutError: '約 {n} ±{e}', perM2: '{n} 人/m²', perS: '{n} m/s',
    alerts: '継続中の警報', standing: '警報', noAlerts: '継続中の警報はありません', severity: '重さ', alert: '警報', place: '場所', since: '開始', state: '状態', owner: '担当', note: 'メモ',
    severity_critical: '■ 重大', severity_warning: '▲ 警告', severity_info: '● 通知', alert_new: '新規', alert_acknowledged: '確認済み', alert_resolved: '対応済み（条件は継続中）', shelved: '{until} まで保留',
    kind_density: '密度が高い', kind_flow: '流量が多い', kind_speed: '歩行が遅い', kind_counterflow: '対向流', kind_stopped: '混雑して停止', kind_sensor_loss: '観測の欠落',
    live: '● 現在', replay: '▶ 再生', workbench: '◆ 試算', none: '実行なし',
    running: '実行中', stopped: '停止', finished: '完了', failed: '異常終了',
    replayBanner: '再生です。現在の値ではありません', workbenchBanner: '試算です。現在の値でも公式の値でもありません',
    offline: '切断：サーバーから {s} 届いていません。表示は最後の値です', noRunYet: '表示できる実行がまだありません', store: '保存先が応答しません。新しい値は届きません',
    quiet: '{s} の間、確定がありません。Kafka か実行プロセスが止まっています。新しい値は不明です',
    unwell: '異常センサー', sensors: '正常でないセンサー', sensorsKnown: '正常 {ok} 台、不明 {unknown} 台', sinceTime: '{time} から',
    silent: '無応答', stuck: '固着', chattering: '過剰な検知', skewed: '時計のずれ', imbalanced: '方向の偏り',
    s: '{n} 秒', min: '{n} 分', h: '{n} 時間', d: '{n} 日',
    malformed: '読めない形式', unknown_type: '不明な種類', missing_field: '項目の不足', bad_value: '値の誤り', unknown_sensor: '未登録のセンサー',
    not_approved: '未承認', no_consent: '同意なし', no_contract: '契約なし', too_far_in_future: '未来の時刻', span_too_long: '期間が長すぎる', late: '遅着', duplicate: '重複',
  },
  en: {
    skip: 'Go to the tables', run: 'Run', auto: 'Automatic (newest)', window: 'Window length', other: '日本語', toLight: 'Light', toDark: 'Dark',
    watermark: 'Watermark age', unknowns: 'Unknown', read: 'Read', accepted: 'Accepted', rejected: 'Rejected',
    rejectedByReason: 'Rejected by reason', counters: 'Counts what is released only: small numbers of people are added once enough have passed.', countersExact: 'Counts every event as it is (a run that needs no protection, such as simulated people).',
    gates: 'Gates (people passing)', zones: 'Zones (people in, out and inside)', ways: 'Zones (which way people go)',
    gate: 'Gate', zone: 'Zone', ab: 'A → B', ba: 'B → A', undirected: 'No direction', inflow: 'In', outflow: 'Out', inside: 'Inside', drift: 'Drift', los: 'Level of service', way: 'Mean heading', strength: 'Agreement R',
    noOneWay: 'no common way', north: 'north', northEast: 'north-east', east: 'east', southEast: 'south-east', south: 'south', southWest: 'south-west', west: 'west', northWest: 'north-west',
    coverage: 'Coverage', span: 'Window', age: 'Age', outside: 'outside',
    unknown: 'unknown', exact: 'exact', about: 'about {n}', few: 'few', noRow: 'no row yet', notObserved: 'not observed', tooOld: 'too old', from: 'from {w} on',
    notMeasured: 'not measured', noAnchor: 'no anchor yet', notGraded: 'not graded', aboutError: 'about {n} ±{e}', perM2: '{n} /m²', perS: '{n} m/s',
    alerts: 'Standing alerts', standing: 'Alerts', noAlerts: 'No alert stands', severity: 'Severity', alert: 'Alert', place: 'Place', since: 'Since', state: 'State', owner: 'Owner', note: 'Note',
    severity_critical: '■ critical', severity_warning: '▲ warning', severity_info: '● info', alert_new: 'new', alert_acknowledged: 'acknowledged', alert_resolved: 'resolved by hand, still so', shelved: 'shelved until {until}',
    kind_density: 'dense', kind_flow: 'heavy flow', kind_speed: 'slow', kind_counterflow: 'counterflow', kind_stopped: 'full and stopped', kind_sensor_loss: 'sensors lost',
    live: '● LIVE', replay: '▶ REPLAY', workbench: '◆ WORKBENCH', none: 'NO RUN',
    running: 'running', stopped: 'stopped', finished: 'finished', failed: 'failed',
    replayBanner: 'These are not present values', workbenchBanner: 'These are neither present nor official values',
    offline: 'Disconnected: nothing heard from the server for {s}. Showing the last values', noRunYet: 'There is no run to show yet', store: 'The store does not answer: no new values arrive',
    quiet: 'Nothing closed for {s}: Kafka or the run is away. What happens now is unknown',
    unwell: 'Sensors not ok', sensors: 'Sensors that are not ok', sensorsKnown: '{ok} ok, {unknown} unknown', sinceTime: 'since {time}',
    silent: 'silent', stuck: 'stuck', chattering: 'chattering', skewed: 'clock wrong', imbalanced: 'one direction missing',
    s: '{n} s', min: '{n} min', h: '{n} h', d: '{n} d',
    malformed: 'malformed', unknown_type: 'unknown type', missing_field: 'missing field', bad_value: 'bad value', unknown_sensor: 'unknown sensor',
    not_approved: 'not approved', no_consent: 'no consent', no_contract: 'no contract', too_far_in_future: 'too far in future', span_too_long: 'span too long', late: 'late', duplicate: 'duplicate',
  },
};

/**
 * Add the words of one part of the page; a key belongs to one part only.
 * @param {{ja: Record<string, string>, en: Record<string, string>}} more
 */
export function addWords(more) {
  for (const [name, words] of Object.entries(more)) {
    const held = /** @type {Record<string, Record<string, string>>} */ (TEXT)[name];
    for (const [key, word] of Object.entries(words)) {
      if (key in held) throw new Error(`the word ${key} is there already`);
      held[key] = word;
    }
  }
}

/** @typedef {'ja' | 'en'} Lang */

/** @type {Lang} */
export let lang = 'ja';

/**
 * The word for a key in the present language; {name} in it is replaced.
 * @param {string} key @param {Record<string, string | number>} [put]
 */
export function t(key, put) {
  const word = /** @type {Record<string, string>} */ (TEXT[lang])[key] ?? key;
  return put ? word.replace(/\{(\w+)\}/g, (_, name) => String(put[name])) : word;
}

/** The language to begin with: the one chosen here before, else the browser's. @returns {Lang} */
export function firstLang() {
  const kept = recall('hitonami.lang');
  return kept === 'ja' || kept === 'en' ? kept : navigator.language.startsWith('ja') ? 'ja' : 'en';
}

/** Switch, remember, and relabel all that carries data-t. @param {Lang} to */
export function setLang(to) {
  lang = to;
  remember('hitonami.lang', to);
  document.documentElement.lang = to;
  for (const e of document.querySelectorAll('[data-t]')) e.textContent = t(/** @type {HTMLElement} */ (e).dataset.t ?? '');
}

/** Storage may be forbidden in the browser: then nothing is kept. @param {string} key */
export function recall(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* not kept */ }
}
