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
  const template = place.querySelector('template');
  const focused = form.contains(document.activeElement);
  place.append(template.content.cloneNode(true));
  for (const part of document.querySelectorAll('[data-open]:not(h1)')) {
    if (part.querySelector('h1')) continue;
    part.remove();
  }
  if (focused) {
    const heading = place.querySelector('h2');
    heading.tabIndex = -1;
    heading.focus();
  }
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
