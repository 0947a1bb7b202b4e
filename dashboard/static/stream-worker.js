/**
 * Holds the streams for all tabs of this browser: one per view, however many tabs show it (HTTP/1.1 allows six
 * connections to a host). A tab that joins late gets what the worker holds.
 */
import {Source} from './source.js';

const GONE_MS = 180_000; // hidden tabs may run their timers once a minute only

/** @type {Map<string, {source: Source, ports: Set<MessagePort>}>} */
const streams = new Map();
/** @type {Map<MessagePort, {url: string, seen: number}>} */
const tabs = new Map();

/** @param {MessagePort} port */
function leave(port) {
  const stream = streams.get(tabs.get(port)?.url ?? '');
  tabs.delete(port);
  if (!stream) return;
  stream.ports.delete(port);
  if (stream.ports.size === 0) {
    stream.source.close();
    streams.delete(stream.source.url);
  }
}

/** @param {MessagePort} port @param {string} url */
function join(port, url) {
  leave(port);
  tabs.set(port, {url, seen: performance.now()});
  let stream = streams.get(url);
  if (!stream) {
    const ports = new Set();
    const source = new Source(url, (type, id, m, at) => {
      for (const p of ports) p.postMessage({type, id, m, elapsed: performance.now() - at});
    });
    stream = {source, ports};
    streams.set(url, stream);
  }
  stream.ports.add(port);
  const {store} = stream.source;
  if (store.ready) port.postMessage({type: 'snapshot', id: store.id, m: store.whole(), elapsed: performance.now() - store.at});
}

setInterval(() => {
  for (const [port, tab] of tabs) if (performance.now() - tab.seen > GONE_MS) leave(port);
}, 30_000);

/** @type {any} */ (self).onconnect = (/** @type {MessageEvent} */ connected) => {
  const port = connected.ports[0];
  port.onmessage = ({data}) => {
    if (data.open) join(port, data.open);
    else if (data.leave) leave(port);
    const tab = tabs.get(port);
    if (tab) tab.seen = performance.now();
  };
  port.postMessage({type: 'hello'});
};
