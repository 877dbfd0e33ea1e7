// The pages of people at a relay: their printers and what reaches them, sharing one, their account, and the pages of
// whoever runs the relay. The demo's account is an administrator with one printer that is online.

import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';
import { startMail } from './mail.mjs';
import { freePort, startIn } from './processes.mjs';

const BOB = { email: 'bob@example.com', password: 'looking-glass-house' };

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

async function signIn(page, { email, password }) {
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

test('every page of an administrator with a printer looks well', async () => {
  await inEveryLook(browser, async (page, look) => {
    await signIn(page, demo.account);
    const shows = async (path, heading, name) => {
      await page.goto(at(path));
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
      await looksWell(page, `${name}-${look.name}`);
    };
    await shows('/printers', 'Printers', 'printers');
    await page.getByText(/^(Online|Printing)$/).first().waitFor();
    const printer = await page.locator('main h2 a').first().getAttribute('href');
    const name = await page.locator('main h2 a').first().textContent();
    await shows(printer, name, 'printer');
    const revoke = await page.getByRole('link', { name: /^Revoke (?!all)/ }).first().getAttribute('href');
    await shows(revoke, /^Revoke “/, 'revoke');
    await shows(`${printer}/revoke-all`, /^Revoke all apps/, 'revoke-all');
    await shows(`${printer}/remove`, `Remove ${name}?`, 'remove-printer');
    await shows(`${printer}/invite`, `Share ${name}?`, 'invite');
    await shows('/account', 'Account', 'account');
    await shows('/account/delete', 'Delete your account?', 'delete-account');
    await shows('/admin', 'Administration', 'admin');
    const account = await page.getByRole('link', { name: /^Manage/ }).first().getAttribute('href');
    await shows(account, demo.account.email, 'admin-account');
    await shows('/forgotten', 'Forgotten your password?', 'forgotten');
    await shows('/join?code=nonsense', 'This invitation is no longer good', 'join-gone');
  });
});

test('somebody is invited, uses a shared printer, and leaves it', async () => {
  const ann = await open(browser, DESKTOP);
  await signIn(ann, demo.account);
  await ann.goto(at('/admin'));
  let account;
  if (await ann.getByRole('button', { name: 'Invite someone' }).isVisible()) {
    await ann.getByRole('button', { name: 'Invite someone' }).click();
    account = await ann.locator('#new-link').textContent();
  } else {
    account = at('/sign-up');
  }
  await ann.goto(at('/printers'));
  const name = await ann.locator('main h2 a').first().textContent();
  await ann.locator('main h2 a').first().click();
  const printer = ann.url();
  await ann.getByRole('link', { name: 'Invite somebody' }).click();
  await ann.getByRole('button', { name: 'Make invitation' }).click();
  const link = await ann.locator('#new-link').textContent();
  await ann.getByRole('button', { name: 'Copy' }).click();
  await ann.getByText('Copied').waitFor();
  await looksWell(ann, 'invite-made');
  await ann.goto(printer);
  await ann.getByText('Not accepted yet').waitFor();

  const bob = await open(browser, { ...PHONE, device: PHONE });
  await bob.goto(account);
  await bob.getByLabel('E-mail').fill(BOB.email);
  await bob.getByLabel('Password').fill(BOB.password);
  await bob.getByRole('button', { name: 'Create account' }).click();
  await bob.waitForURL(at('/printers'));
  await bob.getByText('No printer yet').waitFor();
  await looksWell(bob, 'printers-empty-phone');
  await bob.goto(link);
  await bob.getByRole('heading', { name: `Use ${name}?` }).waitFor();
  await looksWell(bob, 'join-phone');
  await bob.getByRole('button', { name: 'Accept' }).click();
  await bob.getByText('You may use this printer now').waitFor();
  await looksWell(bob, 'printer-shared-phone');
  assert.equal(await bob.getByRole('link', { name: /Revoke/ }).count(), 0, 'the owner\'s apps are not shown to others');

  await ann.reload();
  await ann.getByText(BOB.email, { exact: true }).waitFor();
  await looksWell(ann, 'printer-with-people');
  await bob.getByRole('link', { name: 'Leave this printer' }).click();
  await looksWell(bob, 'leave-phone');
  await bob.getByRole('button', { name: 'Leave printer' }).click();
  await bob.getByText('You no longer use that printer').waitFor();
  const answer = await bob.goto(printer);
  assert.equal(answer.status(), 404);
  await ann.context().close();
  await bob.context().close();
});

test('an app that is revoked on its page is out at once', async () => {
  const [connection] = demo.app_connections.filter(({ access }) => access === 'bearer');
  // In a browser, which knows where names under localhost lead.
  const app = await open(browser, { extraHTTPHeaders: { authorization: `Bearer ${connection.bearer}` } });
  const call = async () => (await app.goto(new URL('/api/version', connection.url).href)).status();
  assert.equal(await call(), 200);
  const page = await open(browser, { device: PHONE });
  await signIn(page, demo.account);
  await page.goto(at(`/app-connections/${connection.id}/revoke`));
  await page.getByRole('button', { name: 'Revoke app' }).click();
  await page.getByText('That app is out').waitFor();
  await looksWell(page, 'revoked-phone');
  assert.equal(await call(), 604);
  await app.context().close();
  await page.context().close();
});

test('without script everything works', async () => {
  const page = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await signIn(page, demo.account);
  await page.locator('main h2 a').first().click();
  await page.getByLabel('What people and apps see').fill('Bench <b>Mini</b>');
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByRole('heading', { level: 1, name: 'Bench <b>Mini</b>' }).waitFor();
  await page.getByRole('link', { name: 'Account', exact: true }).click();
  await page.locator('#sign-out').click();
  await page.waitForURL(at('/sign-in'));
  await page.goto(at('/printers'));
  assert.ok(page.url().includes('/sign-in?then='), page.url());
  await page.context().close();
});

test('a fresh relay gets its administrator by a link on the console, and letters lead back in', async () => {
  const mail = await startMail();
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-relay-'));
  const port = await freePort();
  const config = {
    listen: `127.0.0.1:${port}`,
    status_listen: null,
    public_url: `http://localhost:${port}`,
    connection_domain: `localhost:${port}`,
    data: 'data',
    registration: 'closed',
    smtp: { host: '127.0.0.1', port: mail.port, tls: 'none', from: 'relay@example.net' },
  };
  await writeFile(join(folder, 'relay.yaml'), JSON.stringify(config));
  const { child, stop } = startIn(folder, process.env.LATCHKEY_BIN, ['relay', '--config', join(folder, 'relay.yaml')], ['ignore', 'ignore', 'pipe']);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  try {
    const first = await until('the link on the console', () => said.match(/http:\S+invitation=\S+/)?.[0], Boolean, 60);
    const page = await open(browser, { device: PHONE });
    const closed = await page.goto(`http://localhost:${port}/sign-up`);
    assert.equal(closed.status(), 404);
    await page.goto(first);
    await page.getByLabel('E-mail').fill(BOB.email);
    await page.getByLabel('Password').fill(BOB.password);
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByText('Your address is not confirmed').waitFor();
    await looksWell(page, 'not-confirmed-phone');
    const verify = await mail.link();
    await page.goto(verify);
    await looksWell(page, 'verify-phone');
    await page.getByRole('button', { name: 'Yes, it is mine' }).click();
    await page.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();
    await page.goto(`http://localhost:${port}/admin`);
    await page.getByRole('button', { name: 'Invite someone' }).waitFor();
    await looksWell(page, 'admin-closed-phone');

    const other = await open(browser, { device: DESKTOP });
    assert.equal((await other.goto(first)).status(), 404, 'the link works once');
    await other.goto(`http://localhost:${port}/sign-in`);
    await other.getByRole('link', { name: 'Forgot your password?' }).click();
    await other.getByLabel('E-mail').fill(BOB.email);
    await looksWell(other, 'forgotten-asked');
    await other.getByRole('button', { name: 'Send the letter' }).click();
    await other.getByRole('heading', { name: 'Look at your mail' }).waitFor();
    await other.goto(await mail.link());
    await looksWell(other, 'reset');
    await other.getByLabel('New password', { exact: true }).fill('another-long-password');
    await other.getByLabel('New password, again').fill('another-long-password');
    await other.getByRole('button', { name: 'Set password' }).click();
    await other.getByRole('link', { name: 'Sign in' }).click();
    await other.getByLabel('E-mail').fill(BOB.email);
    await other.getByLabel('Password').fill('another-long-password');
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('No printer yet').waitFor();
    await page.goto(`http://localhost:${port}/account`);
    assert.ok(page.url().includes('/sign-in?'), 'others are signed out');
    await until('the notice', () => mail.letters.some((letter) => letter.includes('Your password was changed')), Boolean);
    for (const secret of [BOB.email, 'lk_sess_', new URL(verify).searchParams.get('code')]) {
      assert.ok(!said.includes(secret), `${secret} is in the log`);
    }
    await page.context().close();
    await other.context().close();
  } finally {
    await stop();
    mail.stop();
  }
});
