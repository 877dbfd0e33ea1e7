// Keeps printers on a page up to date: what they do, their pictures, times as clocks here show them.

const EVERY = 5000;
const PICTURE_EVERY = 4000;
// Of a printer in a list, so that many open pages cost little.
const LISTED_EVERY = 15000;
// A state is read out at most this often.
const QUIET = 10000;

const url = document.body.dataset.state;
const printers = new Map([...document.querySelectorAll('[data-printer]')].map((place) => [place.dataset.printer, place]));
const told = new Map();

function put(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

function say(place, text) {
  if (place) put(place.querySelector('bdi') ?? place, text);
}

function show(place, text) {
  if (!place) return;
  place.hidden = !text;
  put(place.querySelector('dd, bdi') ?? place, text ?? '');
}

// ---- times

const clock = (text) => {
  const time = new Date(text);
  const far = Math.abs(time - Date.now()) > 20 * 3600 * 1000;
  return time.toLocaleString([], far ? { dateStyle: 'medium', timeStyle: 'short' } : { hour: '2-digit', minute: '2-digit' });
};

for (const time of document.querySelectorAll('time[data-clock]')) put(time, clock(time.dateTime));

function time(place, text) {
  if (!place) return;
  place.hidden = !text;
  if (!text) return;
  const time = document.createElement('time');
  time.dateTime = text;
  time.textContent = clock(text);
  place.querySelector('dd').replaceChildren(time);
}

// ---- what they do

function word(place, { word, look }, id) {
  if (place.textContent === word) return;
  if (Date.now() - (told.get(id) ?? 0) < QUIET) return;
  told.set(id, Date.now());
  place.className = `state ${look}`;
  place.textContent = word;
}

function heats(place, heats) {
  if (!place) return;
  place.hidden = heats.length === 0;
  place.replaceChildren(...heats.map(([part, value]) => {
    const pair = document.createElement('div');
    const name = document.createElement('dt');
    const number = document.createElement('dd');
    name.textContent = part;
    number.textContent = value;
    pair.append(name, number);
    return pair;
  }));
}

function fill(place, now) {
  const part = (name) => place.querySelector(`[data-now="${name}"]`);
  const hide = (name, hidden) => {
    for (const found of place.querySelectorAll(`[data-now="${name}"]`)) found.hidden = hidden;
  };
  word(part('word'), now, now.id);
  place.classList.toggle('calls', place.classList.contains('seen') && (now.needs || place.hasAttribute('data-copied')));
  hide('bar', now.file === null);
  hide('print', now.file === null);
  // Of a print that may go on unseen nothing is said.
  hide('idle', now.file !== null || now.look === 'offline');
  place.querySelector('progress').value = now.percent ?? 0;
  say(part('line'), now.line ?? '');
  put(part('summary'), now.summary);
  say(part('file'), now.file ?? '');
  put(part('percent'), now.percent === null ? '' : `${now.percent}%`);
  put(part('left'), now.left === null ? '' : `about ${now.left}`);
  show(part('message'), now.message);
  show(part('layer'), now.layer);
  time(part('started'), now.started);
  time(part('done'), now.done);
  heats(part('heats'), now.heats);
  camera(place, now);
}

// The camera came back: its picture does too.
const had = new Map();

function camera(place, { id, picture }) {
  const frame = place.querySelector('[data-picture]');
  if (!frame) return;
  const before = had.get(id) ?? frame.querySelector('img') !== null;
  had.set(id, picture);
  if (!picture || before || frame.querySelector('img')) return;
  const img = new Image();
  img.alt = 'Camera';
  img.src = frame.dataset.picture;
  frame.replaceChildren(img);
  follow(frame);
}

let asking = false;

async function ask() {
  if (!url || asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(url, { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(20000) });
    if (answer.ok) {
      for (const now of await answer.json()) {
        const place = printers.get(now.id);
        if (place) fill(place, now);
      }
    } else if (answer.status === 401 || (answer.status === 404 && 'ends' in document.body.dataset)) {
      // The sign-in is over, or the link is.
      location.reload();
    }
  } catch {
    // The network is away; the next try comes.
  } finally {
    asking = false;
  }
}

// ---- pictures

const none = () => document.querySelector('template[data-template="no-picture"]').content.cloneNode(true);

function follow(frame) {
  const img = frame.querySelector('img');
  if (!img) return;
  const age = frame.querySelector('[data-age]');
  const every = frame.closest('.seen') ? LISTED_EVERY : PICTURE_EVERY;
  let taken = Date.now();
  let failed = 0;
  let number = 0;
  const tick = () => {
    if (!age) return;
    const seconds = Math.round((Date.now() - taken) / 1000);
    age.hidden = false;
    put(age, seconds < 5 ? 'Just now' : seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`);
  };
  const next = (wait) => setTimeout(() => {
    if (document.hidden) return next(wait);
    number += 1;
    const picture = new Image();
    picture.addEventListener('load', () => {
      failed = 0;
      taken = Date.now();
      img.src = picture.src;
      tick();
      next(every);
    });
    picture.addEventListener('error', () => {
      failed += 1;
      if (failed < 3) return next(every * failed);
      frame.replaceChildren(none());
    });
    picture.src = `${frame.dataset.picture}?${number}`;
  }, wait);
  const start = () => {
    if (frame.dataset.picture && !img.hasAttribute('data-running')) next(every);
  };
  const broken = () => {
    if (img.hasAttribute('data-running') && frame.dataset.picture) {
      // The running picture broke off: single ones go on.
      img.removeAttribute('data-running');
      frame.querySelector('.chip.live')?.remove();
      return next(1000);
    }
    frame.replaceChildren(none());
  };
  img.addEventListener('error', broken, { once: true });
  if (img.complete && img.naturalWidth === 0) broken();
  else start();
  if (age) setInterval(tick, 1000);
}

for (const frame of document.querySelectorAll('.camera')) follow(frame);

if (url) {
  setInterval(ask, EVERY);
  document.addEventListener('visibilitychange', ask);
}
