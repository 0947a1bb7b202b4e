/** Making and changing SVG: an attribute or a text is touched only where it changes. */

const NS = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag @param {Record<string, string | number>} [attributes] @param {Element} [into]
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, into) {
  const e = /** @type {SVGElement} */ (document.createElementNS(NS, tag));
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, String(value));
  into?.append(e);
  return e;
}

/** @param {Element} e @param {string} name @param {string | number | null} value null = without */
export function attr(e, name, value) {
  if (value == null) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
  } else if (e.getAttribute(name) !== String(value)) {
    e.setAttribute(name, String(value));
  }
}

/** @param {Element} e @param {string} text */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** @param {[number, number][]} points */
export function path(points) {
  return `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L')}Z`;
}

/**
 * Hatches for `fill="url(#…)"`: of what is unknown, and crossed of what no sensor sees. Once for the whole page, and
 * not within a part of it: in one that is not in sight they would be drawn nowhere.
 */
export function hatches() {
  if (document.getElementById('hatch')) return;
  const defs = svg('defs', {}, svg('svg', {class: 'hatches', width: 0, height: 0, 'aria-hidden': 'true'}, document.body));
  for (const [id, lines] of [['hatch', ['M-2 10L10 -2M6 14L14 6']], ['hatch-blind', ['M0 0L12 12M12 0L0 12']]]) {
    const pattern = svg('pattern', {id: String(id), width: 12, height: 12, patternUnits: 'userSpaceOnUse'}, defs);
    svg('rect', {width: 12, height: 12, class: 'hatch-ground'}, pattern);
    for (const d of lines) svg('path', {d, class: 'hatch-line'}, pattern);
  }
}

/** About how wide a text will be, px. @param {string} text @param {number} size */
export function wide(text, size) {
  let sum = 0;
  for (const c of text) sum += c > '\u2e80' ? size : size * 0.56;
  return sum;
}

/** Keeps labels off one another. */
export class Room {
  /** @param {number} w @param {number} h */
  constructor(w, h) {
    this.w = w; this.h = h;
    /** @type {import('./geometry.js').Box[]} */ this.taken = [];
  }

  /** @param {import('./geometry.js').Box} box */
  take(box) { this.taken.push(box); }

  /** The first of the boxes that lies in the picture and on none that is taken. @param {import('./geometry.js').Box[]} tries */
  first(tries) {
    const found = tries.find((b) => b.x >= 0 && b.y >= 0 && b.x + b.w <= this.w && b.y + b.h <= this.h
      && !this.taken.some((o) => b.x < o.x + o.w && o.x < b.x + b.w && b.y < o.y + o.h && o.y < b.y + b.h));
    if (found) this.take(found);
    return found ?? null;
  }
}
