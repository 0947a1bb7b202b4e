/**
 * A place drawn to scale: its zones with grade, density on a scale, and the way people go. Built once per layout and
 * size; of each tick only what has changed is touched.
 */
import {ago, whole} from './figures.js';
import {longAxis, Projection, boxOf, boxes, inside, roomIn} from './geometry.js';
import {history} from './history.js';
import {addWords, lang, t} from './i18n.js';
import {limitsNow} from './limits.js';
import {time} from './now.js';
import {Gates} from './schematic-gates.js';
import {Room, attr, hatches, path, say, svg, wide} from './svg.js';
import {MARKS, alarms, blind, letter, position, shade, zoneNow} from './zone-now.js';

addWords({
  ja: {
    mapOf: '{place} の見取り図', north1: '北', south1: '南', blindSpot: '死角（センサーなし）', unknownFor: '不明 {age}',
    zoneSays: '{name} 水準 {grade} {dens} {way} {alarm}', towards: '向き {way}° R {r}', unwellHere: '異常センサー {n}',
    alarm1: '通知あり', alarm2: '警告あり', alarm3: '重大な警報あり', densIs: '{n} 人/m²', stretched: '幅は {n} 倍', reads: '数字は密度（人/m²）、矢印は {w} の通過人数、▼ は密度の位置',
  },
  en: {
    mapOf: 'Plan of {place}', north1: 'N', south1: 'S', blindSpot: 'blind spot (no sensor)', unknownFor: 'unknown {age}',
    zoneSays: '{name}, grade {grade} {dens} {way} {alarm}', towards: 'heading {way}° R {r}', unwellHere: '{n} sensors not ok',
    alarm1: 'notice', alarm2: 'warning', alarm3: 'critical alert', densIs: '{n} /m²', stretched: 'width drawn × {n}', reads: 'Figures: people/m² · arrows: people passing in {w} · ▼ density on its scale',
  },
});

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./geometry.js').Box} Box
 * @typedef {import('./geometry.js').Point} Point
 * @typedef {{row: number, zone: import('./store.js').Place, g: SVGElement, title: SVGElement, pattern: SVGElement, ground: SVGElement,
 *   letter: SVGElement, mark: SVGElement, dens: SVGElement | null, arrow: SVGElement | null, r: SVGElement | null,
 *   scale: {pointer: SVGElement, range: SVGElement, usual: SVGElement, limits: SVGElement} | null, room: Box, track: Box, bad: SVGElement, said: string}} Drawn
 */

const SMALL = 64; // px wide: has room for its letter only

export class Schematic {
  /** @param {SVGElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    this.context = context;
    /** @type {Drawn[]} */ this.drawn = [];
    /** @type {Gates | null} */ this.gates = null;
    /** @type {Projection | null} */ this.projection = null;
    this.focus = 0;
    e.addEventListener('keydown', (event) => this.key(/** @type {KeyboardEvent} */ (event)));
    e.addEventListener('click', ({target}) => {
      const found = this.drawn.find(({g}) => g.contains(/** @type {Node} */ (target)));
      if (found) context.levels.select({zone: found.zone.id});
    });
  }

  /**
   * Draw the frame anew. `corner`: kept free at the top right. @param {Store} store @param {{w: number, h: number}} size
   * @param {boolean} upright the axis runs down @param {{w: number, h: number}} corner
   * @returns {Map<string, [number, number]>} of each zone from where to where it reaches, x
   */
  build({layout}, size, upright, corner) {
    const {levels} = this.context, {w, h} = size, all = layout?.zones ?? [];
    const rows = all.map((_, row) => row).filter((row) => !levels.place || all[row].place === levels.place);
    const shaped = rows.filter((row) => (all[row].polygon?.length ?? 0) > 2), plain = rows.filter((row) => !shaped.includes(row));
    this.e.replaceChildren();
    attr(this.e, 'viewBox', `0 0 ${w} ${h}`);
    attr(this.e, 'aria-label', t('mapOf', {place: levels.places.find(({id}) => id === levels.place)?.name[lang] ?? ''}));
    hatches();
    const room = new Room(w, h), below = plain.length && shaped.length ? 64 : 0;
    if (corner.w) room.take({x: w - corner.w, y: 0, w: corner.w, h: corner.h});
    const side = shaped.length ? (upright ? 72 : 92) : 8, top = shaped.length ? 56 : 8;
    const into = upright ? {x: side, y: 28, w: w - 2 * side, h: h - 56 - below} : {x: side, y: top, w: w - 2 * side, h: h - 2 * top - below};
    /** @type {Map<number, Point[]>} */ const shapes = new Map();
    if (shaped.length) {
      const polygons = shaped.map((row) => /** @type {Point[]} */ (all[row].polygon));
      const projection = this.projection = new Projection(polygons, longAxis(polygons), into, upright, 2.6);
      shaped.forEach((row, i) => shapes.set(row, polygons[i].map((p) => projection.at(p))));
    } else {
      this.projection = null;
    }
    const rest = shaped.length ? {x: 8, y: h - below, w: w - 16, h: below - 4} : {x: 8, y: 8, w: w - 16, h: h - 16};
    boxes(plain.length, rest).forEach((points, i) => shapes.set(plain[i], points));
    // the larger ones first: what lies in them is drawn over them
    const order = [...shapes.keys()].sort((a, b) => size2(shapes.get(b)) - size2(shapes.get(a)));
    const ground = svg('g', {}, this.e), over = svg('g', {class: 'gates'}, this.e);
    for (const points of shapes.values()) {
      for (const box of cover(points)) room.take(box);
      const b = boxOf(points);
      // beside a small zone stands what is wrong there: no name may lie on it
      if (b.w < SMALL) for (const x of [b.x - 36, b.x + b.w + 2]) room.take({x, y: b.y, w: 34, h: 18});
    }
    this.drawn = order.map((row) => {
      const inner = order.filter((other) => all[other].parent === all[row].id).map((other) => /** @type {Point[]} */ (shapes.get(other)));
      return this.zone(row, all[row], /** @type {Point[]} */ (shapes.get(row)), inner, ground, room);
    });
    this.gates = this.projection && new Gates(over, layout?.gates ?? [], this.projection, room, new Set(rows.map((row) => all[row].id)), shapes, all);
    if (this.projection) this.compass(upright, w, h);
    this.focus = 0;
    return new Map([...shapes].map(([row, points]) => { const b = boxOf(points); return [all[row].id, [b.x, b.x + b.w]]; }));
  }

  /** @param {boolean} upright @param {number} w @param {number} h */
  compass(upright, w, h) {
    const {kx, ky} = /** @type {Projection} */ (this.projection), factor = upright ? kx / ky : ky / kx;
    const ends = upright ? [[w - 12, 20, 'end', 'north1', '↑'], [w - 12, h - 8, 'end', 'south1', '↓']]
      : [[8, h - 12, 'start', 'north1', '←'], [w - 8, h - 12, 'end', 'south1', '→']];
    for (const [x, y, anchor, word, arrow] of ends) {
      const words = arrow === '→' ? `${t(String(word))} ${arrow}` : `${arrow} ${t(String(word))}`;
      svg('text', {x, y, 'text-anchor': anchor, class: 'compass'}, this.e).textContent = words;
    }
    if (upright) return;
    const told = [t('reads', {w: this.context.store.layout?.window ?? ''}), ...(factor > 1.05 ? [t('stretched', {n: factor.toFixed(1)})] : [])];
    svg('text', {x: 64, y: h - 12, class: 'compass'}, this.e).textContent = told.join(' · ');
  }

  /**
   * @param {number} row @param {import('./store.js').Place} zone @param {Point[]} points @param {Point[][]} inner
   * @param {Element} into @param {Room} room @returns {Drawn}
   */
  zone(row, zone, points, inner, into, room) {
    const g = svg('g', {class: 'zone', role: 'button', tabindex: -1, 'data-key': `map ${zone.id}`, 'data-zone': zone.id}, into);
    const title = svg('title', {}, g), d = path(points), ground = svg('path', {d, class: 'ground'}, g);
    const pattern = svg('path', {d, class: 'pattern', fill: 'none'}, g);
    const r = roomIn(points, inner), large = r.w >= 150 && r.h >= 56, middle = !large && r.w >= 52 && r.h >= 56;
    const named = large && r.h >= 68, name = zone.name[lang], outer = boxOf(points);
    if (named) {
      clipped(svg('text', {x: r.x + 8, y: r.y + 20, class: 'name'}, g), name, r.w - 16);
    } else {
      const width = Math.min(wide(name, 16), 190), x = Math.max(2, Math.min(room.w - width - 2, outer.x + outer.w / 2 - width / 2));
      const right = outer.x + outer.w + 4, left = outer.x - width - 4, beside = outer.y + outer.h / 2 - 9;
      const tries = [[x, outer.y + outer.h + 1], [x, outer.y - 19], [right, beside], [left, beside], [right, outer.y + 2], [left, outer.y + 2],
        [right, outer.y + outer.h - 20], [left, outer.y + outer.h - 20],
        // one that lies within another near its edge: out there
        ...[1, 13].flatMap((gap) => [x, outer.x + outer.w - width, outer.x].flatMap((at) => [[at, outer.y + outer.h + gap], [at, outer.y - 18 - gap]]))];
      // what finds no room is cut short, so that no zone stays without a name
      const boxes_ = [width, 96].flatMap((w) => tries.map(([left_, top]) => ({x: left_ + (width - w) / 2, y: top, w: Math.min(w, width), h: 18})));
      const place = room.first(boxes_);
      if (place) clipped(svg('text', {x: place.x, y: place.y + 15, class: 'name out'}, g), name, place.w);
    }
    const tracked = r.h >= 40 && r.w >= 26; // else there is no room for a scale below the letter
    const y = r.y + (named ? 20 : 0) + (r.h - (named ? 20 : 0) - (tracked ? 16 : 0)) / 2;
    const size = Math.round(Math.max(16, Math.min(large ? 36 : 26, r.h - (named ? 20 : 0) - (tracked ? 22 : 8), r.w)));
    const head = large ? r.x + 10 + size / 2 : r.x + r.w / 2, line = middle ? y - 10 : y;
    // in a small zone there is room for its letter only: what is wrong stands beside it
    const small = r.w < SMALL, edge = outer.x + outer.w + 2;
    const mark = sized(svg('text', {x: small ? edge : large ? head + size / 2 + 4 : r.x + r.w / 2 + size * 0.4, y: small ? outer.y + 14 : line + (large ? 8 : 0), class: 'mark'}, g), 18);
    const letterOf = sized(svg('text', {x: head, y: line + size * 0.36, 'text-anchor': 'middle', class: 'letter'}, g), size);
    const dens = large ? sized(svg('text', {x: head + size / 2 + 28, y: y + 9, class: 'dens'}, g), 24)
      : middle ? sized(svg('text', {x: r.x + r.w / 2, y: y + 18, 'text-anchor': 'middle', class: 'dens'}, g), 16) : null;
    const way = large && r.w >= 210 ? svg('path', {class: 'arrow'}, g) : null;
    const strength = way && r.w >= 270 ? sized(svg('text', {x: r.x + r.w - 76, y: y + 6, 'text-anchor': 'end', class: 'r'}, g), 16) : null;
    const bad = sized(svg('text', {x: small ? outer.x - 2 : r.x + r.w - 4, y: small ? outer.y + 14 : r.y + 18, 'text-anchor': 'end', class: 'bad'}, g), 16);
    const track = {x: r.x + 6, y: r.y + r.h - 13, w: Math.min(r.w - 12, 260), h: 6};
    const scale = tracked ? this.scale(g, track) : null;
    if (blind(/** @type {import('./store.js').Layout} */ (this.context.store.layout), zone.id)) g.classList.add('blind');
    return {row, zone, g, title, pattern, ground, letter: letterOf, mark, dens, arrow: way, r: strength, scale, room: {...r, y}, track, bad, said: ''};
  }

  /** @param {Element} g @param {Box} track */
  scale(g, track) {
    const e = svg('g', {class: 'track'}, g);
    svg('rect', {x: track.x - 2, y: track.y - 7, width: track.w + 4, height: 17, class: 'plate'}, e);
    for (let i = 0; i < 6; i++) svg('rect', {x: track.x + i * track.w / 6, y: track.y, width: track.w / 6, height: track.h, class: shade(i + 1)}, e);
    svg('rect', {x: track.x, y: track.y, width: track.w, height: track.h, class: 'edge'}, e);
    const usual = svg('rect', {y: track.y - 4, height: 3, class: 'usual'}, e), range = svg('rect', {y: track.y - 2, height: 4, class: 'range'}, e);
    return {pointer: svg('path', {class: 'pointer'}, e), range, usual, limits: svg('path', {class: 'limit'}, e)};
  }

  /** @param {Store} store */
  update(store) {
    const worst = alarms(store), chosen = this.context.levels.zone, bad = unwell(store);
    this.drawn.forEach((d, i) => {
      const now = zoneNow(store, d.row), {zone} = d, n = bad.get(`zone ${zone.id}`) ?? 0, alarm = worst.get(zone.id) ?? 0;
      const isBlind = d.g.classList.contains('blind');
      // too coarse a gate for these windows is no fault: it says from which on there are figures
      const age = now.why === 'from' ? t('from', {w: zone.leaf ?? ''})
        : now.age != null && now.why === 'tooOld' ? t('unknownFor', {age: ago(now.age)}) : t('unknown');
      const figure = now.dens != null ? now.dens.toFixed(2) : now.grade ? '' : isBlind ? t('blindSpot') : age;
      const usual = history.usual(zone.id, time(store)), limits = limitsNow(store, zone).map(({limit}) => limit);
      const said = [now.grade, figure, now.low, now.high, now.way, now.r, now.passed, alarm, n, zone.id === chosen, usual, limits, lang, i === this.focus].join('|');
      if (said === d.said) return;
      d.said = said;
      attr(d.g, 'class', `zone ${shade(now.grade)}${isBlind ? ' blind' : ''}${zone.id === chosen ? ' chosen' : ''}`);
      attr(d.g, 'tabindex', i === this.focus ? 0 : -1);
      attr(d.g, 'aria-pressed', String(zone.id === chosen));
      attr(d.pattern, 'fill', now.grade ? 'none' : isBlind ? 'url(#hatch-blind)' : 'url(#hatch)');
      say(d.letter, letter(now.grade));
      say(d.mark, MARKS[alarm]);
      attr(d.mark, 'class', `mark alarm-${alarm}`);
      if (d.dens) say(d.dens, figure);
      say(d.bad, n ? `✕ ${whole(n)}` : '');
      const label = t('zoneSays', {name: zone.name[lang], grade: now.grade ? letter(now.grade) : t('unknown'),
        dens: now.dens != null ? t('densIs', {n: figure}) : now.grade ? '' : figure,
        way: now.way == null ? '' : t('towards', {way: whole(Math.round(now.way)), r: (now.r ?? 0).toFixed(1)}),
        alarm: `${alarm ? t(`alarm${alarm}`) : ''} ${n ? t('unwellHere', {n}) : ''}`}).replace(/ +/g, ' ').trim();
      attr(d.g, 'aria-label', label);
      say(d.title, label);
      this.pointer(d, now, usual, limits);
      this.arrow(d, now);
    });
    this.gates?.update(store, bad);
  }

  /** @param {Drawn} d @param {import('./zone-now.js').ZoneNow} now @param {[number, number] | null} usual @param {number[]} limits */
  pointer({scale, track, zone}, now, usual, limits) {
    if (!scale) return;
    const x = (/** @type {number | null} */ dens) => {
      const at = dens == null ? null : position(dens, zone.edges);
      return at == null ? null : track.x + at * track.w;
    };
    const at = x(now.dens);
    attr(scale.limits, 'd', limits.map((limit) => x(limit)).filter((v) => v != null).map((v) => `M${v} ${track.y - 6}v14`).join(''));
    attr(scale.pointer, 'd', at == null ? '' : `M${at.toFixed(1)} ${track.y + 4}l-5 -10h10z`);
    for (const [e, low, high] of /** @type {[SVGElement, number | null, number | null][]} */ ([
      [scale.range, x(at == null ? null : now.low), x(now.high)], [scale.usual, x(usual?.[0] ?? null), x(usual?.[1] ?? null)]])) {
      attr(e, 'x', low == null || high == null ? 0 : low.toFixed(1));
      attr(e, 'width', low == null || high == null ? 0 : Math.max(1, high - low).toFixed(1));
    }
  }

  /** Its length tells R, its width how many passed. @param {Drawn} d @param {import('./zone-now.js').ZoneNow} now */
  arrow({arrow, r, room}, now) {
    if (r) say(r, now.r == null || now.way == null ? '' : `R ${now.r.toFixed(1)}`);
    if (!arrow) return;
    if (now.way == null || now.r == null || !this.projection) {
      attr(arrow, 'd', '');
      return;
    }
    const turn = this.projection.turn(now.way), half = (10 + 18 * now.r), thick = 2 + Math.min(5, Math.log10(1 + (now.passed ?? 0)) * 2);
    const [c, s] = [Math.cos(turn), Math.sin(turn)], x = room.x + room.w - 38, y = room.y;
    const at = (/** @type {number} */ u, /** @type {number} */ v) => `${(x + u * c - v * s).toFixed(1)} ${(y + u * s + v * c).toFixed(1)}`;
    const w = thick / 2, head = thick + 5;
    attr(arrow, 'd', `M${at(-half, -w)}L${at(half - head, -w)}L${at(half - head, -head)}L${at(half, 0)}L${at(half - head, head)}L${at(half - head, w)}L${at(-half, w)}Z`);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const at = this.drawn.findIndex(({g}) => g === document.activeElement);
    if (at < 0) return;
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      this.context.levels.select({zone: this.drawn[at].zone.id});
    } else if (step) {
      event.preventDefault();
      this.focus = (at + step + this.drawn.length) % this.drawn.length;
      this.drawn[this.focus].g.focus();
      this.context.later();
    }
  }
}

/** Sensors that are not ok, by where they stand: `gate <id>`, `zone <id>`. @param {Store} store */
export function unwell({health, layout}) {
  /** @type {Map<string, number>} */ const out = new Map();
  const ids = new Set(health?.rows.map(({id}) => id));
  if (ids.size) {
    for (const {id, gate, zone} of layout?.sensors ?? []) {
      const where = gate ? `gate ${gate}` : `zone ${zone}`;
      if (ids.has(id)) out.set(where, (out.get(where) ?? 0) + 1);
    }
  }
  return out;
}

/** @param {SVGElement} e @param {string} text @param {number} width */
function clipped(e, text, width) {
  let cut = text;
  while (cut.length > 1 && wide(cut, 16) > width) cut = cut.slice(0, -1);
  e.textContent = cut === text ? text : `${cut.slice(0, -1)}…`;
}

/** By script: a style attribute is forbidden, and one of its own loses to the sheet. @param {SVGElement} e @param {number} px */
function sized(e, px) {
  e.style.fontSize = `${px}px`;
  return e;
}

/** @param {Point[] | undefined} points */
function size2(points) { const {w, h} = boxOf(points ?? []); return w * h; }

/** Boxes that cover a shape about. @param {Point[]} points @returns {Box[]} */
function cover(points) {
  const b = boxOf(points), n = points.length > 4 ? 10 : 1, w = b.w / n, h = b.h / n;
  if (n === 1) return [{x: b.x + 1, y: b.y + 1, w: b.w - 2, h: b.h - 2}];
  const cells = Array.from({length: n * n}, (_, i) => ({x: b.x + (i % n) * w, y: b.y + Math.floor(i / n) * h, w, h}));
  return cells.filter((c) => inside(points, c.x + w / 2, c.y + h / 2));
}
