/** From numbers to words: what a figure may say, and nothing it may not. No DOM here. */
import {lang, t} from './i18n.js';

export const UNKNOWN = 0, RELEASED = 1, SUPPRESSED = 2, RANGE = 3;

/**
 * One figure: `kind` for its look, `text` to read, `note` below it. A missing value is unknown, never 0.
 * `status` null = decide by the bounds (zones: one status stands for two figures).
 * @param {number | null} status @param {number | null} n @param {number | null} lo @param {number | null} hi
 * @param {number} k people a released figure stands for at least
 */
export function figure(status, n, lo, hi, k) {
  if (status === UNKNOWN || lo == null || hi == null) return unknown('notObserved');
  if (status === SUPPRESSED || (status == null && hi < k && lo !== hi)) return {kind: 'few', text: `<${k}`, note: t('few')};
  if (lo === hi) return {kind: 'exact', text: whole(lo), note: t('exact')};
  return {kind: 'range', text: `${whole(lo)}–${whole(hi)}`, note: t('about', {n: whole(n ?? Math.floor((lo + hi) / 2))})};
}

/** Two numbers that may be below 0. @param {number} lo @param {number} hi */
function between(lo, hi) {
  return lo === hi ? mean(lo) : `${mean(lo)}${lo < 0 ? ' … ' : '–'}${mean(hi)}`;
}

/**
 * People inside, as counted since somebody knew or as read; `error`: how far sensors may be wrong, null = they do not
 * tell. Without `n` the range is the class of few people.
 * @param {number | null} n @param {number | null} lo @param {number | null} hi @param {number | null} error
 */
export function inside(n, lo, hi, error) {
  if (lo == null || hi == null) return unknown('noAnchor');
  if (n == null) return {kind: 'few', text: `<${whole(Math.ceil(hi) + 1)}`, note: t('few')};
  const note = error ? t('aboutError', {n: mean(n), e: whole(error)}) : lo === hi ? t('exact') : t('about', {n: mean(n)});
  return {kind: lo === hi ? 'exact' : 'range', text: between(lo, hi), note};
}

/** People counted too many when the count began anew. @param {number | null} lo @param {number | null} hi */
export function drift(lo, hi) {
  if (lo == null || hi == null) return {kind: 'none', text: '—', note: ''};
  return {kind: 'range', text: between(lo, hi), note: ''};
}

/**
 * A level of service, 1 = A; below it people per m², and how fast they walk where that is known.
 * @param {number | null} grade @param {number | null} density @param {number | null} pace m/s
 */
export function level(grade, density, pace) {
  if (!grade) return unknown('notGraded');
  const dense = density == null ? [] : [t('perM2', {n: density.toFixed(2)})];
  const fast = pace == null ? [] : [t('perS', {n: pace.toFixed(1)})];
  return {kind: 'exact', text: 'ABCDEF'[grade - 1], note: [...dense, ...fast].join(' · ')};
}

/** From this resultant length on the people of a zone have a way in common; below, an arrow would lead astray. */
export const SHOWN_FROM_R = 0.3;
const ARROWS = '↑↗→↘↓↙←↖', WINDS = ['north', 'northEast', 'east', 'southEast', 'south', 'southWest', 'west', 'northWest'];

/**
 * Which way the people of a zone go; hidden where they have none in common.
 * @param {number | null} status @param {number | null} mean degrees from north, clockwise
 * @param {number | null} length R @param {number} k people a released figure stands for at least
 */
export function way(status, mean, length, k) {
  if (status === UNKNOWN) return unknown('notObserved');
  if (length == null) return {kind: 'few', text: `<${k}`, note: t('few')};
  if (mean == null || length < SHOWN_FROM_R) return {kind: 'none', text: '—', note: t('noOneWay')};
  const wind = Math.round(mean / 45) % 8;
  return {kind: 'range', text: `${ARROWS[wind]} ${Math.round(mean) % 360}°`, note: t(WINDS[wind])};
}

/** How much people agree on it: 1 = all go one way. @param {number | null} length R */
export function strength(length) {
  return {kind: length == null ? 'none' : 'range', text: length == null ? '—' : length.toFixed(2), note: ''};
}

/** @param {string} why a key of the words @param {Record<string, string>} [put] */
export function unknown(why, put) {
  return {kind: 'unknown', text: t('unknown'), note: t(why, put)};
}

/** @param {number} n */
export function whole(n) {
  return n.toLocaleString(lang);
}

/** A number of people that may be a mean. @param {number} n */
function mean(n) {
  return n.toLocaleString(lang, {maximumFractionDigits: 1});
}

/** A length of time in one unit: 12 s, 5 min, 3 h, 2 d. @param {number} ms */
export function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 120) return t('s', {n: s});
  if (s < 7200) return t('min', {n: Math.floor(s / 60)});
  return s < 172_800 ? t('h', {n: Math.floor(s / 3600)}) : t('d', {n: whole(Math.floor(s / 86_400))});
}

/** @param {number | null} share */
export function percent(share) {
  return share == null ? '—' : `${Math.floor(share * 100)} %`;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * Time of day (`long`: with date and zone) in the run's time zone.
 * @param {number} ms @param {string} timeZone @param {boolean} [long]
 */
export function clock(ms, timeZone, long = false) {
  /** @type {Intl.DateTimeFormatOptions} */
  const base = {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'};
  const options = long ? {...base, year: 'numeric', month: '2-digit', day: '2-digit', timeZoneName: 'short'} : base;
  return formatOf(`${lang} ${timeZone} ${long}`, lang === 'ja' ? 'ja-JP' : 'en-GB', options, timeZone).format(ms);
}

/**
 * The format kept under `key`; in UTC where the browser does not know the zone.
 * @param {string} key @param {string} locale @param {Intl.DateTimeFormatOptions} options @param {string} timeZone
 */
export function formatOf(key, locale, options, timeZone) {
  let format = formats.get(key);
  if (!format) {
    try {
      format = new Intl.DateTimeFormat(locale, {...options, timeZone});
    } catch {
      format = new Intl.DateTimeFormat(locale, {...options, timeZone: 'UTC'});
    }
    formats.set(key, format);
  }
  return format;
}

/**
 * A window's time of day from start to end; with the offset where the local clock shows one of them twice that day,
 * so that the two windows of a repeated hour can be told apart.
 * @param {number} start @param {number} end @param {string} timeZone
 */
export function span(start, end, timeZone) {
  const key = `${lang} ${timeZone} ${start} ${end}`;
  let text = spans.get(key);
  if (text === undefined) {
    const [from, to] = [start, end].map((ms) => offset(ms, timeZone));
    const plain = ![start, end].some((ms) => comesTwice(ms, timeZone));
    text = `${clock(start, timeZone)}${plain || from === to ? '' : ` ${utc(from)}`}–${clock(end, timeZone)}${plain ? '' : ` ${utc(to)}`}`;
    if (spans.size > 100) spans.clear(); // rows mostly show the same window
    spans.set(key, text);
  }
  return text;
}

/** @type {Map<string, string>} */
const spans = new Map();

/** How far (ms) the local clock is ahead of UTC. @param {number} ms @param {string} timeZone */
export function offset(ms, timeZone) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options = {hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'};
  const format = formatOf(timeZone, 'en-US', options, timeZone);
  /** @type {Record<string, number>} */
  const read = Object.fromEntries(format.formatToParts(ms).map(({type, value}) => [type, Number(value)]));
  return Date.UTC(read.year, read.month - 1, read.day, read.hour, read.minute, read.second) - Math.floor(ms / 1000) * 1000;
}

/** @param {number} ms @param {string} timeZone */
function comesTwice(ms, timeZone) {
  const here = offset(ms, timeZone);
  return [-6, 6].some((hours) => { // no zone has changed its offset by more, but for those that changed their date
    const there = offset(ms + hours * 3_600_000, timeZone);
    return there !== here && offset(ms + here - there, timeZone) === there;
  });
}

/** @param {number} ms ahead of UTC */
function utc(ms) {
  const minutes = Math.abs(ms) / 60_000, rest = minutes % 60;
  return `UTC${ms < 0 ? '−' : '+'}${Math.floor(minutes / 60)}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}
