/** The page for everybody: four words and ranges of people. What is not known, or not heard any more, is unknown. */
import {ago, clock} from './figures.js';
import {addWords, firstLang, lang, recall, remember, setLang, t} from './i18n.js';

addWords({
  ja: {
    publicTitle: 'いまの混み具合', publicNow: '現在', publicWord0: 'ゆとり', publicWord1: 'ふつう', publicWord2: 'やや混雑', publicWord3: '混雑',
    publicFew: '{n}人未満', publicPeople: '{low}〜{high}人', publicAge: '{age}前の情報', publicNoRow: 'まだ情報がありません',
    publicNone: '表示できる情報がありません', publicCut: '切断：{s} 届いていません',
    publicAbout: '人数は幅で示しています。個人を識別する情報は使っていません。',
  },
  en: {
    publicTitle: 'How crowded it is', publicNow: 'now', publicWord0: 'Roomy', publicWord1: 'Normal', publicWord2: 'Busy', publicWord3: 'Crowded',
    publicFew: 'fewer than {n} people', publicPeople: '{low}–{high} people', publicAge: '{age} ago', publicNoRow: 'no information yet',
    publicNone: 'There is nothing to show', publicCut: 'Disconnected: nothing heard for {s}',
    publicAbout: 'People are told in ranges. Nothing here identifies anybody.',
  },
});

const CUT_MS = 3000; // silence after which the page says so
const DEAD_MS = 6000; // and after which another connection is tried
const VOID_MS = 15_000; // and after which nothing that was heard is taken for the present
const LONGEST_MS = 8000;

/** @typedef {{id: string, name: Record<string, string>, word: number | null, people: number[] | null, age_ms: number | null}} Zone */
/** @typedef {{end: number | null, zone: Zone}} Held */

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const root = document.documentElement;
/** @type {Map<string, Held>} */ let zones = new Map();
/** @type {Map<string, Record<'item' | 'name' | 'word' | 'mark' | 'people' | 'age', HTMLElement>>} */ const cards = new Map();
let heard = performance.now(), base = 0, timezone = '', told = false, tries = 0, dirty = false;
/** @type {EventSource | null} */ let events = null;

/** The server's clock: the browser's own plays no part in ages. */
const now = () => base + (performance.now() - heard);

/** @param {string} type @param {{now: number, timezone: string | null, zones: Zone[]}} m */
function take(type, m) {
  heard = performance.now();
  base = m.now;
  timezone = m.timezone ?? '';
  told = true;
  tries = 0;
  if (type === 'all') zones = new Map();
  for (const zone of m.zones) zones.set(zone.id, {zone, end: zone.age_ms == null ? null : m.now - zone.age_ms});
  if (type === 'all') build();
  later();
}

function open() {
  events?.close();
  const opened = events = new EventSource('/public/events');
  let asked = performance.now();
  const watch = setInterval(() => {
    if (opened !== events) clearInterval(watch);
    else if (performance.now() - Math.max(asked, heard) > DEAD_MS) again();
  }, 1000);
  const again = () => {
    if (opened !== events) return;
    opened.close();
    events = null;
    clearInterval(watch);
    setTimeout(open, Math.min(LONGEST_MS, 250 * 2 ** tries++) * (0.5 + Math.random() / 2));
  };
  for (const type of ['all', 'some']) {
    opened.addEventListener(type, (e) => { if (opened === events) take(type, JSON.parse(/** @type {MessageEvent} */ (e).data)); });
  }
  // what it missed is not known: another connection begins with all
  opened.onerror = again;
}

/** @param {string} tag @param {string} className @param {HTMLElement} into */
function make(tag, className, into) {
  const e = document.createElement(tag);
  e.className = className;
  into.append(e);
  return e;
}

/** @param {HTMLElement} e @param {string} text */
function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

function build() {
  cards.clear();
  const list = $('public-zones');
  list.replaceChildren();
  for (const [id] of zones) {
    const item = make('li', 'public-zone', list), name = make('h2', 'public-name', item), word = make('p', 'public-word', item);
    const mark = make('span', 'public-mark', item), people = make('p', 'public-people num', item), age = make('p', 'public-age num', item);
    mark.setAttribute('aria-hidden', 'true');
    cards.set(id, {item, name, word, mark, people, age});
  }
  $('public-none').hidden = zones.size > 0;
}

function later() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => { dirty = false; draw(); });
}

function draw() {
  const silent = performance.now() - heard;
  put($('public-trouble'), silent > CUT_MS ? t('publicCut', {s: ago(silent)}) : '');
  if (!told) return;
  // the place has one time, wherever whoever looks at it is; without a place there is none
  put($('public-clock'), timezone ? clock(now(), timezone, true) : '—');
  for (const [id, card] of cards) {
    const held = /** @type {Held} */ (zones.get(id)), {zone} = held, word = silent > VOID_MS ? null : zone.word;
    put(card.name, zone.name[lang]);
    put(card.word, word == null ? t('unknown') : t(`publicWord${word}`));
    put(card.mark, word == null ? '' : '■'.repeat(word + 1) + '□'.repeat(3 - word));
    put(card.people, word == null || !zone.people ? '' : range(zone.people));
    put(card.age, held.end == null ? t('publicNoRow') : t('publicAge', {age: ago(now() - held.end)}));
    const kind = `public-zone ${word == null ? 'unknown' : `w${word}`}`;
    if (card.item.className !== kind) card.item.className = kind;
  }
}

/** @param {number[]} people */
function range([low, high]) {
  return low === 0 && high < 10 ? t('publicFew', {n: high + 1}) : t('publicPeople', {low, high});
}

function relabel() {
  setLang(lang);
  put($('lang'), t('other'));
  $('lang').lang = lang === 'ja' ? 'en' : 'ja';
  put($('theme'), t(dark() ? 'toLight' : 'toDark'));
  draw();
}

function dark() {
  return root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

$('lang').onclick = () => { setLang(lang === 'ja' ? 'en' : 'ja'); relabel(); };
$('theme').onclick = () => { root.dataset.theme = dark() ? 'light' : 'dark'; remember('hitonami.theme', root.dataset.theme); relabel(); };
const theme = recall('hitonami.theme');
if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
setLang(firstLang());
relabel();
root.classList.remove('wait');
setInterval(draw, 1000);
open();
