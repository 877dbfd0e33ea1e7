// Keeps a button from being pressed by mistake: it does nothing until the page has been visible and focused, and the
// question in its place, for a while. Begins anew with every return to the page.

const WAIT = 700;

/** Guards `button` until `signal` says that it is gone. */
export function guard(button, signal) {
  let timer;

  const free = () => button.removeAttribute('aria-disabled');
  const hold = () => {
    clearTimeout(timer);
    button.setAttribute('aria-disabled', 'true');
    if (document.visibilityState === 'visible' && document.hasFocus()) timer = setTimeout(free, WAIT);
  };

  button.addEventListener('click', (event) => {
    if (button.getAttribute('aria-disabled') === 'true') {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, { capture: true });
  for (const event of ['focus', 'blur', 'pageshow']) window.addEventListener(event, hold, { signal });
  document.addEventListener('visibilitychange', hold, { signal });
  hold();
}
