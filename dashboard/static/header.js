/** The header and the banner: where the page is, what it shows and how old that is, what is wrong with the line. */
import {past} from './ask.js';
import {ago, clock, percent} from './figures.js';
import {addWords, lang, remember, setLang, t} from './i18n.js';
import {newest, observed} from './now.js';
import {put} from './tables.js';

addWords({
  ja: {
    dataAge: 'データ', paintP95: '表示 p95', observed: '観測率', alertCounts: '警報', toTables: '表', toSituation: '状況',
    crumbs: '現在の階層', city: '全域', aPlace: '施設',
    worst_critical: '重大', worst_warning: '警告', worst_info: '通知',
    behind: '過去の分を取り込み中です。現在まであと {s}',
  },
  en: {
    dataAge: 'Data', paintP95: 'Paint p95', observed: 'Coverage', alertCounts: 'Alerts', toTables: 'Tables', toSituation: 'Situation',
    crumbs: 'Where this is', city: 'City', aPlace: 'Place',
    worst_critical: 'critical', worst_warning: 'warning', worst_info: 'info',
    behind: 'Catching up with what has come meanwhile: {s} to go',
  },
});

/** So long the server may be silent; the banner then stands 3 s after its last word at the latest. */
export const SILENT_MS = 2500;
const MARKS = [['critical', '■'], ['warning', '▲'], ['info', '●']];
const root = document.documentElement;

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @typedef {import('./store.js').Store} Store */

export class Header {
  /** @param {HTMLElement} _ @param {import('./components.js').Context} context */
  constructor(_, context) {
    this.context = context;
    this.shown = '';
    $('lang').onclick = () => { setLang(lang === 'ja' ? 'en' : 'ja'); context.later(); };
    $('theme').onclick = () => {
      root.dataset.theme = dark() ? 'light' : 'dark';
      remember('hitonami.theme', root.dataset.theme);
      context.later();
    };
    $('to-view').onclick = (e) => { e.preventDefault(); context.levels.go({view: other(context.levels.view)}); };
    $('alert-counts').replaceChildren(...MARKS.flatMap(([severity]) => {
      const e = document.createElement('span');
      e.className = `count ${severity}`;
      return [e, ' '];
    }));
  }

  /** @param {Store} store */
  update(store) {
    const {levels} = this.context, {layout, status} = store, view = levels.view;
    put($('lang'), t('other'));
    $('lang').lang = lang === 'ja' ? 'en' : 'ja';
    put($('theme'), t(dark() ? 'toLight' : 'toDark'));
    put($('to-view'), t(view === 'situation' ? 'toTables' : 'toSituation'));
    $('to-view').setAttribute('href', levels.link({view: other(view)}));
    $('skip').setAttribute('href', levels.streamed ? (view === 'tables' ? '#gates' : '#ranked') : `#${view}`);
    this.crumbs(store);
    this.banners(store);
    if (!store.ready) return;
    const kind = past() ? 'replay' : layout?.run.kind ?? 'none', zone = layout?.run.timezone ?? 'UTC', end = newest(store);
    put($('mode-word'), t(kind));
    put($('state'), status?.state ? t(status.state) : '');
    $('mode').className = `chip ${kind}`;
    put($('clock'), kind === 'live' || past() || !layout ? clock(store.now(), zone, true) : shownTime(store));
    put($('data-age'), end == null || kind !== 'live' ? '—' : ago(store.now() - end));
    put($('coverage'), percent(observed(store)));
    this.alerts(store);
  }

  /** @param {Store} store */
  alerts(store) {
    const now = store.now();
    for (const [i, [severity, mark]] of MARKS.entries()) {
      const n = store.alerts.filter((a) => a.severity === severity && a.state !== 'resolved' && !((a.shelved_until_ms ?? 0) > now)).length;
      const e = /** @type {HTMLElement} */ ($('alert-counts').children[i]);
      put(e, `${mark} ${n}`);
      e.classList.toggle('none', n === 0);
      e.title = t(`worst_${severity}`);
    }
  }

  /** @param {Store} store */
  crumbs({layout}) {
    const {levels} = this.context, {zone, sensor} = levels;
    const place = levels.places.find(({id}) => id === levels.place);
    /** @type {[string, import('./levels.js').Where][]} */ const steps = [[t('city'), {}]];
    if (levels.level !== 'city') steps.push([place?.name[lang] ?? t('aPlace'), {place: levels.place}]);
    if (zone) steps.push([layout?.zones.find(({id}) => id === zone)?.name[lang] ?? zone, {zone}]);
    if (sensor) steps.push([sensor, {sensor}]);
    const now = JSON.stringify([lang, steps]);
    if (now === this.shown) return;
    this.shown = now;
    $('crumbs').setAttribute('aria-label', t('crumbs'));
    const list = document.createElement('ol');
    steps.forEach(([name, where], i) => {
      const item = document.createElement('li'), last = i === steps.length - 1;
      const e = document.createElement(last ? 'span' : 'button');
      e.textContent = name;
      e.title = name;
      if (last) {
        e.setAttribute('aria-current', 'page');
      } else {
        /** @type {HTMLButtonElement} */ (e).type = 'button';
        e.dataset.key = `crumb ${i}`;
        e.onclick = () => levels.select(where);
      }
      item.append(e);
      list.append(item);
    });
    $('crumbs').replaceChildren(list);
  }

  /** @param {Store} store */
  banners(store) {
    const {heard, asked} = this.context.line, {layout} = store, kind = layout?.run.kind;
    const silent = performance.now() - Math.max(heard, asked);
    if (!past()) put($('replay'), kind && kind !== 'live' && this.context.levels.streamed ? `${t(kind)}  ${t(`${kind}Banner`)} — ${layout?.run.id} — ${shownTime(store)}` : '');
    put($('trouble'), silent > SILENT_MS ? t('offline', {s: ago(performance.now() - heard)})
      : store.problem === 'store' ? t('store')
      : store.problem === 'quiet' || store.problem === 'behind' ? t(store.problem, {s: ago(store.now() - (store.closed ?? 0))})
      : store.problem === 'no_run' && this.context.levels.streamed ? t('noRunYet') : '');
  }
}

/** The end of the newest window shown, in a replay's own time. @param {Store} store */
function shownTime(store) {
  const end = newest(store);
  return end == null ? '—' : clock(end, store.layout?.run.timezone ?? 'UTC', true);
}

function dark() {
  return root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

/** @param {string} view */
function other(view) { return view === 'situation' ? 'tables' : null; }
