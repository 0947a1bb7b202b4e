/** Shapes in metres → shapes on the screen. No DOM here. */

/** @typedef {[number, number]} Point x, y */
/** @typedef {{x: number, y: number, w: number, h: number}} Box */

/**
 * Unit vector along the long axis of polygons in metres east and north: the direction in which most of their edges
 * run, or the one across it where they reach further that way. It points south, where it runs due east–west east: so
 * that north lies at the beginning.
 * @param {Point[][]} polygons @returns {Point}
 */
export function longAxis(polygons) {
  const lengths = new Array(90).fill(0), sums = new Array(90).fill(0);
  for (const polygon of polygons) {
    polygon.forEach(([x, y], i) => {
      const [u, v] = polygon[(i + 1) % polygon.length], length = Math.hypot(u - x, v - y);
      const turn = (Math.atan2(v - y, u - x) * 180 / Math.PI + 360) % 90, bin = Math.floor(turn) % 90;
      lengths[bin] += length;
      sums[bin] += length * turn;
    });
  }
  const best = lengths.indexOf(Math.max(...lengths));
  const angle = (lengths[best] ? sums[best] / lengths[best] : 0) * Math.PI / 180;
  /** @type {Point} */ let axis = [Math.cos(angle), Math.sin(angle)];
  const reach = (/** @type {Point} */ d) => {
    const along = polygons.flat().map(([x, y]) => x * d[0] + y * d[1]);
    return Math.max(...along) - Math.min(...along);
  };
  if (reach([-axis[1], axis[0]]) > reach(axis)) axis = [-axis[1], axis[0]];
  const flat = Math.abs(axis[1]) < 0.02;
  return (flat ? axis[0] < 0 : axis[1] > 0) ? [-axis[0], -axis[1]] : axis;
}

/**
 * From metres to the screen: `axis` runs to the right (or down, where `upright`), nothing is mirrored. What lies across
 * the axis may be drawn up to `stretch` times as large, so that a long walkway keeps room for its figures.
 */
export class Projection {
  /** @param {Point[][]} polygons @param {Point} axis @param {Box} into @param {boolean} upright @param {number} stretch */
  constructor(polygons, axis, into, upright, stretch = 2) {
    // unit vectors in metres of the screen's x and y; its y runs down
    const [a, b] = axis;
    this.right = upright ? /** @type {Point} */ ([-b, a]) : axis;
    this.down = upright ? axis : /** @type {Point} */ ([b, -a]);
    const flat = polygons.flat(), xs = flat.map((p) => dot(p, this.right)), ys = flat.map((p) => dot(p, this.down));
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const fit = [into.w / Math.max(1e-6, x1 - x0), into.h / Math.max(1e-6, y1 - y0)];
    const scale = Math.min(...fit);
    this.kx = upright ? Math.min(fit[0], scale * stretch) : scale;
    this.ky = upright ? scale : Math.min(fit[1], scale * stretch);
    this.x = into.x + (into.w - (x1 - x0) * this.kx) / 2 - x0 * this.kx;
    this.y = into.y + (into.h - (y1 - y0) * this.ky) / 2 - y0 * this.ky;
  }

  /** @param {Point} p metres @returns {Point} pixels */
  at(p) { return [this.x + dot(p, this.right) * this.kx, this.y + dot(p, this.down) * this.ky]; }

  /** Direction on the screen (radians, clockwise from right) of a compass bearing. @param {number} degrees */
  turn(degrees) {
    const h = degrees * Math.PI / 180, p = /** @type {Point} */ ([Math.sin(h), Math.cos(h)]);
    return Math.atan2(dot(p, this.down) * this.ky, dot(p, this.right) * this.kx);
  }
}

/** @param {Point} a @param {Point} b */
function dot(a, b) { return a[0] * b[0] + a[1] * b[1]; }

/** @param {Point[]} polygon @returns {Box} */
export function boxOf(polygon) {
  const xs = polygon.map(([x]) => x), ys = polygon.map(([, y]) => y);
  const x = Math.min(...xs), y = Math.min(...ys);
  return {x, y, w: Math.max(...xs) - x, h: Math.max(...ys) - y};
}

/** @param {Point[]} polygon @param {number} x @param {number} y */
export function inside(polygon, x, y) {
  let odd = false;
  polygon.forEach(([ax, ay], i) => {
    const [bx, by] = polygon[(i + 1) % polygon.length];
    if (ay > y !== by > y && x < ax + (y - ay) / (by - ay) * (bx - ax)) odd = !odd;
  });
  return odd;
}

/**
 * The largest box of a few tried that lies in a polygon and out of those drawn over it: where its figures go.
 * @param {Point[]} polygon @param {Point[][]} over @returns {Box}
 */
export function roomIn(polygon, over) {
  const outer = boxOf(polygon), n = 12, dx = outer.w / n, dy = outer.h / n;
  const free = Array.from({length: n}, (_, j) => Array.from({length: n}, (__, i) => {
    const x = outer.x + (i + 0.5) * dx, y = outer.y + (j + 0.5) * dy;
    return inside(polygon, x, y) && !over.some((other) => {
      const box = boxOf(other);
      return x + dx / 2 > box.x && x - dx / 2 < box.x + box.w && y + dy / 2 > box.y && y - dy / 2 < box.y + box.h;
    });
  }));
  let best = {...outer}, most = -1;
  // the largest rectangle of free cells, by heights of columns
  const heights = new Array(n).fill(0);
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < n; i++) heights[i] = free[j][i] ? heights[i] + 1 : 0;
    for (let i = 0; i < n; i++) {
      let h = heights[i];
      for (let k = i; k < n && h; k++) {
        h = Math.min(h, heights[k]);
        const area = h * dy * (k - i + 1) * dx;
        if (h && area > most) {
          most = area;
          best = {x: outer.x + i * dx, y: outer.y + (j - h + 1) * dy, w: (k - i + 1) * dx, h: h * dy};
        }
      }
    }
  }
  return best;
}

/** Boxes of equal size in rows, for zones of which no shape is known. @param {number} n @param {Box} into @returns {Point[][]} */
export function boxes(n, into) {
  if (!n) return [];
  const columns = Math.max(1, Math.min(n, Math.round(Math.sqrt(n * into.w / into.h / 2)) || 1)), rows = Math.ceil(n / columns);
  const w = into.w / columns, h = into.h / rows, gap = Math.min(8, w / 10, h / 10);
  return Array.from({length: n}, (_, i) => {
    const x = into.x + (i % columns) * w + gap / 2, y = into.y + Math.floor(i / columns) * h + gap / 2;
    return /** @type {Point[]} */ ([[x, y], [x + w - gap, y], [x + w - gap, y + h - gap], [x, y + h - gap]]);
  });
}
