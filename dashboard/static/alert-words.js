/** The words of the list of alerts, and alerts in words: what the list, the history and the printed sheet share. */
import {whole} from './figures.js';
import {addWords, t} from './i18n.js';

addWords({
  ja: {
    al_goto: '警報へ移動', al_standing: '継続中', al_shelved: '保留 {n}', al_history: '履歴', al_views: '警報の表示', al_count: '未対応の警報',
    al_all_severity: 'すべての重さ', al_all_state: 'すべての状態', al_all_place: 'すべての場所',
    al_severity: '重さで絞る', al_state: '状態で絞る', al_place: '場所で絞る',
    al_fresh: '新着 {n}', al_held: '操作中は並びを変えません', al_none: '該当する警報はありません', al_came: '新しい警報',
    al_acknowledge: '確認', al_assign: '担当する', al_note: 'メモ', al_shelve: '保留', al_unshelve: '保留を解く', al_resolve: '対応済み', al_reopen: '継続中に戻す',
    al_did_acknowledge: '確認しました', al_did_assign: '担当になりました', al_did_note: 'メモを残しました', al_did_shelve: '保留しました',
    al_did_unshelve: '保留を解きました', al_did_resolve: '対応済みにしました', al_did_reopen: '継続中に戻しました', al_failed: '「{what}」ができませんでした: {why}',
    al_sending: '送信中…', al_sent: '反映待ち', al_gone: '収まりました', al_reason: '理由（必須）', al_text: 'メモの内容（必須）', al_minutes: '保留する時間',
    al_minute: '{n} 分', al_save: '決定', al_cancel: '取り消し', al_needed: '入力してください', al_owner: '担当 {name}', al_nobody: '担当なし', al_until: '{until} まで保留',
    al_by: '値 {value} ／ 限度 {limit} {unit}', al_ago: '{s} 前', al_keys: 'a 確認、t 担当、n メモ、s 保留、r 対応済み、↑↓ 移動',
    al_loading: '読み込み中…', al_again: '再試行', al_more: 'さらに {n} 件', al_resolvedAt: '{time} に収束', al_stillOn: '継続中', al_done: '操作の記録', al_nothing: '操作なし',
    al_unit_density: '人/m²', al_unit_stopped: '人/m²', al_unit_flow: '人/分/m', al_unit_speed: 'm/s', al_unit_counterflow: '%', al_unit_sensor_loss: '%',
    al_why: '根拠', al_readonly: '再生中は操作できません',
  },
  en: {
    al_goto: 'Go to the alerts', al_standing: 'Standing', al_shelved: 'Shelved {n}', al_history: 'History', al_views: 'Which alerts', al_count: 'Alerts not dealt with',
    al_all_severity: 'Any severity', al_all_state: 'Any state', al_all_place: 'Any place',
    al_severity: 'Filter by severity', al_state: 'Filter by state', al_place: 'Filter by place',
    al_fresh: '{n} new', al_held: 'The order stays while you are here', al_none: 'No such alert', al_came: 'New alert',
    al_acknowledge: 'Acknowledge', al_assign: 'Take over', al_note: 'Note', al_shelve: 'Shelve', al_unshelve: 'Unshelve', al_resolve: 'Resolve', al_reopen: 'Reopen',
    al_did_acknowledge: 'Acknowledged', al_did_assign: 'You have taken over', al_did_note: 'Note kept', al_did_shelve: 'Shelved',
    al_did_unshelve: 'Off the shelf', al_did_resolve: 'Resolved', al_did_reopen: 'Reopened', al_failed: '“{what}” has failed: {why}',
    al_sending: 'sending…', al_sent: 'not confirmed yet', al_gone: 'gone', al_reason: 'Reason (needed)', al_text: 'Note (needed)', al_minutes: 'Shelve for',
    al_minute: '{n} min', al_save: 'Save', al_cancel: 'Cancel', al_needed: 'Please fill this in', al_owner: 'owner {name}', al_nobody: 'no owner', al_until: 'shelved until {until}',
    al_by: 'value {value} / limit {limit} {unit}', al_ago: '{s} ago', al_keys: 'a ack · t take · n note · s shelve · r resolve · ↑↓',
    al_loading: 'loading…', al_again: 'Try again', al_more: '{n} more', al_resolvedAt: 'over at {time}', al_stillOn: 'standing', al_done: 'What was done', al_nothing: 'nothing was done',
    al_unit_density: '/m²', al_unit_stopped: '/m²', al_unit_flow: '/min/m', al_unit_speed: 'm/s', al_unit_counterflow: '%', al_unit_sensor_loss: '%',
    al_why: 'Why', al_readonly: 'No actions in a replay',
  },
});

/** @typedef {import('./store.js').Alert} Alert */

export const SEVERITIES = ['critical', 'warning', 'info'];
const SHARES = ['counterflow', 'sensor_loss']; // values from 0 to 1, told in per cent
/** @type {Record<string, string>} */
const FILLED = {critical: '■', warning: '▲', info: '●'};
/** @type {Record<string, string>} */
const HOLLOW = {critical: '□', warning: '△', info: '○'};

/** Filled until somebody has acknowledged it. @param {{severity: string, state: string}} alert */
export function mark({severity, state}) {
  return (state === 'new' ? FILLED : HOLLOW)[severity] ?? '?';
}

/** How many of each severity, the worst first: ■2 ▲1; zeros left out but for the worst. @param {{severity: string}[]} alerts */
export function counts(alerts) {
  return SEVERITIES.map((severity) => ({severity, n: alerts.filter((a) => a.severity === severity).length}))
    .filter(({severity, n}) => n || severity === 'critical').map(({severity, n}) => `${FILLED[severity]}${whole(n)}`).join(' ');
}

/** What was measured and the limit it has passed. @param {{kind: string, value: number | null, threshold: number | null}} alert */
export function against({kind, value, threshold}) {
  const number = (/** @type {number | null | undefined} */ n) => n == null ? t('unknown')
    : SHARES.includes(kind) ? String(Math.round(n * 100)) : n.toFixed(kind === 'flow' ? 0 : 2);
  return t('al_by', {value: number(value), limit: number(threshold), unit: t(`al_unit_${kind}`)});
}

/** The worst first, of them the newest. @param {Alert} a @param {Alert} b */
export function order(a, b) {
  return SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.began_ms - a.began_ms || (a.id < b.id ? -1 : 1);
}
