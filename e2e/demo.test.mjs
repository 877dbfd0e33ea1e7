// Story 1, "Try it", as far as a browser sees it: the demo runs, its printer is watched through an app connection, and an
// address that leads nowhere says so.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';

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

const connection = (access) => demo.app_connections.find((one) => one.access === access);

/** The picture of the printer's camera. */
const camera = (page) => page.getByRole('img', { name: /print bed/i });

/** What moves on the printer's page: progress, and every temperature with its tenths. */
async function readings(page) {
  const temperatures = await page.getByRole('region', { name: 'Temperatures' }).innerText();
  return {
    progress: await page.getByRole('progressbar', { name: 'Progress' }).evaluate((bar) => bar.value),
    temperatures: temperatures.match(/\d+\.\d/g) ?? [],
  };
}

test('demo tells what a script needs', () => {
  for (const field of ['relay_url', 'connection_domain', 'host_url', 'sim_url', 'printer_id']) assert.equal(typeof demo[field], 'string', field);
  assert.deepEqual(demo.app_connections.map(({ access }) => access).sort(), ['basic', 'bearer', 'enhanced', 'none']);
  assert.ok(Array.isArray(demo.host_users));
  assert.ok(demo.account.email && demo.account.password);
});

test('printer is watched through its app connection', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    // The camera is a stream: the load event may never come.
    const response = await page.goto(connection('none').url, { waitUntil: 'domcontentloaded' });
    assert.equal(response.status(), 200);
    await until('a camera picture', () => camera(page).evaluate((image) => image.naturalWidth), (width) => width > 0);

    const first = await until('temperatures', () => readings(page), ({ temperatures }) => temperatures.length >= 2);
    await until('something to move', () => readings(page), (now) => JSON.stringify(now) !== JSON.stringify(first), 30);

    await assertFitsWidth(page);
    await assertAccessible(page);
    await screenshot(page, `printer-${name}`);
    assert.deepEqual(page.problems, []);
  });
});

test('address that leads nowhere is explained', async () => {
  const nowhere = new URL(connection('none').url);
  // Same shape, other label: every letter and digit after the prefix becomes a q.
  const [label, ...domain] = nowhere.hostname.split('.');
  nowhere.hostname = [label.replace(/(?<=-).*/, (id) => id.replace(/[a-z0-9]/gi, 'q')), ...domain].join('.');

  await inEveryLook(browser, async (page, { name }) => {
    const response = await page.goto(nowhere.href);
    assert.equal(response.status(), 603);
    assert.match(response.headers()['content-type'], /^text\/html/);
    await page.getByRole('heading', { level: 1 }).waitFor();
    assert.match(await page.locator('body').innerText(), /603/);
    await assertFitsWidth(page);
    await assertAccessible(page);
    await screenshot(page, `error-603-${name}`);
    assert.deepEqual(page.problems, []);
  });
});

test('app connection with a password asks nobody for it', async () => {
  // A dialog of the browser's would hang a web view inside an app; so 606 comes without a challenge.
  const page = await open(browser);
  const response = await page.goto(connection('basic').url);
  assert.equal(response.status(), 606);
  assert.equal(response.headers()['www-authenticate'], undefined);
  await assertAccessible(page);
  await page.context().close();
});
