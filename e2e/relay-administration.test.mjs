// The pages of whoever runs a relay: plans, tunnels, registered apps and their pictures, the audit log, the system; and
// what everybody sees of it. The demo's account is an administrator with one printer that is online.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo } from './lib.mjs';

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

const at = (path) => new URL(path, demo.relay_url).href;

async function signIn(page, { email, password } = demo.account) {
  await page.goto(at('/sign-in'));
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(at('/printers'));
}

async function looksWell(page, name) {
  await assertAccessible(page);
  await assertFitsWidth(page);
  await screenshot(page, `relay-${name}`);
  assert.deepEqual(page.problems, []);
}

/** A PNG of one colour. */
function picture(side) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length, 0);
    body.copy(framed, 4);
    framed.writeUInt32BE(crc(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side * 3, 0x80)]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

test('an app is registered with a picture, shown to everybody, and removed', async () => {
  const page = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await signIn(page);
  await page.getByRole('link', { name: 'Admin', exact: true }).click();
  await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: 'Apps' }).click();
  await page.getByLabel('Its id').fill('com.example.spool');
  await page.getByLabel('What people see').fill('Spool <i>Watch</i>');
  await page.getByLabel('Who makes it').fill('Northlight Labs');
  await page.getByLabel('Where the portal may lead').fill('spool:\nhttp://127.0.0.1/\n');
  await page.getByRole('button', { name: 'Register' }).click();
  await page.getByText('The app is registered').waitFor();
  await page.getByRole('link', { name: 'Edit Spool <i>Watch</i>' }).click();
  await page.getByLabel('File').setInputFiles({ name: 'logo.png', mimeType: 'image/png', buffer: Buffer.from('<svg/>') });
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByText('it is no PNG').waitFor();
  await page.getByLabel('File').setInputFiles({ name: 'logo.png', mimeType: 'image/png', buffer: picture(64) });
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByText('The app has a new picture').waitFor();
  await page.getByLabel('Its makers’ website').fill('https://northlight.example');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The app is changed').waitFor();
  const stranger = await open(browser);
  await stranger.goto(at('/'));
  await stranger.getByRole('link', { name: 'Works with these apps' }).click();
  await stranger.getByText('Spool <i>Watch</i>').waitFor();
  const logo = stranger.locator('li', { hasText: 'Spool' }).locator('img');
  // It may still be on its way.
  await logo.evaluate((image) => image.complete || new Promise((loaded) => image.addEventListener('load', loaded)));
  assert.equal(await logo.evaluate((image) => image.naturalWidth), 128);
  await looksWell(stranger, 'apps-with-picture');
  await stranger.context().close();
  await page.getByRole('link', { name: 'Remove app' }).click();
  await page.getByRole('button', { name: 'Remove app' }).click();
  await page.getByText('The app is no longer registered').waitFor();
  await page.context().close();
});

test('a tunnel that is cut comes back by itself', async () => {
  const page = await open(browser);
  await signIn(page);
  await page.goto(at('/admin/tunnels'));
  const since = await page.locator('td time').first().getAttribute('datetime');
  const which = () => page.locator('[name=tunnel]').first();
  const cut = await which().inputValue();
  await page.getByRole('button', { name: /^Disconnect/ }).first().click();
  await page.getByText('The tunnel is cut').waitFor();
  for (;;) {
    await page.goto(at('/admin/tunnels'));
    const times = page.locator('td[data-l="Up for"] time');
    if ((await times.count()) > 0 && (await times.first().getAttribute('datetime')) !== since) break;
    await page.waitForTimeout(200);
  }
  // Clicked once more on the old page, it leaves the new tunnel alone.
  const next = await which().inputValue();
  await which().evaluate((field, old) => { field.value = old; }, cut);
  await page.getByRole('button', { name: /^Disconnect/ }).first().click();
  await page.getByText('The tunnel is cut').waitFor();
  const still = (await which().inputValue()).split(' ');
  assert.ok(next.split(' ').some((id) => still.includes(id)), 'the new tunnel is cut');
  await page.goto(at('/admin/audit'));
  await page.getByRole('rowheader', { name: 'Tunnel disconnected' }).waitFor();
  assert.equal(await page.getByRole('rowheader', { name: 'Tunnel disconnected' }).count(), 1);
  await page.context().close();
});

test('the log is found by what was done', async () => {
  const page = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await signIn(page);
  await page.goto(at('/admin/audit'));
  await page.getByLabel('What').selectOption('signed_in');
  await page.getByLabel('By or about').fill(demo.account.email);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('rowheader', { name: 'Signed in' }).first().waitFor();
  assert.equal(await page.getByRole('rowheader', { name: 'Tunnel disconnected' }).count(), 0);
  await page.getByLabel('By or about').fill('nobody@example.com');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByText('Nobody has this address').waitFor();
  await page.context().close();
});

test('every page of administration looks well', async () => {
  await inEveryLook(browser, async (page, look) => {
    await signIn(page);
    const shows = async (path, heading, name) => {
      await page.goto(at(path));
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
      await looksWell(page, `${name}-${look.name}`);
    };
    await shows('/admin', 'Administration', 'admin-accounts');
    await shows('/admin/plans', 'Administration', 'admin-plans');
    await shows('/admin/tunnels', 'Administration', 'admin-tunnels');
    await shows('/admin/apps', 'Administration', 'admin-apps');
    const app = await page.getByRole('link', { name: /^Edit/ }).first().getAttribute('href').catch(() => undefined);
    if (app) {
      await shows(app, /./, 'admin-app');
      await shows(`${app}/remove`, /^Remove “/, 'admin-end-app');
    }
    await shows('/admin/audit', 'Administration', 'admin-audit');
    await shows('/admin/system', 'Administration', 'admin-system');
    await shows('/app-connections', 'Apps', 'app-connections');
    await shows('/apps', 'Works with these apps', 'apps');
    await shows('/privacy', 'What the operator of this relay can see', 'privacy');
  });
});
