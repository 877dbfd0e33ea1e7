// T-01: whatever an app calls itself, and whatever somebody puts into an address, is text on every page of the host.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, screenshot, startDemo, until } from './lib.mjs';
import { ask, leave, pop, signIn, visit } from './host.mjs';

// Texts, and what is left of them where that differs: nothing unseen, nothing that reorders, every run of blanks one
// space, composed (NFC). `null`: refused, for nothing is left or it is too long.
const PAYLOADS = [
  ['<script>alert(1)</script>'], ['<ScRiPt>alert(2)</sCrIpT>'], ['</script><script>alert(1)//'], ['</title><script>alert(1)</script>'], ['</template><svg onload=alert(1)>'],
  ['<img src=x onerror=alert(1)>'], ['"><img src=x onerror=alert(1)>'], ["'><img src=x onerror=alert(1)>"], ['<svg/onload=alert(1)>'], ['<svg><animate onbegin=alert(1) attributeName=x>'],
  ['<svg><script>alert(1)</script></svg>'], ['<math><mglyph><svg><mtext><style><a title="</style>'], ['<iframe srcdoc="<script>alert(1)</script>">'], ['<iframe src=javascript:alert(1)>'], ['<object data="data:text/html,x">'],
  ['<a href="javascript:alert(1)">x</a>'], ['<base href="//evil.example/">'], ['<meta http-equiv=refresh content="0;url=//evil.example">'], ['<form action=//evil.example><button>'], ['<input autofocus onfocus=alert(1)>'],
  ['<details open ontoggle=alert(1)>'], ['<video><source onerror=alert(1)>'], ['<body onload=alert(1)>'], ['<style>*{display:none}</style>'], ['<link rel=stylesheet href=//evil.example>'],
  ['" onmouseover="alert(1)'], ["' onfocus='alert(1)' x='"], ['" autofocus onfocus=alert(1) x="'], ["';alert(1);//"], ['";alert(1);//'],
  ['`;alert(1);`'], ['${alert(1)}'], ['`${alert(1)}`'], ['{{7*7}}'], ['{% raw %}'],
  ['#{7*7}'], ['<%= 7*7 %>'], ['javascript:alert(1)'], ['data:text/html,<script>alert(1)</script>'], ['&lt;script&gt;alert(1)&lt;/script&gt;'],
  ['&#60;b&#62;bold&#60;/b&#62;'], ['&quot;&apos;&amp;'], ['%3Cscript%3Ealert(1)%3C/script%3E'], ['\\u003cscript\\u003ealert(1)'], ['\\x3cb\\x3e'],
  ['<!-- --><b>x</b><!--'], ['<![CDATA[<b>x</b>]]>'], ['<bdo dir=rtl>nimda</bdo>'], ['</bdi></h1><h1>Owned'], ['”</bdi> allow “'],
  ["O'Brien & Söhne <3"], ['שלום עולם'], ['مرحبا <b>'], ['🖨️ printer'.replace('\ufe0f', '')], ['\u202egnp.nimda', 'gnp.nimda'],
  ['Octo\u2066Pod\u2069 x', 'OctoPod x'], ['zero\u200bwidth\u200djoin\ufeff', 'zerowidthjoin'], ['\u0000\u0007<b>\u001b[31m', '<b>[31m'], ['a\r\nSet-Cookie: x=1', 'a Set-Cookie: x=1'], ['line\u2028break\u2029<i>', 'line break <i>'],
  ['soft\u00adhyphen\u034f\u2060', 'softhyphen'], ['e\u0301 composed', '\u00e9 composed'], ['  many   \t blanks  ', 'many blanks'], ['W'.repeat(64)], ['<'.repeat(64)],
  ['x'.repeat(65), null], ['\u202e\u200b', null], ['A'.repeat(10_000), null], [' \u3000 ', null],
].map(([text, left = text]) => ({ text, left }));
const SHOWN = PAYLOADS.filter(({ left }) => left !== null);

let browser;
let demo;
let page;
before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const at = (path) => new URL(path, demo.host_url).href;
const api = (page, method, path, body) => page.evaluate(async ([method, path, body]) => {
  const headers = { 'content-type': 'application/json', 'x-csrf-token': document.body.dataset.csrf };
  const answer = await fetch(path, { method, headers, body });
  return { status: answer.status, body: answer.status === 200 ? await answer.json() : undefined };
}, [method, path, body && JSON.stringify(body)]);
/** Nothing on the page but what our templates put there. */
const intruders = (page) => page.locator('main img[src="x"], iframe, object, base, svg script, svg animate, video, body style, [onerror], [onload], [onfocus], [onmouseover], bdo, a[href^="javascript"], a[href*="evil"]').count();

test('whatever an app calls itself is text in the dialog that pops in, in the list, and on the question\'s page', { timeout: 120_000 }, async () => {
  assert.ok(PAYLOADS.length >= 60);
  page = await visit(browser);
  await signIn(page, demo.host_url, demo.host_users.find(({ name }) => name === 'admin'));
  await page.listening();
  const question = await page.context().newPage();
  question.on('dialog', (dialog) => page.problems.push(`dialog: ${dialog.message()}`));
  question.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  await page.bringToFront();
  for (const { text, left } of PAYLOADS) {
    if (left === null) {
      const answer = await fetch(at('/plugin/appkeys/request'), { method: 'POST', headers: { 'content-type': 'application/json', 'x-forwarded-for': '10.99.0.1' }, body: JSON.stringify({ app: text }) });
      assert.ok([400, 429].includes(answer.status), `${JSON.stringify(text.slice(0, 70))}: ${answer.status}`);
      continue;
    }
    const app = await ask(demo.host_url, text);
    const name = pop(page).locator('[data-app]');
    await until(`the request of ${JSON.stringify(text)}`, () => name.textContent().catch(() => ''), (shown) => shown === left);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('[data-rows] [data-app]').last().textContent(), left, 'put aside, it is in the list');
    assert.equal(await intruders(page), 0);
    await question.goto(app.dialog);
    assert.equal(await question.locator('h1 bdi').textContent(), left);
    assert.ok((await question.title()).includes(left), await question.title());
    assert.equal(await intruders(question), 0);
    const token = (await question.locator('body').getAttribute('data-request'));
    assert.equal((await api(page, 'POST', `/plugin/appkeys/decision/${token}`, { decision: true })).status, 204);
    assert.equal((await app.answered).status, 200);
  }
  await question.close();
  assert.deepEqual(page.problems, []);
});

test('the list of keys, and the page that asks before one is revoked, show the names as text', { timeout: 120_000 }, async () => {
  for (const path of ['/latchkey/keys', '/latchkey/keys/all']) {
    await page.goto(at(path));
    const names = await page.locator('.row b.clamp bdi').allTextContents();
    assert.deepEqual([...names].sort(), SHOWN.map(({ left }) => left).sort());
    assert.equal(await intruders(page), 0);
    assert.equal(await page.locator('.row').count(), SHOWN.length);
  }
  await screenshot(page, 'host-hostile-keys');
  const links = await page.getByRole('link', { name: /^Revoke/ }).evaluateAll((all) => all.map((link) => link.href));
  const seen = [];
  for (const link of links.filter((_, place) => place % 3 === 0)) {
    await page.goto(link);
    seen.push(await page.locator('h1 bdi').textContent());
    assert.equal(await intruders(page), 0);
  }
  assert.ok(seen.length >= 20 && seen.every((name) => SHOWN.some(({ left }) => left === name)));
  assert.deepEqual(page.problems, []);
});

test('texts in addresses are text on the pages that repeat them', { timeout: 120_000 }, async () => {
  const other = await visit(browser);
  for (const { text } of PAYLOADS.filter(({ text }, place) => place % 4 === 0 && text.length < 1000)) {
    const query = encodeURIComponent(text);
    await page.goto(at(`/latchkey/keys?revoked=${query}&app=${query}&scope=${query}`));
    // Blanks at its ends, line breaks and the like are the input's business.
    if (!/[\r\n]/.test(text)) assert.equal(await page.locator('#key-app').inputValue(), text.replaceAll('\0', '\ufffd'));
    assert.equal(await intruders(page), 0);
    await page.goto(at(`/latchkey/users?added=${query}&name=${query}&group=${query}`));
    assert.equal(await intruders(page), 0);
    assert.ok((await page.goto(at(`/latchkey/users/${query}`))).status() >= 400);
    assert.equal(await intruders(page), 0);
    await other.goto(at(`/login/?redirect=${query}&user_id=${query}&permissions=${query}`));
    assert.equal(await other.locator('#login-user').isEditable(), false);
    assert.equal(await intruders(other), 0);
  }
  await leave(other);
  assert.deepEqual(page.problems, []);
});

test('users cannot be given names that mislead, and all others are text', { timeout: 120_000 }, async () => {
  // Without the blanks, colons and slashes that no user name has.
  const names = SHOWN.map(({ text }) => text.replace(/[\s:/]/g, '')).filter((name) => name.length <= 64);
  const added = new Set(['admin', 'maker']);
  for (const name of names.slice(0, 10).concat(['\u202egnp', 'a\u200eb', '${alert`1`}'])) {
    await page.goto(at('/latchkey/users'));
    await page.getByLabel('User name').fill(name);
    await page.getByLabel('Password').fill('a-password-of-theirs');
    await page.getByRole('button', { name: 'Add user' }).click();
    await page.locator('main :is([role=status].banner, .error)').first().waitFor();
    if (await page.locator('main .error').count()) {
      assert.equal(await page.getByLabel('User name').inputValue(), name);
    } else {
      added.add(name);
      assert.equal(await page.locator('.banner bdi').textContent(), name);
    }
    assert.equal(await intruders(page), 0);
  }
  assert.ok(added.size >= 8);
  assert.ok(![...added].some((name) => /[\u202e\u200e]/.test(name)));
  const shown = await page.locator('.row b bdi').allTextContents();
  assert.deepEqual(shown.sort(), [...added].sort());
  for (const link of await page.getByRole('link', { name: /^Change/ }).evaluateAll((all) => all.map((link) => link.href))) {
    await page.goto(link);
    assert.ok(added.has(await page.locator('h1 bdi').textContent()));
    assert.equal(await intruders(page), 0);
  }
  await leave(page);
});
