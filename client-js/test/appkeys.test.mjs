import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppKeysError, RequestError } from '../dist/latchkey-client.js';
import { fakeServer } from './fake-server.mjs';
import { clientOf, rejection } from './lib.mjs';

const QUICK = { interval: 10 };

test('keys are generated, listed, shown and revoked by app', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server, 'olivia')).plugins;

  const made = await appkeys.generateKey('My App');
  assert.deepEqual(Object.keys(made).sort(), ['api_key', 'app_id', 'user_id']);
  assert.equal(made.user_id, 'olivia');
  assert.deepEqual(await appkeys.getKeys(), { keys: [{ app_id: 'My App', user_id: 'olivia' }], pending: {} });
  assert.deepEqual(await appkeys.getKey('my app'), { key: made });
  assert.equal(await appkeys.revokeKeyForApp('My App'), undefined);
  assert.deepEqual((await appkeys.getKeys()).keys, []);
});

test('an administrator looks after the keys of others', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server, 'ada')).plugins;

  const made = await appkeys.generateKeyForUser('olivia', 'A & B');
  assert.equal(made.user_id, 'olivia');
  assert.deepEqual((await appkeys.getKeys()).keys, []);
  assert.deepEqual((await appkeys.getAllKeys()).keys, [{ app_id: 'A & B', user_id: 'olivia' }]);
  assert.equal((await appkeys.getKey('A & B', 'olivia')).key.api_key, made.api_key);
  await appkeys.revokeKeyForApp('A & B', 'olivia');
  assert.deepEqual(server.keys, []);
});

test('a key is revoked by itself', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server, 'olivia')).plugins;
  const { api_key } = await appkeys.generateKey('My App');
  assert.equal(await appkeys.revokeKey(api_key), undefined);
  assert.deepEqual(server.keys, []);
});

test('options can be the second argument of getKey', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server, 'olivia')).plugins;
  await appkeys.generateKey('My App');
  await appkeys.getKey('My App', { headers: { 'X-Marked': 'yes' } });
  assert.equal(server.last('/api/plugin/appkeys').headers['x-marked'], 'yes');
});

for (const [what, code, status, call] of [
  ['listing as nobody', 'forbidden', 403, (keys) => keys.getKeys()],
  ['generating as nobody', 'forbidden', 403, (keys) => keys.generateKey('A')],
  ['deciding as nobody', 'forbidden', 403, (keys) => keys.decide('t', true)],
  ['asking for a decision on an unknown token', 'not_found', 404, (keys) => keys.checkDecision('t')],
]) {
  test(`${what} is rejected as ${code}`, async (t) => {
    const { appkeys } = (await clientOf(await fakeServer(t))).plugins;
    const error = await rejection(call(appkeys));
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.status], [code, status]);
    assert.match(error.message, new RegExp(error.responseJSON.error));
  });
}

for (const [what, code, status, call] of [
  ['the key of an unknown app', 'not_found', 404, (keys) => keys.getKey('Nothing')],
  ["another user's key", 'forbidden', 403, (keys) => keys.getKey('A', 'ada')],
  ['generating without a name', 'bad_request', 400, (keys) => keys.generateKey('')],
  ['generating for another user', 'forbidden', 403, (keys) => keys.generateKeyForUser('ada', 'A')],
  ['revoking an unknown app', 'bad_request', 400, (keys) => keys.revokeKeyForApp('Nothing')],
  ['revoking an unknown key', 'forbidden', 403, (keys) => keys.revokeKey('k')],
  ['deciding on an unknown token', 'not_found', 404, (keys) => keys.decide('t', true)],
]) {
  test(`${what} is rejected as ${code}`, async (t) => {
    const { appkeys } = (await clientOf(await fakeServer(t), 'olivia')).plugins;
    const error = await rejection(call(appkeys));
    assert.deepEqual([error.name, error.code, error.status], ['RequestError', code, status]);
  });
}

test('a login that is not fresh cannot decide, and is told so', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server, 'olivia')).plugins;
  server.fresh = false;
  assert.match((await rejection(appkeys.decide('t', true))).message, /reauthenticate/);
});

test('probe resolves with nothing, and only for 204', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server)).plugins;
  assert.equal(await appkeys.probe(), undefined);
  server.overrides.set('/plugin/appkeys/probe', (_, reply) => reply(200, {}) ?? true);
  assert.equal((await rejection(appkeys.probe())).code, 'invalid_response');
});

test('a request is asked for, decided by its user token, and fetched once', async (t) => {
  const server = await fakeServer(t);
  const app = (await clientOf(server)).plugins.appkeys;
  const person = (await clientOf(server, 'olivia')).plugins.appkeys;

  const { app_token, auth_dialog } = await app.request('My App');
  assert.match(auth_dialog, new RegExp(`/plugin/appkeys/auth/${app_token}$`));
  assert.deepEqual(await app.checkDecision(app_token), { message: 'Awaiting decision' });
  const [pending] = Object.values((await person.getKeys()).pending);
  assert.equal(pending.app_id, 'My App');
  assert.equal(await person.decide(pending.user_token, true), undefined);
  const { api_key } = await app.checkDecision(app_token);
  assert.equal(api_key, server.keys[0].api_key);
  assert.equal((await rejection(app.checkDecision(app_token))).code, 'not_found');
});

test('asking needs no CSRF token, sends "user": null for anybody, and a user if one is named', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server)).plugins;
  await appkeys.request('My App');
  assert.deepEqual(JSON.parse(server.last('/plugin/appkeys/request').text), { app: 'My App', user: null });
  const { auth_dialog } = await appkeys.requestForUser('My App', 'olivia');
  assert.deepEqual(JSON.parse(server.last('/plugin/appkeys/request').text), { app: 'My App', user: 'olivia' });
  assert.match(auth_dialog, /\?user=olivia$/);
  assert.equal(server.last('/login/'), undefined);
});

test('authenticate resolves with the key, tells of the dialog first, and reports progress', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server)).plugins;
  const told = [];
  const dialogs = [];
  const running = appkeys
    .authenticate('My App', 'olivia', { ...QUICK, onDialog: (url, { app_token }) => dialogs.push([url, app_token]) })
    .progress((progress) => told.push(progress));
  await server.until(() => told.some(({ state }) => state === 'waiting'));
  const { appToken } = await server.decideNext(true);

  assert.equal(await running, server.keys[0].api_key);
  assert.deepEqual(dialogs, [[`${server.url}plugin/appkeys/auth/${appToken}?user=olivia`, appToken]]);
  assert.deepEqual(told[0], { state: 'requested', appToken, authDialog: dialogs[0][0] });
});

test('authenticate polls every second unless told otherwise', async (t) => {
  const server = await fakeServer(t);
  const times = [];
  const { appkeys } = (await clientOf(server)).plugins;
  const running = appkeys.authenticate('My App').progress(() => times.push(performance.now()));
  await server.until(() => times.length >= 3);
  await server.decideNext(true);
  await running;
  for (const pause of [times[1] - times[0], times[2] - times[1]]) {
    assert.ok(pause >= 990 && pause < 2_000, `${pause} ms`);
  }
});

test('an interval longer than the server waits is shortened', async (t) => {
  const server = await fakeServer(t);
  const running = (await clientOf(server)).plugins.appkeys.authenticate('My App', undefined, { interval: 60_000 });
  await server.decideNext(true);
  const began = performance.now();
  await running;
  assert.ok(performance.now() - began < 4_500);
});

/** What `authenticate` was rejected with, as done by `.fail` too. */
async function failure(server, opts = QUICK, meanwhile = async () => {}) {
  const { appkeys } = (await clientOf(server)).plugins;
  const failed = [];
  const running = appkeys.authenticate('My App', undefined, opts).fail((error) => failed.push(error));
  const [error] = await Promise.all([rejection(running), meanwhile()]);
  assert.ok(error instanceof AppKeysError, `${error}`);
  assert.deepEqual(failed, [error]);
  return error;
}

test('authenticate is rejected as denied', async (t) => {
  const server = await fakeServer(t);
  const error = await failure(server, QUICK, () => server.decideNext(false));
  assert.deepEqual([error.code, error.status], ['denied', 404]);
});

test('authenticate is rejected as timed out when nobody decides in time', async (t) => {
  const server = await fakeServer(t);
  const error = await failure(server, { interval: 10, timeout: 60 });
  assert.equal(error.code, 'timeout');
  assert.ok([...server.pending.values()][0].polls >= 2);
});

test('authenticate is rejected as timed out when the server drops a request it was not polled for', async (t) => {
  const server = await fakeServer(t);
  // What a page that slept finds: an answer that took longer than the server waits.
  const error = await failure(server, QUICK, async () => {
    await server.until(() => [...server.pending.values()][0]?.polls > 0);
    const [{ appToken }] = server.pending.values();
    server.overrides.set(`/plugin/appkeys/request/${appToken}`, (_, reply) => {
      setTimeout(() => reply(404, { error: 'gone' }), 5_100);
      return true;
    });
  });
  assert.deepEqual([error.code, error.status], ['timeout', 404]);
});

for (const [status, body] of [[404, { error: 'x' }], [403, { error: 'not set up' }], [200, '<html>'], [200, {}], [405, { error: 'x' }]]) {
  test(`authenticate is rejected as unsupported when the probe is answered ${status} ${JSON.stringify(body)}`, async (t) => {
    const server = await fakeServer(t);
    server.overrides.set('/plugin/appkeys/probe', (_, reply) => reply(status, body) ?? true);
    const error = await failure(server);
    assert.deepEqual([error.code, error.status], ['unsupported', status]);
    assert.equal(server.last('/plugin/appkeys/request'), undefined);
  });
}

for (const [status, code] of [[429, 'rate_limited'], [503, 'server_error'], [601, 'offline'], [605, 'forbidden'], [606, 'unauthorized']]) {
  test(`authenticate passes on a ${status} to the probe as ${code}`, async (t) => {
    const server = await fakeServer(t);
    server.overrides.set('/plugin/appkeys/probe', (_, reply) => reply(status, { error: 'x' }) ?? true);
    assert.equal((await failure(server)).code, code);
  });
}

test('authenticate is rejected as rate limited when there were too many requests', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/plugin/appkeys/request', (_, reply) => reply(429, { error: 'slow down' }) ?? true);
  const error = await failure(server);
  assert.deepEqual([error.code, error.status], ['rate_limited', 429]);
  assert.match(error.message, /slow down/);
});

test('authenticate is rejected as an invalid response when there is no token', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/plugin/appkeys/request', (_, reply) => reply(201, {}) ?? true);
  assert.equal((await failure(server)).code, 'invalid_response');
});

test('authenticate is rejected as a network failure when nobody answers', async () => {
  const error = await failure({ url: 'http://127.0.0.1:1/' });
  assert.deepEqual([error.code, error.status], ['network', undefined]);
});

test('authenticate sits out a short outage', async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server)).plugins;
  const running = appkeys.authenticate('My App', undefined, QUICK);
  await server.until(() => server.pending.size > 0);
  const [{ appToken }] = server.pending.values();
  let outages = 0;
  server.overrides.set(`/plugin/appkeys/request/${appToken}`, (_, reply, response) => {
    outages += 1;
    if (outages === 1) response.destroy();
    if (outages === 2) reply(502, 'Bad gateway');
    return outages <= 2;
  });
  await server.until(() => outages > 2);
  await server.decideNext(true);
  assert.equal(await running, server.keys[0].api_key);
});

test('a key whose answer was lost is not called a denial', async (t) => {
  const server = await fakeServer(t);
  const error = await failure(server, QUICK, async () => {
    await server.until(() => server.pending.size > 0);
    const [{ appToken }] = server.pending.values();
    let polls = 0;
    server.overrides.set(`/plugin/appkeys/request/${appToken}`, (_, reply, response) => {
      polls += 1;
      if (polls === 1) response.destroy();
      else reply(404, { error: 'gone' });
      return true;
    });
  });
  assert.equal(error.code, 'network');
});

test('an aborted authenticate stops polling at once', async (t) => {
  const server = await fakeServer(t);
  const stop = new AbortController();
  const error = await failure(server, { signal: stop.signal }, async () => {
    await server.until(() => server.pending.size > 0);
    stop.abort(new Error('changed my mind'));
  });
  assert.equal(error.code, 'aborted');
  assert.equal(error.cause.message, 'changed my mind');
  const polls = server.seen.length;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assert.equal(server.seen.length, polls);
});

test('authenticate with a signal that was aborted before sends nothing', async (t) => {
  const server = await fakeServer(t);
  assert.equal((await failure(server, { signal: AbortSignal.abort() })).code, 'aborted');
  assert.deepEqual(server.seen, []);
});

test('an address that a browser must not open is not called a dialog', async (t) => {
  const server = await fakeServer(t);
  const answer = { app_token: 't', auth_dialog: 'javascript:alert(1)' };
  server.overrides.set('/plugin/appkeys/request', (_, reply) => reply(201, answer) ?? true);
  const error = await failure(server, { ...QUICK, onDialog: () => assert.fail('opened') });
  assert.equal(error.code, 'denied');
});

test("a mistake in onDialog is the caller's own error", async (t) => {
  const server = await fakeServer(t);
  const { appkeys } = (await clientOf(server)).plugins;
  const mistake = new Error('pop-up blocked');
  const onDialog = () => {
    throw mistake;
  };
  assert.equal(await rejection(appkeys.authenticate('My App', undefined, { ...QUICK, onDialog })), mistake);
});

test('no error names a token, a key or an address with one in it', async (t) => {
  const server = await fakeServer(t);
  const error = await failure(server, QUICK, () => server.decideNext(false));
  const [{ appToken }] = server.pending.values();
  for (let cause = error; cause; cause = cause.cause) {
    assert.ok(!`${cause.message} ${cause.stack} ${JSON.stringify(cause)}`.includes(appToken));
  }
});
