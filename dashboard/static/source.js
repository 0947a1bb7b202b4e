/**
 * One EventSource that is opened again with back-off and jitter, going on after the last id. (EventSource itself gives
 * up for good after a status other than 200, and does not notice a connection that has gone dead.) Runs in the worker,
 * or in the page where there is no SharedWorker.
 */
import {Store} from './store.js';

const DEAD_MS = 6000;
const LONGEST_MS = 8000;

export class Source {
  /** @param {string} url @param {(type: string, id: string, m: import('./store.js').Message, at: number) => void} tell */
  constructor(url, tell) {
    this.url = url;
    this.tell = tell;
    this.store = new Store();
    this.tries = 0;
    this.heard = performance.now();
    /** @type {EventSource | null} */ this.events = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */ this.timer = undefined;
    this.open(this.store.id);
    this.watch = setInterval(() => {
      if (this.events && performance.now() - this.heard > DEAD_MS) this.again();
    }, 1000);
  }

  /** @param {string} last */
  open(last) {
    this.heard = performance.now();
    const url = last ? `${this.url}${this.url.includes('?') ? '&' : '?'}last=${encodeURIComponent(last)}` : this.url;
    const events = this.events = new EventSource(url);
    for (const type of ['snapshot', 'delta']) {
      events.addEventListener(type, (e) => {
        if (events !== this.events) return;
        const {data, lastEventId} = /** @type {MessageEvent} */ (e);
        const at = this.heard = performance.now();
        this.tries = 0;
        const m = JSON.parse(data);
        if (this.store.apply(type, lastEventId, m, at)) {
          this.tell(type, lastEventId, m, at);
        } else {
          this.events.close();
          this.open('');
        }
      });
    }
    events.onerror = () => { if (events === this.events) this.again(); };
  }

  again() {
    this.events?.close();
    this.events = null;
    const wait = Math.min(LONGEST_MS, 250 * 2 ** this.tries++);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(this.store.id), wait * (0.5 + Math.random() / 2));
  }

  close() {
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.events?.close();
    this.events = null;
  }
}
