/** The page's end of the stream: through the worker all tabs share, else a stream of its own. */
import {Source} from './source.js';

const HELLO_MS = 3000; // a worker that has not answered by then is not used
const HERE_MS = 20_000;

/** @typedef {(type: string, id: string, m: import('./store.js').Message, at: number) => void} Tell */

export class Stream {
  /** @param {Tell} tell */
  constructor(tell) {
    this.tell = tell;
    this.url = '';
    /** @type {Source | null} */ this.source = null;
    /** @type {MessagePort | null} */ this.port = this.shared();
    addEventListener('pagehide', () => this.port?.postMessage({leave: true}));
    addEventListener('pageshow', (e) => { if (e.persisted && this.url) this.open(this.url); });
    setInterval(() => this.port?.postMessage({here: true}), HERE_MS);
  }

  /** Show another view from now on. @param {string} url */
  open(url) {
    this.url = url;
    this.source?.close();
    this.source = null;
    if (this.port) this.port.postMessage({open: url});
    else this.source = new Source(url, this.tell);
  }

  /** @returns {MessagePort | null} */
  shared() {
    if (typeof SharedWorker === 'undefined') return null;
    let worker;
    try {
      worker = new SharedWorker(new URL('./stream-worker.js', import.meta.url), {type: 'module'});
    } catch {
      return null;
    }
    const {port} = worker;
    const alone = () => {
      port.postMessage({leave: true});
      port.close();
      this.port = null;
      if (this.url) this.open(this.url);
    };
    const late = setTimeout(alone, HELLO_MS);
    worker.onerror = () => { clearTimeout(late); alone(); };
    port.onmessage = ({data}) => {
      clearTimeout(late);
      if (data.type !== 'hello') this.tell(data.type, data.id, data.m, performance.now() - data.elapsed);
    };
    return port;
  }
}
