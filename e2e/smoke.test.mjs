// Do this playwright-core and the installed Chromium understand each other? If this fails, nothing else here means anything.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, inEveryLook, launch, open, screenshot } from './lib.mjs';

const PAGE = `data:text/html,${encodeURIComponent(`<!doctype html><html lang="en"><title>Smoke</title>
<meta name="viewport" content="width=device-width">
<style>:root { color-scheme: light dark }</style><main><h1>Smoke</h1><button type="button">Allow</button><p role="status"></p>
<script>document.querySelector('button').onclick = () => { document.querySelector('p').textContent = 'allowed'; }</script></main>`)}`;

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

test('browser clicks, draws and judges a page in every look', async () => {
  await inEveryLook(browser, async (page, { device, scheme, name }) => {
    await page.goto(PAGE);
    await page.getByRole('button', { name: 'Allow' }).click();
    assert.equal(await page.getByRole('status').textContent(), 'allowed');
    assert.equal(await page.evaluate(() => innerWidth), device.viewport.width);
    assert.equal(await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches), scheme === 'dark');
    await assertAccessible(page);
    await screenshot(page, `smoke-${name}`);
    assert.deepEqual(page.problems, []);
  });
});

test('faults of a page are noticed', async () => {
  const page = await open(browser);
  await page.goto('data:text/html,<title>x</title><img src="http://elsewhere.example/x.png"><script>throw new Error("oops")</script>');
  assert.match(page.problems.join('\n'), /oops/);
  assert.match(page.problems.join('\n'), /ERR_NAME_NOT_RESOLVED.*elsewhere/);
  await assert.rejects(assertAccessible(page), /image-alt/);
  await page.context().close();
});
