/** Below the map: a strip for each zone that has its own stretch of it, or the zone or sensor that was chosen. */
import {Detail} from './detail.js';
import {Strip} from './strip.js';

/** @typedef {import('./store.js').Store} Store */

export class Strips {
  /** @param {HTMLElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    this.context = context;
    this.row = document.createElement('div');
    this.row.className = 'strip-row';
    const chosen = document.createElement('div');
    chosen.className = 'detail';
    e.append(this.row, chosen);
    this.detail = new Detail(chosen, context);
    /** @type {{row: number, strip: Strip, box: HTMLElement}[]} */ this.strips = [];
    this.key = '';
  }

  build() { this.key = ''; this.detail.build(); }

  /** @param {Store} store */
  update(store) {
    const {levels, spans} = this.context, {layout} = store;
    if (!layout) return;
    const deep = levels.level === 'zone' || levels.level === 'sensor';
    this.row.hidden = deep;
    this.detail.e.hidden = !deep;
    if (deep) return this.detail.update(store);
    const phone = matchMedia('(max-width: 700px)').matches, w = this.e.clientWidth, h = this.e.clientHeight;
    const key = `${phone} ${w} ${h} ${JSON.stringify([...spans])}`;
    if (key !== this.key) {
      this.key = key;
      const rows = new Map(layout.zones.map(({id}, row) => [id, row]));
      this.strips = apart(spans, phone).map(([id, [x0, x1]]) => {
        const box = document.createElement('div');
        box.className = 'strip-box';
        box.dataset.zone = id;
        if (!phone) {
          box.style.left = `${x0.toFixed(0)}px`;
          box.style.width = `${(x1 - x0).toFixed(0)}px`;
        }
        box.onclick = () => levels.select({zone: id});
        return {row: /** @type {number} */ (rows.get(id)), strip: new Strip(box), box};
      });
      this.row.replaceChildren(...this.strips.map(({box}) => box));
    }
    for (const {row, strip, box} of this.strips) strip.update(store, row, box.clientWidth, phone ? 96 : h - 4, true);
  }
}

/**
 * Zones that do not share a stretch of the map, the widest first. @param {Map<string, [number, number]>} spans
 * @param {boolean} all none is left out: they stand one below the other
 * @returns {[string, [number, number]][]}
 */
function apart(spans, all) {
  /** @type {[string, [number, number]][]} */ const out = [];
  for (const [id, [x0, x1]] of [...spans].sort(([, a], [, b]) => (b[1] - b[0]) - (a[1] - a[0]))) {
    if (all || (x1 - x0 > 40 && out.every(([, [a, b]]) => x1 <= a + 1 || x0 >= b - 1))) out.push([id, [x0, x1]]);
  }
  return all ? out : out.sort(([, a], [, b]) => a[0] - b[0]);
}
