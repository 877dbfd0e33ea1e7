// What the tests of a host's flows share: an app that asks for a key and polls, people who sign in, and a host of the
// test's own, without anybody in it yet.

import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from './lib.mjs';
import { ARTIFACTS, freePort, startIn, until } from './processes.mjs';

let addresses = 0;

/** An address at home that no app has asked from yet: requests are counted by it. */
export function anotherAddress() {
  addresses += 1;
  return `10.20.${addresses >> 8}.${addresses & 255}`;
}

/**
 * An app asks the host at `url` for a key and polls every second, as apps do. `answered` resolves to the last answer:
 * `{ status, api_key }`. `stop()` makes the app give up.
 */
export async function ask(url, name, { user, from = anotherAddress() } = {}) {
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': from };
  const response = await fetch(new URL('/plugin/appkeys/request', url), { method: 'POST', headers, body: JSON.stringify({ app: name, user }) });
  assert.equal(response.status, 201, await response.clone().text());
  const location = response.headers.get('location');
  const { app_token, auth_dialog } = await response.json();
  let stopped = false;
  const poll = async () => {
    while (!stopped) {
      const answer = await fetch(location);
      if (answer.status !== 202) return { status: answer.status, ...(await answer.json()) };
      await answer.body.cancel();
      await new Promise((wake) => setTimeout(wake, 300));
    }
    return undefined;
  };
  return { name, from, location, token: app_token, dialog: auth_dialog, answered: poll(), stop: () => { stopped = true; } };
}

/** Calls the printer's API with an app's key. */
export const withKey = (url, key, path = '/api/version', options = {}) =>
  fetch(new URL(path, url), { ...options, headers: { 'x-api-key': key, ...options.headers } });

/** Fills in the sign-in that the page is on. */
export async function fillSignIn(page, { name, password }) {
  const user = page.locator('#login-user');
  if (await user.isEditable()) await user.fill(name);
  else assert.equal(await user.inputValue(), name);
  await page.locator('#login-password').fill(password);
  await page.locator('#login-button').click();
}

/** Signs in and ends on the host's page at `path`. */
export async function signIn(page, url, person, path = '/latchkey/') {
  await page.goto(new URL(`/login/?redirect=${encodeURIComponent(path)}`, url).href);
  await fillSignIn(page, person);
  await page.waitForURL(new URL(path, url).href, { waitUntil: 'domcontentloaded' });
}

/** The dialog that pops in, and a wait until one of its buttons does something. */
export const pop = (page) => page.getByRole('dialog');
export const free = (button) => until('the button to be free', () => button.getAttribute('aria-disabled'), (held) => held === null);

/** A page in a browser of its own that notes which of its push sockets are signed in, and every dialog of the browser's. */
export async function visit(browser, options) {
  const page = await open(browser, options);
  page.setDefaultTimeout(15_000);
  const sockets = new Set();
  page.on('websocket', (socket) => {
    let asked = false;
    socket.on('framesent', ({ payload }) => { asked ||= String(payload).includes('"auth"'); });
    socket.on('framereceived', () => { if (asked) sockets.add(socket); });
    socket.on('close', () => sockets.delete(socket));
  });
  page.on('dialog', (dialog) => {
    page.problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.listening = () => until('the page on the push socket', () => sockets.size, (size) => size > 0);
  return page;
}

/** Ends a page's browser; it had nothing to complain about. */
export async function leave(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

/** The cookies of a page's browser, as a thief would send them. */
export async function cookiesOf(page, url) {
  const cookies = await page.context().cookies(url);
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
}

/** Whom the host takes the sender of these cookies for. */
export async function nameFor(url, cookie) {
  const answer = await fetch(new URL('/api/currentuser', url), { headers: { cookie } });
  return (await answer.json()).name;
}

/**
 * A host before the demo's simulated printer, with nobody in it. Returns `url`, the `code` it wrote to the console for
 * the first person, and `stop()`.
 */
export async function startHost(demo, settings = {}) {
  const binary = process.env.LATCHKEY_BIN;
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-host-'));
  const port = await freePort();
  const config = {
    name: 'Workshop',
    listen: `127.0.0.1:${port}`,
    status_listen: null,
    data: 'data',
    upstream: { kind: 'octoprint', url: demo.sim_url, api_key_file: 'upstream.key' },
    webcams: [{ path: '/webcam/', url: `${demo.sim_url}/webcam/` }],
    ...settings,
  };
  await writeFile(join(folder, 'host.yaml'), JSON.stringify(config));
  await writeFile(join(folder, 'upstream.key'), await readFile(join(demo.data, 'sim.key')), { mode: 0o600 });

  const logs = join(ARTIFACTS, 'host');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `host-${process.pid}-${port}.log`);
  const { child, stop } = startIn(folder, binary, ['host', '--config', join(folder, 'host.yaml')], ['ignore', 'ignore', 'pipe']);
  child.stderr.pipe(createWriteStream(log));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  try {
    const code = await until(`the code of the first person, see ${log}`, () => said.match(/\b([A-Z]{4}-[A-Z]{4})\b/)?.[1], Boolean, 60);
    return { url: `http://127.0.0.1:${port}`, code, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
