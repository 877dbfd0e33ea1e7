// The whole workflow with a real server: OctoPrint, or the one that is named in the environment (see octoprint.mjs).

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { AppKeysError, LatchkeyClient } from '../dist/latchkey-client.js';
import { rejection } from './lib.mjs';
import { anotherCaller, startServer } from './octoprint.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

// No two runs against the same server meet each other's keys.
const NAME = `client-js ${process.pid}`;

/** An app that nobody has let in yet. */
const newApp = (more) => new LatchkeyClient({ baseurl: server.url, headers: anotherCaller(), ...more });

async function login({ name, password }, more) {
  const client = new LatchkeyClient({ baseurl: server.url, WebSocket, ...more });
  return { client, session: await client.login(name, password), appkeys: client.plugins.appkeys };
}

/** A person at the push socket, and the requests that are told there. */
async function atTheSocket(t, person) {
  const { client, session } = await login(person);
  const told = [];
  const waiting = new Set();
  client.socket.onMessage('plugin', ({ data: { plugin, data } }) => {
    if (plugin !== 'appkeys') return;
    told.push(data);
    for (const look of waiting) look();
  });
  const authenticated = new Promise((resolve) => client.socket.onMessage('history', resolve));
  client.socket.connect();
  client.socket.sendAuth(session.name, session.session);
  t.after(() => client.socket.disconnect());
  await authenticated;
  const next = (matches) =>
    new Promise((resolve) => {
      const look = () => {
        const found = told.find(matches);
        if (!found) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  return { client, next };
}

const asksFor = (app) => ({ type, app_name }) => type === 'request_access' && app_name === app;
const ended = (token) => ({ type, user_token }) => type === 'end_request' && user_token === token;

test('a person logs in, is known, and logs out', async () => {
  const { client, session } = await login(server.user);
  assert.equal(session.name, server.user.name);
  assert.ok(session.session);
  assert.equal((await client.currentUser()).name, server.user.name);
  assert.equal((await client.passiveLogin()).name, server.user.name);
  assert.equal((await client.logout()).name, undefined);
  assert.equal((await client.currentUser()).name, null);
});

test('a wrong password is forbidden', async () => {
  const client = newApp();
  assert.equal((await rejection(client.login(server.user.name, 'guess'))).code, 'forbidden');
});

test('an app asks, a person sees it at the push socket and allows it, and the key works until it is revoked', async (t) => {
  const app = `${NAME} allowed`;
  const { client: person, next } = await atTheSocket(t, server.user);
  const client = newApp({ WebSocket });
  const dialogs = [];
  const progress = [];
  const running = client.plugins.appkeys
    .authenticate(app, undefined, { onDialog: (url) => dialogs.push(url) })
    .progress(({ state }) => progress.push(state));

  const { user_token } = await next(asksFor(app));
  await person.plugins.appkeys.decide(user_token, true);
  await next(ended(user_token));
  const key = await running;
  assert.ok(key.length >= 32);
  assert.equal(progress[0], 'requested');
  assert.match(dialogs[0], /^http.*\/plugin\/appkeys\/auth\//);

  client.options.apikey = key;
  assert.equal((await client.currentUser()).name, server.user.name);
  assert.ok((await client.get('api/version')).server);
  const history = new Promise((resolve) => client.socket.onMessage('history', resolve));
  client.socket.connect({ authenticate: true });
  t.after(() => client.socket.disconnect());
  await history;

  const { keys } = await person.plugins.appkeys.getKeys();
  assert.ok(keys.some(({ app_id, user_id }) => app_id === app && user_id === server.user.name));
  assert.equal((await person.plugins.appkeys.getKey(app.toUpperCase())).key.api_key, key);
  assert.equal(await person.plugins.appkeys.revokeKeyForApp(app), undefined);
  assert.equal((await rejection(client.get('api/version'))).code, 'forbidden');
});

test('a denied request is rejected as denied', async (t) => {
  const app = `${NAME} denied`;
  const { client: person, next } = await atTheSocket(t, server.user);
  const failed = [];
  const running = newApp().plugins.appkeys.authenticate(app, server.user.name).fail((error) => failed.push(error));
  const { user_token, user_id } = await next(asksFor(app));
  assert.equal(user_id, server.user.name);
  await person.plugins.appkeys.decide(user_token, false);
  const error = await rejection(running);
  assert.ok(error instanceof AppKeysError);
  assert.deepEqual([error.code, error.status, failed[0]], ['denied', 404, error]);
});

test('the steps can be taken one by one, and the key is fetched once', async () => {
  const app = `${NAME} by steps`;
  const { appkeys } = await login(server.user);
  const asking = newApp().plugins.appkeys;
  assert.equal(await asking.probe(), undefined);
  const { app_token, auth_dialog } = await asking.requestForUser(app, server.user.name);
  assert.match(auth_dialog, new RegExp(`user=${server.user.name}`));
  assert.equal((await asking.checkDecision(app_token)).api_key, undefined);
  const pending = Object.values((await appkeys.getKeys()).pending).find(({ app_id }) => app_id === app);
  await appkeys.decide(pending.user_token, true);
  const { api_key } = await asking.checkDecision(app_token);
  assert.equal((await rejection(asking.checkDecision(app_token))).code, 'not_found');
  assert.equal((await rejection(appkeys.decide(pending.user_token, true))).code, 'not_found');
  await appkeys.revokeKey(api_key);
  assert.equal((await rejection(appkeys.getKey(app))).code, 'not_found');
});

test('a request that was not polled for is rejected as timed out', async () => {
  // The second poll is held back for longer than the server waits.
  let polls = 0;
  const held = async (url, init) => {
    if (url.includes('/request/')) polls += 1;
    if (polls === 2) await new Promise((resolve) => setTimeout(resolve, 6_000));
    return fetch(url, init);
  };
  const { appkeys } = newApp({ fetch: held }).plugins;
  const error = await rejection(appkeys.authenticate(`${NAME} asleep`));
  assert.deepEqual([error.code, error.status], ['timeout', 404]);
});

test('the fourth request in a minute is rejected as rate limited', async () => {
  const { appkeys } = newApp().plugins;
  for (let count = 0; count < 3; count += 1) await appkeys.request(`${NAME} eager`);
  const error = await rejection(appkeys.authenticate(`${NAME} eager`));
  assert.deepEqual([error.name, error.code, error.status], ['AppKeysError', 'rate_limited', 429]);
});

test('an address without the workflow is rejected as unsupported', async () => {
  const { appkeys } = newApp({ baseurl: `${server.url}nothing/here/` }).plugins;
  assert.equal((await rejection(appkeys.authenticate(NAME))).code, 'unsupported');
});

test('an address where nobody answers is rejected as a network failure', async () => {
  const { appkeys } = newApp({ baseurl: 'http://127.0.0.1:1/' }).plugins;
  assert.equal((await rejection(appkeys.authenticate(NAME))).code, 'network');
});

test('a person generates, finds and revokes a key of their own', async () => {
  const app = `${NAME} & <own>`;
  const { appkeys, session } = await login(server.user);
  const made = await appkeys.generateKey(app);
  assert.deepEqual([made.app_id, made.user_id], [app, server.user.name]);
  assert.equal((await appkeys.getKey(app)).key.api_key, made.api_key);
  assert.equal((await appkeys.generateKey(app.toUpperCase())).api_key, made.api_key);
  if (!session.admin) assert.equal((await rejection(appkeys.generateKeyForUser('somebody-else', app))).code, 'forbidden');
  await appkeys.revokeKeyForApp(app);
  assert.equal((await rejection(appkeys.getKey(app))).code, 'not_found');
});

test('an administrator looks after the keys of others', async (t) => {
  if (!server.admin) return t.skip('no administrator was named');
  const app = `${NAME} managed`;
  const { appkeys } = await login(server.admin);
  const made = await appkeys.generateKeyForUser(server.user.name, app);
  assert.equal(made.user_id, server.user.name);
  const mine = ({ keys }) => keys.filter(({ app_id }) => app_id === app);
  assert.equal(mine(await appkeys.getAllKeys()).length, 1);
  assert.equal(mine(await appkeys.getKeys()).length, 0);
  assert.equal((await appkeys.getKey(app, server.user.name)).key.api_key, made.api_key);
  await appkeys.revokeKeyForApp(app, server.user.name);
  assert.equal(mine(await appkeys.getAllKeys()).length, 0);
});

test('nobody in particular is forbidden what needs a login', async () => {
  const { appkeys } = newApp().plugins;
  for (const call of [() => appkeys.getKeys(), () => appkeys.generateKey('x'), () => appkeys.decide('x', true)]) {
    assert.equal((await rejection(call())).code, 'forbidden');
  }
});

test('behind a path prefix, cookies and CSRF token are found under their longer names', async () => {
  const { origin } = new URL(server.url);
  const client = new LatchkeyClient({ baseurl: `${origin}/octo`, headers: { 'X-Script-Name': '/octo' } });
  await client.login(server.user.name, server.user.password);
  assert.ok(client.getCookie('csrf_token'));
  assert.match(client.getCookieSuffix(), /_R\|octo$/);
  await client.plugins.appkeys.generateKey(`${NAME} prefixed`);
  await client.plugins.appkeys.revokeKeyForApp(`${NAME} prefixed`);
});

test('a server without session keys is rejected as unsupported', async (t) => {
  if (!server.isOctoPrint) return t.skip('the named server may have them');
  const sign = () => assert.fail('nothing to sign');
  const error = await rejection(newApp().sessionKeys.authenticate({ appid: 'x', sign }));
  assert.deepEqual([error.code, error.status], ['unsupported', 404]);
});

test('the Node.js example asks for access and prints the key alone', async (t) => {
  const app = `${NAME} example`;
  const { client: person, next } = await atTheSocket(t, server.user);
  const example = fileURLToPath(new URL('../examples/node.mjs', import.meta.url));
  const running = promisify(execFile)(process.execPath, [example, server.url, app], { timeout: 30_000 });
  await person.plugins.appkeys.decide((await next(asksFor(app))).user_token, true);
  const { stdout, stderr } = await running;
  const { key } = await person.plugins.appkeys.getKey(app);
  assert.equal(stdout, `${key.api_key}\n`);
  assert.match(stderr, /\/plugin\/appkeys\/auth\//);
  await person.plugins.appkeys.revokeKeyForApp(app);
});

test('the Node.js example says why there is no key, and fails', async () => {
  const example = fileURLToPath(new URL('../examples/node.mjs', import.meta.url));
  const running = promisify(execFile)(process.execPath, [example, `${server.url}nothing/here/`, NAME], { timeout: 30_000 });
  const { code, stdout, stderr } = await rejection(running);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /does not offer Application Keys/);
});
