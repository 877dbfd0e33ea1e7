// The portal together with the computer beside the printer: a printer that is paired in the middle, and a key that is
// made there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { READERS } from './completion.mjs';
import { ARTIFACTS, DESKTOP, PHONE, assertAccessible, assertFitsWidth, launch, open, screenshot, startDemo, until } from './lib.mjs';
import { freePort, startIn } from './processes.mjs';

let browser;
let demo;
let app;
before(async () => {
  demo = await startDemo();
  browser = await launch();
  app = await startApp();
});
after(async () => {
  await browser?.close();
  app?.close();
  await demo?.stop();
});

/** An app on this device that waits for its answer. */
async function startApp() {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><link rel="icon" href="data:,"><title>App</title><h1>Back in the app</h1>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/done`, close: () => server.close() };
}

const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const heading = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();

async function look(page, name) {
  await assertFitsWidth(page);
  await assertAccessible(page);
  await screenshot(page, `portal-pairing-${name}`);
}

async function allow(page) {
  await page.getByRole('checkbox', { name: /I started this/ }).check();
  await until('Allow to be ready', () => page.locator('#allow').getAttribute('aria-disabled'), (held) => held === null);
  await press(page, 'Allow');
  await page.waitForURL((url) => url.href.startsWith(app.url));
  return page.url();
}

/** A second host before the demo's simulated printer, which has no relay yet. */
async function startHost(name) {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-pairing-'));
  const port = await freePort();
  const config = join(folder, 'host.yaml');
  // As people write it, so that the relay can be added at its end.
  await writeFile(config, `name: ${name}
listen: 127.0.0.1:${port}
status_listen: null
data: data
upstream:
  kind: octoprint
  url: ${demo.sim_url}
  api_key_file: upstream.key
`);
  await writeFile(join(folder, 'upstream.key'), await readFile(join(demo.data, 'sim.key')), { mode: 0o600 });
  const logs = join(ARTIFACTS, 'host');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `pairing-${process.pid}-${port}.log`);
  const { child, stop } = startIn(folder, process.env.LATCHKEY_BIN, ['host', '--config', config], ['ignore', 'ignore', 'pipe']);
  child.stderr.pipe(createWriteStream(log));
  const url = `http://127.0.0.1:${port}`;
  await until(`the host, see ${log}`, () => fetch(url, { redirect: 'manual' }).then(() => true, () => false), Boolean, 60);
  return { url, config, stop };
}

/** `latchkey pair`, which has said its code. */
async function startPairing(config) {
  const child = spawn(process.env.LATCHKEY_BIN, ['pair', '--config', config, demo.relay_url, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => (said.err += text));
  const ended = once(child, 'exit').then(([code]) => code);
  const lines = () => said.out.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const code = await until('the code', () => (said.out.includes('\n') ? lines()[0].code : undefined), Boolean);
  return { code, lines, ended, said, kill: () => child.kill('SIGKILL') };
}

/** What is answered at a path of an app connection, whose name not every resolver knows. */
async function request(root, path, headers) {
  const { host, port } = new URL(root);
  const [response] = await once(get({ host: '127.0.0.1', port, path, headers: { host, ...headers } }), 'response');
  response.resume();
  return response.statusCode;
}

for (const device of [PHONE, DESKTOP]) {
  test(`a new account pairs its printer in the middle, on a ${device.name}`, async (t) => {
    const host = await startHost(`Garage ${device.name}`);
    t.after(host.stop);
    const pairing = await startPairing(host.config);
    t.after(pairing.kill);
    const page = await open(browser, { device });
    // The app means a printer of another relay.
    const query = new URLSearchParams({ appId: 'devtest', returnUrl: app.url, printerId: 'X'.repeat(48) });
    await page.goto(`${demo.relay_url}/appportal/v1?${query}`);
    await press(page, 'Continue');
    await page.getByRole('link', { name: 'Create an account' }).click();
    await page.getByLabel('E-mail').fill(`garage-${device.name}@latchkey.example`);
    await page.getByLabel('Password').fill('plenty of filament left');
    await press(page, 'Create account');
    await heading(page, 'Add your printer first');
    await look(page, `add-${device.name}`);
    await page.getByRole('link', { name: 'Add a printer' }).click();
    await heading(page, 'Add a printer');
    await page.getByLabel('Code').fill(pairing.code);
    await look(page, `code-${device.name}`);
    await press(page, 'Go on');
    await heading(page, 'Is this your printer?');
    await page.getByLabel('Name of the printer').fill('Garage MK4');
    await look(page, `confirm-${device.name}`);
    await press(page, 'Yes, add it');
    await heading(page, 'Which printer may Test app reach?');
    assert.equal(await pairing.ended, 0, pairing.said.err);
    assert.equal(pairing.lines().at(-1).state, 'confirmed');
    assert.ok(await page.getByRole('radio', { name: /Garage MK4/ }).isChecked(), 'the only one is chosen');
    await until('the host to connect', async () => {
      await page.reload();
      return page.getByText('Connected').count();
    }, Boolean, 60);
    await look(page, `choose-${device.name}`);
    await press(page, 'Continue');
    await heading(page, 'Let Test app reach Garage MK4?');
    await look(page, `allow-${device.name}`);
    const completion = await allow(page);
    assert.deepEqual(page.problems, []);
    await page.context().close();
    for (const read of Object.values(READERS)) assert.ok(read(completion).url);
    const given = READERS.documented(completion);
    assert.equal(new URL(completion).searchParams.get('printername'), 'Garage MK4');
    assert.equal(await request(given.url, '/api/version', { authorization: `Bearer ${given.bearer}` }), 200);
    const basic = Buffer.from(`${given.user}:${given.password}`).toString('base64');
    assert.equal(await request(given.url, '/api/version', { authorization: `Basic ${basic}` }), 200);
    assert.equal(await request(given.url, '/api/version', {}), 606);
  });

  test(`a key at the printer comes with the access, on a ${device.name}`, async () => {
    const page = await open(browser, { device });
    const query = new URLSearchParams({ appId: 'devtest', returnUrl: app.url, octoPrintApiKeyAppName: `Bench app ${device.name}` });
    await page.goto(`${demo.relay_url}/appportal/v1?${query}`);
    await press(page, 'Continue');
    await page.getByLabel('E-mail').fill(demo.account.email);
    await page.getByLabel('Password').fill(demo.account.password);
    await press(page, 'Sign in');
    await page.getByRole('radio', { name: /Demo printer/ }).check();
    await press(page, 'Continue');
    await heading(page, 'Let Test app reach Demo printer?');
    assert.ok(await page.getByRole('checkbox', { name: /key at the printer/ }).isChecked());
    await look(page, `key-${device.name}`);
    const completion = await allow(page);
    assert.deepEqual(page.problems, []);
    await page.context().close();
    for (const read of Object.values(READERS)) read(completion);
    const { apiKey, url, bearer } = READERS.documented(completion);
    assert.match(apiKey, /^\S{20,}$/);
    const directly = (key) => fetch(new URL('/api/version', demo.host_url), { headers: { 'x-api-key': key } });
    const answer = await directly(apiKey);
    assert.equal(answer.status, 200);
    assert.ok((await answer.json()).server);
    assert.equal((await directly(`${apiKey.slice(0, -1)}${apiKey.endsWith('A') ? 'B' : 'A'}`)).status, 403);
    assert.equal(await request(url, '/api/version', { authorization: `Bearer ${bearer}` }), 200);
  });
}
