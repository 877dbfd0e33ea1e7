// The live part of the page. All addresses are relative: the page works wherever a proxy puts it.
"use strict";

const $ = (id) => document.getElementById(id);
const SPAN = 300; // seconds shown in the curves
const points = [];
let key = null;
let wait = 1000;

try { key = sessionStorage.getItem("sim-key"); } catch { /* private mode: ask each time */ }

async function call(path, body) {
  const headers = key ? { "X-Api-Key": key } : {};
  if (body) headers["Content-Type"] = "application/json";
  return fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), cache: "no-store" });
}

// First without a key: a host in front may add it.
async function start() {
  let login;
  try {
    // The switches answer even while everything else hangs, so they come first.
    const faults = await call("sim/faults");
    $("key-form").hidden = faults.status !== 403;
    if (faults.status === 403) {
      $("key-error").hidden = !key;
      setState("Waiting for the key", "offline");
      return;
    }
    showFaults(await faults.json());
    login = await (await call("api/login", { passive: true })).json();
  } catch {
    return again("The printer does not answer. Trying again.");
  }
  listen(`${login.name}:${login.session}`);
}

function listen(auth) {
  const address = new URL("sockjs/websocket", document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.onopen = () => socket.send(JSON.stringify({ auth }));
  socket.onmessage = (frame) => {
    const message = JSON.parse(frame.data);
    if (message.reauthRequired) socket.close();
    const news = message.history || message.current;
    if (!news) return;
    wait = 1000;
    $("trouble").hidden = true;
    if (message.history) points.length = 0;
    show(news);
  };
  socket.onclose = () => again("The live connection broke off. Trying again.");
}

function again(why) {
  $("trouble").textContent = why;
  $("trouble").hidden = false;
  setTimeout(() => {
    start();
    $("camera").src = `webcam/?action=stream&t=${Date.now()}`;
  }, wait);
  wait = Math.min(wait * 2, 15000);
}

function setState(text, shape) {
  // Written only when it changes, or screen readers would repeat it.
  if ($("state").textContent !== text) $("state").textContent = text;
  $("dot").className = `dot ${shape}`;
}

function show({ state, job, progress, temps, messages, plugins }) {
  const flags = state.flags;
  const shape = flags.error ? "error" : flags.closedOrError ? "offline" : flags.printing ? "printing"
    : flags.paused || flags.pausing || flags.cancelling ? "paused" : "ready";
  setState(shape === "ready" ? "Ready" : state.text, shape);
  $("message").textContent = state.error || messages.at(-1) || "";
  $("job-name").textContent = job.file.name || "No print selected";
  const done = progress.completion;
  $("percent").textContent = done === null ? "–" : `${Math.floor(done)}%`;
  $("progress").value = done || 0;
  $("left").textContent = flags.printing || flags.paused ? remaining(progress.printTimeLeft) : "";
  const { layer, layers } = plugins.latchkey_sim;
  $("layer").hidden = layer === null;
  $("layer").textContent = layers ? `Layer ${layer} of ${layers}` : `Layer ${layer}`;
  const can = { start: flags.ready && job.file.name, pause: flags.printing, resume: flags.paused,
    cancel: flags.printing || flags.paused, connect: flags.closedOrError };
  for (const button of $("job-buttons").children) button.hidden = !can[button.dataset.job];
  points.push(...temps);
  while (points.length && points[0].time < points.at(-1).time - SPAN) points.shift();
  curve("nozzle", "tool0", 260);
  curve("bed", "bed", 90);
}

function remaining(seconds) {
  if (seconds === null) return "";
  const minutes = Math.round(seconds / 60);
  const left = seconds < 60 ? "less than a minute" : minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const end = new Date(Date.now() + seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `${left} left, done about ${end}`;
}

function curve(id, name, top) {
  const last = points.at(-1);
  if (!last) return;
  $(id).textContent = last[name].actual.toFixed(1);
  $(`${id}-target`).textContent = last[name].target ? `of ${last[name].target} °C` : "°C, off";
  const x = (point) => (300 - (last.time - point.time) / SPAN * 300).toFixed(1);
  const y = (value) => (50 - Math.min(value, top) / top * 46).toFixed(1);
  const line = points.map((point) => `${x(point)} ${y(point[name].actual)}`).join("L");
  const paths = $(`${id}-curve`).children;
  paths[0].setAttribute("d", `M${x(points[0])} 52L${line}L300 52Z`);
  paths[1].setAttribute("d", last[name].target ? `M0 ${y(last[name].target)}H300` : "");
  paths[2].setAttribute("d", `M${line}`);
}

function showFaults(faults) {
  const form = $("faults").elements;
  form.offline.checked = faults.offline;
  form.hang.checked = faults.hang.length > 0;
  form.slow_ms.value = faults.slow_ms;
  form.drop_sockets_every_s.value = faults.drop_sockets_every_s;
}

async function changeFaults(change) {
  const answer = await call("sim/faults", change);
  if (answer.ok) showFaults(await answer.json());
}

$("faults").addEventListener("change", ({ target }) => {
  changeFaults({ [target.name]: target.type === "checkbox" ? target.checked : Number(target.value) });
});
$("drop-now").addEventListener("click", () => changeFaults({ drop_sockets: true }));
$("job-buttons").addEventListener("click", async ({ target }) => {
  const what = target.dataset.job;
  if (!what) return;
  if (what === "connect") await call("api/connection", { command: "connect" });
  else if (what === "pause" || what === "resume") await call("api/job", { command: "pause", action: what });
  else await call("api/job", { command: what });
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value.trim();
  try { sessionStorage.setItem("sim-key", key); } catch { /* kept in memory only */ }
  start();
});
start();
