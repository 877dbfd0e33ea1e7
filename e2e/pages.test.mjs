// The host's own pages with sample facts, served from files with the policy they have in earnest, and a printer made up
// here that speaks the push socket. What the real host does with them is tested in other files.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DESKTOP, LOOKS, PHONE, assertAccessible, assertFitsWidth, inEveryLook, launch, open, screenshot, until } from './lib.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.js': 'text/javascript', '.html': 'text/html; charset=utf-8' };
const HOSTILE = [
  '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '</template><svg onload=alert(1)>', "'-alert(1)-'", '${alert(1)}`', 'javascript:alert(1)',
  '\u202egnp.nimda', '\u2067x', '&lt;b&gt;', '{{7*7}}', '<bdo dir="rtl">x</bdo>', 'x'.repeat(64), 'אבג', '\u0000\u0007<b>', '<a href="//evil.example">x</a>', '">'.repeat(20),
];
const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360"><rect width="640" height="360" fill="#222"/><path d="M260 270h120l20-150H240z" fill="#b5652f"/></svg>';

let browser;
let folder;
let policy;
let printer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-pages-'));
  await promisify(execFile)('cargo', ['run', '--quiet', '-p', 'latchkey-host', '--example', 'pages', '--', folder], { cwd: ROOT });
  policy = await readFile(join(folder, 'content-security-policy'), 'utf8');
  printer = await startPrinter();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  printer?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

// ---- the made-up printer

/** Serves the pages, answers what their scripts ask, and lets a test speak on the push socket of every open page. */
async function startPrinter() {
  const sockets = new Set();
  const state = { pending: {}, decisions: [], answer: 204, signedIn: true };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://printer');
    const json = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method === 'POST' && request.headers['x-csrf-token'] !== 'token-of-forms' && !body.includes('csrf_token=token-of-forms')) return json(400, {});
    if (pathname === '/api/login') return json(200, state.signedIn ? { name: 'tamsin', session: 's3ss10n' } : {});
    if (pathname === '/api/plugin/appkeys') return json(200, { keys: [], pending: state.pending });
    if (pathname.startsWith('/latchkey/requests/') && request.method === 'POST') {
      state.decisions.push({ token: decodeURIComponent(pathname.split('/').pop()), ...Object.fromEntries(new URLSearchParams(body)) });
      return response.writeHead(state.answer).end();
    }
    if (pathname.startsWith('/webcam')) return response.writeHead(200, { 'content-type': 'image/svg+xml' }).end(PICTURE);
    const file = pathname.startsWith('/latchkey/requests/') ? '/decide.html' : pathname;
    try {
      const content = await readFile(join(folder, file));
      response.writeHead(200, { 'content-type': TYPES[extname(file)], 'content-security-policy': policy }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    // The page's sign-in, its farewell, or what else it says.
    socket.on('data', ([first]) => ((first & 0x0f) === 8 ? socket.end() : sockets.add(socket)));
    socket.on('end', () => socket.end());
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = (name) => `http://127.0.0.1:${server.address().port}/${name}.html`;
  const push = (message) => {
    const text = Buffer.from(JSON.stringify(message));
    const head = text.length < 126 ? Buffer.from([0x81, text.length]) : Buffer.from([0x81, 126, text.length >> 8, text.length & 255]);
    for (const socket of sockets) socket.write(Buffer.concat([head, text]));
  };
  const appkeys = (data) => push({ plugin: { plugin: 'appkeys', data } });
  return {
    state,
    url,
    push,
    listening: () => until('the page on the push socket', () => sockets.size, (size) => size === 1),
    alone: () => until('the page to leave the push socket', () => sockets.size, (size) => size === 0),
    cutOff: () => sockets.forEach((socket) => socket.destroy()),
    ask: (token, app, user = null) => {
      const request = { app_name: app, user_token: token, user_id: user, remote_address: '192.168.1.37' };
      state.pending[token] = { app_id: app, user_id: user, user_token: token, remote_address: '192.168.1.37' };
      appkeys({ type: 'request_access', ...request });
    },
    end: (token) => {
      delete state.pending[token];
      appkeys({ type: 'end_request', user_token: token });
    },
    reset: () => Object.assign(state, { pending: {}, decisions: [], answer: 204, signedIn: true }),
    close: () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}

/** A page with a printer that knows nothing of earlier tests, signed in on the push socket. */
async function show(name, look = { device: DESKTOP }) {
  printer.reset();
  await printer.alone();
  const page = await open(browser, look);
  page.on('dialog', (dialog) => { page.problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  if (name === 'decide') printer.state.pending['r3Qvexample-request-token'] = { app_id: 'Spool Butler', user_id: null, user_token: 'r3Qvexample-request-token', remote_address: '192.168.1.37' };
  await page.goto(printer.url(name));
  await printer.listening();
  return page;
}

async function leave(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
  await printer.alone();
}

const pop = (page) => page.getByRole('dialog');
const free = (page, button) => until('the button to be free', () => button.getAttribute('aria-disabled'), (held) => held === null);

/** The pages there are. */
async function names(wanted) {
  const all = (await readdir(folder)).filter((name) => name.endsWith('.html')).map((name) => name.slice(0, -5));
  const found = all.filter((name) => wanted.test(name));
  assert.ok(found.length > 50);
  return found;
}

// ---- every page

test('every page of the host is accessible, fits, and runs within its policy', { timeout: 600_000 }, async () => {
  printer.reset();
  const looks = LOOKS.filter(({ name }) => ['phone-dark', 'desktop-light'].includes(name));
  const pages = await Promise.all(looks.map((look) => open(browser, look)));
  for (const [place, name] of (await names(/^(?!hostile-)/)).entries()) {
    if (name === 'allowed-target') continue; // It leaves at once, which another test looks at.
    for (const page of pages) {
      await page.goto(printer.url(name));
      await assertFitsWidth(page);
      assert.deepEqual(page.problems, [], name);
    }
    // The states of one page differ little, so each is judged in one look only.
    await assertAccessible(pages[place % pages.length]);
  }
  for (const page of pages) await page.context().close();
});

test('the pages people see most fit a window of 320 pixels', async () => {
  printer.reset();
  const page = await open(browser, { device: { ...PHONE, viewport: { width: 320, height: 640 } } });
  for (const name of ['sign-in-wrong', 'decide-target', 'allowed', 'home-pending', 'keys-new', 'keys-all', 'revoke', 'users', 'user', 'account', 'setup']) {
    await page.goto(printer.url(name));
    await assertFitsWidth(page);
  }
  await page.context().close();
});

test('the pages people see most are kept as pictures', async () => {
  printer.reset();
  await inEveryLook(browser, async (page, { name: look }) => {
    for (const name of ['sign-in', 'decide', 'allowed', 'home', 'keys-new', 'revoke', 'users', 'account', 'setup']) {
      await page.goto(printer.url(name));
      await screenshot(page, `host-${name}-${look}`);
    }
  });
});

// ---- the question on a page of its own

test('Allow does nothing before it was seen for 700 ms, and anew after each return', async () => {
  const page = await show('decide');
  const allow = page.locator('#auth-grant');
  // From the moment the question is drawn, in the page's own time.
  const press = () => page.evaluate(() => document.querySelector('#auth-grant').click());
  await page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await press();
  assert.deepEqual(printer.state.decisions, []);
  assert.equal(await allow.getAttribute('aria-disabled'), 'true');
  const waited = await page.evaluate(async () => {
    const button = document.querySelector('#auth-grant');
    window.dispatchEvent(new Event('focus'));
    const start = performance.now();
    await new Promise((resolve) => new MutationObserver(resolve).observe(button, { attributes: true }));
    return performance.now() - start;
  });
  assert.ok(waited >= 690, `free after ${waited} ms`);
  await page.evaluate(() => window.dispatchEvent(new Event('blur')));
  await press();
  assert.deepEqual(printer.state.decisions, []);
  await free(page, allow);
  await allow.click();
  await until('the decision', () => printer.state.decisions, ({ length }) => length === 1);
  assert.deepEqual(printer.state.decisions[0], { token: 'r3Qvexample-request-token', csrf_token: 'token-of-forms', scope: 'full', decision: 'grant' });
  await leave(page);
});

test('Allow is neither focused nor what Enter presses', async () => {
  const page = await show('decide');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY');
  await free(page, page.locator('#auth-grant'));
  await page.getByRole('radio', { name: 'Watch only' }).check();
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Deny', exact: true }).click();
  await until('the decision', () => printer.state.decisions, ({ length }) => length > 0);
  assert.deepEqual(printer.state.decisions.map(({ decision, scope }) => [decision, scope]), [['deny', 'view']]);
  await leave(page);
});

test('Allow and Deny have the same size', async () => {
  for (const device of [PHONE, DESKTOP]) {
    const page = await show('decide', { device });
    const [allow, deny] = await Promise.all(['#auth-grant', '#auth-reject'].map((id) => page.locator(id).boundingBox()));
    assert.deepEqual([allow.width, allow.height], [deny.width, deny.height]);
    await leave(page);
  }
});

test('the question ends when the request ends, and offers nothing to press', async () => {
  const page = await show('decide');
  printer.end('another');
  printer.end('r3Qvexample-request-token');
  await page.getByRole('heading', { name: 'This request has ended' }).waitFor();
  assert.equal(await page.getByRole('button').count(), 0);
  await assertAccessible(page);
  await screenshot(page, 'host-decide-ended');
  await leave(page);
});

test('a request that ended while the socket was away ends the question too', async () => {
  const page = await show('decide');
  printer.state.pending = {};
  printer.cutOff();
  await page.getByRole('heading', { name: 'This request has ended' }).waitFor();
  await leave(page);
});

test('after the decision the browser goes on to where the app wants it', async () => {
  printer.reset();
  const page = await open(browser);
  const onward = page.waitForRequest('https://cloud.example/done');
  await page.goto(printer.url('allowed-target')).catch(() => {});
  await onward;
  await page.context().close();
});

test('a request that runs out without a word ends the question', async () => {
  printer.reset();
  const page = await open(browser);
  await page.clock.install();
  printer.state.pending['r3Qvexample-request-token'] = { app_id: 'Spool Butler', user_id: null, user_token: 'r3Qvexample-request-token', remote_address: '192.168.1.37' };
  await page.goto(printer.url('decide'));
  await printer.listening();
  printer.state.pending = {};
  await page.clock.runFor(16_000);
  await page.getByRole('heading', { name: 'This request has ended' }).waitFor();
  await leave(page);
});

// ---- the question that pops in

test('a request pops in at once, says who asks, and leaves when decided elsewhere', async () => {
  await inEveryLook(browser, async (page, { name }) => {
    printer.reset();
    await printer.alone();
    // A color on its way from one to another has a contrast nobody means.
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.goto(printer.url('home'));
    await printer.listening();
    printer.ask('t1', 'Spool Butler');
    await pop(page).waitFor();
    assert.equal(await pop(page).getAttribute('aria-labelledby'), 'pop-title');
    assert.match(await pop(page).innerText(), /Let “Spool Butler” use this printer as you\?[\s\S]*192\.168\.1\.37/);
    assert.match(await page.getByRole('status').first().textContent(), /Spool Butler.* asks/);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY', 'it takes no focus');
    await assertAccessible(page);
    await assertFitsWidth(page);
    await free(page, pop(page).getByRole('button', { name: 'Allow' }));
    await screenshot(page, `host-pop-${name}`);
    printer.end('t1');
    await pop(page).waitFor({ state: 'detached' });
    assert.deepEqual(page.problems, []);
  });
});

test('requests queue, and the list and the number in the navigation follow', async () => {
  const page = await show('home');
  printer.ask('t1', 'First');
  printer.ask('t2', 'Second');
  printer.ask('t3', 'For somebody else', 'ruaridh');
  printer.ask('t4', 'For me', 'tamsin');
  await until('three in the queue', () => pop(page).innerText(), (text) => text.includes('1 of 3') && text.includes('First'));
  assert.equal(await page.locator('[data-number]').textContent(), '3');
  assert.ok(await page.locator('[data-pending]').isHidden(), 'nothing in the page moves');
  printer.end('t1');
  await until('the next in the queue', () => pop(page).innerText(), (text) => text.includes('1 of 2') && text.includes('Second'));
  await pop(page).getByRole('button', { name: 'Later' }).click();
  await until('the last in the queue', () => pop(page).innerText(), (text) => text.includes('1 of 1') && text.includes('For me'));
  const row = page.locator('[data-rows] .row');
  assert.equal(await row.count(), 1);
  assert.match(await row.getByRole('link').getAttribute('href'), /\/latchkey\/requests\/t2$/);
  printer.end('t2');
  await row.getByText('has ended').waitFor();
  printer.end('t4');
  await pop(page).waitFor({ state: 'detached' });
  assert.ok(await page.locator('[data-number]').isHidden());
  await leave(page);
});

test('rows of the list that ended offer nothing to press', async () => {
  const page = await show('home-pending');
  await until('the rows to end', () => page.locator('[data-rows]').innerText(), (text) => text.match(/has ended/g)?.length === 2);
  assert.equal(await page.locator('[data-rows] a').count(), 0);
  await assertAccessible(page);
  await leave(page);
});

test('a decision in the dialog is sent once, guarded, and told', async () => {
  const page = await show('keys');
  printer.ask('t/1', 'Spool Butler');
  await pop(page).waitFor();
  // At once, as a finger does that was on its way to something else.
  await page.evaluate(() => document.querySelector('.pop [data-decision=grant]').click());
  assert.deepEqual(printer.state.decisions, []);
  const allow = pop(page).getByRole('button', { name: 'Allow' });
  await free(page, allow);
  await allow.click();
  await page.getByText('may use this printer now').waitFor();
  assert.deepEqual(printer.state.decisions, [{ token: 't/1', decision: 'grant', scope: 'full', csrf_token: 'token-of-forms' }]);
  await pop(page).waitFor({ state: 'detached' });

  printer.ask('t2', 'Other');
  await pop(page).getByRole('button', { name: 'Deny' }).click();
  await page.getByText('“Other” stays out').waitFor();
  assert.equal(printer.state.decisions[1].decision, 'deny');
  await leave(page);
});

test('a decision that needs the password again goes to the page that asks for it', async () => {
  const page = await show('keys');
  printer.state.answer = 403;
  printer.ask('t1', 'Spool Butler');
  const allow = pop(page).getByRole('button', { name: 'Allow' });
  await free(page, allow);
  await allow.click();
  await page.waitForURL('**/latchkey/requests/t1');
  await leave(page);
});

test('a decision that fails is said in the dialog, which stays', async () => {
  const page = await show('keys');
  printer.state.answer = 500;
  printer.ask('t1', 'Spool Butler');
  await pop(page).getByRole('button', { name: 'Deny' }).click();
  await pop(page).getByText('did not reach the printer').waitFor();
  assert.equal(await pop(page).getByRole('button', { name: 'Deny' }).isDisabled(), false);
  await leave(page);
});

test('the dialog is the next stop of Tab, and Escape puts it aside without deciding', async () => {
  const page = await show('keys');
  await page.getByLabel('Name', { exact: true }).focus();
  printer.ask('t1', 'Spool Butler');
  await pop(page).waitFor();
  await page.keyboard.press('Tab');
  assert.ok(await pop(page).evaluate((dialog) => dialog === document.activeElement));
  await page.keyboard.press('Escape');
  await pop(page).waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'key-app', 'the focus goes back');
  assert.deepEqual(printer.state.decisions, []);
  assert.equal(await page.locator('[data-number]').textContent(), '1', 'it still waits');
  await leave(page);
});

test('what came and went while the socket was away is made up for', async () => {
  const page = await show('keys');
  printer.ask('t1', 'Gone meanwhile');
  await pop(page).waitFor();
  await page.evaluate(() => { const real = Date.now; Date.now = () => real() + 5000; });
  printer.state.pending = { t2: { app_id: 'New meanwhile', user_id: null, user_token: 't2', remote_address: '10.0.0.9' } };
  printer.cutOff();
  await until('the other request', () => pop(page).innerText().catch(() => ''), (text) => text.includes('New meanwhile') && text.includes('1 of 1'));
  await leave(page);
});

test('whatever an app calls itself is shown as text', { timeout: 300_000 }, async () => {
  const page = await show('home');
  for (const [place, text] of HOSTILE.entries()) {
    printer.ask(`t${place}`, text);
    await until(`the request of ${JSON.stringify(text)}`, () => pop(page).locator('[data-app]').textContent().catch(() => ''), (shown) => shown === text);
    assert.equal(await pop(page).locator('img, script, svg svg, a[href^="javascript"]').count(), 0);
    await page.keyboard.press('Escape');
    await pop(page).waitFor({ state: 'detached' });
    assert.equal(await page.locator('[data-rows] .row').last().locator('[data-app]').first().textContent(), text);
    printer.end(`t${place}`);
  }
  await leave(page);
});

test('no page runs or loads what is in a text from outside', { timeout: 300_000 }, async () => {
  printer.reset();
  const page = await open(browser);
  page.on('dialog', (dialog) => { page.problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  const asked = [];
  page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  for (const name of await names(/^hostile-/)) {
    await page.goto(printer.url(name));
    assert.deepEqual(page.problems, [], name);
  }
  assert.deepEqual(asked.filter((path) => /^\/x$|alert/.test(path)), []);
  await page.context().close();
});

// ---- the printer's page

test('state, print and temperatures are kept up to date', async () => {
  const page = await show('home-idle');
  const temps = Array.from({ length: 60 }, (_, place) => ({ time: 1_760_000_000 + place * 5, tool0: { actual: 20 + place * 3, target: 215 }, bed: { actual: 60.04, target: 0 } }));
  printer.push({ history: {
    state: { text: 'Printing', flags: { operational: true, printing: true } },
    job: { file: { name: 'a.gcode', display: '<b>vase</b>.gcode' } },
    progress: { completion: 41.97, printTimeLeft: 4300 },
    temps,
    plugins: { any: { layer: 3, layers: 40 } },
  } });
  await until('the progress', () => page.locator('[data-live="percent"]').textContent(), (text) => text === '41%');
  assert.equal(await page.locator('[data-live="left"]').textContent(), '1 h 12 min left');
  assert.equal(await page.locator('[data-live="file"]').textContent(), '<b>vase</b>.gcode');
  assert.equal(await page.locator('[data-live="state"]').textContent(), 'Printing');
  assert.match(await page.locator('[data-live="layer"]').innerText(), /Layer 3 of 40/);
  assert.equal(await page.locator('[data-live="nozzle"] [data-live="value"]').textContent(), '197.0 of 215 °C');
  assert.equal(await page.locator('[data-live="bed"] [data-live="value"]').textContent(), '60.0 °C, off');
  assert.ok(await page.locator('[data-live="nozzle"] svg').isVisible());
  await assertAccessible(page);
  await screenshot(page, 'host-home-live');
  await leave(page);
});

test('a camera that gives no picture is said so', async () => {
  const page = await open(browser);
  await page.route('**/webcam/**', (route) => route.fulfill({ status: 503 }));
  await page.goto(printer.url('home'));
  await page.getByText('No picture from the camera').waitFor();
  await page.context().close();
});

test('the key is copied', async () => {
  const page = await show('keys-new', { device: DESKTOP, permissions: ['clipboard-read', 'clipboard-write'] });
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByText('Copied').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.locator('#new-key').textContent());
  await leave(page);
});

// ---- without script

test('signing in, deciding and revoking need no script', async () => {
  printer.reset();
  const page = await open(browser, { device: PHONE, javaScriptEnabled: false });
  await page.goto(printer.url('decide'));
  await page.getByLabel('Watch only').check();
  await page.getByRole('button', { name: 'Allow' }).click();
  assert.deepEqual(printer.state.decisions.map(({ decision, scope }) => [decision, scope]), [['grant', 'view']]);
  await page.goto(printer.url('home-pending'));
  await page.getByRole('link', { name: /^Decide/ }).first().click();
  await page.waitForURL('**/latchkey/requests/**');
  await page.goto(printer.url('keys'));
  assert.equal(await page.getByRole('button', { name: 'Copy' }).count(), 0);
  await page.getByRole('link', { name: /^Revoke/ }).first().waitFor();
  await page.context().close();
});
