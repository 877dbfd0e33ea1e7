import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import * as library from '../dist/latchkey-client.js';
import { fakeRelay, rejection } from './lib.mjs';

const { AppConnection, ClientError, RelayError, RequestError } = library;

const CREDENTIALS = {
  appApiToken: 'lk_app_1',
  authBasicHttpUser: 'user',
  authBasicHttpPassword: 'password',
  authBearerToken: 'bearer',
};
const connect = (relay, more = {}) => new AppConnection({ url: relay.url, relay: relay.url, ...CREDENTIALS, ...more });

const INFO = { PrinterName: 'Workshop', IsOnline: false, PrinterLimits: {} };

test('info asks the relay with the token, and reads the envelope or what is bare', async (t) => {
  let json = { Status: 200, Error: '', IsUserError: false, Result: INFO, ...INFO };
  const relay = await fakeRelay(t, () => ({ json }));
  assert.deepEqual(await connect(relay).info(), INFO);
  json = INFO;
  assert.deepEqual(await connect(relay).info(), INFO);
  const [{ path, headers }] = relay.seen;
  assert.equal(path, '/api/appconnection/info');
  assert.equal(headers.apptoken, 'lk_app_1');
  assert.equal(headers.authorization, undefined);
  json = { Status: 200 };
  assert.equal((await rejection(connect(relay).info())).code, 'invalid_response');
  const unknown = new AppConnection({ url: relay.url, ...CREDENTIALS });
  assert.equal((await rejection(unknown.info())).code, 'invalid_argument');
  const given = new AppConnection({ url: 'https://app-x.example', ...CREDENTIALS }, { relay: `${relay.url}/` });
  json = INFO;
  assert.deepEqual(await given.info(), INFO);
});

test('the bearer token goes along, else the pair, else nothing', async (t) => {
  const relay = await fakeRelay(t, () => ({ text: 'x' }));
  for (const [more, authorization] of [
    [{}, 'Bearer bearer'],
    [{ authBearerToken: '' }, `Basic ${btoa('user:password')}`],
    [{ authBearerToken: '', authBasicHttpUser: '', authBasicHttpPassword: '' }, undefined],
  ]) {
    const connection = connect(relay, more);
    assert.equal(connection.authorization, authorization);
    await connection.fetch('/api', { headers: { Authorization: 'Basic mine', 'X-Api-Key': 'k' } });
    const { headers } = relay.seen.at(-1);
    assert.equal(headers.authorization, authorization ?? 'Basic mine');
    assert.equal(headers['x-api-key'], 'k');
    assert.equal(headers.apptoken, undefined);
  }
});

test('a path stays below the printer, byte for byte, and credentials go nowhere else', async (t) => {
  const relay = await fakeRelay(t, () => ({ text: 'x' }));
  const connection = connect(relay);
  for (const [given, asked] of [
    ['/api/files/a%2Fb?x=%20&y', '/api/files/a%2Fb?x=%20&y'],
    ['api', '/api'],
    ['//evil.example/x', '//evil.example/x'],
    ['/@evil.example/', '/@evil.example/'],
    [`${relay.url}/api`, '/api'],
  ]) {
    await connection.fetch(given);
    assert.equal(relay.seen.at(-1).path, asked);
  }
  const before = relay.seen.length;
  for (const elsewhere of ['https://evil.example/', 'data:,x', relay.url.replace('http:', 'https:')]) {
    const error = await rejection(connection.fetch(elsewhere));
    assert.ok(error instanceof ClientError);
    assert.equal(error.code, 'invalid_argument', elsewhere);
  }
  assert.equal(relay.seen.length, before);
  for (const url of ['relay.example', 'ftp://relay.example']) {
    assert.throws(() => new AppConnection({ url, ...CREDENTIALS }), { code: 'invalid_argument' });
  }
});

test('each of the relay’s statuses is an error of its own', async (t) => {
  const table = {
    600: ['RelayFailedError', 'server_error', 'soon'],
    601: ['PrinterOfflineError', 'offline', 'soon'],
    602: ['PrinterTimeoutError', 'timeout', 'soon'],
    603: ['ConnectionNotFoundError', 'ended', 'never'],
    604: ['ConnectionEndedError', 'ended', 'never'],
    605: ['OwnerNotEntitledError', 'forbidden', 'later'],
    606: ['CredentialsRefusedError', 'unauthorized', 'never'],
    607: ['DownloadTooLargeError', 'too_large', 'never'],
    608: ['UploadTooLargeError', 'too_large', 'never'],
    609: ['WebcamLimitError', 'rate_limited', 'later'],
    610: ['HostUpdateRequiredError', 'unsupported', 'later'],
    611: ['NoBetaAccessError', 'forbidden', 'later'],
    612: ['HostFailedError', 'server_error', 'soon'],
    613: ['NoActivePrintError', 'not_found', 'later'],
    699: ['RelayError', 'server_error', 'later'],
  };
  let status;
  const relay = await fakeRelay(t, () => ({ status, json: { Status: status, Error: 'Said so.', IsUserError: true, Result: null } }));
  for (const [code, [name, word, retry]] of Object.entries(table)) {
    status = Number(code);
    for (const asked of [connect(relay).fetch('/'), connect(relay).info()]) {
      const error = await rejection(asked);
      assert.ok(error instanceof library[name] && error instanceof RelayError && error instanceof RequestError, code);
      assert.deepEqual([error.name, error.status, error.code, error.retry], [name, status, word, retry]);
      assert.equal(error.isPermanent, retry === 'never');
      assert.equal(error.isOver, status === 603 || status === 604);
      assert.match(error.message, /Said so\./);
    }
  }
});

test('the printer’s own answers are returned, and redirects are not followed', async (t) => {
  let answer;
  const relay = await fakeRelay(t, () => answer);
  for (const status of [200, 204, 304, 403, 404, 500, 503]) {
    answer = { status };
    assert.equal((await connect(relay).fetch('/')).status, status);
  }
  answer = { status: 302, headers: { Location: 'https://elsewhere.example/' } };
  assert.equal((await connect(relay).fetch('/')).status, 302);
});

test('an outage and a cancellation are told apart', async (t) => {
  const down = new AppConnection({ url: 'http://127.0.0.1:9', ...CREDENTIALS });
  assert.equal((await rejection(down.fetch('/'))).code, 'network');
  const relay = await fakeRelay(t, () => new Promise(() => {}));
  const stop = new AbortController();
  const asked = connect(relay).fetch('/', { signal: stop.signal });
  stop.abort();
  assert.equal((await rejection(asked)).code, 'aborted');
  assert.equal((await rejection(connect(relay).info({ timeout: 50 }))).code, 'timeout');
});

/** A relay whose sockets echo, and whose handshakes are refused with `refuse.status` if there is one. */
async function socketRelay(t) {
  const refuse = { status: undefined };
  const relay = await fakeRelay(t, () => ({ status: refuse.status ?? 400, json: { Error: 'Said so.' } }));
  const sockets = new WebSocketServer({ noServer: true });
  const handshakes = [];
  relay.http.on('upgrade', (request, socket, head) => {
    handshakes.push({ path: request.url, headers: request.headers });
    if (refuse.status) return socket.end(`HTTP/1.1 ${refuse.status} \r\nContent-Length: 0\r\n\r\n`);
    sockets.handleUpgrade(request, socket, head, (peer) => {
      // At once: it may arrive together with the end of the handshake.
      peer.send('hello');
      peer.on('message', (text) => peer.send(`${text}!`));
      t.after(() => peer.terminate());
    });
  });
  return { ...relay, refuse, handshakes };
}

test('a WebSocket has the credential, and misses nothing', async (t) => {
  const relay = await socketRelay(t);
  const connection = new AppConnection({ url: relay.url, ...CREDENTIALS }, { WebSocket });
  const heard = [];
  let wake;
  const setUp = (socket) => {
    socket.onmessage = ({ data }) => {
      heard.push(data);
      wake?.();
    };
  };
  const socket = await connection.webSocket('/sockjs/websocket?x=1', { setUp, protocols: ['a'] });
  socket.send('ping');
  while (heard.length < 2) await new Promise((resolve) => (wake = resolve));
  assert.deepEqual(heard, ['hello', 'ping!']);
  const [{ path, headers }] = relay.handshakes;
  assert.equal(path, '/sockjs/websocket?x=1');
  assert.equal(headers.authorization, 'Bearer bearer');
  assert.equal(headers['sec-websocket-protocol'], 'a');
  socket.close();
});

test('why a WebSocket failed is asked with GET', async (t) => {
  const relay = await socketRelay(t);
  const connection = new AppConnection({ url: relay.url, ...CREDENTIALS }, { WebSocket });
  for (const [status, name] of [[601, 'PrinterOfflineError'], [604, 'ConnectionEndedError'], [606, 'CredentialsRefusedError']]) {
    relay.refuse.status = status;
    const error = await rejection(connection.webSocket('/sockjs/websocket'));
    assert.ok(error instanceof library[name], String(error));
    const { method, path, headers } = relay.seen.at(-1);
    assert.equal(`${method} ${path}`, 'GET /sockjs/websocket');
    assert.equal(headers.authorization, 'Bearer bearer');
  }
  relay.refuse.status = 404;
  assert.equal((await rejection(connection.webSocket('/'))).code, 'network', 'the printer’s server says no');
  const down = new AppConnection({ url: 'http://127.0.0.1:9', ...CREDENTIALS }, { WebSocket });
  assert.equal((await rejection(down.webSocket('/'))).code, 'network');
});

test('a WebSocket that does not open in time, or is no longer wanted, is closed', async (t) => {
  const relay = await fakeRelay(t, () => ({ status: 404 }));
  relay.http.on('upgrade', (request, socket) => t.after(() => socket.destroy()));
  const connection = new AppConnection({ url: relay.url, ...CREDENTIALS }, { WebSocket });
  let socket;
  const setUp = (one) => (socket = one);
  assert.equal((await rejection(connection.webSocket('/', { timeout: 50, setUp }))).code, 'timeout');
  assert.ok(socket.readyState >= 2, 'closing or closed');
  const stop = new AbortController();
  const asked = connection.webSocket('/', { signal: stop.signal });
  stop.abort();
  assert.equal((await rejection(asked)).code, 'aborted');
  assert.equal((await rejection(connection.webSocket('/', { signal: stop.signal }))).code, 'aborted');
});

test('the WebSocket that newer Node.js brings along sends the credential too', async (t) => {
  const relay = await socketRelay(t);
  const script = `
    import { AppConnection } from ${JSON.stringify(fileURLToPath(new URL('../dist/latchkey-client.js', import.meta.url)))};
    const connection = new AppConnection(${JSON.stringify({ url: relay.url, ...CREDENTIALS })});
    const socket = await connection.webSocket('/own');
    socket.close();`;
  const flags = globalThis.WebSocket ? [] : ['--experimental-websocket'];
  await promisify(execFile)(process.execPath, [...flags, '--no-warnings', '--input-type=module', '--eval', script], { timeout: 20_000 });
  assert.equal(relay.handshakes[0].headers.authorization, 'Bearer bearer');
});

test('without a WebSocket it is said what to pass', { skip: Boolean(globalThis.WebSocket) && 'there is one' }, async () => {
  const connection = new AppConnection({ url: 'http://127.0.0.1:9', ...CREDENTIALS });
  assert.equal((await rejection(connection.webSocket('/'))).code, 'invalid_argument');
});
