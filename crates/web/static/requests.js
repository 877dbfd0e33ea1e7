// Requests of apps that wait for this person: they pop in on every page of the bar, and leave when they end, wherever
// they were decided. Their texts are in the page's templates.

import { guard } from "./guard.js";
import { at, facts, pending, post, push } from "./push.js";

/** What waits, in the order in which it came. */
const waiting = new Map();
/** Over: a list that was on its way then may still name them. */
const over = new Set();
/** Put aside: still waiting, but not popping in, on the pages that follow either. */
const aside = new Set(JSON.parse(sessionStorage.getItem('latchkey-aside') ?? '[]'));
// Whether the printer's own list has been seen.
let synced = false;
let pop;
let gone;
let shown;
let before;

function part(name, request) {
  const content = document.querySelector(`template[data-template="${name}"]`).content.cloneNode(true);
  fill(content, request);
  return content;
}

// Addresses that are nobody's outside a home.
const HOME = /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|f[cd]|fe[89ab])/i;

function fill(content, { app_name, remote_address }) {
  const where = HOME.test(remote_address) ? 'outside' : 'home';
  for (const place of content.querySelectorAll(`[data-whence="${where}"]`)) place.remove();
  for (const place of content.querySelectorAll('[data-app]')) place.textContent = app_name;
  for (const place of content.querySelectorAll('[data-from]')) place.textContent = remote_address;
}

const page = (request) => at(`/latchkey/requests/${encodeURIComponent(request.user_token)}`);

function say(name, request) {
  const toasts = document.querySelector('[data-toasts]');
  toasts.replaceChildren(part(name, request));
  toasts.querySelector('button')?.addEventListener('click', () => toasts.replaceChildren());
}

// ---- the list in the page, and the number in the navigation

// Nothing moves under a finger: what comes while the page is open pops in, and joins the list only when it is put
// aside; what ends keeps its row.
function list() {
  const card = document.querySelector('[data-pending]');
  if (card) {
    const rows = card.querySelector('[data-rows]');
    const known = new Map([...rows.querySelectorAll('[data-token]')].map((row) => [row.dataset.token, row]));
    for (const [token, row] of known) {
      if (synced && !waiting.has(token)) row.querySelector('a')?.replaceWith(part('row-ended', {}));
    }
    for (const [token, request] of waiting) {
      if (known.has(token) || !aside.has(token)) continue;
      const content = card.querySelector('template').content.cloneNode(true);
      fill(content, request);
      content.querySelector('.row').dataset.token = token;
      content.querySelector('a').href = page(request);
      rows.append(content);
      card.hidden = false;
    }
  }
  const count = document.querySelector('[data-count]');
  if (count) {
    count.hidden = waiting.size === 0;
    count.querySelector('[data-number]').textContent = waiting.size;
  }
}

// ---- the dialog

function age(request) {
  if (!request.since) return '';
  const seconds = Math.round((Date.now() - request.since) / 1000);
  return seconds < 60 ? `, asked ${seconds} s ago` : `, asked ${Math.floor(seconds / 60)} min ago`;
}

function close() {
  if (!pop) return;
  const inside = pop.contains(document.activeElement);
  gone.abort();
  pop.remove();
  pop = undefined;
  shown = undefined;
  if (inside && before?.isConnected) before.focus();
}

function update() {
  list();
  const queue = [...waiting.values()].filter(({ user_token }) => !aside.has(user_token));
  if (shown && !queue.includes(shown)) close();
  if (!shown && queue.length > 0) show(queue[0]);
  if (!shown) return;
  pop.querySelector('[data-place]').textContent = `${queue.indexOf(shown) + 1} of ${queue.length}`;
  pop.querySelector('[data-age]').textContent = age(shown);
}

function show(request) {
  const content = part('pop', request);
  shown = request;
  pop = content.querySelector('.pop');
  gone = new AbortController();
  pop.querySelector('[data-more]').href = page(request);
  for (const button of pop.querySelectorAll('[data-decision]')) {
    if (button.dataset.decision === 'grant') guard(button, gone.signal);
    button.addEventListener('click', () => decide(request, button.dataset.decision));
  }
  pop.querySelector('[data-later]').addEventListener('click', putAside);
  document.body.append(content);
  document.querySelector('[data-announce]').replaceChildren(part('announce', request));
}

function putAside() {
  aside.add(shown.user_token);
  const still = [...aside].filter((token) => waiting.has(token));
  sessionStorage.setItem('latchkey-aside', JSON.stringify(still));
  close();
  update();
}

async function decide(request, decision) {
  const buttons = [...pop.querySelectorAll('button')];
  const trouble = pop.querySelector('[data-trouble]');
  for (const button of buttons) button.disabled = true;
  trouble.hidden = true;
  try {
    const fields = new URLSearchParams({ decision, scope: 'full', csrf_token: facts.csrf });
    const answer = await post(`/latchkey/requests/${encodeURIComponent(request.user_token)}`, fields);
    if (answer.ok || answer.status === 404) {
      over.add(request.user_token);
      waiting.delete(request.user_token);
      const outcome = decision === 'grant' ? 'granted' : 'denied';
      say(answer.ok ? outcome : 'ended', request);
      return update();
    }
    // The password is too old, or this page: the request's own page asks for what is missing.
    if (answer.type === 'opaqueredirect' || answer.status === 400 || answer.status === 403) return location.assign(page(request));
    throw new Error(`the decision answered ${answer.status}`);
  } catch {
    for (const button of buttons) button.disabled = false;
    trouble.hidden = false;
  }
}

document.addEventListener('keydown', (event) => {
  if (!pop || event.defaultPrevented) return;
  if (event.key === 'Escape') return putAside();
  // The dialog is the next stop from wherever the person is, once.
  if (event.key === 'Tab' && !event.shiftKey && !event.altKey && !event.ctrlKey && !pop.visited) {
    pop.visited = true;
    if (pop.contains(document.activeElement)) return;
    event.preventDefault();
    before = document.activeElement;
    pop.focus();
  }
});

// ---- what the printer says

const mine = ({ user_id }) => !user_id || user_id === facts.user;

push.addEventListener('request', ({ detail }) => {
  if (!mine(detail)) return;
  const request = waiting.get(detail.user_token) ?? detail;
  waiting.set(detail.user_token, Object.assign(request, { since: Date.now() }));
  update();
});
push.addEventListener('end', ({ detail }) => {
  over.add(detail.user_token);
  if (waiting.delete(detail.user_token)) update();
});

async function sync() {
  const there = new Set();
  try {
    for (const { app_id, ...request } of await pending()) {
      if (over.has(request.user_token)) continue;
      there.add(request.user_token);
      if (!waiting.has(request.user_token) && mine(request)) waiting.set(request.user_token, { ...request, app_name: app_id });
    }
  } catch {
    return;
  }
  synced = true;
  // What ended while nobody told us. Pushed a moment ago, it may be newer than the list.
  for (const [token, { since = 0 }] of waiting) {
    if (!there.has(token) && Date.now() - since > 2000) waiting.delete(token);
  }
  update();
}

push.addEventListener('open', sync);
push.addEventListener('out', () => {
  waiting.clear();
  update();
  say('out', {});
  document.querySelector('[data-sign-in]').href = at(`/login/?redirect=${encodeURIComponent(location.pathname)}`);
});
setInterval(() => { if (shown) update(); }, 1000);
// A request that runs out after its ten minutes is not told.
setInterval(() => { if (waiting.size > 0) sync(); }, 15000);
