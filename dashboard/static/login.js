/** The login page. The session is a cookie no script can read; here are only name, password, and what went wrong. */
import {addWords, firstLang, lang, recall, setLang, t} from './i18n.js';

addWords({
  ja: {
    loginName: '利用者名', loginPassword: 'パスワード', loginGo: 'ログイン', loginPublic: '公開ページ',
    loginWrong: '利用者名かパスワードが違います', loginMany: '試行が多すぎます。{s} 秒後にもう一度お試しください', loginAway: 'サーバーが応答しません。もう一度お試しください',
  },
  en: {
    loginName: 'Name', loginPassword: 'Password', loginGo: 'Log in', loginPublic: 'Public page',
    loginWrong: 'Wrong name or password', loginMany: 'Too many tries: again in {s} s', loginAway: 'The server does not answer: please try again',
  },
});

/** @param {string} id */
const $ = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const name = /** @type {HTMLInputElement} */ ($('name'));
const password = /** @type {HTMLInputElement} */ ($('password'));
const go = /** @type {HTMLButtonElement} */ ($('go'));
/** What is wrong, in a key of the words. @type {{key: string, put?: Record<string, number>} | null} */
let problem = null;

/** Where to go on: the page asked for, of this server and no other. */
function next() {
  const asked = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
  return asked.origin === location.origin && asked.pathname !== '/login' ? asked.pathname + asked.search : '/';
}

function draw() {
  $('problem').textContent = problem ? t(problem.key, problem.put) : '';
  $('lang').textContent = t('other');
  $('lang').lang = lang === 'ja' ? 'en' : 'ja';
}

/** @param {SubmitEvent} event */
async function login(event) {
  event.preventDefault();
  problem = null;
  go.disabled = true;
  draw();
  try {
    const answer = await fetch('/api/login', {
      method: 'POST', headers: {'content-type': 'application/json'},
      body: JSON.stringify({name: name.value, password: password.value}),
    });
    if (answer.ok) {
      location.replace(next());
      return;
    }
    if (answer.status === 429) problem = {key: 'loginMany', put: {s: (await answer.json()).wait_s}};
    else problem = {key: answer.status < 500 ? 'loginWrong' : 'loginAway'};
  } catch {
    problem = {key: 'loginAway'};
  }
  go.disabled = false;
  password.value = '';
  draw();
  password.focus();
}

/** A link from another site brings no cookie (SameSite=Strict): whoever is logged in already goes on from here. */
async function known() {
  try {
    const answer = await fetch('/api/session');
    const session = await answer.json();
    if (!session.login || session.name) location.replace(next());
  } catch { /* the login will tell */ }
}

const theme = recall('hitonami.theme');
if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
setLang(firstLang());
draw();
document.documentElement.classList.remove('wait');
name.focus();
$('login').addEventListener('submit', login);
$('lang').onclick = () => { setLang(lang === 'ja' ? 'en' : 'ja'); draw(); };
known();
