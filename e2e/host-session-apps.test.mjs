// Apps that sign for a session key, as the host's administrator sees them, with the JavaScript client as the app: it signs
// in from Node.js and from a page in Chromium, is looked at, switched off, registered and removed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LatchkeyClient } from '../client-js/dist/latchkey-client.js';
import { APP, PRIVATE_KEY } from '../client-js/test/documented-key.mjs';
import { DESKTOP, PHONE, assertAccessible, assertFitsWidth, launch, screenshot, startDemo } from './lib.mjs';
import { signIn, visit, withKey } from './host.mjs';

const CLIENT = fileURLToPath(new URL('../client-js/dist', import.meta.url));

let browser;
let demo;
let url;
let admin;
before(async () => {
  demo = await startDemo();
  url = demo.host_url;
  admin = demo.host_users.find((user) => user.admin);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

async function looksWell(page, name) {
  await assertAccessible(page);
  await assertFitsWidth(page);
  await screenshot(page, name);
}

const authenticate = (app) => new LatchkeyClient({ baseurl: url }).sessionKeys.authenticate(app);
const documented = (appversion = APP.appversion) => ({ ...APP, appversion, privateKey: PRIVATE_KEY });
const row = (page, name) => page.locator('.row', { hasText: name });

test('an app signs in with the JavaScript client, is seen by the administrator, and is switched off and on', async () => {
  const { key, validUntil } = await authenticate(documented());
  assert.ok(validUntil * 1000 - Date.now() > 7_190_000);
  assert.equal((await withKey(url, key, '/api/printer')).status, 200);
  await assert.rejects(authenticate(documented('0.9')), { name: 'SessionKeyError', code: 'unknown_app' });

  const page = await visit(browser, { device: PHONE });
  await signIn(page, url, admin);
  await page.goto(`${url}/latchkey/keys`);
  await page.getByRole('link', { name: 'Registered apps' }).click();
  await page.getByRole('heading', { name: '2 apps' }).waitFor();
  await page.getByText('Weak key: 512 bits').first().waitFor();
  await looksWell(page, 'host-apps-phone');
  await row(page, 'version 1.0').getByRole('link', { name: 'Look' }).click();
  await page.getByText('minutes left').waitFor();
  await page.getByText('SHA256:').waitFor();
  await looksWell(page, 'host-app-phone');

  const camera = await withKey(url, key, '/webcam/?action=stream');
  const ended = camera.body.pipeTo(new WritableStream()).then(() => 'ended', () => 'cut');
  await page.getByRole('button', { name: 'Switch off' }).click();
  await page.getByText('Its keys have ended').waitFor();
  await looksWell(page, 'host-app-off-phone');
  assert.match(await ended, /ended|cut/);
  assert.equal((await withKey(url, key, '/api/printer')).status, 403);
  await assert.rejects(authenticate(documented()), { code: 'unknown_app' });
  await page.getByRole('button', { name: 'Switch on' }).click();
  await page.getByText('It can sign in again').waitFor();
  await authenticate(documented());
});

test('an administrator registers an app whose pair was made by our command, and it signs in from a page', async () => {
  const file = join(demo.data, 'app.pem');
  const made = await promisify(execFile)(process.env.LATCHKEY_BIN, ['app-keygen', '--id', 'com.example.fieldglass', '--version', '2.0', '--bits', '2048', '--private-key', file]);
  const pubkey = /pubkey: "?([^\s"]+)/.exec(made.stdout)[1];
  const privateKey = await readFile(file, 'utf8');

  const page = await visit(browser, { device: DESKTOP });
  await signIn(page, url, admin, '/latchkey/apps');
  await page.getByLabel('App and version').fill('com.example.fieldglass:2.0');
  await page.getByLabel('Public key').fill(pubkey.replace(/(.{64})/g, '$1\n'));
  await page.getByRole('radio', { name: /^Watch only/ }).check();
  await page.getByRole('button', { name: 'Register app' }).click();
  await page.getByText('is registered').first().waitFor();
  await page.getByText('2048 bits', { exact: true }).waitFor();
  await looksWell(page, 'host-apps-desktop');

  // WebCrypto signs with it where it does not with the documentation's short key.
  const site = createServer(async (request, response) => {
    if (request.url !== '/latchkey-client.js') return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>An app</title>');
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(join(CLIENT, 'latchkey-client.js')));
  });
  await new Promise((listening) => site.listen(0, '127.0.0.1', listening));
  const app = await visit(browser);
  await app.goto(`http://localhost:${site.address().port}/`);
  // What an app with a server of its own does: the page signs, and the server speaks with the host.
  const { unverifiedKey } = await (await fetch(new URL('/apps/auth', url))).json();
  const signature = await app.evaluate(async ([key, privateKey]) => {
    const { LatchkeyClient } = await import('/latchkey-client.js');
    let signed;
    const client = new LatchkeyClient({
      baseurl: 'http://printer.invalid',
      fetch: async (_, { method, body } = {}) => {
        if (method === 'POST') signed = JSON.parse(body)._sig;
        return new Response(JSON.stringify({ unverifiedKey: key, key, validUntil: 1 }), { headers: { 'content-type': 'application/json' } });
      },
    });
    await client.sessionKeys.authenticate({ appid: 'com.example.fieldglass', appversion: '2.0', privateKey });
    return signed;
  }, [unverifiedKey, privateKey]);
  const claim = { appid: 'com.example.fieldglass', appversion: '2.0', key: unverifiedKey, _sig: signature };
  const verified = await fetch(new URL('/apps/auth', url), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(claim) });
  assert.equal(verified.status, 200);
  site.close();
  assert.equal((await withKey(url, unverifiedKey, '/api/printer')).status, 200);
  const moved = await withKey(url, unverifiedKey, '/api/printer/printhead', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"command":"home","axes":["x"]}' });
  assert.equal(moved.status, 403, 'it only watches');

  await page.goto(`${url}/latchkey/apps`);
  await row(page, 'com.example.fieldglass version 2.0').getByRole('link', { name: 'Look' }).click();
  await looksWell(page, 'host-app-desktop');
  await page.getByRole('link', { name: 'Remove' }).click();
  await looksWell(page, 'host-app-remove-desktop');
  await page.getByRole('button', { name: 'Remove app' }).click();
  await page.getByText('is removed').waitFor();
  assert.equal((await withKey(url, unverifiedKey, '/api/printer')).status, 403);
});

test('what cannot be registered is said at the field', async () => {
  const page = await visit(browser, { device: PHONE, scheme: 'dark' });
  await signIn(page, url, admin, '/latchkey/apps');
  await page.getByLabel('App and version').fill('com.example.weak:1.0');
  await page.getByLabel('Public key').fill('MEgCQQCIWfi7Nc8bcnfZJJtA6a4RyMC+sKBlMOb25OVNNB4L2v0TiGO72jVKR4osvb4oztlbRW5GkdiY0T2LJcfDYvkJAgMBAAE=');
  await page.getByRole('button', { name: 'Register app' }).click();
  await page.getByText('Anybody can break that in hours').last().waitFor();
  assert.equal(await page.getByLabel('App and version').inputValue(), 'com.example.weak:1.0');
  await looksWell(page, 'host-apps-refused-phone-dark');
});
