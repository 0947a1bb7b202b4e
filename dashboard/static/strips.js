/**
 * Below the map: a strip for each zone that has its own stretch of it; of the city its places, as buttons; or the zone
 * or sensor that was chosen.
 */
import {Detail} from './detail.js';
import {addWords, lang, t} from './i18n.js';
import {Strip} from './strip.js';
import {letter, shade, worstOf} from './zone-now.js';

addWords({ja: {placesOf: '施設（最も悪い水準）'}, en: {placesOf: 'Places, with their worst grade'}});

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
    this.places = document.createElement('nav');
    this.places.className = 'places';
    this.places.dataset.scroll = 'places';
    e.append(this.row, this.places, chosen);
    this.detail = new Detail(chosen, context);
    /** @type {{row: number, strip: Strip, box: HTMLElement}[]} */ this.strips = [];
    this.key = '';
    this.named = '';
  }

  build() { this.key = ''; this.detail.build(); }

  /** The places as buttons: what the canvas shows, by keyboard. @param {Store} store */
  city(store) {
    const {levels} = this.context, worst = worstOf(store);
    const key = JSON.stringify([lang, levels.places]);
    if (key !== this.named) {
      this.named = key;
      this.places.setAttribute('aria-label', t('placesOf'));
      this.places.replaceChildren(...levels.places.map(({id, name}) => {
        const b = document.createElement('button'), grade = document.createElement('b');
        b.type = 'button';
        b.dataset.key = `place ${id}`;
        b.onclick = () => levels.select({place: id});
        b.append(grade, ` ${name[lang]}`);
        return b;
      }));
    }
    levels.places.forEach(({id}, i) => {
      const grade = worst.get(id) ?? 0, e = /** @type {HTMLElement} */ (this.places.children[i].firstChild), look = `grade ${shade(grade)}`;
      if (e.textContent !== letter(grade)) e.textContent = letter(grade);
      if (e.className !== look) e.className = look;
    });
  }

  /** @param {Store} store */
  update(store) {
    const {levels, spans} = this.context, {layout} = store;
    if (!layout) return;
    const deep = levels.level === 'zone' || levels.level === 'sensor', city = levels.level === 'city';
    this.row.hidden = deep || city;
    this.places.hidden = !city;
    this.detail.e.hidden = !deep;
    if (deep) return this.detail.update(store);
    if (city) return this.city(store);
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
