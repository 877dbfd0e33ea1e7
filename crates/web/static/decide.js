// The page that asks about one request: guards Allow, and ends itself when the request ends.

import { guard } from "./guard.js";
import { facts, pending, push } from "./push.js";

const form = document.querySelector('form[data-open]');
let sent = false;

guard(document.querySelector('#auth-grant'));
form.addEventListener('submit', () => { sent = true; });
// Back from the next page, the browser shows this one as it was left.
window.addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  sent = false;
  look();
});

function end() {
  if (sent || !form.isConnected) return;
  const place = document.querySelector('[data-ended]');
  const focused = form.contains(document.activeElement);
  for (const part of document.querySelectorAll('[data-open]')) part.remove();
  place.append(place.querySelector('template').content.cloneNode(true));
  document.title = place.querySelector('h1').textContent;
  for (const step of document.querySelectorAll('.line .now')) {
    step.className = 'set cut';
    step.removeAttribute('aria-current');
  }
  // "Asks" and "decides" are over.
  for (const note of document.querySelectorAll('.line li:not(:last-child) small')) note.remove();
  if (focused) place.querySelector('h1').focus();
}

async function look() {
  try {
    const waiting = await pending();
    if (!waiting.some(({ user_token }) => user_token === facts.request)) end();
  } catch {
    // The socket tells, or the decision finds out.
  }
}

push.addEventListener('end', ({ detail }) => {
  if (detail.user_token === facts.request) end();
});
push.addEventListener('open', look);
// A request that runs out after its ten minutes is not told.
const watch = setInterval(() => (form.isConnected ? look() : clearInterval(watch)), 15000);
