// The plain script in Chromium: on a page of the server's own, and on one of another address.

import assert from 'node:assert/strict';
import { generateKeyPairSync, generatePrimeSync } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { LatchkeyClient } from '../dist/latchkey-client.js';
import * as documentation from './documented-key.mjs';
import { fakeServer } from './fake-server.mjs';
import { startServer } from './octoprint.mjs';

const HERE = fileURLToPath(new URL('..', import.meta.url));
// Evaluated by the debugger, which a page's content security policy does not concern.
const SCRIPT = await readFile(`${HERE}dist/latchkey-client.script.js`, 'utf8');
const NAME = `client-js browser ${process.pid}`;

let server;
let browser;
let pages;
before(async () => {
  server = await startServer();
  // The sandbox needs what containers and root lack; the pages are our own.
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromiumSandbox: false });
  pages = createServer(async ({ url }, response) => {
    const file = await readFile(HERE + url.slice(1)).catch(() => undefined);
    response.writeHead(file ? 200 : 404, { 'Content-Type': url.endsWith('.html') ? 'text/html' : 'text/javascript' }).end(file);
  }).listen(0, '127.0.0.1');
  await once(pages, 'listening');
});
after(async () => {
  await browser?.close();
  pages?.closeAllConnections();
  pages?.close();
  await server?.stop();
});

async function open(t, url) {
  const page = await browser.newPage();
  t.after(() => page.close());
  page.setDefaultTimeout(20_000);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  await page.goto(url);
  return page;
}

/** Whether the server lets pages of other addresses ask; servers do not unless they are told to. */
async function allowsOtherPages() {
  const answer = await fetch(`${server.url}plugin/appkeys/probe`, { headers: { Origin: 'http://elsewhere.example' } });
  return answer.headers.has('access-control-allow-origin');
}

/** Lets `app` in, or not, as soon as it asks. */
async function decide(app, decision) {
  const person = new LatchkeyClient({ baseurl: server.url });
  await person.login(server.user.name, server.user.password);
  const { appkeys } = person.plugins;
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const { pending } = await appkeys.getKeys();
    const request = Object.values(pending).find(({ app_id }) => app_id === app);
    if (request) {
      await appkeys.decide(request.user_token, decision);
      return appkeys;
    }
  }
  return assert.fail(`${app} did not ask`);
}

test("on the server's own page, a person logs in by the browser's cookies and looks after keys", async (t) => {
  const page = await open(t, `${server.url}login/`);
  await page.evaluate(SCRIPT);
  const seen = await page.evaluate(async ({ name, password, app }) => {
    const client = new globalThis.LatchkeyClient();
    const { appkeys } = client.plugins;
    const before = (await client.currentUser()).name;
    const { session } = await client.login(name, password);
    const made = await appkeys.generateKey(app);
    const { key } = await appkeys.getKey(app);
    const revoked = await appkeys.revokeKeyForApp(app);
    const history = new Promise((resolve) => client.socket.onMessage('history', () => resolve('history')));
    client.socket.connect();
    client.socket.sendAuth(name, session);
    const told = await history;
    client.socket.disconnect();
    // With a key the login cookie stays at home, and the key says who is asking.
    const keyed = new globalThis.LatchkeyClient({ apikey: 'made-up' });
    const stranger = (await keyed.currentUser()).name;
    await client.logout();
    return { before, same: key.api_key === made.api_key, revoked, told, stranger, after: (await client.currentUser()).name };
  }, { ...server.user, app: NAME });
  assert.deepEqual(seen, { before: null, same: true, revoked: undefined, told: 'history', stranger: null, after: null });
  assert.deepEqual(page.problems, []);
});

test("beside OctoPrint's own client, its names stay its own", async (t) => {
  if (!server.isOctoPrint) return t.skip('the named server may not have it');
  const page = await open(t, `${server.url}login/`);
  const untouched = () => page.evaluate(() => [typeof globalThis.OctoPrint, globalThis.OctoPrintClient?.name, globalThis.OctoPrintClient === globalThis.LatchkeyClient]);
  const [kind, name] = await untouched();
  assert.equal(kind, 'object');
  await page.evaluate(SCRIPT);
  assert.deepEqual(await untouched(), ['object', name, false]);
});

test('where nobody has taken them, OctoPrint\'s names work as in its documentation', async (t) => {
  const fake = await fakeServer(t);
  const page = await open(t, `${fake.url}login/`);
  await page.evaluate(SCRIPT);
  const running = page.evaluate(() => new Promise((resolve) => {
    const { OctoPrint, OctoPrintClient } = globalThis;
    if (!(OctoPrint instanceof OctoPrintClient)) resolve('no client');
    OctoPrint.plugins.appkeys.authenticate('My App', 'olivia').done(resolve).fail((error) => resolve(error.code));
  }));
  await fake.decideNext(true);
  assert.equal(await running, fake.keys[0].api_key);
});

for (const [decision, said] of [[true, () => `Access granted by ${server.user.name}.`], [false, () => 'Access was denied.']]) {
  test(`the example page, at another address, says: ${decision ? 'granted' : 'denied'}`, async (t) => {
    if (!server.isOctoPrint && !(await allowsOtherPages())) return t.skip('the named server does not let other pages ask');
    const page = await open(t, `http://127.0.0.1:${pages.address().port}/examples/browser.html`);
    const app = `${NAME} ${decision}`;
    await page.locator('#baseurl').fill(server.url);
    await page.locator('#app').fill(app);
    await page.locator('#ask').click();
    await page.getByText('Waiting for somebody').waitFor();
    assert.match(await page.locator('#dialog a').getAttribute('href'), /\/plugin\/appkeys\/auth\//);
    const appkeys = await decide(app, decision);
    await page.getByText(said(), { exact: true }).waitFor();
    assert.equal(await page.locator('#ask').isEnabled(), true);
    assert.equal(await page.locator('#dialog').isHidden(), true);
    if (decision) await appkeys.revokeKeyForApp(app);
    assert.deepEqual(page.problems, []);
  });
}

test('the example page can be cancelled, and says when nobody answers', async (t) => {
  const page = await open(t, `http://127.0.0.1:${pages.address().port}/examples/browser.html`);
  const fake = await fakeServer(t);
  const cors = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'content-type, cache-control, pragma' };
  fake.overrides.set('/plugin/appkeys/probe', (_, reply) => reply(204, undefined, cors) ?? true);
  fake.overrides.set('/plugin/appkeys/request', (_, reply) => reply(201, { app_token: 't', auth_dialog: fake.url }, cors) ?? true);
  await page.locator('#baseurl').fill(fake.url);
  await page.locator('#ask').click();
  await page.getByText('Waiting for somebody').waitFor();
  await page.locator('#cancel').click();
  await page.getByText('Cancelled.').waitFor();

  await page.locator('#baseurl').fill('http://127.0.0.1:1/');
  await page.locator('#ask').click();
  await page.getByText('The printer cannot be reached').waitFor();
  assert.deepEqual(page.problems, []);
});

const signIn = (page, request) =>
  page.evaluate((request) => {
    const { sessionKeys } = new globalThis.LatchkeyClient();
    return sessionKeys.authenticate(request).then(() => 'signed', (error) => error.code);
  }, request);

for (const bits of [1024, 2048]) {
  test(`Chromium signs with a key of ${bits} bits`, async (t) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits });
    const fake = await fakeServer(t);
    fake.apps['com.example.app:1.0'] = publicKey;
    const page = await open(t, `${fake.url}login/`);
    await page.evaluate(SCRIPT);
    const pem = privateKey.export({ type: 'pkcs1', format: 'pem' });
    assert.equal(await signIn(page, { appid: 'com.example.app', appversion: '1.0', privateKey: pem }), 'signed');
  });
}

test("Chromium signs with the documentation's key", async (t) => {
  const fake = await fakeServer(t);
  documentation.documented(fake);
  const page = await open(t, `${fake.url}login/`);
  await page.evaluate(SCRIPT);
  assert.equal(await signIn(page, { ...documentation.APP, privateKey: documentation.PRIVATE_KEY }), 'signed');
});

test('a key that Chromium refuses is too small', async (t) => {
  const fake = await fakeServer(t);
  const page = await open(t, `${fake.url}login/`);
  await page.evaluate(SCRIPT);
  assert.equal(await signIn(page, { appid: 'com.example.app', privateKey: tinyKey() }), 'key_too_small');
});

/** A whole and correct key of 400 bits, which Node.js would not make. */
function tinyKey() {
  const e = 65537n;
  for (;;) {
    const [p, q] = [1, 2].map(() => generatePrimeSync(200, { bigint: true })).sort((a, b) => (a < b ? 1 : -1));
    const phi = (p - 1n) * (q - 1n);
    if (phi % e === 0n || p === q) continue;
    const d = inverse(e, phi);
    const der = element(0x30, [0n, p * q, e, d, p, q, d % (p - 1n), d % (q - 1n), inverse(q, p)].flatMap(integer));
    return `-----BEGIN RSA PRIVATE KEY-----\n${Buffer.from(der).toString('base64')}\n-----END RSA PRIVATE KEY-----\n`;
  }
}

function inverse(value, modulus) {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a > 1n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
  return ((x % modulus) + modulus) % modulus;
}

const element = (tag, content) => [tag, ...(content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 255]), ...content];

function integer(value) {
  const hex = value.toString(16);
  const bytes = [...Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')];
  return element(2, bytes[0] & 128 ? [0, ...bytes] : bytes);
}
