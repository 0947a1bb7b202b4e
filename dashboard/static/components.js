/**
 * The parts of the page. Each is a class: `constructor(element, context)`; `build(store)`, if it has one, after another
 * layout or another language; `update(store)` at most once a frame, and only while its view is shown.
 *
 * @typedef {import('./store.js').Store} Store
 * @typedef {{update(store: Store): void, build?(store: Store): void}} Component
 * @typedef {{name: string, role: string, login: boolean, demo: boolean, may: string[]}} Session
 * @typedef {object} Context
 * @property {Store} store
 * @property {import('./levels.js').Levels} levels where the page is
 * @property {Map<string, [number, number]>} spans from where to where each zone drawn reaches on the map, px
 * @property {Store | null} [present] what is live, while the page shows the past
 * @property {Session} session who looks at it; filled once the server has answered
 * @property {{heard: number, asked: number}} line when the server was last heard and last asked (performance.now())
 * @property {() => void} later ask for a redraw
 * @property {(url: string) => void} open go to another address of this page, such as `?view=tables`
 * @property {(on: boolean, hear?: import('./stream.js').Tell) => void} hold while on, what the live stream tells goes to
 *   `hear` and not to the page; off: the stream is opened anew
 * @property {(type: string, id: string, message: import('./store.js').Message, at?: number) => boolean} take feed a
 *   message to the store, as heard at `at` (performance.now())
 */
import {AlertsPanel} from './alerts-panel.js';
import {Attributes} from './attributes.js';
import {Foot} from './foot.js';
import {Governance} from './governance.js';
import {Header} from './header.js';
import {Latency} from './latency.js';
import {MapView} from './map.js';
import {Ranked} from './ranked.js';
import {Replay} from './replay.js';
import {Role} from './role.js';
import {Scenes} from './scenes.js';
import {Sheet} from './sheet.js';
import {Signage} from './signage.js';
import {Strips} from './strips.js';
import {TablesView} from './tables-view.js';
import {Tabs} from './tabs.js';
import {Views} from './views.js';
import {Why} from './why.js';

/** `always`: brought up to date in every view. @type {{host: string, always?: boolean, make: (e: HTMLElement, context: Context) => Component}[]} */
export const COMPONENTS = [
  {host: '#header', make: (e, context) => new Header(e, context)},
  {host: '#role', make: (e, context) => new Role(e, context)},
  {host: '#views', make: (e, context) => new Views(e, context)},
  {host: '#map', make: (e, context) => new MapView(e, context)},
  {host: '#strips', make: (e, context) => new Strips(e, context)},
  {host: '#ranked', make: (e, context) => new Ranked(e, context)},
  {host: '#foot', make: (e) => new Foot(e)},
  {host: '#tabs', make: (e, context) => new Tabs(e, context)},
  {host: '#tables', make: (e, context) => new TablesView(e, context)},
  {host: '#signage', make: (e, context) => new Signage(e, context)},
  {host: '#attributes', make: (e, context) => new Attributes(e, context)},
  {host: '#governance', make: (e, context) => new Governance(e, context)},
  {host: '#scenes', make: (e, context) => new Scenes(e, context)},
  {host: '#alerts-panel', make: (e, context) => new AlertsPanel(e, context)},
  {host: '#why-panel', always: true, make: (e, context) => new Why(e, context)},
  {host: '#replay-bar', always: true, make: (e, context) => new Replay(e, context)},
  {host: '#sheet', always: true, make: (e, context) => new Sheet(e, /** @type {HTMLElement} */ (document.querySelector('header .buttons')), context)},
  {host: '#latency', make: (e, context) => new Latency(e, context)}, // the last: what it measures is the whole frame
];
