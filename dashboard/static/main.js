/** The page: header, banners, switches; draws at most once a frame, always the newest state. */
import {AlertList} from './alerts.js';
import {ago, clock, whole} from './figures.js';
import {firstLang, lang, recall, remember, setLang, t} from './i18n.js';
import {Store} from './store.js';
import {Stream} from './stream.js';
import {Sensors, gateTable, put, wayTable, zoneTable} from './tables.js';

const SILENT_MS = 3000;
const WINDOWS = ['10s', '1m', '5m', '15m', '1h'];
const REASONS = ['malformed', 'unknown_type', 'missing_field', 'bad_value', 'unknown_sensor', 'not_approved', 'no_consent',
  'no_contract', 'too_far_in_future', 'span_too_long', 'late', 'duplicate'];

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const root = document.documentElement;
const store = new Store();
const gates = gateTable(/** @type {HTMLTableElement} */ ($('gate-table')));
const zones = zoneTable(/** @type {HTMLTableElement} */ ($('zone-table')));
const alerts = new AlertList(/** @type {HTMLTableElement} */ ($('alert-table')));
const ways = wayTable(/** @type {HTMLTableElement} */ ($('way-table')));
const sensors = new Sensors($('sensor-list'), $('sensors-known'));
const runs = /** @type {HTMLSelectElement} */ ($('runs'));
const asked = new URLSearchParams(location.search);
const view = {run: asked.get('run') ?? '', window: asked.get('window') ?? ''};
if (!WINDOWS.includes(view.window)) view.window = '';
/** @type {{run_id: string, kind: string}[]} */ let known = [];
let heard = performance.now(), asking = performance.now(), dirty = false;
/** @type {Map<string, HTMLElement>} */ const reasons = new Map();

const stream = new Stream((type, id, m, at) => {
  // a message of the view shown before the last switch may still be on its way
  if (!store.apply(type, id, m, at)) return;
  heard = at;
  if (type === 'snapshot') build();
  later();
});

function open() {
  const query = new URLSearchParams(Object.entries(view).filter(([, value]) => value));
  history.replaceState(null, '', query.size ? `?${query}` : location.pathname);
  asking = performance.now();
  stream.open(query.size ? `/events?${query}` : '/events');
}

function build() {
  gates.build(store.layout?.gates ?? []);
  zones.build(store.layout?.zones ?? []);
  ways.build(store.layout?.headings.zones ?? []);
  $('ways').hidden = !ways.rows.length;
  // without a layout the tables have no rows: sections drawn now would move when it comes
  root.classList.toggle('empty', !store.layout);
}

function later() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => { dirty = false; draw(); });
}

function draw() {
  banners();
  if (!store.ready) return;
  const {layout, status, closed} = store, kind = layout?.run.kind ?? 'none', zone = layout?.run.timezone ?? 'UTC';
  const unknowns = gates.update(store) + zones.update(store) + ways.update(store);
  put($('mode-word'), t(kind));
  put($('state'), status?.state ? t(status.state) : '');
  $('mode').className = `chip ${kind}`;
  put($('clock'), kind === 'live' || !layout ? clock(store.now(), zone, true) : shownTime());
  put($('watermark'), closed == null ? '—' : ago(store.now() - closed));
  put($('standing'), whole(alerts.update(store)));
  put($('unknowns'), `${unknowns} / ${gates.rows.length + zones.rows.length + ways.rows.length}`);
  put($('unwell'), whole(sensors.update(store)));
  put($('read'), whole(status?.read ?? 0));
  put($('accepted'), whole(status?.accepted ?? 0));
  const rejected = status?.rejected ?? {};
  put($('rejected'), whole(Object.values(rejected).reduce((a, b) => a + b, 0)));
  for (const [reason, e] of reasons) {
    put(e, whole(rejected[reason] ?? 0));
    e.parentElement?.classList.toggle('zero', !rejected[reason]);
  }
  put($('counters'), t(layout?.exact ? 'countersExact' : 'counters'));
  for (const b of $('windows').children) {
    b.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (b).dataset.window === (view.window || layout?.window)));
  }
}

/** The end of the newest window shown, in a replay's own time. */
function shownTime() {
  const starts = [...(store.flow.t ?? []), ...(store.zones.t ?? [])].filter((x) => x != null);
  if (!store.layout || !starts.length) return '—';
  return clock(Math.max(.../** @type {number[]} */ (starts)) + store.layout.length_ms, store.layout.run.timezone, true);
}

function banners() {
  const kind = store.layout?.run.kind, silent = performance.now() - Math.max(heard, asking);
  const replay = kind && kind !== 'live' ? `${t(kind)}  ${t(`${kind}Banner`)} — ${store.layout?.run.id} — ${shownTime()}` : '';
  const trouble = silent > SILENT_MS ? t('offline', {s: ago(performance.now() - heard)})
    : store.problem === 'store' ? t('store')
    : store.problem === 'quiet' ? t('quiet', {s: ago(store.now() - (store.closed ?? 0))}) : store.problem === 'no_run' ? t('noRunYet') : '';
  put($('replay'), replay);
  put($('trouble'), trouble);
}

function relabel() {
  setLang(lang);
  put($('lang'), t('other'));
  $('lang').lang = lang === 'ja' ? 'en' : 'ja';
  put($('theme'), t(dark() ? 'toLight' : 'toDark'));
  $('windows').setAttribute('aria-label', t('window'));
  $('reasons').replaceChildren(...REASONS.map((reason) => {
    const box = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = t(reason);
    dd.className = 'num';
    dd.dataset.reason = reason;
    reasons.set(reason, dd);
    box.append(dt, dd);
    return box;
  }));
  list();
  if (store.ready) build();
  later();
}

function dark() {
  return root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function list() {
  const options = [['', t('auto')], ...known.map((run) => [run.run_id, `${run.run_id} — ${t(run.kind)}`])];
  if (view.run && !known.some((run) => run.run_id === view.run)) options.push([view.run, view.run]);
  runs.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === view.run)));
}

async function learnRuns() {
  try {
    const answer = await fetch('/api/runs');
    if (!answer.ok) return;
    known = await answer.json();
    if (document.activeElement !== runs) list();
  } catch { /* the banner tells that the server is away */ }
}

$('windows').append(...WINDOWS.map((name) => {
  const b = document.createElement('button');
  b.type = 'button';
  b.dataset.window = name;
  b.textContent = name;
  b.onclick = () => { view.window = name; open(); later(); };
  return b;
}));
runs.onchange = () => { view.run = runs.value; open(); };
$('lang').onclick = () => { setLang(lang === 'ja' ? 'en' : 'ja'); relabel(); };
$('theme').onclick = () => { root.dataset.theme = dark() ? 'light' : 'dark'; remember('hitonami.theme', root.dataset.theme); relabel(); };

const theme = recall('hitonami.theme');
if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
root.classList.add('empty');
setLang(firstLang());
relabel();
root.classList.remove('wait');
open();
learnRuns();
setInterval(learnRuns, 30_000);
setInterval(later, 500);
