/** All zones in one table, the worst first: the way in by keyboard and for screen readers. */
import {ago, percent} from './figures.js';
import {history} from './history.js';
import {addWords, lang, t} from './i18n.js';
import {limitsNow} from './limits.js';
import {time} from './now.js';
import {put} from './tables.js';
import {MARKS, alarms, letter, position, rank, shade, zonesNow} from './zone-now.js';

addWords({
  ja: {
    ranked: 'ゾーン（悪い順）', rankedCount: '{all} 件中 {n} 件', held: '操作中のため順序を止めています', moreZones: 'さらに表示',
    los1: '水準', densityOnScale: '密度（人/m²）', flowIn: '流入・流出（{w}）', pace: '速さ m/s', toLimit: '限界まで', densRange: '{low}–{high} 人/m²',
  },
  en: {
    ranked: 'Zones, the worst first', rankedCount: '{n} of {all}', held: 'order held while you are here', moreZones: 'Show more',
    los1: 'Grade', densityOnScale: 'Density (/m²)', flowIn: 'In · out ({w})', pace: 'Speed m/s', toLimit: 'To limit', densRange: '{low}–{high} /m²',
  },
});

const COLUMNS = ['zone', 'los1', 'densityOnScale', 'flowIn', 'pace', 'toLimit', 'age', 'coverage'];
const AT_ONCE = 100;
/** Why a zone is unknown, where that is more than not seen. @type {Record<string, string>} */
const WORDS = {notGraded: 'notGraded', from: 'from'};

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {{row: HTMLTableRowElement, button: HTMLButtonElement, mark: HTMLElement, grade: HTMLElement, dens: HTMLElement,
 *   scale: Scale, cells: HTMLElement[], id: string}} Slot
 */

/** A pointer with its range on a scale of grades, and the limits of the zone; drawn by CSS, moved by script. */
export class Scale {
  constructor() {
    this.e = make('span', 'scale');
    this.range = make('span', 'range', this.e);
    this.pointer = make('span', 'pointer', this.e);
    this.ticks = make('span', 'ticks', this.e);
    this.limits = '';
  }

  /** @param {Store} store @param {import('./zone-now.js').ZoneNow} now @param {import('./store.js').Place} zone */
  update(store, now, zone) {
    const at = now.dens == null ? null : position(now.dens, zone.edges);
    // moved by transform: what moves within its own box is no shift of the page
    move(this.pointer, at == null ? '' : `translateX(${(at * 100).toFixed(1)}%)`);
    this.e.classList.toggle('empty', at == null);
    const low = at == null || now.low == null ? null : position(now.low, zone.edges);
    const high = at == null || now.high == null ? null : position(now.high, zone.edges);
    move(this.range, low == null || high == null ? 'scaleX(0)' : `translateX(${(low * 100).toFixed(1)}%) scaleX(${(high - low).toFixed(3)})`);
    const limits = limitsNow(store, zone).map(({limit}) => position(limit, zone.edges));
    if (String(limits) === this.limits) return;
    this.limits = String(limits);
    this.ticks.replaceChildren(...limits.filter((x) => x != null).map((x) => {
      const tick = make('span', 'tick');
      tick.style.left = `${(/** @type {number} */ (x) * 100).toFixed(1)}%`;
      return tick;
    }));
  }
}

export class Ranked {
  /** @param {HTMLElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    this.context = context;
    this.head = make('div', 'ranked-head', e);
    this.title = make('h2', '', this.head);
    this.title.id = 'ranked-h';
    this.count = make('span', 'soft num', this.head);
    this.note = make('span', 'soft', this.head);
    this.box = make('div', 'ranked-scroll', e);
    this.box.dataset.scroll = 'ranked';
    this.table = /** @type {HTMLTableElement} */ (make('table', '', this.box));
    this.table.setAttribute('aria-labelledby', 'ranked-h');
    this.heads = this.table.createTHead().insertRow();
    this.body = this.table.createTBody();
    this.more = /** @type {HTMLButtonElement} */ (make('button', '', this.box));
    this.more.type = 'button';
    this.more.onclick = () => { this.most += AT_ONCE; context.later(); };
    this.most = AT_ONCE;
    /** @type {Slot[]} */ this.slots = [];
    /** @type {string[]} */ this.order = [];
    this.focus = 0;
    this.hovered = false;
    this.body.onpointerenter = () => { this.hovered = true; };
    this.body.onpointerleave = () => { this.hovered = false; context.later(); };
    this.body.onclick = ({target}) => {
      const slot = this.slots.find(({row}) => row.contains(/** @type {Node} */ (target)));
      if (slot) context.levels.select({zone: slot.id});
    };
    this.body.onkeydown = (event) => this.key(event);
    this.body.onfocusout = () => context.later();
  }

  /** @param {Store} store */
  build({layout}) {
    put(this.title, t('ranked'));
    put(this.more, t('moreZones'));
    this.heads.replaceChildren(...COLUMNS.map((key) => {
      const th = document.createElement('th');
      th.scope = 'col';
      th.className = key;
      th.textContent = t(key, {w: layout?.window ?? ''});
      return th;
    }));
    this.order = [];
  }

  /** @param {Store} store */
  update(store) {
    const {layout} = store, {levels} = this.context;
    if (!layout) return;
    const worst = alarms(store), all = new Map(zonesNow(store, levels.place).map((now) => [now.id, now]));
    const busy = this.hovered || this.body.contains(document.activeElement);
    // what is under the hand stays where it is
    if (!busy || this.order.length !== all.size || this.order.some((id) => !all.has(id))) this.order = sorted([...all.values()], worst, layout);
    put(this.note, busy ? t('held') : '');
    const shown = this.order.slice(0, this.most);
    const chosen = levels.zone;
    if (chosen && all.has(chosen) && !shown.includes(chosen)) shown[shown.length - 1] = chosen;
    put(this.count, t('rankedCount', {all: all.size, n: shown.length}));
    this.more.hidden = this.order.length <= this.most;
    while (this.slots.length < shown.length) this.slots.push(this.slot());
    while (this.slots.length > shown.length) this.slots.pop()?.row.remove();
    const rows = new Map(layout.zones.map((zone) => [zone.id, zone]));
    const at = shown.indexOf(chosen);
    if (at >= 0 && !this.body.contains(document.activeElement)) this.focus = at;
    shown.forEach((id, i) => {
      const now = /** @type {import('./zone-now.js').ZoneNow} */ (all.get(id));
      this.fill(this.slots[i], now, /** @type {import('./store.js').Place} */ (rows.get(id)), worst.get(id) ?? 0, id === chosen, i);
    });
  }

  /** @returns {Slot} */
  slot() {
    const row = this.body.insertRow(), head = make('th', 'zone', row);
    head.setAttribute('scope', 'row');
    const mark = make('span', 'mark', head), button = /** @type {HTMLButtonElement} */ (make('button', '', head));
    button.type = 'button';
    const grade = make('b', 'grade', make('td', 'los1', row)), cell = make('td', 'densityOnScale', row);
    const dens = make('span', 'dens num', cell), scale = new Scale();
    cell.append(scale.e);
    const cells = COLUMNS.slice(3).map((key) => make('td', `${key} num`, row));
    return {row, button, mark, grade, dens, scale, cells, id: ''};
  }

  /**
   * @param {Slot} slot @param {import('./zone-now.js').ZoneNow} now @param {import('./store.js').Place} zone
   * @param {number} alarm @param {boolean} chosen @param {number} i
   */
  fill(slot, now, zone, alarm, chosen, i) {
    const {levels} = this.context;
    if (slot.id !== now.id) {
      slot.id = now.id;
      slot.row.dataset.zone = now.id;
      slot.button.dataset.key = `zone ${now.id}`;
    }
    // in the city many zones may have one name
    const place = levels.place || levels.places.length < 2 ? null : levels.places.find(({id}) => id === zone.place);
    put(slot.button, place ? `${zone.name[lang]} — ${place.name[lang]}` : zone.name[lang]);
    const range = now.low == null || now.high == null ? '' : t('densRange', {low: now.low.toFixed(2), high: now.high.toFixed(2)});
    if (slot.dens.title !== range) slot.dens.title = range;
    put(slot.mark, MARKS[alarm]);
    put(slot.grade, letter(now.grade));
    const look = `grade ${shade(now.grade)}`;
    if (slot.grade.className !== look) slot.grade.className = look;
    put(slot.dens, now.dens == null ? now.why ? t(WORDS[now.why] ?? 'unknown', {w: zone.leaf ?? ''}) : '—' : now.dens.toFixed(2));
    if (slot.dens.classList.contains('word') !== (now.dens == null)) slot.dens.classList.toggle('word', now.dens == null);
    slot.scale.update(this.context.store, now, zone);
    const unknown = now.grade === 0;
    if (slot.row.classList.contains('unknown') !== unknown) slot.row.classList.toggle('unknown', unknown);
    const [into, out] = now.flows();
    const texts = [
      into.kind === 'unknown' && out.kind === 'unknown' ? t('unknown') : `${into.text} · ${out.text}${other(zone, this.context.store)}`,
      now.pace == null ? '—' : now.pace.toFixed(1),
      now.dens == null ? '—' : history.toLimit(now.id, time(this.context.store)), // what followed from figures goes with them
      now.age == null ? '—' : this.context.store.layout?.run.kind === 'live' ? ago(now.age) : '—',
      percent(now.coverage),
    ];
    texts.forEach((text, c) => put(slot.cells[c], text));
    if (slot.cells[0].title !== texts[0]) slot.cells[0].title = texts[0]; // where it is cut on a narrow page
    if (slot.row.getAttribute('aria-current') !== String(chosen)) slot.row.setAttribute('aria-current', String(chosen));
    slot.button.tabIndex = i === Math.min(this.focus, this.slots.length - 1) ? 0 : -1;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity}[event.key];
    if (!step) return;
    event.preventDefault();
    this.focus = Math.max(0, Math.min(this.slots.length - 1, this.slots.findIndex(({button}) => button === document.activeElement) + step));
    this.slots[this.focus].button.focus();
    this.context.later();
  }
}

/**
 * Ids, the worst first: by the severity of their alerts, then by grade, then by where in the grade they lie.
 * @param {import('./zone-now.js').ZoneNow[]} zones @param {Map<string, number>} worst
 * @param {import('./store.js').Layout} layout
 */
export function sorted(zones, worst, layout) {
  const edges = new Map(layout.zones.map((zone) => [zone.id, zone.edges]));
  const keys = zones.map((now, i) => ({id: now.id, i, alarm: worst.get(now.id) ?? 0, grade: rank(now.grade),
    at: now.dens == null ? 0 : position(now.dens, edges.get(now.id)) ?? now.dens}));
  return keys.sort((a, b) => b.alarm - a.alarm || b.grade - a.grade || b.at - a.at || a.i - b.i).map(({id}) => id);
}

/** @param {string} tag @param {string} [className] @param {HTMLElement} [into] */
function make(tag, className = '', into) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  into?.append(e);
  return e;
}

/** @param {HTMLElement} e @param {string} transform */
function move(e, transform) {
  if (e.dataset.at === transform) return;
  e.dataset.at = transform;
  e.style.transform = transform;
}

/** The length of a zone's windows where it is not that of the column's head. @param {Place} zone @param {Store} store */
function other(zone, {layout}) {
  return zone.window === layout?.window ? '' : ` / ${zone.window}`;
}
