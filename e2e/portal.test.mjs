// The portal in a browser, as a person on a phone or at a desk walks through it: every page, every way out, and what
// arrives at the app.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { DESKTOP, PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, startDemo, until } from './lib.mjs';

const OCTOPOD = 'appid=octopod&authType=enhanced&returnUrl=octopod://octoeverywhere';
const PASSWORD = 'plenty of filament left';
// What OctoPod, Mobileraker and OctoApp look for, and in which spelling.
const NEEDED = ['success', 'id', 'url', 'appApiToken', 'authbasichttpuser', 'authbasichttppassword', 'authBearerToken', 'printername', 'authBasicHttpUser', 'authBasicHttpPassword'];

let browser;
let demo;
let app;
let people = 0;

before(async () => {
  demo = await startDemo();
  // More than the demo has: a printer with a long name that is offline, and one more.
  const printer = (id, name) => database(`INSERT INTO printers (id, account_id, name, created_at, last_seen_at)
    SELECT '${id.repeat(12)}', id, '${name}', 1760000000000, 1760000000000 FROM accounts WHERE email = '${demo.account.email}'`);
  await printer('CLUB', 'Clubhouse large-format CoreXY (left bench, do not move hot)');
  await printer('MINI', 'Bench Mini');
  app = await startApp();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  app?.close();
  await demo?.stop();
});

/** Changes the relay's database beside it, as no page does. */
async function database(statement) {
  const program = 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=10) as db: db.execute(sys.argv[2])';
  await promisify(execFile)('python3', ['-c', program, join(demo.data, 'relay', 'relay.db'), statement]);
}

/** An app on this device that waits for its answer. */
async function startApp() {
  const arrived = [];
  const server = createServer((request, response) => {
    if (request.url.startsWith('/done')) arrived.push({ url: request.url, referer: request.headers.referer });
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><link rel="icon" href="data:,"><title>App</title><h1>Back in the app</h1>');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/done`, arrived, close: () => server.close() };
}

const portal = (query, page = '') => `${demo.relay_url}/appportal/v1${page}?${query}`;
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const heading = (page, name) => page.getByRole('heading', { level: 1, name }).waitFor();

/** What is answered at an address under `localhost`, which not every resolver knows. */
async function status(address, headers) {
  const { host, hostname, port, pathname } = new URL(address);
  assert.match(hostname, /^app-[a-z0-9]{32}\.localhost$/);
  const [response] = await once(get({ host: '127.0.0.1', port, path: pathname, headers: { host, ...headers } }), 'response');
  response.resume();
  return response.statusCode;
}

/** Looks at a page as everybody who uses it does, and keeps a picture of it. */
async function look(page, name) {
  await assertFitsWidth(page);
  await assertAccessible(page);
  await screenshot(page, `portal-${name}`);
}

async function signIn(page) {
  await page.getByLabel('E-mail').fill(demo.account.email);
  await page.getByLabel('Password').fill(demo.account.password);
  await press(page, 'Sign in');
}

async function signUp(page) {
  await page.getByRole('link', { name: 'Create an account' }).click();
  await page.getByLabel('E-mail').fill(`maker${++people}@latchkey.example`);
  await page.getByLabel('Password').fill(PASSWORD);
  await press(page, 'Create account');
}

/** Ticks the box and waits until Allow is ready, as a person takes time to. */
async function allow(page) {
  await page.getByRole('checkbox', { name: /I started this/ }).check();
  await until('Allow to be ready', () => page.locator('#allow').getAttribute('aria-disabled'), (held) => held === null);
  await press(page, 'Allow');
}

/** Where the browser goes by itself from now on, schemes of apps included, which end nowhere here. */
async function navigations(page) {
  const seen = [];
  const session = await page.context().newCDPSession(page);
  await session.send('Page.enable');
  session.on('Page.frameRequestedNavigation', ({ url, reason }) => seen.push({ url, reason }));
  return seen;
}

test('account with three printers: welcome, sign-in, choice, decision, and back in the app', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await page.goto(portal(OCTOPOD));
    await heading(page, 'OctoPod would like to reach one of your printers');
    await look(page, `welcome-${name}`);
    await press(page, 'Continue');
    await heading(page, /Sign in to/);
    await look(page, `sign-in-${name}`);
    await signIn(page);
    await heading(page, 'Which printer may OctoPod reach?');
    assert.equal(await page.getByRole('radio').count(), 3);
    assert.equal(await page.getByRole('radio', { checked: true }).count(), 0);
    await look(page, `choose-${name}`);
    await page.getByRole('radio', { name: /Demo printer/ }).check();
    await press(page, 'Continue');
    await heading(page, 'Let OctoPod reach Demo printer?');
    await look(page, `allow-${name}`);
    await page.getByRole('checkbox', { name: /I started this/ }).check();
    await until('Allow to be ready', () => page.locator('#allow').getAttribute('aria-disabled'), (held) => held === null);
    await look(page, `allow-ready-${name}`);
    const gone = await navigations(page);
    await press(page, 'Allow');
    await heading(page, 'OctoPod can reach Demo printer');
    await look(page, `done-${name}`);
    const link = await page.getByRole('link', { name: 'Return to OctoPod' }).getAttribute('href');
    await until('the page to go on by itself', () => gone.find(({ url }) => url.startsWith('octopod:')), Boolean);
    assert.equal(gone.find(({ url }) => url.startsWith('octopod:')).url, link);
    const values = new URLSearchParams(link.split('?')[1]);
    for (const needed of NEEDED) assert.equal(values.getAll(needed).length, 1, needed);
    assert.ok(link.startsWith('octopod://octoeverywhere?success=true&'));
    assert.equal(await status(`${values.get('url')}/api/version`, { authorization: `Bearer ${values.get('authBearerToken')}` }), 200);
    assert.deepEqual(page.problems.filter((problem) => !problem.includes('octopod:')), []);
  });
});

test('a tap by mistake gives nothing', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal(OCTOPOD));
  await press(page, 'Continue');
  await signIn(page);
  await page.getByRole('radio', { name: /Bench Mini/ }).check();
  await press(page, 'Continue');
  // Without the box, nothing is sent.
  await page.locator('#allow').click();
  await page.waitForTimeout(300);
  await heading(page, 'Let OctoPod reach Bench Mini?');
  await page.getByRole('checkbox', { name: /I started this/ }).check();
  // Just back from another window: the first click is not meant.
  await page.evaluate(() => {
    window.dispatchEvent(new Event('blur'));
    window.dispatchEvent(new Event('focus'));
    document.querySelector('#allow').click();
  });
  await page.waitForTimeout(300);
  await heading(page, 'Let OctoPod reach Bench Mini?');
  // Enter in the form decides nothing either.
  await page.getByRole('radio', { name: /Everything/ }).press('Enter');
  await page.waitForTimeout(900);
  await heading(page, 'Let OctoPod reach Bench Mini?');
  // Two clicks are one.
  await page.locator('#allow').dblclick();
  await heading(page, 'OctoPod can reach Bench Mini');
  const link = await page.getByRole('link', { name: 'Return to OctoPod' }).getAttribute('href');
  await page.reload();
  assert.equal(await page.getByRole('link', { name: 'Return to OctoPod' }).getAttribute('href'), link);
  await page.context().close();
});

test('new account without a printer: sign-up and the way to pairing', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await page.goto(portal(OCTOPOD));
    await press(page, 'Continue');
    await signUp(page);
    await heading(page, 'Add your printer first');
    await look(page, `add-${name}`);
    const add = new URL(await page.getByRole('link', { name: 'Add a printer' }).getAttribute('href'), demo.relay_url);
    assert.equal(add.pathname, '/pair');
    assert.match(add.searchParams.get('then'), /^\/appportal\/v1\/printer\?appId=octopod&/);
    const gone = await navigations(page);
    await press(page, 'Cancel');
    await heading(page, 'Nothing was connected');
    await look(page, `cancelled-${name}`);
    await until('the page to go on by itself', () => gone.some(({ url }) => url.startsWith('octopod://octoeverywhere?success=false&error=cancelled')), Boolean);
  });
});

test('the printer that the app means is chosen, or asked for if it is not there', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal(`${OCTOPOD}&printerId=${demo.printer_id}`));
  await press(page, 'Continue');
  await signIn(page);
  assert.ok(await page.getByRole('radio', { name: /Demo printer/ }).isChecked());
  await page.getByText('The one the app asked for').waitFor();
  await look(page, 'preselected');
  await page.goto(portal(`${OCTOPOD}&printerId=${'X'.repeat(48)}`));
  await press(page, 'Continue');
  await heading(page, 'Add the printer it asks for');
  await look(page, 'add-wanted');
  await page.getByRole('link', { name: 'choose one of your printers' }).click();
  await heading(page, 'Which printer may OctoPod reach?');
  await page.context().close();
});

test('every page can be left, and the app is told', async () => {
  const page = await open(browser, { device: DESKTOP });
  const query = `appid=fieldglass&returnUrl=${encodeURIComponent(`${app.url}?run=7`)}`;
  const told = async (error) => {
    await page.waitForURL((url) => url.href.startsWith(app.url));
    const { url, referer } = app.arrived.at(-1);
    const values = new URL(url, app.url).searchParams;
    assert.deepEqual([values.get('run'), values.get('success'), values.get('error')], ['7', 'false', error]);
    assert.equal(referer, undefined);
  };
  await page.goto(portal(query));
  await press(page, 'Cancel');
  await told('cancelled');
  await page.goto(portal(query));
  await press(page, 'Continue');
  await press(page, 'Cancel');
  await told('cancelled');
  await page.goto(portal(query));
  await press(page, 'Continue');
  await page.getByRole('link', { name: 'Create an account' }).click();
  await press(page, 'Cancel');
  await told('cancelled');
  await page.goto(portal(query));
  await press(page, 'Continue');
  await signIn(page);
  await press(page, 'Cancel');
  await told('cancelled');
  await page.goto(portal(query));
  await press(page, 'Continue');
  await page.getByRole('radio', { name: /Demo printer/ }).check();
  await press(page, 'Continue');
  await press(page, 'Deny');
  await told('denied');
  await page.goto(portal(query));
  await press(page, 'Continue');
  await page.getByRole('radio', { name: /Demo printer/ }).check();
  await press(page, 'Continue');
  await press(page, 'Cancel');
  await told('cancelled');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('turning back at the sign-in leads an unknown website on, too', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal('appid=spool-butler&returnUrl=https://spool-butler.example/done'));
  await press(page, 'Continue');
  await heading(page, /Sign in to/);
  const gone = await navigations(page);
  await press(page, 'Cancel');
  await until('the page to go on by itself', () => gone.some(({ url }) => url.startsWith('https://spool-butler.example/done?success=false&error=cancelled')), Boolean);
  await page.context().close();
});

test('a page that was open while the person signed in elsewhere comes anew', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal(OCTOPOD));
  const other = await page.context().newPage();
  await other.goto(`${demo.relay_url}/sign-in`);
  await signIn(other);
  await other.getByRole('heading', { level: 1 }).waitFor();
  await press(page, 'Continue');
  await heading(page, 'OctoPod would like to reach one of your printers');
  await press(page, 'Continue');
  await heading(page, 'Which printer may OctoPod reach?');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('while a key is asked for, the page says so and waits', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal(`${OCTOPOD}&OctoPrintApiKeyAppName=OctoPod`));
  await press(page, 'Continue');
  await signIn(page);
  await page.getByRole('radio', { name: /Bench Mini/ }).check();
  await press(page, 'Continue');
  // An answer that leaves the page where it is, as one that never comes does.
  let sent = 0;
  await page.route('**/appportal/v1/allow', (route) => {
    sent += 1;
    return route.fulfill({ status: 204 });
  });
  await allow(page);
  await page.getByRole('button', { name: 'Asking the printer …' }).waitFor();
  assert.equal(await page.locator('form[aria-busy=true]').count(), 1);
  for (const name of ['Asking the printer …', 'Deny']) assert.equal(await page.getByRole('button', { name }).getAttribute('aria-disabled'), 'true');
  await look(page, 'allow-busy');
  await page.getByRole('button', { name: 'Deny' }).evaluate((button) => button.click());
  await page.waitForTimeout(200);
  assert.equal(sent, 1, 'nothing more is sent meanwhile');
  // Back on the page, all is as before, and Allow is guarded anew.
  await page.unroute('**/appportal/v1/allow');
  await page.evaluate(() => window.dispatchEvent(new Event('pageshow')));
  assert.equal(await page.locator('form[aria-busy]').count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Deny' }).getAttribute('aria-disabled'), null);
  assert.equal(await page.locator('#allow').getAttribute('aria-disabled'), 'true');
  await page.getByRole('checkbox', { name: /key at the printer/ }).uncheck();
  await allow(page);
  await heading(page, 'OctoPod can reach Bench Mini');
  await page.context().close();
});

test('unverified, imitated and wrong requests say so', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await page.goto(portal(`appid=spool-butler&returnUrl=${encodeURIComponent('http://192.168.1.9:1234/token/complete')}`));
    await heading(page, '“spool-butler” would like to reach one of your printers');
    await page.getByText('Nobody has checked this app').waitFor();
    await page.getByText('192.168.1.9:1234').waitFor();
    await look(page, `unverified-${name}`);
    await page.goto(portal('appid=0ctopod&returnUrl=https://0ctopod.example/'));
    await page.getByText('This is not OctoPod').waitFor();
    await look(page, `imitated-${name}`);
    const refused = await page.goto(portal('appid=octopod&returnUrl=https://evil.example/'));
    assert.equal(refused.status(), 400);
    await heading(page, 'This request cannot go on');
    await look(page, `refused-${name}`);
    await page.waitForTimeout(200);
    assert.equal(new URL(page.url()).origin, demo.relay_url);
    assert.deepEqual(page.problems, []);
  });
});

test('texts from apps stay texts', async () => {
  // The narrowest there is.
  const page = await open(browser, { device: { ...PHONE, viewport: { width: 320, height: 568 } } });
  page.on('dialog', (dialog) => { page.problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  for (const payload of ['<script>alert(1)</script>', '"><img/src=x/onerror=alert(1)>', "'-alert(1)-'", '${alert(1)}', '<svg/onload=alert(1)>', 'x'.repeat(64)]) {
    await page.goto(portal(`appid=${encodeURIComponent(payload)}&octoPrintApiKeyAppName=${encodeURIComponent(payload)}`));
    await heading(page, `“${payload.toLowerCase()}” would like to reach one of your printers`);
    await assertFitsWidth(page);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a plan without app connections is explained, here and after a 605', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await page.goto(portal(OCTOPOD));
    await press(page, 'Continue');
    await signUp(page);
    await heading(page, 'Add your printer first');
    await database(`UPDATE accounts SET plan = 'free' WHERE email = 'maker${people}@latchkey.example'`);
    await page.reload();
    await heading(page, 'Your plan has no app connections');
    await look(page, `no-plan-${name}`);
    assert.match(await page.getByRole('link', { name: 'Return to OctoPod' }).getAttribute('href'), /^octopod:\/\/octoeverywhere\?success=false&error=not_entitled/);
    // As OctoPod spells it.
    await page.goto(`${demo.relay_url}/AppPortal/V1/NoSupporterPerks?appid=octopod`);
    await heading(page, 'The app cannot reach your printer at present');
    await look(page, `after-605-${name}`);
    assert.deepEqual(page.problems, []);
  });
});

test('a key at the printer is asked for in the middle, and is no condition', async () => {
  const page = await open(browser, { device: PHONE });
  await page.goto(portal(`${OCTOPOD}&OctoPrintApiKeyAppName=OctoPod`));
  await press(page, 'Continue');
  await signIn(page);
  await page.getByRole('radio', { name: /Bench Mini/ }).check();
  await press(page, 'Continue');
  assert.ok(await page.getByRole('checkbox', { name: /key at the printer/ }).isChecked());
  await look(page, 'allow-key');
  await allow(page);
  await heading(page, 'OctoPod can reach Bench Mini');
  // Its host was never paired.
  await page.getByText('The key at the printer could not be made').waitFor();
  await look(page, 'done-without-key');
  await page.context().close();
});

test('code mode: the address has a code, and the values are fetched once', async () => {
  const page = await open(browser, { device: DESKTOP });
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  await page.goto(portal(`appid=devtest&returnUrl=${encodeURIComponent(app.url)}&responseMode=code&codeChallengeMethod=S256&codeChallenge=${challenge}&state=s%2F1`));
  await page.getByText('For trying out').waitFor();
  await look(page, 'trial');
  await press(page, 'Continue');
  await signIn(page);
  await page.getByRole('radio', { name: /Demo printer/ }).check();
  await press(page, 'Continue');
  await allow(page);
  await page.waitForURL((url) => url.href.startsWith(app.url));
  const values = new URL(page.url()).searchParams;
  assert.deepEqual([...values.keys()], ['success', 'code', 'state']);
  assert.equal(values.get('state'), 's/1');
  // By a page of another address, whose browser asks first whether it may.
  const exchange = (codeVerifier) => page.evaluate(async ([url, code, codeVerifier]) => {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ code, codeVerifier }) });
    return [response.status, await response.json()];
  }, [`${demo.relay_url}/appportal/v1/token`, values.get('code'), codeVerifier]);
  const [status, given] = await exchange(verifier);
  assert.equal(status, 200);
  for (const needed of NEEDED) assert.equal(typeof given[needed], 'string', needed);
  assert.equal(given.success, 'true');
  const [again, error] = await exchange(verifier);
  assert.deepEqual([again, error.error], [400, 'invalid_grant']);
  await page.context().close();
});

test('without an address of its own, the app watches for our last page', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    await page.goto(portal('appid=devtest'));
    await press(page, 'Continue');
    await signIn(page);
    await page.getByRole('radio', { name: /Demo printer/ }).check();
    await press(page, 'Continue');
    await allow(page);
    await heading(page, 'Done. Go back to the app');
    assert.match(page.url(), /\/appportal\/v1\/complete\?success=true&/);
    await look(page, `complete-${name}`);
    assert.deepEqual(page.problems, []);
  });
});
