/** The last line: how well the sensors are, what came late or twice, how far the watermark is, how often it alarms. */
import {ago, whole} from './figures.js';
import {addWords, t} from './i18n.js';
import {put} from './tables.js';

addWords({
  ja: {footSensors: 'センサー', footOk: '正常', footUnknown: '不明', alarmRate: '警報の頻度', per10: '{n} 件/10 分', footMany: '多すぎます'},
  en: {footSensors: 'Sensors', footOk: 'ok', footUnknown: 'unknown', alarmRate: 'Alarm rate', per10: '{n} / 10 min', footMany: 'too many'},
});

const STATES = ['silent', 'stuck', 'chattering', 'skewed', 'imbalanced'];
const HOUR_MS = 3_600_000;

/** @typedef {import('./store.js').Store} Store */

export class Foot {
  /** @param {HTMLElement} e */
  constructor(e) {
    this.list = document.createElement('dl');
    e.append(this.list);
    /** @type {Map<string, {dt: HTMLElement, dd: HTMLElement}>} */ this.items = new Map();
    for (const key of ['footOk', 'footUnknown', ...STATES, 'late', 'duplicate', 'watermark', 'alarmRate']) {
      const box = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
      dd.className = 'num';
      dd.dataset.foot = key;
      box.append(dt, dd);
      this.list.append(box);
      this.items.set(key, {dt, dd});
    }
    /** @type {Map<string, number>} */ this.began = new Map(); // alerts seen, and when they began
    this.run = '';
  }

  build() {
    for (const [key, {dt}] of this.items) put(dt, key === 'footOk' ? `${t('footSensors')}: ${t('footOk')}` : t(key));
  }

  /** @param {Store} store */
  update(store) {
    const {health, status, closed, layout} = store;
    const say = (/** @type {string} */ key, /** @type {string} */ text, bad = false) => {
      const dd = this.items.get(key)?.dd;
      if (!dd) return;
      put(dd, text);
      if (dd.classList.contains('bad') !== bad) dd.classList.toggle('bad', bad);
    };
    const counts = new Map(STATES.map((state) => [state, 0]));
    for (const {state} of health?.rows ?? []) counts.set(state, (counts.get(state) ?? 0) + 1);
    say('footOk', health ? whole(health.ok) : '—');
    say('footUnknown', health ? whole(health.unknown) : '—', Boolean(health?.unknown));
    for (const state of STATES) say(state, health ? whole(counts.get(state) ?? 0) : '—', Boolean(counts.get(state)));
    for (const reason of ['late', 'duplicate']) say(reason, whole(status?.rejected[reason] ?? 0));
    say('watermark', closed == null ? '—' : `−${ago(store.now() - closed)}`);
    const rate = this.rate(store, layout?.run.id ?? '');
    // EEMUA 191: an operator can take about one alarm in ten minutes
    say('alarmRate', `${t('per10', {n: rate.toFixed(1)})}${rate > 1 ? ` ${t('footMany')}` : ''}`, rate > 1);
  }

  /** Alerts that began in the last hour, per ten minutes; those that ended before this page was opened are asked for once. */
  rate(/** @type {Store} */ store, /** @type {string} */ run) {
    if (run !== this.run) {
      this.run = run;
      this.began.clear();
      void this.learn(run, Math.round(store.now() - HOUR_MS));
    }
    const since = store.now() - HOUR_MS;
    for (const {id, began_ms} of store.alerts) this.began.set(id, began_ms);
    let n = 0;
    for (const [id, began] of this.began) {
      if (began < since - HOUR_MS) this.began.delete(id);
      else if (began >= since && began <= store.now()) n++;
    }
    return n / 6;
  }

  /** @param {string} run @param {number} since */
  async learn(run, since) {
    if (!run) return;
    try {
      const answer = await fetch(`/api/alerts?${new URLSearchParams({run, since: String(since)})}`);
      if (!answer.ok || run !== this.run) return;
      const told = await answer.json();
      for (const {id, began_ms} of told.alerts ?? told) this.began.set(id, began_ms);
    } catch { /* the banner tells that the server is away; alerts of the stream are counted */ }
  }
}
