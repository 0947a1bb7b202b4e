/** The picture of what is shown: a place to scale, or the whole city; with the city as a small map at its top right. */
import {City} from './city.js';
import {history} from './history.js';
import {addWords, lang, t} from './i18n.js';
import {Schematic} from './schematic.js';
import {svg} from './svg.js';
import {letter, shade, worstOf} from './zone-now.js';

addWords({ja: {miniMap: '全域の施設'}, en: {miniMap: 'Places of the city'}});

const MOST = 300; // zones that SVG draws fast enough; of more a canvas does
const CORNER = {w: 230, h: 52};

/** @typedef {import('./store.js').Store} Store */

export class MapView {
  /** @param {HTMLElement} e @param {import('./components.js').Context} context */
  constructor(e, context) {
    this.e = e;
    this.context = context;
    this.plan = svg('svg', {class: 'plan', role: 'group'}, e);
    this.canvas = document.createElement('canvas');
    this.mini = document.createElement('nav');
    this.mini.className = 'mini';
    e.append(this.canvas, this.mini);
    this.schematic = new Schematic(this.plan, context);
    this.city = new City(this.canvas, context);
    this.shown = '';
    /** @type {HTMLButtonElement[]} */ this.places = [];
    new ResizeObserver(() => context.later()).observe(e);
  }

  build() { this.shown = ''; }

  /** @param {Store} store */
  update(store) {
    const {layout} = store, {levels} = this.context;
    if (!layout) return;
    history.update(store, levels.zone);
    const place = levels.place, zones = layout.zones.filter((zone) => !place || zone.place === place).length;
    const whole = levels.level === 'city' || zones > MOST;
    const w = this.e.clientWidth, h = this.e.clientHeight, upright = matchMedia('(max-width: 700px)').matches;
    if (!w || !h) return; // another part is shown on the phone; what was drawn stays
    const key = `${whole} ${place} ${w} ${h} ${upright}`;
    if (key !== this.shown) {
      this.shown = key;
      this.plan.toggleAttribute('hidden', whole);
      this.canvas.hidden = !whole;
      this.mini.hidden = upright || levels.level === 'city' || levels.places.length < 2;
      this.draw(store, {w, h}, whole, upright);
    }
    if (whole) this.city.update(store);
    else this.schematic.update(store);
    this.minis(store);
  }

  /** @param {Store} store @param {{w: number, h: number}} size @param {boolean} whole @param {boolean} upright */
  draw(store, size, whole, upright) {
    const {levels, spans} = this.context;
    spans.clear();
    if (whole) this.city.build(store, size);
    else for (const [id, span] of this.schematic.build(store, size, upright, this.mini.hidden ? {w: 0, h: 0} : CORNER)) spans.set(id, span);
    this.mini.setAttribute('aria-label', t('miniMap'));
    this.places = levels.places.slice(0, 60).map(({id, name}) => {
      const b = document.createElement('button');
      b.type = 'button';
      b.title = name[lang];
      b.dataset.key = `place ${id}`;
      b.onclick = () => levels.select({place: id});
      return b;
    });
    this.mini.replaceChildren(...this.places);
  }

  /** @param {Store} store */
  minis(store) {
    if (this.mini.hidden) return;
    const {levels} = this.context, worst = worstOf(store);
    levels.places.slice(0, this.places.length).forEach(({id, name}, i) => {
      const grade = worst.get(id) ?? 0, b = this.places[i], look = `grade ${shade(grade)}`;
      if (b.textContent !== letter(grade)) b.textContent = letter(grade);
      if (b.className !== look) b.className = look;
      b.setAttribute('aria-label', `${name[lang]} ${grade ? letter(grade) : t('unknown')}`);
      if (id === levels.place) b.setAttribute('aria-current', 'true');
    });
  }
}
