/**
 * Tables of distinct people: what was released of each group, in words and as a bar. A hidden figure is "<k", never 0
 * and never nothing; a range is drawn as a range.
 */
import {figure, RELEASED, SUPPRESSED} from './figures.js';
import {addWords, t} from './i18n.js';

addWords({
  ja: {
    ds_people: '人数', ds_bar: '幅', ds_rest: 'ほかはそれぞれ', ds_find: '絞り込み', ds_more: 'さらに表示（残り {n}）', ds_none: '公開できる値はありません',
    ds_cut: '行が多いため、一部を省きました', ds_loading: '読み込み中…', ds_failed: '読めません: {why}', ds_noRun: 'まだデータがありません', ds_reload: '再読込', ds_run: '実行',
    ds_about: '{k} 未満の値は「<{k}」と表し、0 とは区別しません。斜線は、値がその間のどこかにあることを示します。',
  },
  en: {
    ds_people: 'People', ds_bar: 'Range', ds_rest: 'each of the others', ds_find: 'Filter', ds_more: 'Show more ({n} left)', ds_none: 'Nothing can be shown',
    ds_cut: 'There are more rows than can be shown', ds_loading: 'loading…', ds_failed: 'Cannot be read: {why}', ds_noRun: 'There is no data yet', ds_reload: 'Read again', ds_run: 'Run',
    ds_about: 'A figure below {k} is told as “<{k}” and not told apart from 0. Hatched: it lies somewhere in between.',
  },
});

/**
 * @typedef {{n: number | null, low: number | null, high: number | null, s: number}} Told
 * Line: `about` = what it tells of, as text in one or two columns; `told` null = hidden.
 * @typedef {{about: [string, string], told: Told | null, kind?: 'total' | 'rest'}} Line
 * @typedef {Record<string, any[]>} Columns
 */
const PAGE = 200;
let serial = 0;

/** @param {string} tag @param {string} [className] @param {Element} [into] @param {string} [text] */
export function make(tag, className = '', into, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  into?.append(e);
  return e;
}

/** The row of columns as one figure. @param {Columns} columns @param {number} row @returns {Told} */
export function told({n, low, high, s}, row) { return {n: n[row], low: low[row], high: high[row], s: s[row]}; }

/** Figures of what is not listed, which is hidden. @param {number} k @returns {Told} */
export function hidden(k) { return {n: null, low: 0, high: k - 1, s: SUPPRESSED}; }

/** The largest first, of equals the one before. @param {Line} a @param {Line} b */
export function bySize(a, b) { return (b.told?.low ?? 0) - (a.told?.low ?? 0) || (b.told?.high ?? 0) - (a.told?.high ?? 0); }

/** Choose among values; keeps what is chosen. @param {HTMLSelectElement} select @param {[string, string][]} values value and text @param {string} value */
export function offer(select, values, value) {
  const key = JSON.stringify([values, value]);
  if (select.dataset.offered === key) return;
  select.dataset.offered = key;
  select.replaceChildren(...values.map(([v, text]) => new Option(text, v, false, v === value)));
}

/** A labelled field. @param {Element} into @param {string} tag @param {string} word a key of the words */
export function field(into, tag, word) {
  const label = make('label', 'ds-field', into);
  make('span', '', label).dataset.ds = word;
  return make(tag, '', label);
}

/** Fill in the words of a part. @param {Element} part */
export function words(part) {
  for (const e of /** @type {Iterable<HTMLElement>} */ (part.querySelectorAll('[data-ds]'))) e.textContent = t(e.dataset.ds ?? '');
}

export class RangeTable {
  /** @param {HTMLElement} into */
  constructor(into) {
    const id = `ds-${serial++}`;
    this.box = make('section', 'ds-table', into);
    this.title = make('h2', '', this.box);
    this.title.id = id;
    this.box.setAttribute('aria-labelledby', id);
    this.find = /** @type {HTMLInputElement} */ (field(this.box, 'input', 'ds_find'));
    this.find.type = 'search';
    this.find.oninput = () => { this.most = PAGE; this.draw(); };
    const scroll = make('div', 'scroll', this.box);
    Object.assign(scroll, {tabIndex: 0});
    scroll.setAttribute('role', 'region');
    scroll.setAttribute('aria-labelledby', id);
    this.table = /** @type {HTMLTableElement} */ (make('table', '', scroll));
    this.note = make('p', 'soft', this.box);
    this.more = /** @type {HTMLButtonElement} */ (make('button', '', this.box));
    this.more.type = 'button';
    this.more.onclick = () => { this.most += PAGE; this.draw(); };
    /** @type {Line[]} */ this.lines = [];
    /** @type {string[]} */ this.heads = [];
    this.k = 1;
    this.most = PAGE;
    this.cut = false;
  }

  /**
   * @param {string} title @param {string[]} heads of the one or two columns that say what it is about
   * @param {Line[]} lines @param {number} k people a figure stands for at least @param {boolean} cut whether lines were left off
   */
  show(title, heads, lines, k, cut) {
    Object.assign(this, {heads, lines, k, cut, most: PAGE});
    this.title.textContent = title;
    words(this.box);
    this.draw();
  }

  draw() {
    const {heads, k} = this, asked = this.find.value.normalize('NFKC').toLowerCase();
    const lines = this.lines.filter(({about}) => !asked || about.some((text) => text.normalize('NFKC').toLowerCase().includes(asked)));
    const longest = Math.max(k, ...this.lines.map((line) => line.told?.high ?? 0));
    const thead = make('thead'), tbody = make('tbody'), row = make('tr', '', thead);
    for (const [word, look] of [...heads.map((head) => [head, '']), [t('ds_people'), 'figures'], [t('ds_bar'), '']]) make('th', look, row, word).setAttribute('scope', 'col');
    for (const {about, told: figures, kind} of lines.slice(0, this.most)) {
      const tr = make('tr', kind ?? '', tbody), shown = figures ?? hidden(k);
      heads.forEach((_, i) => {
        const cell = make(i === heads.length - 1 ? 'th' : 'td', 'about', tr, about[i]);
        if (cell.tagName === 'TH') cell.setAttribute('scope', 'row');
      });
      const {text, note, kind: look} = figure(shown.s, shown.n, shown.low, shown.high, k), cell = make('td', `figures num ${look}`, tr);
      make('b', 'figure', cell, text);
      cell.append(' ');
      make('span', 'soft note', cell, note);
      make('td', 'ds-bar', tr).append(bar(shown, longest));
    }
    this.table.replaceChildren(thead, tbody);
    this.note.textContent = lines.length ? `${t('ds_about', {k})}${this.cut ? ` ${t('ds_cut')}` : ''}` : t('ds_none');
    this.more.hidden = lines.length <= this.most;
    this.more.textContent = t('ds_more', {n: lines.length - this.most});
  }
}

/** A figure as a bar: solid up to what is sure, hatched as far as it may reach. @param {Told} told @param {number} longest */
export function bar({low, high, s}, longest) {
  const e = make('span', 'bar');
  e.setAttribute('aria-hidden', 'true'); // the words beside it say the same
  if (low == null || high == null) return e;
  const share = (/** @type {number} */ n) => `${(100 * n / longest).toFixed(2)}%`;
  const sure = make('span', 'sure', e);
  sure.style.width = share(low);
  if (s !== RELEASED || high > low) {
    const maybe = make('span', 'maybe', e);
    maybe.style.left = share(low);
    maybe.style.width = share(high - low);
  }
  return e;
}
