// OctoPrint's own packaged JavaScript client, unmodified, in a page at the host's address.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, startDemo, until } from './lib.mjs';
import { anotherAddress, leave, visit, withKey } from './host.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILES = [
  'static/js/lib/jquery/jquery.min.js', 'static/js/lib/lodash.min.js', 'static/js/lib/sockjs.min.js',
  ...['base', 'access', 'browser', 'connection', 'files', 'job', 'printer', 'settings', 'socket', 'users', 'util'].map((name) => `static/js/app/client/${name}.js`),
  'plugins/appkeys/static/clientjs/appkeys.js',
];

let browser;
let demo;
let folder;
before(async () => {
  const program = process.env.LATCHKEY_OCTOPRINT ?? execFileSync(join(ROOT, 'scripts/octoprint-env'), { encoding: 'utf8' }).trim();
  const python = join(program, '..', 'python');
  folder = execFileSync(python, ['-c', 'import importlib.util; print(importlib.util.find_spec("octoprint").submodule_search_locations[0])'], { encoding: 'utf8' }).trim();
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** A page with the client, at the host's address, with the cookies of a page that the host gave out. */
async function withClient(url) {
  // The page is the host's, and its policy allows no scripts but the host's own.
  const page = await visit(browser, { bypassCSP: true });
  // Requests are counted by address. What comes through a relay has the relay's word for it instead.
  await page.setExtraHTTPHeaders({ 'X-Forwarded-For': anotherAddress() });
  await page.goto(`${url}/login/`);
  for (const name of FILES) await page.addScriptTag({ path: join(folder, name) });
  await page.evaluate(() => {
    OctoPrint.options.baseurl = '/';
    // A jQuery promise as one that the test can look at.
    globalThis.settle = (promise) => new Promise((resolve) => promise.then((value) => resolve({ value }), (refusal) => resolve({ status: refusal?.status ?? null })));
  });
  return page;
}

for (const place of ['at home', 'at an app connection']) {
  test(`OctoPrint's JavaScript client signs in, keeps keys and hears requests ${place}`, { timeout: 90_000 }, async () => {
    const maker = demo.host_users.find(({ name }) => name === 'maker');
    const url = place === 'at home' ? demo.host_url : demo.app_connections.find(({ access }) => access === 'none').url;
    const page = await withClient(new URL(url).origin);

    const wrong = await page.evaluate(() => settle(OctoPrint.browser.login('maker', 'wrong')));
    assert.equal(wrong.status, 403);
    const { value: person } = await page.evaluate(([name, password]) => settle(OctoPrint.browser.login(name, password, false)), [maker.name, maker.password]);
    assert.equal(person.name, 'maker');
    assert.deepEqual(person.groups, ['users']);
    const { value: passive } = await page.evaluate(() => settle(OctoPrint.browser.passiveLogin()));
    assert.equal(passive.session, person.session);

    await page.evaluate(([name, session]) => new Promise((resolve, reject) => {
      globalThis.heard = [];
      OctoPrint.socket.onMessage('*', ({ event, data }) => heard.push([event, data]));
      OctoPrint.socket.onMessage('connected', () => { OctoPrint.socket.sendAuth(name, session); resolve(); });
      OctoPrint.socket.onConnectTimeout = () => reject(new Error('the socket did not connect'));
      OctoPrint.socket.connect();
    }), [passive.name, passive.session]);
    const heard = (kind) => page.evaluate((kind) => heard.filter(([event]) => event === kind).map(([, data]) => data), kind);
    assert.match((await heard('connected'))[0].version, /^\d+\.\d+/);
    await until('the printer on the socket', () => heard('current'), ({ length }) => length > 0);

    assert.deepEqual((await page.evaluate(() => settle(OctoPrint.plugins.appkeys.getKeys()))).value.pending, {});
    const name = `Made by script ${place}`;
    const { value: made } = await page.evaluate((name) => settle(OctoPrint.plugins.appkeys.generateKey(name)), name);
    assert.deepEqual([made.app_id, made.user_id], [name, 'maker']);
    assert.equal((await withKey(demo.host_url, made.api_key)).status, 200);
    const { value: shown } = await page.evaluate((name) => settle(OctoPrint.plugins.appkeys.getKey(name)), name);
    assert.equal(shown.key.api_key, made.api_key);
    assert.equal((await page.evaluate((name) => settle(OctoPrint.plugins.appkeys.generateKeyForUser('admin', name)), name)).status, 403);
    assert.ok('value' in (await page.evaluate((name) => settle(OctoPrint.plugins.appkeys.revokeKeyForApp(name)), name)));
    assert.equal((await withKey(demo.host_url, made.api_key)).status, 403);

    // Another instance of it is the app; this one hears of the request, and decides.
    const asking = page.evaluate((name) => settle(OctoPrint.plugins.appkeys.authenticate(name)), `Asking ${place}`);
    const [request] = await until('the request on the socket', () => heard('plugin'), (messages) => messages.some(({ data }) => data.type === 'request_access'));
    assert.equal(request.plugin, 'appkeys');
    assert.equal(request.data.app_name, `Asking ${place}`);
    assert.ok('value' in (await page.evaluate((token) => settle(OctoPrint.plugins.appkeys.decide(token, true)), request.data.user_token)));
    const { value: key } = await asking;
    assert.equal((await withKey(demo.host_url, key)).status, 200);
    await until('the end of the request', () => heard('plugin'), (messages) => messages.some(({ data }) => data.type === 'end_request'));

    const denied = page.evaluate((name) => settle(OctoPrint.plugins.appkeys.authenticate(name)), `Denied ${place}`);
    const requests = await until('the other request', () => heard('plugin'), (messages) => messages.some(({ data }) => data.app_name === `Denied ${place}`));
    const { user_token } = requests.find(({ data }) => data.app_name === `Denied ${place}`).data;
    await page.evaluate((token) => settle(OctoPrint.plugins.appkeys.decide(token, false)), user_token);
    assert.deepEqual(await denied, { status: null });

    const { value: job } = await page.evaluate(() => settle(OctoPrint.job.get()));
    assert.equal(job.state, 'Printing');
    assert.ok('value' in (await page.evaluate(() => settle(OctoPrint.browser.logout()))));
    await until('the farewell on the socket', () => heard('reauthRequired'), ([farewell]) => farewell?.reason === 'logout');
    assert.equal((await page.evaluate(() => settle(OctoPrint.plugins.appkeys.getKeys()))).status, 403);
    await leave(page);
  });
}
