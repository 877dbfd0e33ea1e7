import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { fakeServer } from './fake-server.mjs';
import { LatchkeyClient } from './lib.mjs';

/** A client of `server` with a fast push socket, closed at the end of the test. */
function clientWith(t, server, more = {}) {
  const client = new LatchkeyClient({ baseurl: server.url, WebSocket, ...more });
  client.socket.options.fastest = 10;
  t.after(() => client.socket.disconnect());
  return client;
}

/** The next message of this name. */
const next = (socket, name) =>
  new Promise((resolve) => {
    const handler = (message) => {
      socket.removeMessage(name, handler);
      resolve(message);
    };
    socket.onMessage(name, handler);
  });

test('messages are told by name and to those who want all', async (t) => {
  const server = await fakeServer(t, '/octo');
  const { socket } = clientWith(t, server);
  const all = [];
  socket.onMessage('*', (message) => all.push(message));
  const connected = next(socket, 'connected');
  socket.connect();
  assert.deepEqual((await connected).data, { version: '1.11.8', permissions: [] });
  assert.equal(socket.connected, true);

  const event = next(socket, 'event');
  server.broadcast({ event: { type: 'Startup' }, other: 1 });
  assert.deepEqual(await event, { event: 'event', data: { type: 'Startup' } });
  await server.until(() => all.length === 3);
  assert.deepEqual(all.map((message) => message.event), ['connected', 'event', 'other']);
});

test('user and password of the address go into the handshake', async (t) => {
  const server = await fakeServer(t);
  const client = clientWith(t, { url: server.url.replace('//', '//me:s%40crt@') });
  const connected = next(client.socket, 'connected');
  client.socket.connect();
  await connected;
  assert.equal(server.handshakes[0].authorization, `Basic ${btoa('me:s@crt')}`);
});

test('a person authenticates, sees a request at once, and decides it', async (t) => {
  const server = await fakeServer(t);
  const client = clientWith(t, server);
  const { socket, plugins } = client;
  const { name, session } = await client.login('olivia', 'battery-staple');
  const history = next(socket, 'history');
  socket.connect();
  // Before it is connected: it is remembered.
  socket.sendAuth(name, session);
  await history;

  const asked = next(socket, 'plugin');
  const app = new LatchkeyClient({ baseurl: server.url });
  const running = app.plugins.appkeys.authenticate('My App', undefined, { interval: 10 });
  const { data } = (await asked).data;
  assert.deepEqual([data.type, data.app_name], ['request_access', 'My App']);
  const ended = next(socket, 'plugin');
  await plugins.appkeys.decide(data.user_token, true);
  assert.deepEqual((await ended).data.data, { type: 'end_request', user_token: data.user_token });
  assert.equal(await running, server.keys[0].api_key);
});

test('a key authenticates the socket by a passive login, on every connection anew', async (t) => {
  const server = await fakeServer(t);
  server.keys.push({ app_id: 'A', user_id: 'olivia', api_key: 'k' });
  const { socket } = clientWith(t, server, { apikey: 'k' });
  const history = next(socket, 'history');
  socket.connect({ authenticate: true });
  await history;
  // As after a restart: the old session is worth nothing.
  server.sessions.clear();
  const again = next(socket, 'history');
  for (const peer of server.sockets) peer.terminate();
  await again;
});

test('a failed passive login is told', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  const failed = new Promise((resolve) => (socket.onAuthFailed = resolve));
  socket.connect({ authenticate: true });
  assert.equal((await failed).code, 'forbidden');
  assert.equal(socket.connected, true);
});

test('a wrong session is told by the server', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  const told = next(socket, 'reauthRequired');
  socket.connect();
  socket.sendAuth('olivia', 'made-up');
  assert.deepEqual((await told).data, { reason: 'stale' });
});

test('a lost connection comes back and is told again what the last one was', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  const log = [];
  socket.onDisconnected = (code) => log.push(`lost ${code}`);
  socket.onReconnectAttempt = (trial) => void log.push(`trial ${trial}`);
  socket.connect();
  await next(socket, 'connected');
  socket.subscribe({ state: false, plugins: ['appkeys'], events: false });
  socket.sendThrottleFactor(5);
  socket.sendAuth('olivia', 's');
  socket.sendMessage('custom', { once: true });
  const told = [{ subscribe: { state: false, plugins: ['appkeys'], events: false } }, { throttle: 5 }, { auth: 'olivia:s' }];
  await server.until(() => server.socketMessages.length === 4);
  assert.deepEqual(server.socketMessages, [...told, { custom: { once: true } }]);

  server.socketMessages = [];
  const connected = next(socket, 'connected');
  // A farewell is no reason to stay away: servers say it when they restart.
  for (const peer of server.sockets) peer.close(1000);
  await connected;
  await server.until(() => server.socketMessages.length === 3);
  assert.deepEqual(server.socketMessages, told);
  assert.deepEqual(log, ['lost 1000', 'trial 0']);
  assert.equal(socket.reconnectTrial, 0);
});

test('attempts are paced, and end when there were enough', async (t) => {
  const server = await fakeServer(t);
  await server.stop().finally(() => (server.stop = async () => {}));
  const { socket } = clientWith(t, server);
  socket.options.attempts = 4;
  const times = [];
  socket.onDisconnected = () => times.push(performance.now());
  const failed = new Promise((resolve) => (socket.onReconnectFailed = resolve));
  socket.connect();
  await failed;
  assert.equal(times.length, 5);
  // At least half of 10, 20, 40 and 80 ms each.
  const pauses = times.slice(1).map((time, at) => time - times[at]);
  for (const [at, least] of [5, 10, 20, 40].entries()) assert.ok(pauses[at] >= least - 1.5, `${pauses}`);
  assert.equal(socket.reconnecting, false);
});

test('a connection that says nothing is given up', async (t) => {
  const server = await fakeServer(t);
  const opened = [];
  class Silent {
    readyState = 0;
    constructor(url) {
      opened.push(url);
    }
    close() {}
  }
  const { socket } = clientWith(t, server, { WebSocket: Silent });
  let timeouts = 0;
  socket.onConnectTimeout = () => (timeouts += 1);
  socket.connect({ connectTimeout: 10 });
  await server.until(() => opened.length >= 2);
  assert.ok(timeouts >= 1);
  assert.equal(opened[0], `${server.url.replace('http', 'ws')}sockjs/websocket`);
});

test('disconnect is final, and reconnect goes on', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  socket.onDisconnected = () => assert.fail('told of what it did itself');
  socket.connect();
  await next(socket, 'connected');
  socket.disconnect();
  await server.until(() => server.sockets.size === 0);
  assert.throws(() => socket.sendMessage('x', 1), { code: 'not_connected' });
  const connected = next(socket, 'connected');
  socket.reconnect();
  await connected;
});

test('reconnecting can be left to the caller', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  let asked = 0;
  socket.onReconnectAttempt = () => {
    asked += 1;
    return true;
  };
  socket.connect();
  await next(socket, 'connected');
  for (const peer of server.sockets) peer.terminate();
  await server.until(() => asked === 1);
  assert.equal(socket.socket, undefined);
});

test('what is no JSON object is passed over, and a handler that throws harms nobody', async (t) => {
  const server = await fakeServer(t);
  const { socket } = clientWith(t, server);
  socket.connect();
  await next(socket, 'connected');
  const surfaced = [];
  const onException = (error) => surfaced.push(error.message);
  process.setUncaughtExceptionCaptureCallback(onException);
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const told = [];
  socket.onMessage('current', () => {
    throw new Error('oops');
  });
  socket.onMessage('current', ({ data }) => told.push(data));
  for (const peer of server.sockets) {
    for (const text of ['{', '7', 'null', '"text"', '{"current": 1}']) peer.send(text);
    peer.send(Buffer.from('{"current": 2}'), { binary: true });
    peer.send('{"current": 3}');
  }
  await server.until(() => told.length === 2);
  assert.deepEqual(told, [1, 3]);
  assert.deepEqual(surfaced, ['oops', 'oops']);
});

test('without a WebSocket it is said that one can be passed', (t) => {
  const kept = globalThis.WebSocket;
  delete globalThis.WebSocket;
  t.after(() => kept && (globalThis.WebSocket = kept));
  const client = new LatchkeyClient({ baseurl: 'http://127.0.0.1:1/' });
  assert.throws(() => client.socket.connect(), { code: 'invalid_argument', message: /WebSocket/ });
});
