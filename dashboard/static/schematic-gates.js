/** The gates of a place: where they are, how many pass each way, and which of their sensors are not ok. */
import {figure} from './figures.js';
import {boxOf} from './geometry.js';
import {lang, t} from './i18n.js';
import {worth} from './now.js';
import {attr, say, svg} from './svg.js';

const ARROWS = '→↘↓↙←↖↑↗';
const LINE = 18, WIDTH = 78;

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./geometry.js').Point} Point
 * @typedef {{row: number, gate: import('./store.js').Place, g: SVGElement, title: SVGElement, flows: SVGElement[], bad: SVGElement,
 *   arrows: string[], said: string}} Drawn
 */

export class Gates {
  /**
   * @param {Element} into @param {import('./store.js').Place[]} gates @param {import('./geometry.js').Projection} projection
   * @param {import('./svg.js').Room} room @param {Set<string>} zones those drawn @param {Map<number, Point[]>} shapes
   * @param {import('./store.js').Place[]} all zones of the layout
   */
  constructor(into, gates, projection, room, zones, shapes, all) {
    this.projection = projection;
    /** @type {Drawn[]} */ this.drawn = [];
    const middles = new Map([...shapes].map(([row, points]) => { const b = boxOf(points); return [all[row].id, [b.x + b.w / 2, b.y + b.h / 2]]; }));
    gates.forEach((gate, row) => {
      const sides = gate.zones ?? [];
      if (!gate.line || gate.line.length !== 2 || !(sides.some((zone) => zone && zones.has(zone)) || sides.every((zone) => !zone))) return;
      this.drawn.push(this.gate(row, gate, into, room, middles));
    });
  }

  /**
   * @param {number} row @param {import('./store.js').Place} gate @param {Element} into @param {import('./svg.js').Room} room
   * @param {Map<string, number[]>} middles of zones @returns {Drawn}
   */
  gate(row, gate, into, room, middles) {
    const [p, q] = /** @type {Point[]} */ (gate.line).map((point) => this.projection.at(point));
    const g = svg('g', {class: 'gate', 'data-gate': gate.id, 'data-why': `gate:${gate.id}`}, into), title = svg('title', {}, g);
    svg('path', {d: `M${p[0]} ${p[1]}L${q[0]} ${q[1]}`, class: 'way-through'}, g);
    const x = (p[0] + q[0]) / 2, y = (p[1] + q[1]) / 2, [a, b] = gate.zones ?? [null, null];
    const turn = gate.bearing == null ? Math.atan2(q[0] - p[0], -(q[1] - p[1])) : this.projection.turn(gate.bearing);
    const arrows = [turn, turn + Math.PI].map((angle) => ARROWS[(Math.round(angle / (Math.PI / 4)) % 8 + 8) % 8]);
    // the outside of a gate that leads there has room for its figures; else beyond either end of its line
    const inner = middles.get((a || b) ?? '');
    const out = a && b || !inner ? 0 : Math.sign((inner[0] - x) * Math.cos(turn) + (inner[1] - y) * Math.sin(turn)) * -1;
    const [ox, oy] = [Math.cos(turn) * out, Math.sin(turn) * out], top = Math.min(p[1], q[1]), end = Math.max(p[1], q[1]);
    const h = 2 * LINE + 2, box = (/** @type {number} */ cx, /** @type {number} */ cy) => ({x: cx - WIDTH / 2, y: cy - h / 2, w: WIDTH, h});
    const tries = [box(x, top - h / 2 - 4), box(x, end + h / 2 + 4), box(x - WIDTH / 2 - 6, y), box(x + WIDTH / 2 + 6, y)];
    if (out) tries.unshift(...[6, 26].map((gap) => box(x + ox * (WIDTH / 2 + gap), y + oy * (h / 2 + gap))));
    const place = room.first(tries);
    const texts = [0, 1].map((i) => svg('text', {x: (place?.x ?? 0) + WIDTH / 2, y: (place?.y ?? 0) + 15 + LINE * i, 'text-anchor': 'middle', class: 'flow'}, g));
    if (!place) for (const text of texts) attr(text, 'visibility', 'hidden');
    // beyond the end of the line, off the figures of zones
    const flat = Math.abs(p[1] - q[1]) < Math.abs(p[0] - q[0]);
    const bad = svg('text', flat ? {x: Math.max(p[0], q[0]) + 4, y: y + 6, class: 'bad'} : {x, y: top - 3, 'text-anchor': 'middle', class: 'bad'}, g);
    return {row, gate, g, title, flows: texts, bad, arrows, said: ''};
  }

  /** @param {Store} store @param {Map<string, number>} bad sensors not ok, by where they stand */
  update(store, bad) {
    const {flow, layout} = store;
    if (!layout) return;
    for (const d of this.drawn) {
      const {why} = worth(store, d.gate, flow.t?.[3 * d.row], layout), n = bad.get(`gate ${d.gate.id}`) ?? 0;
      const texts = [0, 1].map((direction) => {
        const row = 3 * d.row + direction;
        const f = why || flow.s[row] == null ? null : figure(flow.s[row], flow.n[row], flow.lo[row], flow.hi[row], layout.k);
        return !f || f.kind === 'unknown' ? '?' : d.gate.window === layout.window ? f.text : `${f.text} / ${d.gate.window}`;
      });
      const said = `${lang} ${n} ${texts.join('|')}`;
      if (said === d.said) continue;
      d.said = said;
      texts.forEach((text, i) => say(d.flows[i], `${d.arrows[i]} ${text}`));
      attr(d.g, 'class', `gate${texts.every((text) => text === '?') ? ' unknown' : ''}`);
      say(d.bad, n ? `✕${n > 1 ? ` ${n}` : ''}` : '');
      say(d.title, `${d.gate.name[lang]} ${d.arrows.map((arrow, i) => `${arrow} ${texts[i]}`).join('  ')} ${n ? t('unwellHere', {n}) : ''}`);
    }
  }
}
