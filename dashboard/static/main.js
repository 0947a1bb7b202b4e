/** The page: one stream, one store, the parts in components.js; draws at most once a frame, always the newest state. */
import {COMPONENTS} from './components.js';
import {firstLang, lang, recall, setLang} from './i18n.js';
import {SILENT_MS} from './header.js';
import {Levels, VIEWS} from './levels.js';
import {Store} from './store.js';
import {Stream} from './stream.js';

/** @type {import('./components.js').Session} */
const NOBODY = {name: '', role: 'viewer', login: false, demo: false, may: ['see']};

const root = document.documentElement;
const store = new Store();
const levels = new Levels();
/** When the server was last heard and last asked (performance.now()); the banner tells its silence. */
const line = {heard: performance.now(), asked: performance.now()};
let dirty = false, drawn = '';
/** @type {import('./stream.js').Tell | null} */ let held = null; // who hears the live stream in place of the page

const stream = new Stream((type, id, m, at) => {
  line.heard = at;
  // a message of the view shown before the last switch may still be on its way
  if (held) held(type, id, m, at);
  else take(type, id, m, at);
});

/** @type {import('./components.js').Context} */
const context = {
  store, levels, line, spans: new Map(), session: {...NOBODY}, later,
  open: (url) => levels.go(Object.fromEntries([...levels.query.keys()].map((name) => [name, null])
    .concat([...new URL(url, location.href).searchParams]))),
  hold: (on, hear = () => {}) => { held = on ? hear : null; if (!on) listen(); later(); },
  take,
};

/** @param {string} type @param {string} id @param {import('./store.js').Message} m */
function take(type, id, m, at = performance.now()) {
  if (!store.apply(type, id, m, at)) return false;
  if (type === 'snapshot') levels.layout = store.layout;
  later();
  return true;
}

function listen() {
  const query = new URLSearchParams(Object.entries({run: levels.run, window: levels.window}).filter(([, value]) => value));
  line.asked = performance.now();
  stream.open(query.size ? `/events?${query}` : '/events');
}

function later() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => { dirty = false; draw(); });
}

/** @type {{host: HTMLElement, view: string, part: import('./components.js').Component, layout: unknown, lang: string}[]} */
let parts = [];

function draw() {
  root.dataset.view = levels.view;
  root.dataset.level = levels.level;
  // without a layout the parts have no rows: what is drawn now would move when it comes
  root.classList.toggle('empty', !store.layout && levels.streamed);
  if (drawn !== lang) setLang(lang);
  drawn = lang;
  for (const held of parts) {
    if (held.view && held.view !== levels.view) continue;
    // one part's fault must not take the others with it
    try {
      if (held.layout !== store.layout || held.lang !== lang) {
        held.layout = store.layout;
        held.lang = lang;
        held.part.build?.(store);
      }
      held.part.update(store);
    } catch (error) {
      reportError(error);
    }
  }
}

async function learnSession() {
  try {
    const answer = await fetch('/api/session');
    if (answer.ok) Object.assign(context.session, await answer.json());
    later();
  } catch { /* the banner tells that the server is away */ }
}

const theme = recall('hitonami.theme');
if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
root.classList.add('empty');
setLang(firstLang());
parts = COMPONENTS.map(({host, make, always}) => {
  const e = /** @type {HTMLElement} */ (document.querySelector(host));
  const view = VIEWS.find((name) => e.closest(`.of-${name}`)) ?? '';
  return {host: e, view: always ? '' : view, part: make(e, context), layout: undefined, lang: ''};
});
levels.onchange((reopen) => { if (reopen) listen(); later(); });
draw();
root.classList.remove('wait');
listen();
learnSession();
setInterval(later, 500);
// the banner must not wait for the next look
setInterval(() => {
  const over = performance.now() - Math.max(line.heard, line.asked) - SILENT_MS;
  if (over > 0 && over < 500) later();
}, 100);
