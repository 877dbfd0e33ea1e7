// Printers as those who use them see them now, and live links as strangers do. The demo's printer prints all the time.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';

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

async function signIn(page) {
  await page.goto(at('/sign-in'));
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(at('/printers'));
}

async function looksWell(page, name) {
  await assertAccessible(page);
  await assertFitsWidth(page);
  await screenshot(page, `live-${name}`);
  assert.deepEqual(page.problems, []);
}

const width = (page) => page.locator('.camera img').first().evaluate((image) => image.naturalWidth);

/** Makes a live link as the demo's owner, and gives its address. */
async function share(page, until) {
  await page.goto(at('/printers'));
  await page.locator('main h2 a').first().click();
  await page.getByRole('link', { name: 'Share live link' }).click();
  await page.getByLabel(until).check();
  await page.getByRole('button', { name: 'Make the link' }).click();
  await page.getByText('The link is made').waitFor();
  return page.locator('.code code').first().textContent();
}

test('printers are shown as they are, and go on without a reload', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await signIn(page);
    await page.getByText('Printing', { exact: true }).first().waitFor();
    await until('a picture', () => width(page), (width) => width > 0);
    await looksWell(page, `printers-${name}`);
    await page.locator('main h2 a').first().click();
    await page.getByRole('heading', { level: 2, name: 'Activity' }).waitFor();
    await until('a picture', () => width(page), (width) => width > 0);
    await looksWell(page, `printer-${name}`);
    await page.getByRole('link', { name: 'All activity' }).click();
    await page.getByRole('heading', { level: 1, name: 'Activity' }).waitFor();
    await looksWell(page, `activity-${name}`);
  });
});

test('a page that stays open tells what the printer does', async () => {
  const page = await open(browser, DESKTOP);
  await signIn(page);
  await page.locator('main h2 a').first().click();
  const reading = () => page.locator('[data-now="heats"]').textContent();
  const first = await until('temperatures', reading, (text) => /\d/.test(text));
  const progress = () => page.locator('[data-now="print"]').textContent();
  const before = `${first} ${await progress()}`;
  await until('something to move', async () => `${await reading()} ${await progress()}`, (now) => now !== before, 60);
  await page.getByRole('link', { name: 'Watch live' }).click();
  await page.waitForURL(/watch=live/, { waitUntil: 'commit' });
  await until('a running picture', () => width(page), (width) => width > 0);
  await page.context().close();
});

test('a stranger with a live link watches, with and without script, and sees nothing else', async () => {
  const owner = await open(browser, DESKTOP);
  await signIn(owner);
  const link = await share(owner, /^A day/);
  await looksWell(owner, 'share');
  await inEveryLook(browser, async (page, { name }) => {
    const response = await page.goto(link, { waitUntil: 'commit' });
    assert.equal(response.status(), 200);
    assert.equal(response.headers()['referrer-policy'], 'no-referrer');
    await page.getByText('Printing', { exact: true }).first().waitFor();
    await until('a running picture', () => width(page), (width) => width > 0);
    await page.getByText('You can watch, nothing else.').waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    assert.ok(!(await page.content()).includes(demo.account.email));
    await looksWell(page, `link-${name}`);
  });
  const plain = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await plain.goto(link, { waitUntil: 'commit' });
  await plain.getByText('Printing', { exact: true }).first().waitFor();
  await plain.getByText('This link ends in').waitFor();
  await plain.context().close();
  await owner.context().close();
});

test('who watches is cut off when the link is ended', async () => {
  const owner = await open(browser, DESKTOP);
  await signIn(owner);
  const link = await share(owner, 'A week');
  const stranger = await open(browser, { device: PHONE });
  await stranger.goto(link, { waitUntil: 'commit' });
  await until('a running picture', () => width(stranger), (width) => width > 0);
  // A second viewer, whose stream is read by hand.
  const stream = await fetch(`${link}/camera`);
  assert.match(stream.headers.get('content-type'), /^multipart\/x-mixed-replace/);
  const reader = stream.body.getReader();
  await reader.read();
  const list = owner.url().split('?')[0];
  await until('viewers in the list', async () => {
    await owner.goto(list);
    return owner.locator('main').textContent();
  }, (text) => text.includes('2 people watch now.'));
  await owner.getByRole('button', { name: /^End/ }).first().click();
  await owner.getByText('That link has ended').waitFor();
  await assert.rejects(async () => {
    for (;;) {
      const { done } = await reader.read();
      if (done) throw new Error('it ended');
    }
  });
  await stranger.getByText('This link has ended').waitFor();
  await assertAccessible(stranger);
  await assertFitsWidth(stranger);
  await screenshot(stranger, 'live-gone-phone');
  const gone = await fetch(link);
  assert.equal(gone.status, 404);
  await stranger.context().close();
  await owner.context().close();
});

test('a link that ends with the print shows how it ended', async () => {
  const owner = await open(browser, DESKTOP);
  await signIn(owner);
  const link = await share(owner, 'When this print ends');
  await owner.context().close();
  const stranger = await open(browser, { device: PHONE });
  await stranger.goto(link, { waitUntil: 'commit' });
  await stranger.getByText('This link ends when the print does, in').waitFor();
  const { url } = demo.app_connections.find(({ access }) => access === 'none');
  const app = await open(browser);
  await app.goto(url, { waitUntil: 'commit' });
  const cancelled = await app.evaluate(async () => {
    const headers = { 'Content-Type': 'application/json' };
    const answer = await fetch('/api/job', { method: 'POST', headers, body: JSON.stringify({ command: 'cancel' }) });
    return answer.status;
  });
  assert.equal(cancelled, 204);
  await app.context().close();
  await stranger.getByText('The print is over, and this link ends with it.').waitFor();
  await stranger.getByText('Did not complete').waitFor();
  await assertAccessible(stranger);
  await assertFitsWidth(stranger);
  await screenshot(stranger, 'live-over-phone');
  assert.equal((await fetch(`${link}/camera`)).status, 404);
  await stranger.context().close();
});
