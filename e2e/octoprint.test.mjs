// OctoPrint's own web interface, away from home: opened at an app connection's address, it signs in, draws itself, and its
// push socket stays connected.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, screenshot, startDemo, until } from './lib.mjs';
import { ADMIN_API_KEY, USER, startOctoPrint } from './octoprint.mjs';

let browser;
let octoprint;
let demo;
before(async () => {
  octoprint = await startOctoPrint();
  demo = await startDemo('--upstream', octoprint.url);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
  await octoprint?.stop();
});

const connection = (access) => demo.app_connections.find((one) => one.access === access);

/** Watches how a page is kept up to date: its newest WebSocket, what came through it, and what else it tried. */
function watchUpdates(page) {
  const seen = { socket: undefined, count: 0, problems: [] };
  page.on('websocket', (socket) => {
    seen.socket = socket;
    socket.on('socketerror', (error) => seen.problems.push(error));
    socket.on('framereceived', ({ payload }) => { if (socket === seen.socket && /\bcurrent\b/.test(payload)) seen.count += 1; });
  });
  // What SockJS falls back to when a WebSocket does not work.
  page.on('request', (request) => { if (/\/xhr/.test(request.url())) seen.problems.push(request.url()); });
  return seen;
}

/** Signs in at OctoPrint, whose page has been led to, and sees it kept up to date. */
async function useInterface(page, url, updates) {
  assert.match(page.url(), /\/login\//);
  await page.locator('#login-user').fill(USER.name);
  await page.locator('#login-password').fill(USER.password);
  await page.locator('#login-button').click();
  await page.waitForURL(`${url}/**`);
  await page.locator('#navbar').waitFor();
  await page.locator('#page-container-loading').waitFor({ state: 'hidden' });
  // Cookies carry the port in the address bar, or the page would refuse to work.
  const names = (await page.context().cookies()).map(({ name }) => name);
  assert.ok(names.includes(`csrf_token_P${new URL(url).port}`), names.join());

  // A printer that is connected has temperatures to report all the time; the page asks for it with its CSRF token.
  const connect = await page.evaluate(() => globalThis.OctoPrint.connection.connect({ port: 'VIRTUAL' }).then(() => 'done', (answer) => answer.status));
  assert.equal(connect, 'done');
  const state = page.locator('#state');
  await until('the printer to be operational', () => state.innerText(), (text) => /Operational/.test(text), 60);
  const before = updates.count;
  await until('more updates', () => updates.count, (count) => count >= before + 5, 60);
  assert.equal(updates.socket.isClosed(), false);
  assert.deepEqual(updates.problems, []);
  assert.equal(await page.locator('#offline_overlay').isVisible(), false);
}

test('web interface signs in, draws itself and stays connected', async () => {
  const { url } = connection('none');
  const page = await open(browser);
  const updates = watchUpdates(page);
  const response = await page.goto(`${url}/`);
  assert.equal(response.status(), 200);
  await useInterface(page, url, updates);
  await screenshot(page, 'octoprint-desktop');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('web interface does the same for its owner, at an address of their own', async () => {
  const page = await open(browser);
  await page.goto(new URL('/sign-in', demo.relay_url).href);
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/printers');
  const updates = watchUpdates(page);
  await page.locator('main h2 a').first().click();
  await page.getByRole('link', { name: 'Open printer' }).click();
  await page.waitForURL(/\/\/own-[a-z2-7]{26}\..*\/login\//);
  await useInterface(page, new URL(page.url()).origin, updates);
  await screenshot(page, 'octoprint-own-access');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('relay tells a person from an app on the same address', async () => {
  const { url, bearer } = connection('bearer');
  const page = await open(browser, { extraHTTPHeaders: { Authorization: `Bearer ${bearer}`, 'X-Api-Key': ADMIN_API_KEY } });
  const response = await page.goto(`${url}/api/version`);
  assert.equal(response.status(), 200);
  assert.equal((await response.json()).server, '1.11.8');
  await page.context().close();
});
