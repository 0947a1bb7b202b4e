/**
 * Many zones at once on one 2D canvas, drawn anew with each tick: places in a grid, and their zones in each, or the
 * zones of one place to scale where their shapes are known. Colours come from the page's own.
 */
import {boxOf, boxes, inside, longAxis, Projection} from './geometry.js';
import {addWords, lang, t} from './i18n.js';
import {MARKS, alarms, letter, shade, worstOf, zonesNow} from './zone-now.js';

addWords({
  ja: {cityMap: '全域の図。同じ内容は表にあります'},
  en: {cityMap: 'Map of the city. The table holds the same'},
});

const TOKENS = ['ink', 'soft', 'line', 'panel', 'hatch', 'focus', 'critical', 'warning',
  ...[...'abcdef'].flatMap((grade) => [`grade-${grade}`, `on-grade-${grade}`])];

/**
 * @typedef {import('./store.js').Store} Store
 * @typedef {import('./geometry.js').Point} Point
 * @typedef {{row: number, points: Point[], box: import('./geometry.js').Box}} Shape
 */

export class City {
  /** @param {HTMLCanvasElement} canvas @param {import('./components.js').Context} context */
  constructor(canvas, context) {
    this.canvas = canvas;
    this.context = context;
    /** @type {Shape[]} */ this.shapes = [];
    /** @type {{id: string, name: string, box: import('./geometry.js').Box}[]} */ this.places = [];
    /** @type {Record<string, string>} */ this.colours = {};
    this.theme = '';
    this.size = {w: 0, h: 0};
    canvas.setAttribute('role', 'img');
    canvas.onclick = ({offsetX, offsetY}) => {
      const hit = this.hit(offsetX, offsetY);
      if (hit) context.levels.select(hit);
    };
    canvas.onpointermove = ({offsetX, offsetY}) => {
      const hit = this.hit(offsetX, offsetY), zones = context.store.layout?.zones ?? [];
      canvas.style.cursor = hit ? 'pointer' : '';
      canvas.title = hit?.zone ? zones.find(({id}) => id === hit.zone)?.name[lang] ?? '' : this.places.find(({id}) => id === hit?.place)?.name ?? '';
    };
  }

  /** What lies at a place of the canvas: at the level of the city its place, else the zone. @param {number} x @param {number} y */
  hit(x, y) {
    const {levels, store} = this.context;
    if (levels.level === 'city' && levels.places.length > 1) {
      const place = this.places.find(({box: b}) => x >= b.x && x < b.x + b.w && y >= b.y && y < b.y + b.h);
      return place ? {place: place.id, zone: null} : null;
    }
    // what is drawn last lies on top
    for (let i = this.shapes.length - 1; i >= 0; i--) {
      const {box: b, points, row} = this.shapes[i];
      if (x >= b.x && x < b.x + b.w && y >= b.y && y < b.y + b.h && inside(points, x, y)) return {place: null, zone: store.layout?.zones[row].id ?? null};
    }
    return null;
  }

  /** @param {Store} store @param {{w: number, h: number}} size */
  build({layout}, size) {
    const {levels} = this.context, zones = layout?.zones ?? [], ratio = devicePixelRatio || 1;
    this.size = size;
    this.canvas.width = Math.round(size.w * ratio);
    this.canvas.height = Math.round(size.h * ratio);
    this.canvas.setAttribute('aria-label', t('cityMap'));
    this.theme = '';
    const groups = new Map(levels.places.map(({id, name}) => [id, {name: name[lang], rows: /** @type {number[]} */ ([])}]));
    zones.forEach(({place = ''}, row) => {
      if (levels.place && place !== levels.place) return;
      let group = groups.get(place);
      if (!group) groups.set(place, group = {name: '', rows: []});
      group.rows.push(row);
    });
    const shown = [...groups].filter(([, {rows}]) => rows.length), frames = boxes(shown.length, {x: 4, y: 4, w: size.w - 8, h: size.h - 8}).map(boxOf);
    this.places = shown.map(([id, {name}], i) => ({id, name, box: frames[i]}));
    this.shapes = shown.flatMap(([, {rows}], i) => {
      const b = frames[i], head = b.h > 60 && b.w > 60 ? 24 : 0, into = {x: b.x + 4, y: b.y + head, w: b.w - 8, h: b.h - head - 4};
      return inPlace(rows, zones, into);
    });
  }

  /** @param {Store} store */
  update(store) {
    const draw = this.canvas.getContext('2d');
    if (!draw || !this.size.w) return;
    const ratio = devicePixelRatio || 1, {levels} = this.context, c = this.tokens(), zones = store.layout?.zones ?? [];
    draw.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw.clearRect(0, 0, this.size.w, this.size.h);
    const worst = alarms(store), now = new Map(zonesNow(store, levels.place).map((zone) => [zone.id, zone]));
    const bad = worstOf(store);
    draw.lineWidth = 1;
    draw.strokeStyle = c.line;
    draw.fillStyle = c.ink;
    draw.textAlign = 'left';
    draw.textBaseline = 'middle';
    draw.font = '600 16px system-ui, "Noto Sans CJK JP", sans-serif';
    for (const {id, name, box: b} of this.places) {
      draw.strokeRect(b.x + 0.5, b.y + 0.5, b.w - 1, b.h - 1);
      if (b.h > 60 && b.w > 60) draw.fillText(`${letter(bad.get(id) ?? 0)} ${name}`, b.x + 6, b.y + 13, b.w - 12);
    }
    const hatch = pattern(draw, c);
    draw.textAlign = 'center';
    for (const {row, points, box: b} of this.shapes) {
      const zone = now.get(zones[row].id), grade = zone?.grade ?? 0, name = shade(grade);
      trace(draw, points);
      draw.fillStyle = grade ? c[name] : hatch;
      draw.fill();
      const alarm = worst.get(zones[row].id) ?? 0, chosen = zones[row].id === levels.zone;
      draw.lineWidth = chosen ? 4 : 1;
      draw.strokeStyle = chosen ? c.focus : c.line;
      draw.stroke();
      if (b.w < 16 || b.h < 16) continue;
      // never smaller than can be read
      const size = Math.max(16, Math.min(28, b.h * 0.6, b.w * 0.6)), text = `${letter(grade)}${b.w >= 40 ? MARKS[alarm] : ''}`;
      draw.font = `700 ${size}px system-ui, "Noto Sans CJK JP", sans-serif`;
      if (!grade) {
        draw.fillStyle = c.panel;
        draw.fillRect(b.x + b.w / 2 - size * 0.4, b.y + b.h / 2 - size * 0.5, size * 0.8, size);
      }
      draw.fillStyle = grade ? c[`on-${name}`] : c.ink;
      draw.fillText(text, b.x + b.w / 2, b.y + b.h / 2 + 1);
    }
  }

  /** The page's colours as the canvas takes them; read anew when the theme is another. */
  tokens() {
    const root = document.documentElement, theme = `${root.dataset.theme ?? ''} ${matchMedia('(prefers-color-scheme: dark)').matches}`;
    if (theme !== this.theme) {
      this.theme = theme;
      // a property that takes colours resolves light-dark(); the token itself does not
      for (const name of TOKENS) {
        this.canvas.style.color = `var(--${name})`;
        this.colours[name] = getComputedStyle(this.canvas).color;
      }
      this.canvas.style.color = '';
    }
    return this.colours;
  }
}

/**
 * The zones of one place: to scale where all have shapes, else in a grid. @param {number[]} rows
 * @param {import('./store.js').Place[]} zones @param {import('./geometry.js').Box} into @returns {Shape[]}
 */
function inPlace(rows, zones, into) {
  const shaped = rows.every((row) => (zones[row].polygon?.length ?? 0) > 2);
  /** @type {Point[][]} */ let shapes;
  if (shaped) {
    const polygons = rows.map((row) => /** @type {Point[]} */ (zones[row].polygon)), projection = new Projection(polygons, longAxis(polygons), into, false);
    shapes = polygons.map((points) => points.map((p) => projection.at(p)));
  } else {
    shapes = boxes(rows.length, into);
  }
  // the smaller ones over the larger
  return rows.map((row, i) => ({row, points: shapes[i], box: boxOf(shapes[i])})).sort((a, b) => b.box.w * b.box.h - a.box.w * a.box.h);
}

/** @param {CanvasRenderingContext2D} draw @param {Point[]} points */
function trace(draw, points) {
  draw.beginPath();
  points.forEach(([x, y], i) => (i ? draw.lineTo(x, y) : draw.moveTo(x, y)));
  draw.closePath();
}

/** @param {CanvasRenderingContext2D} draw @param {Record<string, string>} c @returns {CanvasPattern | string} */
function pattern(draw, c) {
  const tile = new OffscreenCanvas(12, 12), on = tile.getContext('2d');
  if (!on) return c.panel;
  on.fillStyle = c.panel;
  on.fillRect(0, 0, 12, 12);
  on.strokeStyle = c.hatch;
  on.lineWidth = 3;
  on.beginPath();
  for (const x of [-12, 0, 12]) { on.moveTo(x - 2, 14); on.lineTo(x + 14, -2); }
  on.stroke();
  return draw.createPattern(tile, 'repeat') ?? c.panel;
}
