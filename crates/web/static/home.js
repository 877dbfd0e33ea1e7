// The printer's page, kept up to date by the push socket: state, print, temperatures.

import { push } from "./push.js";

// Temperatures of the last ten minutes, in a picture of 100 by 52.
const SPAN = 600;
const WIDTH = 100;
const HEIGHT = 52;
// The state is read out at most this often.
const QUIET = 10000;

const live = (name, root = document) => root.querySelector(`[data-live="${name}"]`);
const points = new Map();
let told = 0;

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

// ---- state

const STATES = [
  ['failed', 'Error', ({ error, closedOrError, operational }) => error || (closedOrError && operational)],
  ['offline', 'Offline', ({ operational }) => !operational],
  ['paused', 'Paused', ({ paused, pausing }) => paused || pausing],
  ['live', 'Printing', ({ printing, cancelling, resuming, finishing }) => printing || cancelling || resuming || finishing],
  ['', 'Ready', () => true],
];

function state({ flags }) {
  if (!flags) return;
  const [look, word] = STATES.find(([, , holds]) => holds(flags));
  const place = live('state');
  if (place.textContent.trim() === word || Date.now() - told < QUIET) return;
  told = Date.now();
  place.className = `state ${look}`;
  place.textContent = word;
}

// ---- print

function left(seconds) {
  const minutes = Math.ceil(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${hours > 0 ? `${hours} h ` : ''}${minutes % 60} min left`;
}

function job({ job, progress, plugins }) {
  const name = job?.file?.display ?? job?.file?.name;
  if (name) {
    const place = live('file');
    let text = place.querySelector('bdi');
    if (!text) {
      text = document.createElement('bdi');
      place.replaceChildren(text);
    }
    put(text, name);
  }
  const percent = progress?.completion;
  const known = typeof percent === 'number';
  live('progress').hidden = !known;
  live('idle').hidden = known;
  if (known) {
    put(live('percent'), `${Math.floor(percent)}%`);
    document.querySelector('progress').value = percent;
    put(live('left'), typeof progress.printTimeLeft === 'number' ? left(progress.printTimeLeft) : '');
  }
  const told = Object.values(plugins ?? {}).find((plugin) => typeof plugin?.layer === 'number' && typeof plugin?.layers === 'number');
  const layer = live('layer');
  layer.hidden = !told;
  if (told) put(layer.querySelector('span'), `Layer ${told.layer} of ${told.layers}`);
}

// ---- temperatures

function value(place, { actual, target }) {
  const number = document.createElement('b');
  number.textContent = actual.toFixed(1);
  const rest = document.createElement('span');
  rest.className = 'soft';
  rest.textContent = target > 0 ? `of ${target.toFixed(0)} °C` : '°C, off';
  place.replaceChildren(number, ' ', rest);
}

function curve(svg, series, target, now) {
  const highest = Math.max(target, ...series.map(([, actual]) => actual), 40) * 1.08;
  const x = (time) => Math.max(0, WIDTH - ((now - time) / SPAN) * WIDTH).toFixed(2);
  const y = (degrees) => (HEIGHT - (degrees / highest) * HEIGHT).toFixed(1);
  const line = series.map(([time, actual], place) => `${place === 0 ? 'M' : 'L'}${x(time)} ${y(actual)}`).join('');
  const [area, aim, edge] = svg.querySelectorAll('path');
  edge.setAttribute('d', line);
  area.setAttribute('d', `${line}V${HEIGHT}H${x(series[0][0])}z`);
  aim.setAttribute('d', target > 0 ? `M0 ${y(target)}H${WIDTH}` : '');
}

function temperatures(temps) {
  for (const [name, heater] of [['nozzle', 'tool0'], ['bed', 'bed']]) {
    const series = points.get(name) ?? [];
    for (const point of temps) {
      if (typeof point[heater]?.actual !== 'number') continue;
      if (series.length > 0 && point.time <= series.at(-1)[0]) continue;
      series.push([point.time, point[heater].actual, point[heater].target ?? 0]);
    }
    if (series.length === 0) continue;
    const [now, actual, target] = series.at(-1);
    while (series[0][0] < now - SPAN) series.shift();
    points.set(name, series);
    const place = live(name);
    value(live('value', place), { actual, target });
    if (series.length > 1) {
      curve(place.querySelector('svg'), series, target, now);
      live('span').hidden = false;
    }
  }
}

push.addEventListener('current', ({ detail }) => {
  if (detail.state) state(detail.state);
  if (detail.job || detail.progress) job(detail);
  if (Array.isArray(detail.temps) && detail.temps.length > 0) temperatures(detail.temps);
});

push.addEventListener('lost', () => {
  const place = live('state');
  place.className = 'state offline';
  place.textContent = 'Connection lost';
  told = 0;
});

// ---- camera

const picture = document.querySelector('[data-camera] img');

function noPicture() {
  const template = document.querySelector('template[data-template="no-picture"]');
  picture.closest('[data-camera]').replaceWith(template.content.cloneNode(true));
}

if (picture) {
  picture.addEventListener('error', noPicture);
  if (picture.complete && picture.naturalWidth === 0) noPicture();
}
