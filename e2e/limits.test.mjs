// Limits of a plan, as a browser meets them: a download, an upload and a camera. A second relay serves the demo's
// database with smaller plans, and a second host stands before the demo's printer.

import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARTIFACTS, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';
import { freePort, startIn } from './processes.mjs';

let browser;
let demo;
let relay;
let stops = [];
before(async () => {
  demo = await startDemo();
  relay = await startLimited();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const stop of stops.reverse()) await stop();
  await demo?.stop();
});

async function run(role, folder, config) {
  const logs = join(ARTIFACTS, 'limits');
  await mkdir(logs, { recursive: true });
  const { child, stop } = startIn(folder, process.env.LATCHKEY_BIN, [role, '--config', config], ['ignore', 'ignore', 'pipe']);
  child.stderr.pipe(createWriteStream(join(logs, `${role}-${process.pid}.log`)));
  stops.push(stop);
}

async function startLimited() {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-limits-'));
  const port = await freePort();
  const root = `http://localhost:${port}`;
  const plan = {
    max_upload_bytes: 100000, max_download_bytes: 1000000, max_webcam_stream_seconds: 2, max_webcam_seconds_per_window: 4,
    webcam_window_seconds: 3600, max_bytes_per_month: 50000000000, max_printers: 3, max_app_connections: 10,
  };
  const config = join(folder, 'relay.yaml');
  await writeFile(config, JSON.stringify({
    listen: `127.0.0.1:${port}`, status_listen: null, public_url: root, connection_domain: `localhost:${port}`,
    data: join(demo.data, 'relay'), plans: { supporter: plan },
  }));
  await run('relay', folder, config);
  const home = await mkdtemp(join(tmpdir(), 'latchkey-limits-host-'));
  await cp(join(demo.data, 'host'), join(home, 'host'), { recursive: true });
  await cp(join(demo.data, 'sim.key'), join(home, 'sim.key'));
  // It is this relay's by its identity alone.
  await rm(join(home, 'host', 'relay.json'), { force: true });
  const hosts = join(home, 'host.yaml');
  await writeFile(hosts, JSON.stringify({
    listen: `127.0.0.1:${await freePort()}`, status_listen: null, announce: false, data: 'host',
    upstream: { kind: 'octoprint', url: demo.sim_url, api_key_file: 'sim.key' },
    webcams: [{ path: '/webcam/', url: `${demo.sim_url}/webcam/` }], relay: { url: root, allow_unbound: true },
  }));
  await run('host', home, hosts);
  const { url } = demo.app_connections.find(({ access }) => access === 'none');
  const connection = url.replace(/:\d+$/, `:${port}`);
  return { root, connection };
}

/** A page of the printer's, by way of the app connection. */
async function atPrinter(context = {}) {
  const page = await open(browser, context);
  await until('the host', () => page.goto(`${relay.connection}/api/version`).then((answer) => answer.status(), () => 0), (status) => status < 600 && status > 0, 60);
  return page;
}

const status = (page, path, options) => page.evaluate(async ([path, options]) => (await fetch(path, options)).status, [path, options]);

test('a download that is too large is told by 607, as a page and to programs', async () => {
  const page = await atPrinter();
  const told = await page.goto(`${relay.connection}/downloads/files/local/big-1000001.gcode`);
  assert.equal(told.status(), 607);
  await page.getByRole('heading', { level: 1, name: 'This is too large to pass' }).waitFor();
  // The relay's own page may not fetch anything.
  await page.goto(`${relay.connection}/api/version`);
  assert.equal(await status(page, '/downloads/files/local/big-1000001.gcode'), 607);
  const part = { headers: { range: 'bytes=0-999' } };
  assert.equal(await status(page, '/downloads/files/local/big-1000001.gcode', part), 206);
  const [whole, size] = await page.evaluate(async () => {
    const answer = await fetch('/downloads/files/local/big-1000000.gcode');
    return [answer.status, (await answer.arrayBuffer()).byteLength];
  });
  assert.deepEqual([whole, size], [200, 1000000]);
  await page.context().close();
});

test('an upload that is too large is told by 608', async () => {
  const page = await atPrinter();
  const send = (bytes) => page.evaluate(async (bytes) => {
    const form = new FormData();
    form.append('file', new Blob(['G28\n'.repeat(bytes / 4)]), 'limit.gcode');
    const answer = await fetch('/api/files/local', { method: 'POST', body: form });
    return [answer.status, await answer.text()];
  }, bytes);
  const [refused, said] = await send(200000);
  assert.equal(refused, 608, said);
  assert.equal(JSON.parse(said).Status, 608);
  const [taken] = await send(40000);
  assert.ok(taken < 600, `${taken}: the printer’s own answer`);
  await page.context().close();
});

test('a camera’s picture ends, and then its time is used up', async () => {
  const page = await atPrinter();
  const watch = () => page.evaluate(async () => {
    const answer = await fetch('/webcam/?action=stream');
    // To its end: a stream that breaks off would be an error here.
    return [answer.status, (await answer.arrayBuffer()).byteLength];
  });
  for (const _ of [1, 2]) {
    const [seen, bytes] = await watch();
    assert.equal(seen, 200);
    assert.ok(bytes > 1000, `${bytes} bytes of pictures`);
  }
  const [used] = await watch();
  assert.equal(used, 609);
  await page.goto(`${relay.connection}/webcam/?action=stream`);
  await page.getByRole('heading', { level: 1, name: 'The camera’s time is used up for now' }).waitFor();
  await assertAccessible(page);
  await page.context().close();
});

test('people see what is used beside what their plan allows', async () => {
  await inEveryLook(browser, async (page, look) => {
    await page.goto(`${relay.root}/sign-in`);
    await page.getByLabel('E-mail').fill(demo.account.email);
    await page.getByLabel('Password').fill(demo.account.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(`${relay.root}/printers`);
    await page.goto(`${relay.root}/account`);
    const card = page.locator('#usage');
    await card.getByText('of 50 GB this month').waitFor();
    await card.getByText('4 seconds in 1 hour, for each printer').waitFor();
    await card.scrollIntoViewIfNeeded();
    await assertAccessible(page);
    await assertFitsWidth(page);
    await screenshot(page, `limits-usage-${look.name}`);
    assert.deepEqual(page.problems, []);
  });
});
