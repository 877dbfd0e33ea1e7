// The page that asks whether an app may reach a printer: guards Allow, and shows that something happens when it takes long.

import { guard } from "./guard.js";

const PATIENCE = 300;

const allow = document.querySelector('#allow');
const { form, textContent: words } = allow;
const others = [...form.querySelectorAll('button[name=decision]')];
let timer;

guard(allow);

const busy = () => {
  form.setAttribute('aria-busy', 'true');
  allow.textContent = form.elements.key?.checked ? allow.dataset.busyKey : allow.dataset.busy;
  for (const button of others) button.setAttribute('aria-disabled', 'true');
};

form.addEventListener('submit', (event) => {
  if (form.hasAttribute('aria-busy')) event.preventDefault();
  else if (event.submitter === allow) timer ??= setTimeout(busy, PATIENCE);
});

// Back from the next page, or from one that never came: all is as before.
window.addEventListener('pageshow', () => {
  clearTimeout(timer);
  timer = undefined;
  form.removeAttribute('aria-busy');
  allow.textContent = words;
  for (const button of others) if (button !== allow) button.removeAttribute('aria-disabled');
});
