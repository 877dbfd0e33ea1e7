// What apps use, end to end: the portal in a browser, then the command line, the JavaScript client, and the App API.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { AppConnection, CompletionCancelledError, createPkce, parseCompletion, redeemCode, startUrl } from '../client-js/dist/latchkey-client.js';
import { READERS } from './completion.mjs';
import { PHONE, assertAccessible, assertFitsWidth, launch, open, screenshot, startDemo, until } from './lib.mjs';

let browser;
let demo;
let folder;
before(async () => {
  demo = await startDemo();
  browser = await launch();
  folder = await mkdtemp(join(tmpdir(), 'latchkey-connect-'));
});
after(async () => {
  await browser?.close();
  await demo?.stop();
  if (folder) await rm(folder, { recursive: true });
});

const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

/** A person who has an account and one printer, up to the decision. */
async function walk(start) {
  const page = await open(browser, { device: PHONE });
  await page.goto(start);
  await press(page, 'Continue');
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await press(page, 'Sign in');
  await page.getByRole('radio').first().check();
  await press(page, 'Continue');
  return page;
}

async function allow(page) {
  await page.getByRole('checkbox', { name: /I started this/ }).check();
  await until('Allow to be ready', () => page.locator('#allow').getAttribute('aria-disabled'), (held) => held === null);
  await press(page, 'Allow');
}

/** `latchkey connect`, which has said where to go. */
async function connect(...options) {
  const child = spawn(process.env.LATCHKEY_BIN, ['connect', demo.relay_url, '--app-id', 'devtest', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => (said.err += text));
  const ended = once(child, 'exit').then(([code]) => code);
  const line = await until('the address', () => said.err.match(/http\S+state=\S+/), Boolean);
  return { start: line[0], said, ended };
}

const latchkey = (...args) => promisify(execFile)(process.env.LATCHKEY_BIN, args);

test('latchkey connect, then info and request', async () => {
  const file = join(folder, 'mine.json');
  const { start, said, ended } = await connect('--out', file);
  const page = await walk(start);
  await allow(page);
  await page.getByRole('heading', { level: 1, name: 'Done', exact: true }).waitFor();
  await assertFitsWidth(page);
  await assertAccessible(page);
  await screenshot(page, 'connect-done');
  assert.equal(await ended, 0, said.err);
  assert.equal(said.out, `${file}\n`);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  // A code came by the browser, and nothing else.
  const kept = JSON.parse(await readFile(file, 'utf8'));
  for (const secret of [kept.appApiToken, kept.authBearerToken, kept.authbasichttppassword]) {
    assert.ok(secret.length > 20);
    assert.ok(!page.url().includes(secret) && !said.err.includes(secret));
  }
  await page.context().close();
  const info = JSON.parse((await latchkey('info', file, '--json')).stdout);
  assert.deepEqual([info.PrinterName, info.IsOnline], ['Demo printer', true]);
  const version = JSON.parse((await latchkey('request', file, '/api/version')).stdout);
  assert.equal(version.server.split('.')[0], '1');
});

test('latchkey connect hears of a refusal', async () => {
  const file = join(folder, 'denied.json');
  const { start, said, ended } = await connect('--out', file);
  const page = await walk(start);
  await press(page, 'Deny');
  await page.getByRole('heading', { level: 1, name: 'Not allowed' }).waitFor();
  assert.equal(await ended, 1);
  assert.match(said.err, /got no access: denied, /);
  await assert.rejects(stat(file));
  await page.context().close();
});

/** An app of this device that waits for its answer. */
async function startApp(t) {
  const arrived = [];
  const server = createServer(({ url }, response) => {
    if (url.startsWith('/done')) arrived.push(url);
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><link rel="icon" href="data:,"><title>App</title><h1>Back in the app</h1>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const returnUrl = `http://127.0.0.1:${server.address().port}/done`;
  return { returnUrl, arrived: () => until('the answer', () => arrived.at(-1), Boolean) };
}

test('an app in JavaScript: a code, and what it is exchanged for', async (t) => {
  const app = await startApp(t);
  const { verifier, challenge } = await createPkce();
  const state = 'of-this-run';
  const page = await walk(startUrl(demo.relay_url, { appId: 'devtest', returnUrl: app.returnUrl, codeChallenge: challenge, state }));
  await allow(page);
  const { code } = parseCompletion(await app.arrived(), { state });
  const completion = await redeemCode(demo.relay_url, code, verifier);
  await page.context().close();
  const printer = new AppConnection(completion);
  assert.equal((await printer.info()).IsOnline, true);
  // Its hostname ends in .localhost, which Node.js cannot look up on many systems; client-js tests the requests.
  const again = await redeemCode(demo.relay_url, code, verifier).catch((error) => error);
  assert.deepEqual([again.code, again.error], ['expired', 'invalid_grant']);
});

test('what the portal gives satisfies every app that is known', async (t) => {
  const app = await startApp(t);
  const page = await walk(startUrl(demo.relay_url, { appId: 'devtest', returnUrl: app.returnUrl }));
  await allow(page);
  const address = `${new URL(app.returnUrl).origin}${await app.arrived()}`;
  await page.context().close();
  for (const read of Object.values(READERS)) read(address);
  const completion = parseCompletion(address, { relay: demo.relay_url });
  assert.equal(completion.printerName, 'Demo printer');
  assert.equal((await new AppConnection(completion).info()).PrinterName, 'Demo printer');
});

test('an app in JavaScript hears of a refusal', async (t) => {
  const app = await startApp(t);
  const page = await walk(startUrl(demo.relay_url, { appId: 'devtest', returnUrl: app.returnUrl }));
  await press(page, 'Deny');
  const arrived = await app.arrived();
  assert.throws(() => parseCompletion(arrived), CompletionCancelledError);
  await page.context().close();
});
