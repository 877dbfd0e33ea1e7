import assert from 'node:assert/strict';
import { createPublicKey, createSign, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { SessionKeyError } from '../dist/latchkey-client.js';
import * as documentation from './documented-key.mjs';
import { fakeServer } from './fake-server.mjs';
import { LatchkeyClient, rejection } from './lib.mjs';

const PEM = {};
for (const bits of [512, 1024, 2048]) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  PEM[bits] = {
    pkcs1: privateKey.export({ type: 'pkcs1', format: 'pem' }),
    pkcs8: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    public: createPublicKey(privateKey),
  };
}
const APP = { appid: 'com.example.app', appversion: '1.0' };

async function serverWith(t, bits, name = 'com.example.app:1.0') {
  const server = await fakeServer(t);
  server.apps[name] = PEM[bits].public;
  return server;
}

/** WebCrypto that refuses small keys, as browsers do. */
const strict = {
  subtle: {
    importKey: async () => {
      throw new DOMException('key size', 'DataError');
    },
  },
};

for (const form of ['pkcs1', 'pkcs8']) {
  for (const bits of [1024, 2048]) {
    test(`an app with a ${form} key of ${bits} bits gets a session key`, async (t) => {
      const server = await serverWith(t, bits);
      const { sessionKeys } = new LatchkeyClient({ baseurl: server.url });
      const { key, validUntil } = await sessionKeys.authenticate({ ...APP, privateKey: PEM[bits][form] });
      assert.match(key, /^[0-9A-F]{32}$/);
      assert.ok(validUntil > Date.now() / 1000 + 7_000);
      const sent = JSON.parse(server.last('/apps/auth').text);
      assert.deepEqual([sent.appid, sent.appversion, sent.key], ['com.example.app', '1.0', key]);
      assert.equal(server.last('/login/'), undefined);
    });
  }
}

test("the documentation's key makes the documentation's signature", async (t) => {
  const server = await fakeServer(t);
  documentation.documented(server);
  const { sessionKeys } = new LatchkeyClient({ baseurl: server.url });
  const got = await sessionKeys.authenticate({ ...documentation.APP, privateKey: documentation.PRIVATE_KEY });
  assert.deepEqual(got, { key: documentation.KEY, validUntil: 1416227497.011 });
});

test('without a version the app is looked up as any, and no version is sent', async (t) => {
  const server = await serverWith(t, 2048, 'com.example.app:any');
  const { sessionKeys } = new LatchkeyClient({ baseurl: server.url });
  await sessionKeys.authenticate({ appid: 'com.example.app', privateKey: PEM[2048].pkcs8 });
  assert.equal('appversion' in JSON.parse(server.last('/apps/auth').text), false);
});

test('a signature can be made elsewhere, as bytes or as BASE64 with newlines', async (t) => {
  const server = await serverWith(t, 512);
  const { sessionKeys } = new LatchkeyClient({ baseurl: server.url, crypto: strict });
  const sign = (message) => createSign('RSA-SHA1').update(message).sign(PEM[512].pkcs1);
  await sessionKeys.authenticate({ ...APP, sign });
  const folded = (message) => sign(message).toString('base64').replace(/(.{20})/g, '$1\n');
  await sessionKeys.authenticate({ ...APP, sign: async (message) => folded(message) });
});

/** The documented rejection of `authenticate`. */
async function failure(client, request) {
  const failed = [];
  const error = await rejection(client.sessionKeys.authenticate(request).fail((reason) => failed.push(reason)));
  assert.ok(error instanceof SessionKeyError, `${error}`);
  assert.deepEqual(failed, [error]);
  return error;
}

for (const bits of [512, 1024]) {
  test(`a key of ${bits} bits that WebCrypto refuses is too small, and it is said what to do`, async (t) => {
    const server = await serverWith(t, bits);
    const client = new LatchkeyClient({ baseurl: server.url, crypto: strict });
    const error = await failure(client, { ...APP, privateKey: PEM[bits].pkcs1 });
    assert.equal(error.code, 'key_too_small');
    assert.match(error.message, new RegExp(`${bits} bits.*sign there.*2048 bits`));
    assert.deepEqual(server.seen, []);
  });
}

test('a large key that WebCrypto refuses is invalid, not too small', async () => {
  const client = new LatchkeyClient({ baseurl: 'http://127.0.0.1:1/', crypto: strict });
  assert.equal((await failure(client, { ...APP, privateKey: PEM[2048].pkcs8 })).code, 'invalid_private_key');
});

test('a page without WebCrypto is told why', async () => {
  const client = new LatchkeyClient({ baseurl: 'http://127.0.0.1:1/', crypto: {} });
  const error = await failure(client, { ...APP, privateKey: PEM[2048].pkcs8 });
  assert.equal(error.code, 'no_webcrypto');
  assert.match(error.message, /https/);
});

const cut = PEM[2048].pkcs1.split('\n').toSpliced(3, 10).join('\n');
const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
const encrypted = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
  type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x',
});
for (const [what, privateKey, why] of [
  ['no PEM', 'MIIB', /PEM/],
  ['a public key', PEM[1024].public.export({ type: 'spki', format: 'pem' }), /PEM/],
  ['cut off', cut, /not an RSA key/],
  ['an elliptic key', elliptic, /not an RSA key/],
  ['encrypted', encrypted, /encrypted/],
  ['not BASE64', '-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----', /BASE64/],
]) {
  test(`a private key that is ${what} is invalid, and its text is not repeated`, async () => {
    const error = await failure(new LatchkeyClient({ baseurl: 'http://127.0.0.1:1/' }), { ...APP, privateKey });
    assert.equal(error.code, 'invalid_private_key');
    assert.match(error.message, why);
    assert.ok(!error.message.includes(privateKey.split('\n')[1] ?? privateKey));
  });
}

for (const [what, prepare, code, status] of [
  ['a server without session keys', (server) => server.overrides.set('/apps/auth', (_, reply) => reply(404, 'x') ?? true), 'unsupported', 404],
  ['an unknown app', (server) => (server.apps = {}), 'unknown_app', 401],
  ["another app's key", (server) => (server.apps['com.example.app:1.0'] = PEM[2048].public), 'invalid_signature', 401],
  ['a server that broke', (server) => server.overrides.set('/apps/auth', (_, reply) => reply(500, 'x') ?? true), 'server_error', 500],
  ['an answer without a key', (server) => server.overrides.set('/apps/auth', (_, reply) => reply(200, {}) ?? true), 'invalid_response', undefined],
]) {
  test(`${what} is rejected as ${code}`, async (t) => {
    const server = await serverWith(t, 1024);
    prepare(server);
    const error = await failure(new LatchkeyClient({ baseurl: server.url }), { ...APP, privateKey: PEM[1024].pkcs8 });
    assert.deepEqual([error.code, error.status], [code, status]);
  });
}

test('a key that became too old while it was signed is expired', async (t) => {
  const server = await serverWith(t, 1024);
  const { sessionKeys } = new LatchkeyClient({ baseurl: server.url });
  const sign = (message) => {
    server.unverified.clear();
    return createSign('RSA-SHA1').update(message).sign(PEM[1024].pkcs1);
  };
  assert.equal((await rejection(sessionKeys.authenticate({ ...APP, sign }))).code, 'expired');
});

test('the two steps can be taken one by one', async (t) => {
  const server = await serverWith(t, 512);
  const { sessionKeys } = new LatchkeyClient({ baseurl: server.url });
  const { unverifiedKey, validUntil } = await sessionKeys.getUnverifiedKey();
  assert.ok(validUntil > Date.now() / 1000);
  const message = `com.example.app:1.0:${unverifiedKey}`;
  const signature = createSign('RSA-SHA1').update(message).sign(PEM[512].pkcs1, 'base64');
  const { key } = await sessionKeys.verify({ ...APP, key: unverifiedKey, signature });
  assert.equal(key, unverifiedKey);
});

for (const [missing, request] of [['appid', { privateKey: 'x' }], ['privateKey', { appid: 'x' }]]) {
  test(`${missing} has to be given`, async () => {
    const error = await failure(new LatchkeyClient({ baseurl: 'http://127.0.0.1:1/' }), request);
    assert.equal(error.code, 'invalid_argument');
    assert.match(error.message, new RegExp(missing));
  });
}
