/** Questions to the server, in JSON: what goes wrong comes out as a Failed with a word for people, never as nothing. */
import {addWords, t} from './i18n.js';

addWords({
  ja: {
    ask_away: 'サーバーに届きません', ask_store: '保存先が応答しません', ask_forbidden: 'この役割では許可されていません',
    ask_login: 'ログインが必要です', ask_missing: '見つかりません', ask_refused: 'サーバーが受け付けませんでした', ask_broken: 'サーバーの返事が読めません',
  },
  en: {
    ask_away: 'the server cannot be reached', ask_store: 'the store does not answer', ask_forbidden: 'your role does not allow it',
    ask_login: 'a login is needed', ask_missing: 'not found', ask_refused: 'the server refused', ask_broken: 'the answer of the server cannot be read',
  },
});

const LONGEST_MS = 20_000;
/** @type {Record<number, string>} */
const WORDS = {401: 'ask_login', 403: 'ask_forbidden', 404: 'ask_missing', 503: 'ask_store'};

/** `status` 0: nobody answered, or not in JSON. `detail`: the server's own short word, if it had one; `told`: all it said. */
export class Failed extends Error {
  /** @param {number} status @param {string} key of the words @param {string} [detail] @param {Record<string, any> | null} [told] */
  constructor(status, key, detail = '', told = null) {
    super(`${status} ${key} ${detail}`.trim());
    this.status = status;
    this.key = key;
    this.detail = detail;
    this.told = told;
  }

  /** In the present language, for people: with the server's own word where ours says less. */
  get text() { return this.detail && this.key === 'ask_refused' ? `${t(this.key)} (${this.detail})` : t(this.key); }
}

/** What went wrong, in the present language. @param {unknown} error */
export function wording(error) {
  return error instanceof Failed ? error.text : String(error);
}

/**
 * What the server answers; a POST where `body` is given. Throws Failed; an AbortError where `signal` gave it up.
 * @param {string} url @param {{body?: object, signal?: AbortSignal}} [how] @returns {Promise<any>}
 */
export async function ask(url, {body, signal} = {}) {
  const late = AbortSignal.timeout(LONGEST_MS);
  /** @type {RequestInit} */
  const request = {cache: 'no-store', signal: signal ? AbortSignal.any([signal, late]) : late};
  if (body) Object.assign(request, {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});
  let answer;
  try {
    answer = await fetch(url, request);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failed(0, 'ask_away');
  }
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Failed(answer.status, WORDS[answer.status] ?? 'ask_refused', word(told?.error), told);
  if (told === null) throw new Failed(0, 'ask_broken');
  return told;
}

/** @param {unknown} told */
function word(told) {
  return typeof told === 'string' ? told.slice(0, 200) : '';
}

/** Whether the one who looks may do it; not before the session is known. @param {{session?: {may?: string[]} | null}} context @param {string} what */
export function may(context, what) {
  return context.session?.may?.includes(what) ?? false;
}

/** Whether the page shows another time or run than the present one. */
export function past() {
  return document.documentElement.dataset.mode === 'replay';
}
