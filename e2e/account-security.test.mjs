// What guards an account at a relay beside its password: codes, recovery codes, passkeys. The browser has an
// authenticator of its own (CDP WebAuthn), the codes are made here.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, assertAccessible, assertFitsWidth, launch, open, screenshot, startDemo } from './lib.mjs';

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

async function typePassword(page, path = '/sign-in') {
  await page.goto(at(path));
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

async function signIn(page) {
  await typePassword(page);
  await page.waitForURL(at('/printers'));
}

async function looksWell(page, name) {
  await assertAccessible(page);
  await assertFitsWidth(page);
  await screenshot(page, `security-${name}`);
  assert.deepEqual(page.problems, []);
}

/** A phone's or computer's own authenticator, which checks that it is its owner. */
async function withAuthenticator(page) {
  const client = await page.context().newCDPSession(page);
  await client.send('WebAuthn.enable');
  const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
  const { authenticatorId } = await client.send('WebAuthn.addVirtualAuthenticator', { options });
  const verified = (isUserVerified) => client.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  const count = async () => (await client.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length;
  return { verified, count };
}

/** The code of an authenticator app, so many steps from now. */
function code(seed, steps = 0) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...seed.replaceAll(' ', '')].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = mac[19] & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1000000).padStart(6, '0');
}

for (const device of [PHONE, DESKTOP]) {
  test(`a passkey is added, signs in without a name, and is removed, on a ${device.name}`, async () => {
    const page = await open(browser, { device });
    const authenticator = await withAuthenticator(page);
    await signIn(page);
    await page.goto(at('/account'));
    await page.getByRole('link', { name: 'Codes, passkeys, activity' }).click();
    await page.getByRole('heading', { level: 1, name: 'Account security' }).waitFor();
    await page.getByLabel('Name of the new passkey').fill(`My ${device.name}`);
    await looksWell(page, `page-${device.name}`);
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByText('The passkey is added').waitFor();
    await page.getByRole('button', { name: `Remove My ${device.name}` }).waitFor();
    assert.equal(await authenticator.count(), 1);
    await looksWell(page, `passkey-added-${device.name}`);
    // The same device once more.
    await page.getByLabel('Name of the new passkey').fill('Twice');
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByText('There is a passkey for this account on that device already').waitFor();

    await page.goto(at('/account'));
    await page.locator('#sign-out').click();
    await page.waitForURL(at('/sign-in'));
    await page.goto(at('/sign-in?then=/account/security'));
    // Somebody else has the phone in their hands.
    await authenticator.verified(false);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.getByText('Nothing happened').waitFor();
    await looksWell(page, `passkey-stopped-${device.name}`);
    await authenticator.verified(true);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.waitForURL(at('/account/security'));
    await page.getByText('last used').waitFor();

    // It counts for both factors: the demo's account runs the relay.
    await page.goto(at('/admin'));
    await page.getByRole('heading', { level: 1, name: 'Administration' }).waitFor();
    await page.goto(at('/sign-in/again?then=/account/security'));
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.waitForURL(at('/account/security'));
    await page.getByRole('button', { name: `Remove My ${device.name}` }).click();
    await page.getByText('The passkey is removed').waitFor();
    await page.getByText(`Passkey removed: My ${device.name}`).first().waitFor();
    await page.context().close();
  });
}

test('without script there are no passkeys, and everything else works', async () => {
  const page = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await page.goto(at('/sign-in'));
  assert.equal(await page.getByRole('button', { name: /passkey/ }).count(), 0);
  await signIn(page);
  await page.goto(at('/account/security'));
  await page.getByText('This browser cannot add one here').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Add a passkey' }).count(), 0);
  await page.getByRole('link', { name: 'Set up codes' }).click();
  await page.locator('#seed').waitFor();
  await page.context().close();
});

test('codes are set up, asked for, replaced by a recovery code, and turned off', async () => {
  const page = await open(browser, { device: DESKTOP });
  await signIn(page);
  await page.goto(at('/account/security'));
  await page.getByRole('link', { name: 'Set up codes' }).click();
  await page.getByRole('heading', { level: 1, name: 'Set up codes' }).waitFor();
  const seed = await page.locator('#seed').textContent();
  await page.getByLabel('Code').fill('000000');
  await page.getByRole('button', { name: 'Turn codes on' }).click();
  await page.getByText('This is not the code of now').waitFor();
  await looksWell(page, 'codes-set-up');
  assert.equal(await page.locator('#seed').textContent(), seed);
  await page.getByLabel('Code').fill(code(seed));
  await page.getByRole('button', { name: 'Turn codes on' }).click();
  await page.getByRole('heading', { level: 1, name: 'Your recovery codes' }).waitFor();
  const recovery = await page.locator('#recovery-codes code').allTextContents();
  assert.equal(new Set(recovery).size, 10);
  await looksWell(page, 'recovery-codes');
  await page.getByRole('link', { name: 'I have kept them' }).click();
  await page.getByText('10 of 10 recovery codes').waitFor();

  const phone = await open(browser, { device: PHONE });
  await typePassword(phone, '/sign-in?then=/account/security');
  await phone.getByRole('heading', { level: 1, name: 'Your code' }).waitFor();
  await looksWell(phone, 'code-phone');
  await phone.getByLabel('Code').fill('123 456');
  await phone.getByRole('button', { name: 'Sign in', exact: true }).click();
  await phone.getByText('This code is not right').waitFor();
  await looksWell(phone, 'code-wrong-phone');
  // The one of this half minute is used up; that of the next counts already.
  await phone.getByLabel('Code').fill(code(seed, 1));
  await phone.getByRole('button', { name: 'Sign in', exact: true }).click();
  await phone.waitForURL(at('/account/security'));
  await looksWell(phone, 'codes-on-phone');
  await phone.context().close();

  const lost = await open(browser, { device: PHONE });
  await typePassword(lost);
  await lost.getByLabel('Code').fill(recovery[0].toLowerCase());
  await lost.getByRole('button', { name: 'Sign in', exact: true }).click();
  await lost.waitForURL(at('/printers'));
  await lost.goto(at('/account/security'));
  await lost.getByText('9 of 10 recovery codes').waitFor();
  await lost.getByText('A recovery code was used').waitFor();
  await looksWell(lost, 'activity-phone');
  await lost.getByRole('link', { name: 'Turn codes off' }).click();
  await lost.getByRole('heading', { level: 1, name: 'Turn codes off?' }).waitFor();
  await looksWell(lost, 'codes-off-phone');
  await lost.getByRole('button', { name: 'Turn codes off' }).click();
  await lost.getByText('No codes are asked for any more').waitFor();
  // Everybody else is out, and signs in with the password alone.
  await page.goto(at('/account'));
  await page.waitForURL(/sign-in/);
  await signIn(page);
  await page.context().close();
  await lost.context().close();
});
