// Story 3, "An app at home": an app asks the host for a key, a person sees it and decides, and keys can be seen and
// revoked. All of it against the demo's host, in Chromium.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, screenshot, startDemo, until } from './lib.mjs';
import { ask, fillSignIn, free, leave, pop, signIn, visit, withKey } from './host.mjs';

let browser;
let demo;
let admin;
let maker;
before(async () => {
  demo = await startDemo();
  [admin, maker] = ['admin', 'maker'].map((name) => demo.host_users.find((user) => user.name === name));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const at = (path) => new URL(path, demo.host_url).href;
const grant = (page) => page.locator('#auth-grant');

/** Somebody at the home page, on the push socket. */
async function atHome(person, options) {
  const page = await visit(browser, options);
  await signIn(page, demo.host_url, person);
  await page.listening();
  return page;
}

/** Somebody who opened an app's dialog in a browser that knows nobody yet. */
async function inDialog(app, person, options) {
  const page = await visit(browser, options);
  await page.goto(app.dialog);
  await page.waitForURL('**/login/**');
  await fillSignIn(page, person);
  await grant(page).waitFor();
  await page.listening();
  return page;
}

/** What an app reads of the camera with its key; `over` resolves when the host ends it. */
async function openCamera(key) {
  const response = await withKey(demo.host_url, key, '/webcam/?action=stream');
  assert.equal(response.status, 200);
  const reader = response.body.getReader();
  const first = await reader.read();
  assert.ok(first.value.length > 0);
  const drain = async () => {
    try {
      while (!(await reader.read()).done);
    } catch {
      // Cut off, which is an end too.
    }
  };
  return { over: drain() };
}

const within = (promise, seconds) => Promise.race([promise.then(() => true), new Promise((wake) => setTimeout(wake, seconds * 1000, false))]);

// ---- at the host's own pages

test('a request pops in on an open page, and its key works until it is revoked', async () => {
  const page = await atHome(maker, { device: PHONE });
  const app = await ask(demo.host_url, 'Spool Butler');
  await pop(page).waitFor();
  const asked = await pop(page).innerText();
  assert.match(asked, /Let “Spool Butler” use this printer as you\?/);
  assert.ok(asked.includes(app.from), asked);
  await free(pop(page).getByRole('button', { name: 'Allow' }));
  await screenshot(page, 'host-flow-pop-phone');
  await pop(page).getByRole('button', { name: 'Allow' }).click();
  await page.getByText('may use this printer now').waitFor();
  const { status, api_key: key } = await app.answered;
  assert.equal(status, 200);
  assert.equal((await fetch(app.location)).status, 404, 'it is fetched once');
  const version = await withKey(demo.host_url, key);
  assert.equal(version.status, 200);
  assert.ok((await version.json()).server);

  await page.goto(at('/latchkey/keys'));
  const row = page.locator('.row', { hasText: 'Spool Butler' });
  assert.match(await row.innerText(), /Everything[\s\S]*Used[\s\S]*1 request\b/);
  const camera = await openCamera(key);
  await row.getByRole('link', { name: 'Revoke' }).click();
  await page.getByRole('heading', { name: /Revoke the key of “Spool Butler”\?/ }).waitFor();
  await screenshot(page, 'host-flow-revoke-phone');
  await page.getByRole('button', { name: 'Revoke key' }).click();
  await page.getByText('is revoked').waitFor();
  assert.equal((await withKey(demo.host_url, key)).status, 403);
  assert.ok(await within(camera.over, 2), 'the camera stream ends with the key');
  assert.equal(await page.locator('.row', { hasText: 'Spool Butler' }).count(), 0);
  await screenshot(page, 'host-flow-revoked-phone');
  await leave(page);
});

test('a request for somebody else is not shown', async () => {
  const app = await ask(demo.host_url, 'For the maker', { user: 'maker' });
  const page = await atHome(admin);
  const other = await ask(demo.host_url, 'For anybody');
  await pop(page).waitFor();
  assert.match(await pop(page).innerText(), /For anybody[\s\S]*1 of 1|1 of 1[\s\S]*For anybody/);
  assert.ok(!(await page.locator('body').innerText()).includes('For the maker'), 'a request for somebody else is not shown');
  app.stop();
  other.stop();
  await leave(page);
});

// ---- in the dialog that the app opens

test('the dialog leads through the sign-in and back, and Allow gives the app its key', async () => {
  const app = await ask(demo.host_url, 'Print Watcher');
  const page = await visit(browser, { device: PHONE });
  await page.goto(app.dialog);
  await page.waitForURL('**/login/**');
  assert.match(await page.locator('body').innerText(), /Print Watcher/);
  await screenshot(page, 'host-flow-signin-phone');
  await fillSignIn(page, { name: maker.name, password: 'not the password' });
  await page.getByText('do not go together').waitFor();
  await fillSignIn(page, maker);
  await page.waitForURL('**/plugin/appkeys/auth/**');
  await page.getByRole('heading', { name: 'Let “Print Watcher” use this printer as you?' }).waitFor();
  await screenshot(page, 'host-flow-dialog-phone');
  await free(grant(page));
  await grant(page).click();
  await page.getByRole('heading', { name: '“Print Watcher” may use this printer now' }).waitFor();
  const { status, api_key: key } = await app.answered;
  assert.equal(status, 200);
  assert.equal((await withKey(demo.host_url, key, '/api/job')).status, 200);
  await leave(page);
});

test('deny tells the app so', async () => {
  const app = await ask(demo.host_url, 'Nosy Parker');
  const page = await inDialog(app, maker);
  await page.locator('#auth-reject').click();
  await page.getByRole('heading', { name: '“Nosy Parker” stays out' }).waitFor();
  assert.equal((await app.answered).status, 404);
  await page.reload();
  await page.getByRole('heading', { name: 'This request has ended' }).waitFor();
  await leave(page);
});

test('blocking an address keeps its apps from asking', async () => {
  const app = await ask(demo.host_url, 'Pest');
  const page = await inDialog(app, maker);
  await page.getByRole('button', { name: /Deny and block/ }).click();
  await page.getByText('no app can ask from').waitFor();
  await screenshot(page, 'host-flow-blocked-desktop');
  assert.equal((await app.answered).status, 404);
  const again = await fetch(at('/plugin/appkeys/request'), { method: 'POST', headers: { 'content-type': 'application/json', 'x-forwarded-for': app.from }, body: '{"app":"Pest"}' });
  assert.equal(again.status, 429);
  await leave(page);
});

test('an app that stops asking ends the dialog', async () => {
  const app = await ask(demo.host_url, 'Gone Away');
  const page = await inDialog(app, maker, { device: PHONE });
  app.stop();
  await page.getByRole('heading', { name: 'This request has ended' }).waitFor({ timeout: 10_000 });
  assert.equal(await page.getByRole('button').count(), 0);
  await screenshot(page, 'host-flow-ended-phone');
  assert.equal((await fetch(app.location)).status, 404);
  await leave(page);
});

test('what is decided in one browser vanishes from the others', async () => {
  const app = await ask(demo.host_url, 'Two Windows');
  const first = await inDialog(app, maker);
  const second = await inDialog(app, admin, { device: PHONE });
  const home = await atHome(admin);
  await pop(home).waitFor();
  const keys = await visit(browser);
  await signIn(keys, demo.host_url, maker, '/latchkey/keys');
  await keys.listening();
  await pop(keys).waitFor();
  await free(grant(first));
  await grant(first).click();
  await first.getByRole('heading', { name: /may use this printer now/ }).waitFor();
  await second.getByRole('heading', { name: 'This request has ended' }).waitFor();
  await pop(home).waitFor({ state: 'detached' });
  await pop(keys).waitFor({ state: 'detached' });
  assert.equal(await home.getByRole('link', { name: /^Decide/ }).count(), 0, 'its row offers nothing any more');
  assert.equal((await app.answered).status, 200);
  for (const page of [first, second, home, keys]) await leave(page);
});

test('watch-only keys may look and may not touch', async () => {
  const app = await ask(demo.host_url, 'Wall Clock');
  const page = await inDialog(app, maker);
  await page.getByLabel('Watch only').check();
  await free(grant(page));
  await grant(page).click();
  await page.getByText('Watch only: buttons in the app will not work.').waitFor();
  const { api_key: key } = await app.answered;
  assert.equal((await withKey(demo.host_url, key, '/api/printer')).status, 200);
  const json = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const pause = await withKey(demo.host_url, key, '/api/job', { ...json, body: '{"command":"pause","action":"pause"}' });
  assert.equal(pause.status, 403);
  const move = await withKey(demo.host_url, key, '/api/printer/printhead', { ...json, body: '{"command":"home","axes":["x"]}' });
  assert.equal(move.status, 403);
  assert.equal((await (await withKey(demo.host_url, key, '/api/job')).json()).state, 'Printing');
  await page.goto(at('/latchkey/keys'));
  assert.match(await page.locator('.row', { hasText: 'Wall Clock' }).innerText(), /Watch only/);
  await leave(page);
});

// ---- against clicks that nobody meant (T-05)

test('a click that was on its way before the question was seen decides nothing', async () => {
  const app = await ask(demo.host_url, 'Quick Click');
  const page = await visit(browser);
  await signIn(page, demo.host_url, maker, '/latchkey/account');
  // As slow as a script can be: the button is drawn, and nothing guards it yet.
  await page.route(/\/decide-.*\.js|\/decide\.js/, async (route) => {
    await new Promise((wake) => setTimeout(wake, 2000));
    await route.continue();
  });
  await page.goto(app.dialog, { waitUntil: 'commit' });
  await grant(page).waitFor();
  const { x, y, width, height } = await grant(page).boundingBox();
  const press = () => page.mouse.click(x + width / 2, y + height / 2);
  await press();
  await press();
  assert.equal((await fetch(app.location)).status, 202, 'drawn, but not yet for 700 ms');
  await page.waitForLoadState('load');
  await press();
  await page.evaluate(() => document.querySelector('#auth-grant').click());
  assert.equal((await fetch(app.location)).status, 202, 'guarded from when the script runs');
  await free(grant(page));
  await press();
  await page.getByRole('heading', { name: /may use this printer now/ }).waitFor();
  assert.equal((await app.answered).status, 200);
  await leave(page);
});

test('without focus Allow does nothing, and anew for 700 ms after it is back', async () => {
  const app = await ask(demo.host_url, 'Popped Under');
  const page = await inDialog(app, maker);
  await free(grant(page));
  // The browser's own idea of focus, which automation else keeps on every page at once.
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setFocusEmulationEnabled', { enabled: false });
  const front = await page.context().newPage();
  await front.goto(at('/latchkey/account'));
  await front.bringToFront();
  await until('the page to be behind', () => page.evaluate(() => document.hasFocus()), (focused) => !focused);
  assert.equal(await grant(page).getAttribute('aria-disabled'), 'true');
  await new Promise((wake) => setTimeout(wake, 1000));
  await page.evaluate(() => document.querySelector('#auth-grant').click());
  assert.equal((await fetch(app.location)).status, 202);
  await page.bringToFront();
  await until('the page in front', () => page.evaluate(() => document.hasFocus()), Boolean);
  await page.evaluate(() => document.querySelector('#auth-grant').click());
  assert.equal((await fetch(app.location)).status, 202, 'it has just come back');
  await free(grant(page));
  await grant(page).click();
  assert.equal((await app.answered).status, 200);
  await leave(page);
});

test('no page of the host can be framed', async () => {
  const app = await ask(demo.host_url, 'In a Frame');
  const page = await visit(browser);
  await signIn(page, demo.host_url, maker);
  const frames = [app.dialog, at('/latchkey/'), at('/latchkey/keys'), at('/latchkey/account')];
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(frames.map((url) => `<iframe src="${url}"></iframe>`).join(''));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // The same site by the browser's reckoning, so the sign-in would count inside the frame.
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await until('all frames to be refused', () => page.frames().slice(1).map((frame) => frame.url()), (urls) => urls.length === 4 && urls.every((url) => url.startsWith('chrome-error:')));
  for (const frame of page.frames().slice(1)) assert.equal(await frame.locator('button').count(), 0);
  assert.equal(page.problems.filter((problem) => problem.includes('frame-ancestors')).length, 4);
  app.stop();
  await page.context().close();
  server.close();
});

// ---- without script

test('signing in, deciding, making a key, revoking and signing out need no script', async () => {
  const app = await ask(demo.host_url, 'Plain Old App');
  const page = await visit(browser, { device: PHONE, javaScriptEnabled: false });
  await page.goto(at('/latchkey/'));
  await fillSignIn(page, maker);
  await page.waitForURL(at('/latchkey/'), { waitUntil: 'domcontentloaded' });
  await page.getByRole('link', { name: /Decide about “Plain Old App”/ }).click();
  await page.getByLabel('Watch only').check();
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.getByRole('heading', { name: '“Plain Old App” may use this printer now' }).waitFor();
  assert.equal((await app.answered).status, 200);

  await page.getByRole('link', { name: 'See all keys' }).click();
  await page.getByLabel('Name', { exact: true }).fill('My script');
  await page.getByLabel('Everything').check();
  await page.getByRole('button', { name: 'Make key' }).click();
  const key = await page.locator('#new-key').innerText();
  assert.equal((await withKey(demo.host_url, key, '/api/server')).status, 200);
  for (const name of ['Plain Old App', 'My script']) {
    await page.getByRole('link', { name: `Revoke the key of ${name}` }).click();
    await page.getByRole('button', { name: 'Revoke key' }).click();
    await page.getByText('is revoked').waitFor();
  }
  assert.equal((await withKey(demo.host_url, key, '/api/server')).status, 403);
  await page.goto(at('/latchkey/account'));
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.locator('#login-user').waitFor();
  await page.goto(at('/latchkey/keys'));
  await page.waitForURL('**/login/**');
  await leave(page);
});

// ---- through the relay

test('at an app connection people sign in and decide as at home', async () => {
  const { url } = demo.app_connections.find(({ access }) => access === 'none');
  const page = await visit(browser, { device: PHONE });
  await page.goto(new URL('/login/', url).href);
  const request = await page.evaluate(async () => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch('/plugin/appkeys/request', { method: 'POST', headers, credentials: 'omit', body: '{"app":"From Afar"}' });
    return { status: answer.status, location: answer.headers.get('location'), ...(await answer.json()) };
  });
  assert.equal(request.status, 201);
  const here = new URL(url).origin;
  assert.ok(request.location.startsWith(`${here}/plugin/appkeys/request/`), request.location);
  assert.ok(request.auth_dialog.startsWith(`${here}/plugin/appkeys/auth/`), request.auth_dialog);
  // The app goes on at home, as one does that roams.
  const poll = async () => (await fetch(at(`/plugin/appkeys/request/${request.app_token}`))).json();
  const polling = setInterval(poll, 1000);
  await page.goto(request.auth_dialog);
  await fillSignIn(page, maker);
  await grant(page).waitFor();
  await page.listening();
  const port = new URL(url).port;
  const names = (await page.context().cookies(url)).map(({ name }) => name).sort();
  assert.deepEqual(names, [`csrf_token_P${port}`, `session_P${port}`]);
  await assertFitsWidth(page);
  await screenshot(page, 'host-flow-dialog-away-phone');
  await free(grant(page));
  clearInterval(polling);
  await grant(page).click();
  await page.getByRole('heading', { name: '“From Afar” may use this printer now' }).waitFor();
  const { api_key: key } = await poll();
  assert.equal((await withKey(demo.host_url, key)).status, 200);
  await page.goto(new URL('/latchkey/', url).href, { waitUntil: 'domcontentloaded' });
  await page.locator('[data-live="state"]', { hasText: 'Printing' }).waitFor();
  await until('a camera picture', () => page.getByRole('img', { name: /Camera picture/ }).evaluate((image) => image.naturalWidth), (width) => width > 0);
  await screenshot(page, 'host-flow-home-away-phone');
  await leave(page);
});

// ---- every page, as people see it

// Between them both devices and both schemes.
const AUDITED = ['phone-dark', 'desktop-light'];

test('the pages of a host that is in use are accessible and fit, in every look', async () => {
  const app = await ask(demo.host_url, 'Garage Display');
  const path = async (page, name) => page.locator('.row', { hasText: name }).getByRole('link').getAttribute('href');
  await inEveryLook(browser, async (page, { name: look }) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await signIn(page, demo.host_url, admin);
    await pop(page).waitFor();
    await free(pop(page).getByRole('button', { name: 'Allow' }));
    const show = async (name, url) => {
      if (url) await page.goto(new URL(url, demo.host_url).href, { waitUntil: 'domcontentloaded' });
      await page.locator('h1').first().waitFor();
      if (AUDITED.includes(look)) await assertAccessible(page);
      await assertFitsWidth(page);
      await screenshot(page, `host-real-${name}-${look}`);
    };
    await show('home-pop');
    await page.getByRole('button', { name: 'Later' }).click();
    await show('home');
    await show('dialog', app.dialog);
    await show('keys', '/latchkey/keys');
    await show('keys-all', '/latchkey/keys/all');
    await show('users', '/latchkey/users');
    await show('user', await path(page, 'maker'));
    await show('remove', '/latchkey/users/maker/remove');
    await show('account', '/latchkey/account');
    await show('missing', '/latchkey/nothing');
    assert.deepEqual(page.problems, []);
  });
  for (const width of [320, 390]) {
    const page = await visit(browser, { device: { ...PHONE, viewport: { width, height: 700 } } });
    await page.goto(app.dialog);
    await assertFitsWidth(page);
    await fillSignIn(page, admin);
    await grant(page).waitFor();
    await assertFitsWidth(page);
    for (const url of ['/latchkey/', '/latchkey/keys', '/latchkey/keys/all', '/latchkey/users', '/latchkey/users/maker', '/latchkey/account']) {
      await page.goto(at(url), { waitUntil: 'domcontentloaded' });
      await page.locator('h1').first().waitFor();
      await assertFitsWidth(page);
    }
    await leave(page);
  }
  app.stop();
});
