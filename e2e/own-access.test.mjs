// People's own access: from the printer's page to its own web interface at a hostname of one's own, what the two origins
// see of each other, and how it ends. The demo's account is signed in; the printer behind it is the simulated one, or a
// server that does its worst.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { DESKTOP, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';

let browser;
let demo;
before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

async function signIn(page, { relay_url, account }) {
  await page.goto(new URL('/sign-in', relay_url).href);
  await page.getByLabel('E-mail').fill(account.email);
  await page.getByLabel('Password').fill(account.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/printers');
}

/** Leads from the list to the printer's own pages; gives their origin. */
async function openPrinter(page) {
  await page.locator('main h2 a').first().click();
  await page.getByRole('link', { name: 'Open printer' }).click();
  await page.waitForURL(/\/\/own-/);
  return new URL(page.url()).origin;
}

test('the page in between looks well, and waits for a tap where it is not sure', async () => {
  await inEveryLook(browser, async (page, look) => {
    await signIn(page, demo);
    const printer = await page.locator('main h2 a').first().getAttribute('href');
    // As for somebody who comes back: it does not go on by itself.
    await page.addInitScript(() => history.replaceState({ opened: true }, ''));
    await page.goto(new URL(`${printer}/open`, demo.relay_url).href);
    await page.getByRole('button', { name: 'Open printer' }).waitFor();
    await assertAccessible(page);
    await assertFitsWidth(page);
    await screenshot(page, `relay-open-printer-${look.name}`);
    assert.deepEqual(page.problems, []);
    await page.getByRole('button', { name: 'Open printer' }).click();
    await page.waitForURL(/\/\/own-/);
  });
});

test('somebody opens their printer, signs in there, and is out with the sign-out at the relay', async () => {
  const page = await open(browser, DESKTOP);
  await signIn(page, demo);
  const origin = await openPrinter(page);
  assert.ok(!page.url().includes('code'), page.url());
  // The host asks who it is, as at home.
  const user = demo.host_users.find(({ admin }) => admin);
  await page.getByLabel(/user/i).first().fill(user.name);
  await page.getByLabel('Password').fill(user.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => !url.pathname.startsWith('/login') && url.origin === origin);
  const status = () => page.evaluate(() => fetch('/api/version').then((answer) => answer.status, () => 0));
  assert.equal(await status(), 200);
  await screenshot(page, 'own-access-desktop');
  // What the browser keeps there stays with the hostname, which stays.
  await page.evaluate(() => localStorage.setItem('kept', 'yes'));

  const other = await page.context().newPage();
  await other.goto(new URL('/printers', demo.relay_url).href);
  assert.equal(await openPrinter(other), origin, 'the hostname is stable');
  assert.equal(await other.evaluate(() => localStorage.getItem('kept')), 'yes');
  // A page that stays open, which has to end by itself.
  await page.evaluate(() => {
    const socket = new WebSocket(`ws://${location.host}/sockjs/websocket`);
    globalThis.seen = [];
    socket.onopen = () => globalThis.seen.push('open');
    socket.onclose = () => globalThis.seen.push('closed');
  });
  const seen = () => page.evaluate(() => globalThis.seen.join());
  await until('the socket', seen, (text) => text === 'open');
  await other.goto(new URL('/account', demo.relay_url).href);
  await other.locator('#sign-out').click();
  await other.waitForURL('**/sign-in');
  await until('the cut', seen, (text) => text === 'open,closed', 5);
  assert.equal(await status(), 401);
  await page.goto(`${origin}/`);
  const there = new URL(page.url());
  assert.equal(there.origin, new URL(demo.relay_url).origin);
  assert.match(there.search, /^\?then=\/open\/own-/);
  // After signing in again the way leads on to the same place.
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(/\/\/own-/);
  assert.equal(new URL(page.url()).origin, origin);
  await page.context().close();
});

test('it works without script, and by a link from elsewhere only with a tap', async () => {
  const page = await open(browser, { javaScriptEnabled: false });
  await signIn(page, demo);
  await page.locator('main h2 a').first().click();
  const printer = page.url();
  await page.getByRole('link', { name: 'Open printer' }).click();
  await page.getByRole('button', { name: 'Open printer' }).click();
  await page.waitForURL(/\/\/own-/);
  await page.context().close();

  const elsewhere = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end(`<a href="${printer}/open">Look</a>`);
  }).listen(0, '127.0.0.1');
  await once(elsewhere, 'listening');
  const led = await open(browser);
  await signIn(led, demo);
  await led.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
  await led.getByRole('link', { name: 'Look' }).click();
  await led.getByRole('button', { name: 'Open printer' }).waitFor();
  assert.equal(await led.locator('form[data-by-itself]').count(), 0);
  assert.deepEqual(led.problems, []);
  elsewhere.close();
  await led.context().close();
});

/** Cookies by which a printer's page would like to pass for the relay, or to reach its neighbours (T-08). */
const PLANTED = [
  'planted_1=x; Domain=localhost; Path=/',
  'planted_2=x; Domain=.localhost; Path=/',
  'lk_session=planted; Domain=localhost; Path=/',
  'lk_form=planted; Domain=localhost; Path=/printers',
  '__Host-lk_session=planted; Path=/; Secure',
  '__Host-lk_own=planted; Path=/; Secure',
  'lk_own=planted; Path=/',
  '__Secure-planted_8=x; Domain=localhost; Path=/; Secure',
];

/** A printer's server that plants cookies, by field and by script, and notes what it is sent. */
async function startHostile() {
  const requests = [];
  const server = createServer((request, answer) => {
    requests.push({ url: request.url, headers: request.headers });
    if (request.url === '/') answer.setHeader('set-cookie', PLANTED);
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><title>A printer</title><h1>A printer</h1>');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = () => { server.closeAllConnections(); server.close(); };
  return { requests, stop, url: `http://127.0.0.1:${server.address().port}` };
}

test('a hostile printer plants nothing at the relay, and sees nothing of it or of its neighbours', async () => {
  const hostile = await startHostile();
  const worst = await startDemo('--upstream', hostile.url, '--upstream-kind', 'generic');
  try {
    const page = await open(browser);
    await signIn(page, worst);
    const origin = await openPrinter(page);
    await page.getByRole('heading', { name: 'A printer' }).waitFor();
    await page.evaluate((planted) => { for (const cookie of planted) document.cookie = cookie; }, PLANTED);
    await page.goto(`${origin}/again`);

    const sent = page.waitForRequest((request) => request.url().endsWith('/printers'));
    await page.goto(new URL('/printers', worst.relay_url).href);
    const { cookie } = await (await sent).allHeaders();
    assert.ok(cookie.includes('lk_session='), 'still signed in');
    assert.doesNotMatch(cookie, /planted/, 'a planted cookie reaches the relay');
    await page.getByRole('heading', { level: 1, name: 'Printers' }).waitFor();

    // Another printer's page, which is a neighbour under the same domain.
    const neighbour = worst.app_connections.find(({ access }) => access === 'none').url;
    await page.goto(`${neighbour}/neighbour`);
    assert.doesNotMatch(await page.evaluate(() => document.cookie), /planted_|__Secure/);
    const before = hostile.requests.length;
    const attempts = await page.evaluate(async (own) => {
      const attempt = (promise) => promise.then(() => 'answered', () => 'refused');
      const socket = new Promise((resolve) => {
        const tried = new WebSocket(`${own.replace('http', 'ws')}/steal-socket`);
        tried.onopen = () => resolve('open');
        tried.onerror = () => resolve('refused');
      });
      return [
        await attempt(fetch(`${own}/steal-get`, { credentials: 'include' })),
        await attempt(fetch(`${own}/steal-post`, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x' })),
        await socket,
      ];
    }, origin);
    assert.equal(attempts[0], 'refused');
    assert.equal(attempts[2], 'refused');
    const stolen = hostile.requests.slice(before).filter(({ url }) => url.startsWith('/steal'));
    assert.deepEqual(stolen, [], 'it reached the printer');

    for (const { url, headers } of hostile.requests) {
      const all = JSON.stringify(headers);
      assert.doesNotMatch(all, /lk_(sess|own|open)_\w{20}/, `${url} told of the relay: ${all}`);
      assert.doesNotMatch(headers.referer ?? '', /\/printers\//, 'the way here is nobody\'s');
    }
    await page.context().close();
  } finally {
    await worst.stop();
    hostile.stop();
  }
});

test('a hostname that leads nowhere any more makes the browser forget it', async () => {
  const hostile = await startHostile();
  const worst = await startDemo('--upstream', hostile.url, '--upstream-kind', 'generic');
  try {
    const page = await open(browser);
    await signIn(page, worst);
    const list = page.url();
    const origin = await openPrinter(page);
    await page.evaluate(() => localStorage.setItem('kept', 'yes'));
    await page.goto(list);
    const printer = await page.locator('main h2 a').first().getAttribute('href');
    await page.goto(new URL(`${printer}/remove`, worst.relay_url).href);
    await page.getByRole('button', { name: /Remove/ }).click();
    await page.waitForURL('**/printers?done=removed');
    const answer = await page.goto(`${origin}/`);
    assert.equal(`${answer.status()} ${answer.url()}`, `404 ${origin}/`);
    assert.equal(await answer.headerValue('clear-site-data'), '"*"');
    assert.equal(await page.evaluate(() => localStorage.getItem('kept')), null);
    const left = await page.context().cookies(origin);
    assert.deepEqual(left.map(({ name }) => name), []);
    await page.context().close();
  } finally {
    await worst.stop();
    hostile.stop();
  }
});
