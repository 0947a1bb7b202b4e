/** Who looks at the page, in the header: name, role, logout. Goes to the login once the session has ended. */
import {addWords, t} from './i18n.js';
import {put} from './tables.js';

addWords({
  ja: {
    role_viewer: '閲覧', role_operator: '運用', role_supervisor: '監督', role_analyst: '分析', role_public: '公開',
    logout: 'ログアウト',
  },
  en: {
    role_viewer: 'viewer', role_operator: 'operator', role_supervisor: 'supervisor', role_analyst: 'analyst', role_public: 'public',
    logout: 'Log out',
  },
});

const LOOK_MS = 30_000; // this is also what keeps the session of an open page
const SILENT_MS = 3000; // a stream that has ended may have ended with the session

export class Role {
  /** @param {HTMLElement} element @param {import('./components.js').Context} context */
  constructor(element, context) {
    this.context = context;
    this.looked = performance.now();
    const box = document.createElement('details'), summary = document.createElement('summary');
    this.who = who();
    this.who.e.className = 'role-who';
    this.full = document.createElement('p'); // on a phone, where the summary has room for one letter only
    this.button = document.createElement('button');
    this.button.type = 'button';
    this.button.onclick = () => this.logout();
    summary.append(this.who.e);
    const menu = document.createElement('div');
    menu.append(this.full, this.button);
    box.append(summary, menu);
    this.alone = who();
    this.alone.e.className = 'role-alone';
    box.hidden = true;
    box.addEventListener('keydown', (e) => {
      if (e.key !== 'Escape') return;
      box.open = false;
      summary.focus();
    });
    this.box = box;
    this.summary = summary;
    element.append(this.alone.e, box);
  }

  update() {
    const {session, line} = this.context, now = performance.now();
    const told = session.name ? `${session.name} · ${t(`role_${session.role}`)}` : '';
    for (const {e, name, role} of [this.who, this.alone]) {
      put(name, session.name);
      put(role, told ? ` · ${t(`role_${session.role}`)}` : '');
      e.title = told;
    }
    this.alone.e.hidden = session.login;
    this.summary.dataset.first = [...session.name][0] ?? '';
    put(this.full, told);
    put(this.button, t('logout'));
    this.button.hidden = !session.login;
    this.box.hidden = !told;
    this.box.classList.toggle('no-login', !session.login);
    const silent = now - Math.max(line.heard, line.asked) > SILENT_MS;
    if (now - this.looked > (silent ? SILENT_MS : LOOK_MS)) this.look();
  }

  /** Ask who it is by now. */
  async look() {
    this.looked = performance.now();
    try {
      const answer = await fetch('/api/session');
      if (!answer.ok) return;
      const session = await answer.json();
      if (session.login && !session.name) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      else Object.assign(this.context.session, session);
      this.context.later();
    } catch { /* the banner tells that the server is away */ }
  }

  async logout() {
    this.button.disabled = true;
    try {
      const answer = await fetch('/api/logout', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'});
      if (answer.ok) location.assign('/login');
    } catch { /* the banner tells that the server is away */ }
    this.button.disabled = false;
  }
}

/** A place for name and role: of a long name a part gives way, never the role. */
function who() {
  const e = document.createElement('span'), name = document.createElement('span'), role = document.createElement('span');
  name.className = 'role-name';
  role.className = 'role-role';
  e.append(name, role);
  return {e, name, role};
}
