/**
 * Plays a span of a stored run: asks for its frames in chunks, ahead of the time shown, and feeds them as the stream
 * would. Each chunk begins with a snapshot, so any time can be gone to by one chunk alone. No DOM here.
 *
 *     chunk k            chunk k+1
 *     S d d d d d d d d  S d d d d d      S snapshot, d delta, each with the time `at` up to which the run had closed
 *             ▲ at: all frames up to here have been fed
 *
 * @typedef {import('./store.js').Message} Message
 * @typedef {Message & {at: number, kind: 'snapshot' | 'delta'}} Frame
 * @typedef {{start: number, frames: Frame[]}} Chunk
 * @typedef {object} Out
 * @property {(from: number, to: number, signal: AbortSignal) => Promise<{layout: any, frames: Frame[]}>} ask a snapshot at `from`, deltas up to `to`
 * @property {(type: string, id: string, message: Message) => void} feed
 * @property {() => void} changed time, state or trouble
 */
import {Failed} from './ask.js';

export const SPEEDS = [1, 10, 60, 300];
const AHEAD_S = 10; // of the watcher's time that is loaded ahead
const AHEAD_CHUNKS = 3; // at most so many
const KEPT = 12; // chunks
const AT_ONCE = 3; // questions, where somebody drags the position about
const AGAIN_MS = 2000; // a chunk loaded ahead that failed is asked for again
const LONGEST_STEP_MS = 1000; // a tab that slept does not leap

export class Player {
  /** @param {number} from @param {number} to ms, to > from @param {number} chunkMs @param {Out} out */
  constructor(from, to, chunkMs, out) {
    this.from = from; this.to = to; this.chunkMs = chunkMs; this.out = out;
    this.at = from;
    this.speed = 1;
    this.playing = false;
    /** @type {unknown} */ this.trouble = null;
    /** The frame that is shown: its time. */
    this.shown = from;
    /** @type {Map<number, Chunk>} */ this.chunks = new Map();
    /** @type {Set<number>} */ this.asked = new Set();
    /** @type {Map<number, number>} */ this.failed = new Map(); // when
    /** @type {Map<string, any>} */ this.layouts = new Map(); // equal layouts are one object: nothing is built anew for them
    /** @type {number | null} */ this.chunk = null; // whose frames are fed
    this.fed = 0; // frames of it
    this.serial = 0;
    this.gone = new AbortController();
    this.last = performance.now();
  }

  /** Whether the frames of the time to be shown are not here yet. */
  get loading() { return !this.trouble && this.chunk !== this.of(this.at); }

  /** @param {number} at */
  of(at) { return Math.floor((Math.min(at, this.to) - this.from) / this.chunkMs); }

  play() {
    if (this.at >= this.to) this.seek(this.from);
    this.playing = true;
    this.last = performance.now();
    this.retry();
  }

  pause() {
    this.playing = false;
    this.out.changed();
  }

  /** @param {number} at */
  seek(at) {
    this.at = Math.max(this.from, Math.min(this.to, Math.round(at)));
    this.retry();
  }

  /** Ask again for what could not be had. */
  retry() {
    this.trouble = null;
    this.failed.clear();
    this.bring();
  }

  stop() {
    this.playing = false;
    this.gone.abort();
  }

  /** Let time go by; call it often. @param {number} [now] performance.now() */
  tick(now = performance.now()) {
    const passed = Math.min(LONGEST_STEP_MS, now - this.last);
    this.last = now;
    if (!this.playing || this.loading || this.trouble) return;
    this.at = Math.min(this.to, this.at + passed * this.speed);
    if (this.at >= this.to) this.playing = false;
    this.bring();
  }

  /** Feed all up to `at`, and ask for what is missing. */
  bring() {
    this.feed();
    this.load();
    this.out.changed();
  }

  feed() {
    const at = this.of(this.at), chunk = this.chunks.get(at);
    if (!chunk) return;
    if (this.chunk !== at || this.at < this.shown) {
      this.chunk = at;
      this.fed = 0;
      this.shown = chunk.start;
    }
    for (; this.fed < chunk.frames.length; this.fed++) {
      const {at: time, kind, ...message} = chunk.frames[this.fed];
      // the chunk's snapshot is the state at its begin, whatever its own time
      if (this.fed && time > this.at) break;
      this.shown = time;
      this.out.feed(kind, `replay-${++this.serial}`, {...message, now: time});
    }
  }

  load() {
    const here = this.of(this.at), ahead = Math.min(AHEAD_CHUNKS, 1 + Math.floor(AHEAD_S * 1000 * this.speed / this.chunkMs));
    const last = this.of(this.to);
    for (let k = here; k <= Math.min(last, here + ahead); k++) {
      if (this.chunks.has(k) || this.asked.has(k) || performance.now() - (this.failed.get(k) ?? -AGAIN_MS) < AGAIN_MS) continue;
      // one after the other: what is needed now must not wait for what is needed later
      if (this.asked.size >= (k === here ? AT_ONCE : 1)) return;
      this.fetch(k);
    }
  }

  /** @param {number} k */
  async fetch(k) {
    this.asked.add(k);
    const start = this.from + k * this.chunkMs;
    try {
      const {layout, frames} = await this.out.ask(start, Math.min(start + this.chunkMs, this.to), this.gone.signal);
      this.chunks.set(k, {start, frames: this.whole(start, layout, frames)});
      this.forget(k);
    } catch (error) {
      if (this.gone.signal.aborted) return;
      const most = error instanceof Failed ? Number(error.told?.longest_ms) : NaN;
      if (most >= 1000 && most < this.chunkMs) {
        this.chunkMs = most; // many places: less at once
        this.chunks.clear();
        this.chunk = null;
        return this.bring();
      }
      this.failed.set(k, performance.now());
      if (k === this.of(this.at)) this.trouble = error;
    } finally {
      this.asked.delete(k);
    }
    if (this.gone.signal.aborted) return;
    if (this.trouble) this.out.changed();
    else this.bring();
  }

  /**
   * The frames of a chunk; a snapshot of nothing first where the run had told nothing yet.
   * @param {number} start @param {any} layout @param {Frame[]} frames @returns {Frame[]}
   */
  whole(start, layout, frames) {
    const one = (/** @type {any} */ l) => {
      const key = JSON.stringify(l);
      if (!this.layouts.has(key)) this.layouts.set(key, l);
      return this.layouts.get(key);
    };
    const made = frames.map((frame) => frame.kind === 'snapshot' ? {...frame, layout: one(frame.layout ?? layout)} : frame);
    if (made[0]?.kind === 'snapshot') return made;
    return [{at: start, kind: 'snapshot', now: start, problem: null, closed: null, layout: one(layout)}, ...made];
  }

  /** Keep those near to what is shown. @param {number} k just loaded */
  forget(k) {
    const here = this.of(this.at);
    const far = [...this.chunks.keys()].sort((a, b) => Math.abs(b - here) - Math.abs(a - here));
    for (const old of far) if (this.chunks.size > KEPT && old !== k && old !== here) this.chunks.delete(old);
  }
}
