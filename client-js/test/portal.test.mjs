import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  ClientError,
  CompletionCancelledError,
  CompletionError,
  CompletionFailedError,
  CompletionIncompleteError,
  ForeignCompletionError,
  NotACompletionError,
  PrinterOfflineError,
  createPkce,
  parseCompletion,
  redeemCode,
  startUrl,
} from '../dist/latchkey-client.js';
import { fakeRelay, rejection } from './lib.mjs';

/** What a relay gives, in the order and spelling it gives it. */
const GIVEN = {
  success: 'true',
  id: 'c1',
  url: 'https://app-x.relay.example',
  appApiToken: 'lk_app_1',
  authbasichttpuser: 'user',
  authbasichttppassword: 'password',
  authBearerToken: 'bearer',
  printername: 'Työpaja 2+3 & more',
  userPrinterAccessUrl: 'https://relay.example/view/Workshop',
  printerLastKnownLocalIp: '192.168.1.9:5010',
  octoPrintApiKey: 'key',
  authBasicHttpUser: 'user',
  authBasicHttpPassword: 'password',
};
const PARSED = {
  mode: 'parameters',
  id: 'c1',
  url: 'https://app-x.relay.example',
  appApiToken: 'lk_app_1',
  authBasicHttpUser: 'user',
  authBasicHttpPassword: 'password',
  authBearerToken: 'bearer',
  printerName: 'Työpaja 2+3 & more',
  userPrinterAccessUrl: 'https://relay.example/view/Workshop',
  printerLastKnownLocalIp: '192.168.1.9:5010',
  octoPrintApiKey: 'key',
  relay: undefined,
};

const query = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
const without = (...names) => Object.fromEntries(Object.entries(GIVEN).filter(([name]) => !names.includes(name)));

function thrown(work) {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail('nothing was thrown');
}

test('a completion is read from every kind of address', () => {
  for (const address of [
    `https://relay.example/appportal/v1/complete?${query(GIVEN)}`,
    `octopod://octoeverywhere?${query(GIVEN)}`,
    `myapp:done?mine=1&${query(GIVEN)}#top?success=false`,
    `http://192.168.1.9:1234/token/complete?${query(GIVEN)}`,
  ]) {
    assert.deepEqual(parseCompletion(address), PARSED, address);
  }
  const url = new URL(`https://relay.example/?${query(GIVEN)}`);
  assert.equal(parseCompletion(url, { relay: 'https://relay.example' }).relay, 'https://relay.example');
});

test('either spelling will do, and a space in either form', () => {
  const documented = without('authbasichttpuser', 'authbasichttppassword');
  assert.deepEqual(parseCompletion(`a://b?${query(documented)}`), PARSED);
  const real = without('authBasicHttpUser', 'authBasicHttpPassword');
  assert.deepEqual(parseCompletion(`a://b?${query(real)}`), PARSED);
  const plus = query(GIVEN).replaceAll('%20', '+');
  assert.deepEqual(parseCompletion(`a://b?${plus}`), PARSED);
  const token = query({ ...GIVEN, authBearerToken: '' }).replace('authBearerToken=', 'authBearerToken=a+b/c=');
  assert.equal(parseCompletion(`a://b?${token}`).authBearerToken, 'a+b/c=');
});

test('a connection whose hostname is the credential has empty ones', () => {
  const bare = { ...GIVEN, authbasichttpuser: '', authbasichttppassword: '', authBearerToken: '', authBasicHttpUser: '', authBasicHttpPassword: '' };
  const { authBasicHttpUser, authBearerToken } = parseCompletion(`a://b?${query(bare)}`);
  assert.deepEqual([authBasicHttpUser, authBearerToken], ['', '']);
});

test('what is missing is named', () => {
  for (const [names, missing] of [
    [['id'], ['id']],
    [['url', 'appApiToken'], ['url', 'appApiToken']],
    [['authBearerToken'], ['authBearerToken']],
    [['authbasichttpuser', 'authBasicHttpUser'], ['authBasicHttpUser']],
  ]) {
    const error = thrown(() => parseCompletion(`a://b?${query(without(...names))}`));
    assert.ok(error instanceof CompletionIncompleteError && error instanceof CompletionError && error instanceof ClientError);
    assert.equal(error.code, 'invalid_response');
    assert.deepEqual(error.missing, missing);
  }
  const empty = thrown(() => parseCompletion(`a://b?${query({ ...GIVEN, appApiToken: '' })}`));
  assert.deepEqual(empty.missing, ['appApiToken']);
});

test('an address that cannot be used is refused', () => {
  for (const url of ['app-x.relay.example', 'ftp://app-x', 'https://u:p@app-x.relay.example', 'javascript:alert(1)']) {
    const error = thrown(() => parseCompletion(`a://b?${query({ ...GIVEN, url })}`));
    assert.ok(error instanceof CompletionFailedError, url);
    assert.equal(error.code, 'invalid_response');
  }
});

test('a cancellation is told from a failure', () => {
  const cancelled = thrown(() => parseCompletion('a://b?success=false&error=cancelled&errorDescription=Not%20now'));
  assert.ok(cancelled instanceof CompletionCancelledError);
  assert.deepEqual([cancelled.code, cancelled.error], ['denied', 'cancelled']);
  assert.match(cancelled.message, /Not now/);
  const failed = thrown(() => parseCompletion('a://b?success=false&error=server_error'));
  assert.ok(failed instanceof CompletionFailedError);
  assert.equal(failed.error, 'server_error');
  const silent = thrown(() => parseCompletion('a://b?success=false'));
  assert.ok(silent instanceof CompletionFailedError);
  assert.equal(silent.error, undefined);
});

test('what is no completion is told as that', () => {
  for (const address of ['https://relay.example/', 'a://b?success=True&id=1', 'a://b?error=x', '', 'a://b#?success=true', '%%%']) {
    assert.ok(thrown(() => parseCompletion(address)) instanceof NotACompletionError, address);
  }
});

test('a code is recognised, and belongs to its run', () => {
  const address = 'a://b?success=true&code=C0DE&state=mine';
  assert.deepEqual(parseCompletion(address), { mode: 'code', code: 'C0DE', state: 'mine' });
  assert.deepEqual(parseCompletion(address, { state: 'mine' }).code, 'C0DE');
  for (const foreign of [address, 'a://b?success=true&code=C0DE', 'a://b?success=false&state=mine']) {
    assert.ok(thrown(() => parseCompletion(foreign, { state: 'other' })) instanceof ForeignCompletionError, foreign);
  }
});

test('what comes without the state that was given is refused, unless the relay knows none', () => {
  const code = 'a://b?success=true&code=C0DE';
  const whole = `a://b?${query(GIVEN)}`;
  const cancelled = 'a://b?success=false&error=cancelled';
  for (const address of [code, whole, cancelled, `${whole}&state=`]) {
    const error = thrown(() => parseCompletion(address, { state: 'mine' }));
    assert.ok(error instanceof ForeignCompletionError, address);
  }
  assert.deepEqual(parseCompletion(`${whole}&state=mine`, { state: 'mine' }), PARSED);
  const lenient = { state: 'mine', allowMissingState: true };
  assert.deepEqual(parseCompletion(whole, lenient), PARSED);
  assert.ok(thrown(() => parseCompletion(cancelled, lenient)) instanceof CompletionCancelledError);
  for (const address of [code, `${whole}&state=other`, `${whole}&state=`]) {
    assert.ok(thrown(() => parseCompletion(address, lenient)) instanceof ForeignCompletionError, address);
  }
});

test('a relay at https gives no address at http', () => {
  const plain = `a://b?${query({ ...GIVEN, url: 'http://app-x.relay.example' })}`;
  const error = thrown(() => parseCompletion(plain, { relay: 'https://relay.example' }));
  assert.ok(error instanceof CompletionFailedError);
  assert.equal(error.code, 'invalid_response');
  assert.equal(parseCompletion(plain, { relay: 'http://relay.example' }).url, 'http://app-x.relay.example');
  assert.equal(parseCompletion(plain).url, 'http://app-x.relay.example');
});

test('the address where it starts says what is asked for', () => {
  const start = startUrl('https://relay.example/base/?x#y', {
    appId: 'my app',
    returnUrl: 'myapp://done?x=1',
    printerId: '',
    octoPrintApiKeyAppName: 'A+B',
    moonraker: true,
    codeChallenge: 'C',
    state: 's',
  });
  assert.equal(
    start,
    'https://relay.example/base/appportal/v1?appId=my%20app&returnUrl=myapp%3A%2F%2Fdone%3Fx%3D1&octoPrintApiKeyAppName=A%2BB&moonraker=true&responseMode=code&codeChallenge=C&codeChallengeMethod=S256&state=s',
  );
  assert.equal(startUrl('http://localhost:7010', { appId: 'a' }), 'http://localhost:7010/appportal/v1?appId=a');
  for (const relay of ['relay.example', 'ftp://relay.example']) {
    assert.equal(thrown(() => startUrl(relay, { appId: 'a' })).code, 'invalid_argument');
  }
  assert.equal(thrown(() => startUrl('https://relay.example', { appId: '' })).code, 'invalid_argument');
});

test('a challenge is the hash of its verifier, and each is another', async () => {
  const [one, two] = [await createPkce(), await createPkce()];
  assert.equal(createHash('sha256').update(one.verifier).digest('base64url'), one.challenge);
  assert.equal(one.method, 'S256');
  assert.match(one.verifier, /^[\w-]{43}$/);
  assert.notEqual(one.verifier, two.verifier);
  assert.equal((await rejection(createPkce({}))).code, 'no_webcrypto');
});

test('a code is exchanged for a completion', async (t) => {
  const relay = await fakeRelay(t, () => ({ json: { ...GIVEN, success: true } }));
  const completion = await redeemCode(`${relay.url}/`, 'C0DE', 'V');
  assert.deepEqual(completion, { ...PARSED, relay: relay.url });
  const [{ method, path, headers, body }] = relay.seen;
  assert.equal(`${method} ${path}`, 'POST /appportal/v1/token');
  assert.equal(headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(body), { code: 'C0DE', codeVerifier: 'V' });
});

test('a code that is not taken is told', async (t) => {
  let answer = { status: 400, json: { error: 'invalid_grant', errorDescription: 'used' } };
  const relay = await fakeRelay(t, () => answer);
  const refused = await rejection(redeemCode(relay.url, 'C0DE', 'V'));
  assert.ok(refused instanceof CompletionError);
  assert.deepEqual([refused.code, refused.error, refused.status], ['expired', 'invalid_grant', 400]);
  for (const [next, code] of [
    [{ status: 400, text: 'null' }, 'expired'],
    [{ status: 503 }, 'server_error'],
    [{ status: 302, headers: { Location: 'https://elsewhere.example/' } }, 'redirected'],
    [{ json: [] }, 'invalid_response'],
    [{ text: '<html>' }, 'invalid_response'],
    [{ json: { success: true } }, 'invalid_response'],
  ]) {
    answer = next;
    assert.equal((await rejection(redeemCode(relay.url, 'C0DE', 'V'))).code, code, JSON.stringify(next));
  }
  answer = { status: 601 };
  assert.ok((await rejection(redeemCode(relay.url, 'C0DE', 'V'))) instanceof PrinterOfflineError);
  assert.equal((await rejection(redeemCode('http://127.0.0.1:9', 'C0DE', 'V'))).code, 'network');
});
