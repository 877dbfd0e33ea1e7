// The people of a host: the first run, users, one's own account, and being asked for the password once more. Each on a
// host of the test's own, before the demo's simulated printer.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PHONE, assertAccessible, assertFitsWidth, launch, screenshot, startDemo, until } from './lib.mjs';
import { ask, cookiesOf, fillSignIn, free, leave, nameFor, pop, signIn, startHost, visit, withKey } from './host.mjs';

const ANN = { name: 'ann', password: 'correct-horse-battery' };
const BOB = { name: 'bob', password: 'looking-glass-house' };

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

/** A host with Ann as its administrator, who has just walked through the set-up; `page` is hers. */
async function inhabited(settings, options) {
  const host = await startHost(demo, settings);
  const page = await visit(browser, options);
  await page.goto(`${host.url}/latchkey/setup`);
  await setUp(page, host.code);
  await page.waitForURL(`${host.url}/latchkey/`, { waitUntil: 'domcontentloaded' });
  return { ...host, page };
}

async function setUp(page, code, { name, password } = ANN) {
  await page.getByLabel('Code').fill(code);
  await page.getByLabel('Your user name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByLabel('Password, again').fill(password);
  await page.getByRole('button', { name: 'Become administrator' }).click();
}

async function addUser(page, url, { name, password }, group = 'User') {
  await page.goto(`${url}/latchkey/users`);
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('radio', { name: new RegExp(`^${group}`) }).check();
  await page.getByRole('button', { name: 'Add user' }).click();
  await page.getByText(`${name} may sign in now`).waitFor();
}

async function looksWell(page, name) {
  await assertAccessible(page);
  await assertFitsWidth(page);
  await screenshot(page, name);
}

/**
 * A push socket that somebody opens with a stolen session, in a browser without any cookie. Counts what it is told of the
 * printer, and when it heard that it is out.
 */
async function thiefSocket(url, name, session) {
  const page = await visit(browser);
  await page.goto(`${url}/latchkey/setup`);
  await page.evaluate(([name, session]) => {
    const heard = { current: 0 };
    globalThis.heard = heard;
    const socket = new WebSocket(`ws://${location.host}/sockjs/websocket`);
    socket.onopen = () => socket.send(JSON.stringify({ auth: `${name}:${session}` }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.current) heard.current += 1;
      if (message.reauthRequired) Object.assign(heard, { out: message.reauthRequired.reason, current: 0 });
    };
    socket.onclose = () => { heard.closed = true; };
  }, [name, session]);
  const heard = () => page.evaluate(() => globalThis.heard);
  await until('the stolen session to hear the printer', heard, ({ current }) => current > 0);
  return { heard, leave: () => page.context().close() };
}

/** What a thief needs: the cookies and the name of the session on the push socket. */
async function steal(page, url) {
  const cookie = await cookiesOf(page, url);
  const session = await page.evaluate(async () => {
    const headers = { 'content-type': 'application/json', 'x-csrf-token': document.body.dataset.csrf };
    return (await (await fetch('/api/login', { method: 'POST', headers, body: '{"passive":true}' })).json()).session;
  });
  return { cookie, session };
}

// ---- the first run

test('whoever reads the console becomes the administrator, and nobody after them', async () => {
  const host = await startHost(demo);
  const page = await visit(browser, { device: PHONE });
  await page.goto(`${host.url}/`);
  await page.waitForURL('**/latchkey/setup');
  await looksWell(page, 'host-first-phone');
  const refused = await fetch(`${host.url}/plugin/appkeys/request`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"app":"Too Early"}' });
  assert.equal(refused.status, 403);

  await setUp(page, host.code === 'BBBB-BBBB' ? 'CCCC-CCCC' : 'BBBB-BBBB');
  await page.getByText('That is not the code.').waitFor();
  assert.equal(await page.getByLabel('Your user name').inputValue(), ANN.name, 'what was typed stays');
  await looksWell(page, 'host-first-wrong-phone');
  await setUp(page, host.code.toLowerCase(), { name: ANN.name, password: 'short' });
  await page.getByText('This password is too short.').waitFor();
  await setUp(page, host.code.toLowerCase());
  await page.waitForURL(`${host.url}/latchkey/`, { waitUntil: 'domcontentloaded' });
  await page.getByRole('heading', { level: 1, name: 'Workshop' }).waitFor();
  assert.equal(await nameFor(host.url, await cookiesOf(page, host.url)), ANN.name);
  await page.getByRole('link', { name: 'Users' }).click();
  assert.match(await page.locator('.row', { hasText: 'ann' }).innerText(), /Administrator/);
  await leave(page);

  const late = await visit(browser);
  await late.goto(`${host.url}/latchkey/setup`);
  await late.getByRole('heading', { name: 'This printer is set up already' }).waitFor();
  assert.equal(await late.getByRole('textbox').count(), 0);
  await looksWell(late, 'host-first-done-desktop');
  await late.goto(`${host.url}/`);
  await late.waitForURL('**/login/**');
  await leave(late);
  await host.stop();
});

// ---- users

test('an administrator adds a user, changes what they may, keeps them out and removes them', async () => {
  const { url, page, stop } = await inhabited();
  await page.goto(`${url}/latchkey/users`);
  await page.getByLabel('User name').fill('bob');
  await page.getByLabel('Password').fill('short');
  await page.getByRole('button', { name: 'Add user' }).click();
  await page.getByText('This password is too short.').waitFor();
  assert.equal(await page.getByLabel('User name').inputValue(), 'bob');
  await addUser(page, url, BOB);
  await looksWell(page, 'host-users-added-desktop');

  const bob = await visit(browser, { device: PHONE });
  await signIn(bob, url, BOB);
  assert.equal(await bob.getByRole('link', { name: 'Users' }).count(), 0);
  for (const path of ['users', 'users/ann', 'users/ann/remove', 'keys/all']) {
    assert.equal((await bob.goto(`${url}/latchkey/${path}`)).status(), 403, path);
    await bob.getByRole('heading', { name: 'You may not do this' }).waitFor();
  }
  await looksWell(bob, 'host-users-403-phone');

  await page.getByRole('link', { name: 'Change bob' }).click();
  await page.getByRole('radio', { name: /^Watches only/ }).check();
  await page.getByRole('button', { name: 'Change group' }).click();
  await page.getByText('It holds from the next request on').waitFor();
  await bob.goto(`${url}/latchkey/`, { waitUntil: 'domcontentloaded' });
  const app = await ask(url, 'Not for Bob');
  assert.equal((await bob.goto(app.dialog)).url(), bob.url());
  await bob.getByText('may not decide about apps').waitFor();
  app.stop();

  await page.getByRole('link', { name: 'Deactivate' }).click();
  await looksWell(page, 'host-users-deactivate-desktop');
  await page.getByRole('button', { name: 'Deactivate user' }).click();
  await page.getByText('May not sign in any more').waitFor();
  await bob.goto(`${url}/latchkey/`);
  await bob.waitForURL('**/login/**');
  await fillSignIn(bob, BOB);
  await bob.getByText('do not go together').waitFor();
  await page.getByRole('button', { name: 'Activate' }).click();
  await page.getByText('May sign in again').waitFor();
  await fillSignIn(bob, BOB);
  await bob.getByRole('link', { name: 'App keys' }).waitFor();

  await page.getByLabel('Password').fill('another-password-of-bob');
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByText('The password is new').waitFor();
  await bob.goto(`${url}/latchkey/`);
  await bob.waitForURL('**/login/**');

  await page.getByRole('link', { name: 'Remove' }).click();
  await page.getByRole('link', { name: 'Keep them' }).click();
  await page.getByRole('link', { name: 'Remove' }).click();
  await page.getByRole('button', { name: 'Remove user' }).click();
  await page.getByText('bob is removed').waitFor();
  assert.equal(await page.locator('.row').count(), 1);
  await fillSignIn(bob, { ...BOB, password: 'another-password-of-bob' });
  await bob.getByText('do not go together').waitFor();
  await leave(bob);

  // The last administrator stays.
  await page.getByRole('link', { name: 'Change ann' }).click();
  await page.getByText('You cannot do this to yourself.').waitFor();
  await page.getByRole('radio', { name: /^User/ }).check();
  await page.getByRole('button', { name: 'Change group' }).click();
  await page.getByText('This is the last administrator').waitFor();
  for (const end of ['remove', 'deactivate']) {
    await page.goto(`${url}/latchkey/users/ann/${end}`);
    await page.getByRole('button', { name: /user$/ }).click();
    await page.getByText('Nothing was changed').waitFor();
  }
  await leave(page);
  await stop();
});

// ---- one's own account

test('after signing out a copy of the session is worth nothing', async () => {
  const { url, page, stop } = await inhabited();
  const { cookie, session } = await steal(page, url);
  assert.equal(await nameFor(url, cookie), ANN.name);
  const thief = await thiefSocket(url, ANN.name, session);
  await page.goto(`${url}/latchkey/account`);
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.locator('#login-user').waitFor();
  const left = Date.now();
  assert.equal(await nameFor(url, cookie), null, 'over HTTP at once');
  assert.equal((await fetch(`${url}/api/job`, { headers: { cookie } })).status, 403);
  await until('the stolen socket to be out', thief.heard, ({ out, closed }) => out ?? closed, 5);
  assert.ok(Date.now() - left < 5000);
  const after = await thief.heard();
  await new Promise((wake) => setTimeout(wake, 1500));
  assert.equal((await thief.heard()).current, after.current, 'and it hears nothing more of the printer');
  await thief.leave();
  await leave(page);
  await stop();
});

test('a new password ends all other sessions, and the list ends one of them', async () => {
  const { url, page, stop } = await inhabited();
  const other = await visit(browser, { device: PHONE });
  await signIn(other, url, ANN, '/latchkey/account');
  await page.goto(`${url}/latchkey/account`);
  assert.equal(await page.locator('.row').count(), 2);
  await looksWell(page, 'host-account-two-desktop');
  await page.getByRole('button', { name: /^Sign out .* at / }).click();
  await page.getByText('Signed out there').waitFor();
  assert.equal(await page.locator('.row').count(), 1);
  await other.goto(`${url}/latchkey/account`);
  await other.waitForURL('**/login/**');
  await fillSignIn(other, ANN);
  await other.getByRole('heading', { name: 'Change your password' }).waitFor();

  const { cookie, session } = await steal(other, url);
  const thief = await thiefSocket(url, ANN.name, session);
  const change = async (old, password, again = password) => {
    await page.getByLabel('Your password now').fill(old);
    await page.getByLabel('New password', { exact: true }).fill(password);
    await page.getByLabel('New password, again').fill(again);
    await page.getByRole('button', { name: 'Change password' }).click();
  };
  await change('wrong', 'a-brand-new-password');
  await page.getByText('That is not your password.').waitFor();
  await change(ANN.password, 'a-brand-new-password', 'a-brand-new-passwort-differs');
  await page.getByText('The two new passwords differ.').waitFor();
  await change(ANN.password, 'a-brand-new-password');
  await page.getByText('Your password is changed').waitFor();
  assert.equal(await nameFor(url, cookie), null, 'the other session is dead at once');
  await until('the stolen socket to be out', thief.heard, ({ out, closed }) => out ?? closed, 5);
  assert.equal(await nameFor(url, await cookiesOf(page, url)), ANN.name, 'this one goes on');
  await other.goto(`${url}/latchkey/account`);
  await fillSignIn(other, ANN);
  await other.getByText('do not go together').waitFor();
  await fillSignIn(other, { ...ANN, password: 'a-brand-new-password' });
  await other.getByRole('heading', { name: 'Change your password' }).waitFor();
  await thief.leave();
  await leave(other);
  await leave(page);
  await stop();
});

test('a browser that is to stay signed in does so, and not after signing out', async () => {
  const { url, page, stop } = await inhabited();
  await leave(page);
  const phone = await visit(browser, { device: PHONE });
  await phone.goto(`${url}/login/?redirect=/latchkey/account`);
  await phone.getByLabel(/Stay signed in/).check();
  await fillSignIn(phone, ANN);
  await phone.getByRole('heading', { name: 'Change your password' }).waitFor();
  const port = new URL(url).port;
  await phone.context().clearCookies({ name: `session_P${port}` });
  await phone.goto(`${url}/latchkey/account`);
  await phone.getByRole('heading', { name: 'Change your password' }).waitFor();
  await phone.goto(`${url}/latchkey/keys`);
  await phone.getByLabel('Name', { exact: true }).fill('Kept');
  await phone.getByRole('button', { name: 'Make key' }).click();
  await phone.getByRole('heading', { name: 'Is it still you?' }).waitFor();
  const copy = await cookiesOf(phone, url);
  assert.match(copy, /remember_token/);
  await phone.goto(`${url}/latchkey/account`);
  await phone.getByRole('button', { name: 'Sign out', exact: true }).click();
  await phone.locator('#login-user').waitFor();
  assert.equal(await nameFor(url, copy), null);
  await leave(phone);
  await stop();
});

// ---- once more, please

test('what needs a recent password asks for it and comes back with what was typed', async () => {
  const { url, page, stop } = await inhabited({ fresh_seconds: 2 });
  const stale = () => new Promise((wake) => setTimeout(wake, 2200));
  const still = async (name) => {
    await page.getByRole('heading', { name: 'Is it still you?' }).waitFor();
    if (name) await looksWell(page, name);
    await fillSignIn(page, ANN);
  };
  await page.goto(`${url}/latchkey/keys`);
  await page.getByLabel('Name', { exact: true }).fill('Näme & "more"');
  await page.getByLabel('Everything').check();
  await stale();
  await page.getByRole('button', { name: 'Make key' }).click();
  await still('host-fresh-desktop');
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Näme & "more"');
  assert.ok(await page.getByLabel('Everything').isChecked());
  await page.getByRole('button', { name: 'Make key' }).click();
  const key = await page.locator('#new-key').innerText();
  assert.equal((await withKey(url, key)).status, 200);

  await page.goto(`${url}/latchkey/keys/all`);
  await stale();
  await page.getByRole('link', { name: /^Revoke/ }).click();
  await still();
  await page.getByRole('heading', { name: /Revoke the key/ }).waitFor();
  await stale();
  await page.getByRole('button', { name: 'Revoke key' }).click();
  await still();
  await page.getByRole('button', { name: 'Revoke key' }).click();
  await page.getByText('is revoked').waitFor();
  await page.waitForURL('**/latchkey/keys/all?**');
  assert.equal((await withKey(url, key)).status, 403);

  await page.goto(`${url}/latchkey/users`);
  await page.getByLabel('User name').fill('carol');
  await page.getByLabel('Password').fill('a-password-for-carol');
  await page.getByRole('radio', { name: /^Watches only/ }).check();
  await stale();
  await page.getByRole('button', { name: 'Add user' }).click();
  await still();
  assert.equal(await page.getByLabel('User name').inputValue(), 'carol');
  assert.ok(await page.getByRole('radio', { name: /^Watches only/ }).isChecked());

  // From the dialog that pops in, to the question's own page.
  await page.goto(`${url}/latchkey/account`);
  await page.listening();
  const app = await ask(url, 'Patient App');
  await pop(page).waitFor();
  await stale();
  await free(pop(page).getByRole('button', { name: 'Allow' }));
  await pop(page).getByRole('button', { name: 'Allow' }).click();
  await still();
  await page.getByRole('heading', { name: 'Let “Patient App” use this printer as you?' }).waitFor();
  await page.getByLabel('Watch only').check();
  await stale();
  await page.getByRole('button', { name: 'Allow' }).click();
  await still();
  await page.getByRole('heading', { name: 'Let “Patient App” use this printer as you?' }).waitFor();
  assert.ok(await page.getByLabel('Watch only').isChecked(), 'what was chosen stays chosen');
  await free(page.locator('#auth-grant'));
  await page.locator('#auth-grant').click();
  await page.getByText('Watch only: buttons in the app will not work.').waitFor();
  assert.equal((await app.answered).status, 200);

  // The dialog that an app opens asks before it puts the question.
  const dialog = await ask(url, 'Another App');
  await stale();
  await page.goto(dialog.dialog);
  await still();
  await page.getByRole('heading', { name: 'Let “Another App” use this printer as you?' }).waitFor();
  await free(page.locator('#auth-grant'));
  await page.locator('#auth-reject').click();
  await until('a decision', async () => page.url(), (at) => at.includes('/latchkey/requests/') || at.includes('/login/'));
  dialog.stop();
  await leave(page);
  await stop();
});
