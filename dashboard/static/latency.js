/**
 * From an event to the changed pixel, measured where it is looked at: each tick renews a <time elementtiming>, and the
 * browser tells when that was painted. A window's way has these parts, in ms:
 *
 *   bound  from the end of the window until the watermark may pass it: what an event may be late
 *   flow   until the store has taken its last row
 *   store  until the page's server has read it
 *   push   until the browser has it; what a server's and a browser's clock differ by is what the fastest message shows
 *   paint  until it is on the screen
 *
 * `total` = flow + store + push + paint is the time from the watermark to the pixel. An event itself has waited before
 * for the end of its window, at most its length.
 */
import {addWords, lang, t} from './i18n.js';
import {put} from './tables.js';

addWords({
  ja: {
    latency: '発生から表示まで（直近 10 分）', latencyClose: '閉じる', latencyTotal: '確定可能から表示まで', latency_bound: '遅着の待ち（合計に含めない）',
    latency_flow: '処理と保存', latency_store: '読み出し', latency_push: '配信', latency_paint: '描画', latencyTicks: '各更新の描画', latencyPart: '区間', latencyNo: '測定値はまだありません',
    latencySum: '区間 {n} 個、更新 {ticks} 回、飛ばした更新 {skipped} 回、集計の長さ {length}（イベントはその終わりを待ちます）', latencyShape: '確定可能から表示までの度数', latencyNone: 'このブラウザーは描画の時刻を伝えません。描画は次のフレームまでの時間です',
  },
  en: {
    latency: 'From event to pixel (last 10 minutes)', latencyClose: 'Close', latencyTotal: 'From the watermark to the pixel', latency_bound: 'Wait for late events (not in the total)',
    latency_flow: 'Flow and insert', latency_store: 'Read', latency_push: 'Push', latency_paint: 'Paint', latencyTicks: 'Paint of each tick', latencyPart: 'Part', latencyNo: 'Nothing measured yet',
    latencySum: '{n} windows, {ticks} ticks, {skipped} ticks skipped; windows are {length} long, an event waits for the end of its own', latencyShape: 'How often, from the watermark to the pixel', latencyNone: 'This browser does not tell when it paints: paint is the time until the next frame',
  },
});

const KEPT_MS = 600_000;
export const PARTS = ['bound', 'flow', 'store', 'push', 'paint'];
/** Upper edges of the histogram's classes, ms; the last class has no end. */
export const EDGES = [50, 100, 200, 300, 400, 500, 600, 800, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000];

/**
 * @typedef {{at: number, bound: number, flow: number, store: number, push: number, paint: number, total: number}} Sample
 * @typedef {import('./store.js').Timing} Timing
 * @typedef {{timing: Timing | null, now: number, at: number, stale?: boolean}} Tick what a message told, when it was
 *   heard, and whether its rows may have lain somewhere
 */

/** The p-quantile by nearest rank; null of nothing. @param {number[]} values @param {number} p */
export function quantile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] : null;
}

/** What has been measured in the last ten minutes; all times of `performance.now()`, but for those in `Timing`. */
export class Measured {
  constructor() {
    /** @type {Timing | null | undefined} told last; undefined: nothing yet */ this.last = undefined;
    this.counts = false;
    /** @type {Sample[]} */ this.samples = [];
    /** @type {{at: number, paint: number}[]} */ this.ticks = [];
    /** @type {{at: number, off: number}[]} */ this.offsets = [];
    this.skipped = 0;
    this.number = 0; // ticks painted since the page was opened
  }

  /** A message was painted at `painted`. @param {Tick} tick @param {number} painted */
  painted({timing, now, at, stale}, painted) {
    const old = painted - KEPT_MS;
    this.ticks = this.ticks.filter((tick) => tick.at > old);
    this.samples = this.samples.filter((sample) => sample.at > old);
    this.offsets = this.offsets.filter((offset) => offset.at > old);
    this.number++;
    this.ticks.push({at: painted, paint: painted - at});
    this.offsets.push({at: painted, off: at - now});
    if (stale) {
      this.restart();
      return;
    }
    // more rows of a window may come: it is whole with the last of them; the first that is told may have lain there for
    // long before this page asked
    const before = this.last;
    this.last = timing;
    if (!timing || before === undefined || same(timing, before)) return;
    if (before?.end !== timing.end) this.counts = true;
    else if (this.counts) this.samples.pop();
    if (!this.counts) return;
    const net = at - now - Math.min(...this.offsets.map(({off}) => off));
    const sample = {at: painted, bound: timing.line - timing.end, flow: timing.inserted - timing.line,
      store: timing.read - timing.inserted, push: now - timing.read + net, paint: painted - at, total: 0};
    sample.total = sample.flow + sample.store + sample.push + sample.paint;
    this.samples.push(sample);
  }

  /** The stream begins anew. */
  restart() {
    this.last = undefined;
    this.counts = false;
  }

  /** How many samples are in each class of EDGES. */
  histogram() {
    const counts = new Array(EDGES.length + 1).fill(0);
    for (const {total} of this.samples) counts[EDGES.filter((edge) => edge < total).length]++;
    return counts;
  }

  /** All that was measured, as plain data. */
  report() {
    const of = (/** @type {number[]} */ values) => Object.fromEntries([50, 95, 99].map((p) => [`p${p}`, quantile(values, p / 100)]));
    return {windows: this.samples.length, ticks: this.ticks.length, skipped: this.skipped,
      total: of(this.samples.map(({total}) => total)), tick_paint: of(this.ticks.map(({paint}) => paint)),
      parts: Object.fromEntries(PARTS.map((part) => [part, of(this.samples.map((s) => /** @type {any} */ (s)[part]))])),
      histogram: {edges: EDGES, counts: this.histogram()}, samples: this.samples};
  }
}

/** @param {Timing} a @param {Timing | null} b */
function same(a, b) { return a.end === b?.end && a.inserted === b.inserted && a.read === b.read; }

/** What this page has measured. */
export const measured = new Measured();

const timed = typeof PerformanceObserver !== 'undefined' && PerformanceObserver.supportedEntryTypes.includes('element');

export class Latency {
  /** @param {HTMLElement} element a dialog @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.element = /** @type {HTMLDialogElement} */ (element);
    this.button = /** @type {HTMLButtonElement} */ (document.getElementById('paint'));
    this.later = context.later;
    this.id = '';
    /** @type {WeakMap<Element, Tick>} */ this.waiting = new WeakMap();
    // a tab that was hidden has painted nothing meanwhile: its next tick says nothing of how fast it paints
    this.hidden = true;
    document.addEventListener('visibilitychange', () => { this.hidden = true; });
    if (timed) {
      new PerformanceObserver((list) => {
        for (const entry of /** @type {any[]} */ (list.getEntries())) {
          const tick = entry.identifier === 'tick' && entry.element ? this.waiting.get(entry.element) : undefined;
          if (tick && entry.renderTime) measured.painted(tick, entry.renderTime);
        }
      }).observe({type: 'element', buffered: true});
    }
    this.button.onclick = () => {
      if (this.element.open) this.element.close();
      else this.element.show();
      this.button.setAttribute('aria-expanded', String(this.element.open));
      this.later();
    };
    this.element.addEventListener('keydown', (e) => { if (e.key === 'Escape') this.button.click(); });
  }

  build() { this.shown = ''; }

  /** @param {import('./store.js').Store} store */
  update(store) {
    if (store.id === this.id) return;
    if (store.frozen) { // a past that is played says nothing of how the present comes
      measured.restart();
      this.id = store.id;
      return;
    }
    const [epoch, seq] = cut(store.id), [before, last] = cut(this.id);
    if (epoch === before) measured.skipped += Math.max(0, seq - last - 1);
    this.id = store.id;
    const p95 = quantile(measured.ticks.map(({paint}) => paint), 0.95);
    const time = document.createElement('time');
    time.setAttribute('elementtiming', 'tick');
    time.textContent = p95 == null ? '—' : `${Math.round(p95)} ms`;
    this.button.replaceChildren(time);
    // of what a run catches up with, or a store tells late that was away, the age is not the way's
    const tick = {timing: store.timing, now: store.base, at: store.at, stale: epoch !== before || store.problem !== null};
    if (this.hidden || document.hidden) this.hidden = document.hidden;
    else if (timed) this.waiting.set(time, tick);
    else requestAnimationFrame(() => setTimeout(() => measured.painted(tick, performance.now())));
    if (this.element.open) this.panel(store.layout?.window ?? '—');
  }

  /** @param {string} length */
  panel(length) {
    const report = measured.report(), {element} = this;
    if (this.shown !== lang) {
      this.shown = lang;
      element.setAttribute('aria-label', t('latency'));
      element.replaceChildren(make('h2', t('latency')), make('p'), make('table'), make('h3', t('latencyShape')), make('ol'), make('p'), make('p', timed ? '' : t('latencyNone')));
      /** @type {HTMLElement} */ (element.children[5]).className = 'edges num';
    }
    const [, sum, table, , bars, edges] = element.children;
    put(/** @type {HTMLElement} */ (sum), report.windows || report.ticks
      ? t('latencySum', {n: report.windows, ticks: report.ticks, skipped: report.skipped, length}) : t('latencyNo'));
    /** @type {[string, Record<string, number | null>][]} */
    const rows = [...PARTS.map((part) => /** @type {[string, any]} */ ([t(`latency_${part}`), report.parts[part]])),
      [t('latencyTotal'), report.total], [t('latencyTicks'), report.tick_paint]];
    const ps = ['p50', 'p95', 'p99'];
    table.replaceChildren(row(t('latencyPart'), ps, 'col'), ...rows.map(([name, of]) =>
      row(name, ps.map((p) => (of[p] == null ? '—' : `${Math.round(/** @type {number} */ (of[p]))} ms`)), 'row')));
    const {counts} = report.histogram, most = Math.max(1, ...counts);
    bars.replaceChildren(...counts.map((n, i) => {
      const bar = document.createElement('li');
      bar.style.height = `${100 * n / most}%`;
      bar.title = `${i ? EDGES[i - 1] : 0}–${EDGES[i] ?? '∞'} ms: ${n}`;
      bar.setAttribute('aria-label', bar.title);
      return bar;
    }));
    edges.replaceChildren(make('span', '0'), make('span', `${EDGES[7]}`), make('span', `> ${EDGES[EDGES.length - 1]} ms`));
  }
}

/** Epoch and number of a message's id. @param {string} id @returns {[string, number]} */
function cut(id) {
  const at = id.lastIndexOf('-');
  return [id.slice(0, at), Number(id.slice(at + 1))];
}

/** @param {string} tag */
function make(tag, text = '') {
  const e = document.createElement(tag);
  e.textContent = text;
  return e;
}

/** A row of the table of parts. @param {string} name @param {string[]} cells @param {'col' | 'row'} scope */
function row(name, cells, scope) {
  const e = document.createElement('tr'), head = document.createElement('th');
  head.scope = scope;
  head.textContent = name;
  e.append(head, ...cells.map((text) => {
    const cell = document.createElement(scope === 'col' ? 'th' : 'td');
    if (scope === 'col') /** @type {HTMLTableCellElement} */ (cell).scope = 'col';
    cell.className = 'num';
    cell.textContent = text;
    return cell;
  }));
  return e;
}
