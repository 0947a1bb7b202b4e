/** The last hour of a zone and what comes next: usual band, range, value, limits and forecast, on one strip. */
import {HOUR_MS, history} from './history.js';
import {addWords, lang, t} from './i18n.js';
import {limitsNow} from './limits.js';
import {attr, hatches, say, svg} from './svg.js';
import {shade, zoneNow} from './zone-now.js';

addWords({
  ja: {stripOf: '{name} の 60 分間の密度（人/m²）。今 {now}'},
  en: {stripOf: 'Density of {name} over 60 minutes (/m²). Now {now}'},
});

const AHEAD_MS = 15 * 60_000; // how far ahead is shown

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./store.js').Place} Place
 * @typedef {(number | null | undefined)[]} Column
 */

export class Strip {
  /** @param {HTMLElement} into */
  constructor(into) {
    this.e = svg('svg', {class: 'strip', role: 'img'}, into);
    hatches();
    this.unknown = svg('path', {class: 'unknown', fill: 'url(#hatch)'}, this.e);
    this.usual = svg('path', {class: 'usual'}, this.e);
    this.range = svg('path', {class: 'range'}, this.e);
    this.next = svg('path', {class: 'next-range'}, this.e);
    this.limits = svg('g', {}, this.e);
    this.line = svg('path', {class: 'value'}, this.e);
    this.mid = svg('path', {class: 'next'}, this.e);
    this.now = svg('path', {class: 'now'}, this.e);
    this.name = svg('text', {x: 4, y: 16, class: 'name'}, this.e);
    this.most = svg('text', {y: 16, 'text-anchor': 'end', class: 'most'}, this.e);
    this.drawn = '';
  }

  /**
   * @param {Store} store @param {number} row of the layout's zones @param {number} w @param {number} h px
   * @param {boolean} named
   */
  update(store, row, w, h, named) {
    const zone = /** @type {Place} */ (store.layout?.zones[row]), until = history.until(store);
    const now = zoneNow(store, row), known = now.dens != null;
    // a new picture with each row told, with what becomes unknown, and once a while so that it moves on
    const key = `${zone.id} ${w} ${h} ${known} ${history.version} ${Math.floor(until / 10_000)} ${lang}`;
    if (key === this.drawn || w < 8) return;
    this.drawn = key;
    const past = history.past(zone.id, until), normal = history.normal(zone.id);
    const from = until - HOUR_MS, to = until + AHEAD_MS, step = 2 * Math.max(60_000, zone.length_ms);
    const gaps = holes(past.t, past.dens, from, until, step, known);
    // what follows from figures goes with them: nothing comes next after what is not known
    const forecast = known && gaps.at(-1)?.[1] !== until ? history.forecast(zone.id) : null;
    const limits = limitsNow(store, zone);
    const inside = (/** @type {number[]} */ ts, /** @type {Column} */ values) => values.filter((v, i) => v != null && ts[i] >= from && ts[i] <= to);
    const top = 1.15 * Math.max(zone.edges?.[2] ?? 0.1, ...limits.map(({limit}) => limit),
      .../** @type {number[]} */ ([...inside(past.t, past.dens), ...inside(past.t, past.dens_hi),
        ...(forecast ? inside(forecast.t, forecast.high) : []), ...(normal ? normal.p90.filter((v) => v != null) : [])]));
    const x = (/** @type {number} */ ms) => (ms - from) / (to - from) * w, y = (/** @type {number} */ v) => h - 1 - v / top * (h - 2);
    attr(this.e, 'viewBox', `0 0 ${w} ${h}`);
    attr(this.e, 'width', w);
    attr(this.e, 'height', h);
    attr(this.usual, 'd', normal ? hours(normal, x, y) : '');
    attr(this.range, 'd', band(past.t, past.dens_lo, past.dens_hi, x, y, x(until)));
    attr(this.line, 'd', curve(past.t, past.dens, x, y, step));
    attr(this.next, 'd', forecast ? band(forecast.t, forecast.low, forecast.high, x, y, w) : '');
    attr(this.mid, 'd', forecast ? curve(forecast.t, forecast.mid, x, y, step) : '');
    attr(this.now, 'd', `M${x(until).toFixed(1)} 0V${h}`);
    attr(this.unknown, 'd', gaps.map(([a, b]) => `M${x(a).toFixed(1)} 0H${x(b).toFixed(1)}V${h}H${x(a).toFixed(1)}Z`).join(''));
    this.limits.replaceChildren(...limits.map(({limit, severity}) => svg('path', {d: `M0 ${y(limit).toFixed(1)}H${w}`, class: `limit ${severity}`})));
    say(this.name, named ? zone.name[lang] : '');
    attr(this.most, 'x', w - 3);
    say(this.most, w > 220 ? t('densIs', {n: top.toFixed(1)}) : w > 90 ? top.toFixed(1) : '');
    attr(this.e, 'aria-label', t('stripOf', {name: zone.name[lang], now: now.dens == null ? t('unknown') : now.dens.toFixed(2)}));
    attr(this.e, 'data-grade', shade(now.grade));
  }
}

/** @param {number[]} ts @param {Column} values @param {(ms: number) => number} x @param {(v: number) => number} y @param {number} step a longer gap is a hole */
function curve(ts, values, x, y, step) {
  let out = '', open = false, last = -Infinity;
  ts.forEach((ms, i) => {
    const v = values[i];
    if (v != null) out += `${open && ms - last <= step ? 'L' : 'M'}${x(ms).toFixed(1)} ${y(v).toFixed(1)}`;
    open = v != null;
    last = ms;
  });
  return out;
}

/**
 * Between two curves; parts where either is not known are left out. `wide`: nothing is drawn beyond.
 * @param {number[]} ts @param {Column} low @param {Column} high @param {(ms: number) => number} x @param {(v: number) => number} y
 * @param {number} wide
 */
function band(ts, low, high, x, y, wide) {
  let out = '';
  /** @type {number[]} */ let part = [];
  const flush = () => {
    if (part.length > 1) {
      const up = part.map((i) => `${x(ts[i]).toFixed(1)} ${y(/** @type {number} */ (high[i])).toFixed(1)}`);
      const down = part.map((i) => `${x(ts[i]).toFixed(1)} ${y(/** @type {number} */ (low[i])).toFixed(1)}`).reverse();
      out += `M${up.join('L')}L${down.join('L')}Z`;
    }
    part = [];
  };
  ts.forEach((ms, i) => {
    if (low?.[i] == null || high?.[i] == null || (part.length && ms - ts[i - 1] > HOUR_MS) || x(ms) > wide * 1.5) flush();
    else part.push(i);
  });
  flush();
  return out;
}

/**
 * What is usual in each hour: the same from its start to its end.
 * @param {import('./history.js').Normal} normal @param {(ms: number) => number} x @param {(v: number) => number} y
 */
function hours({t: starts, p10, p90}, x, y) {
  return starts.map((start, i) => {
    const low = p10[i], high = p90[i];
    return low == null || high == null ? ''
      : `M${x(start).toFixed(1)} ${y(high).toFixed(1)}H${x(start + HOUR_MS).toFixed(1)}V${y(low).toFixed(1)}H${x(start).toFixed(1)}Z`;
  }).join('');
}

/**
 * Spans of which nothing is known; the one at the end however short it is, unless what holds there is `known`.
 * @param {number[]} ts @param {Column} values @param {number} from @param {number} to @param {number} step @param {boolean} known
 * @returns {[number, number][]}
 */
function holes(ts, values, from, to, step, known) {
  /** @type {[number, number][]} */ const out = [];
  let last = from;
  ts.forEach((ms, i) => {
    if (values[i] == null || ms < from) return;
    if (ms - last > step) out.push([last, ms]);
    last = ms;
  });
  if (to - last > (known ? step : 0)) out.push([last, to]);
  return out;
}
