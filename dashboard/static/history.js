/**
 * The last hour of each zone, its usual band and its forecast: from the server once a minute, and the rows of the
 * stream between. One for the whole page.
 */
import {addWords, t} from './i18n.js';
import {newest} from './now.js';

addWords({
  ja: {beyond: '超過中', in: '{n}（{low}–{high}）', soonest: '早くて {n}'},
  en: {beyond: 'beyond', in: '{n} ({low}–{high})', soonest: '{n} at soonest'},
});

const EACH_MS = 60_000;
const SOONEST_MS = 5000;
const MOST = 1000; // zones the server tells of at once: of more, the one that is looked at
export const HOUR_MS = 3_600_000;

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {{limit: number, rule: string, mid_ms: number | null, low_ms: number | null, high_ms: number}} ToLimit
 * @typedef {{t: number[], mid: number[], low: number[], high: number[], to_limit: ToLimit | null}} Forecast
 * Normal: of the hours that begin at `t`.
 * @typedef {{t: number[], p10: (number | null)[], p50: (number | null)[], p90: (number | null)[], days: number}} Normal
 * Past: of windows that ended at `t`, ms.
 * @typedef {{t: number[], dens: (number | null)[], dens_lo: (number | null)[], dens_hi: (number | null)[], los: (number | null)[]}} Past
 * @typedef {{window: string, length_ms: number, zones: Record<string, Past>, normal?: Record<string, Normal>, forecast?: Record<string, Forecast>}} Answer
 */

export class History {
  constructor() {
    /** @type {Answer | null} */ this.answer = null;
    /** @type {Map<string, Past>} */ this.rows = new Map(); // what the stream told since the last answer
    this.asked = -Infinity;
    this.until_ = -Infinity; // the end of the hour asked for
    this.key = '';
    this.seen = '';
    this.behind = false;
    this.version = 0; // another one with each change
  }

  /**
   * Take in what the store shows now; ask the server where a minute has passed or another run is shown.
   * @param {Store} store @param {string} chosen the zone that is looked at
   */
  update(store, chosen) {
    const {layout} = store;
    if (!layout) return;
    const zones = layout.zones.length > MOST ? chosen : '', key = `${layout.run.id} ${layout.window} ${zones}`;
    if (key !== this.key) {
      this.key = key;
      this.answer = null;
      this.rows.clear();
      this.asked = -Infinity;
      this.version++;
    }
    if (this.behind && store.problem !== 'behind') {
      this.rows.clear(); // it has caught up: of what it went through only glimpses were told
      this.asked = -Infinity;
    }
    this.behind = store.problem === 'behind';
    if (store.id !== this.seen) {
      this.seen = store.id;
      this.collect(store);
    }
    // a replay may go fast, or be wound
    const until = this.until(store), wound = Math.abs(until - this.until_) > EACH_MS;
    if (performance.now() - this.asked > (wound ? SOONEST_MS : EACH_MS)) {
      this.asked = performance.now();
      this.until_ = until;
      void this.ask(store, key, zones);
    }
  }

  /** @param {Store} store */
  collect({zones: z, layout}) {
    layout?.zones.forEach(({id, area_m2, length_ms}, row) => {
      const start = z.t?.[row];
      if (start == null) return;
      const end = start + length_ms;
      let past = this.rows.get(id);
      if (!past) this.rows.set(id, past = {t: [], dens: [], dens_lo: [], dens_hi: [], los: []});
      const last = past.t.length - 1, at = past.t[last] === end ? last : last + 1;
      if (at > last && last >= 0 && end < past.t[last]) return; // of a replay that was wound back the server tells
      if (at > last) this.version++;
      past.t[at] = end;
      past.dens[at] = z.dens[row] ?? null;
      past.dens_lo[at] = area_m2 && z.occ_lo[row] != null ? /** @type {number} */ (z.occ_lo[row]) / area_m2 : null;
      past.dens_hi[at] = area_m2 && z.occ_hi[row] != null ? /** @type {number} */ (z.occ_hi[row]) / area_m2 : null;
      past.los[at] = z.los[row] ?? null;
      while (past.t[0] < end - HOUR_MS) for (const column of Object.values(past)) column.shift();
    });
  }

  /** @param {Store} store @param {string} key @param {string} zones '' = all */
  async ask(store, key, zones) {
    const {layout} = store, to = Math.round(this.until(store));
    if (!layout) return;
    const query = new URLSearchParams({run: layout.run.id, window: '1m', from: String(to - HOUR_MS), to: String(to)});
    if (zones) query.set('zones', zones);
    try {
      const answer = await fetch(`/api/history?${query}`);
      if (!answer.ok || key !== this.key) return;
      const told = await answer.json();
      for (const past of Object.values(told.zones)) past.t = past.t.map((/** @type {number} */ start) => start + told.length_ms);
      this.answer = told;
      this.forget();
      this.version++;
    } catch { /* the banner tells that the server is away; what the stream tells is drawn */ }
  }

  /** Drop what the server has told by now: a page that stays open for days must not grow. */
  forget() {
    for (const [zone, past] of this.rows) {
      const last = this.answer?.zones[zone]?.t.at(-1) ?? -Infinity;
      const from = past.t.findIndex((end) => end > last);
      for (const column of Object.values(past)) column.splice(0, from < 0 ? column.length : from);
    }
  }

  /** The end of what is shown: now, in a replay the end of its newest window. @param {Store} store */
  until(store) {
    if (store.frozen || store.layout?.run.kind === 'live') return store.now();
    return newest(store) ?? 0;
  }

  /**
   * The last hour of a zone: the server's rows, then those of the stream that are newer; nothing beyond `until`, which
   * a replay that was wound back has not come to yet. @param {string} zone @param {number} until @returns {Past}
   */
  past(zone, until) {
    const {t: ends, ...rest} = this.joined(zone), n = ends.findLastIndex((end) => end <= until) + 1;
    const cut = (/** @type {(number | null)[] | undefined} */ column) => column?.slice(0, n) ?? [];
    return {t: ends.slice(0, n), dens: cut(rest.dens), dens_lo: cut(rest.dens_lo), dens_hi: cut(rest.dens_hi), los: cut(rest.los)};
  }

  /** @param {string} zone @returns {Past} */
  joined(zone) {
    const told = this.answer?.zones[zone], own = this.rows.get(zone);
    if (!told) return own ?? {t: [], dens: [], dens_lo: [], dens_hi: [], los: []};
    if (!own) return told;
    const last = told.t.at(-1) ?? -Infinity, from = own.t.findIndex((end) => end > last);
    if (from < 0) return told;
    const join = (/** @type {'t' | 'dens' | 'dens_lo' | 'dens_hi' | 'los'} */ name) => [...(told[name] ?? []), ...own[name].slice(from)];
    return {t: /** @type {number[]} */ (join('t')), dens: join('dens'), dens_lo: join('dens_lo'), dens_hi: join('dens_hi'), los: join('los')};
  }

  /** @param {string} zone */
  normal(zone) { return this.answer?.normal?.[zone] ?? null; }
  /** @param {string} zone */
  forecast(zone) { return this.answer?.forecast?.[zone] ?? null; }

  /** What is usual now, P10 and P90 of density; null where too few days are known. @param {string} zone @param {number} now @returns {[number, number] | null} */
  usual(zone, now) {
    const found = this.normal(zone);
    if (!found?.t.length) return null;
    const at = found.t.findIndex((start) => start <= now && now < start + HOUR_MS);
    if (at < 0) return null;
    const low = found.p10[at], high = found.p90[at];
    return low == null || high == null ? null : [low, high];
  }

  /** Time to a zone's limit in words, '—' where no forecast is good enough. @param {string} zone @param {number} now */
  toLimit(zone, now) {
    const found = this.forecast(zone)?.to_limit;
    if (!found) return '—';
    const {mid_ms, low_ms, high_ms} = found, in_ = (/** @type {number} */ ms) => Math.max(0, Math.round((ms - now) / 60_000));
    if (high_ms <= now) return t('beyond');
    if (mid_ms == null) return t('soonest', {n: t('min', {n: in_(high_ms)})});
    return t('in', {n: t('min', {n: in_(mid_ms)}), low: in_(high_ms), high: low_ms == null ? '' : in_(low_ms)});
  }
}

export const history = new History();
