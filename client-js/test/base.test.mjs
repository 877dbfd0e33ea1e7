import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { test } from 'node:test';
import { MemoryCookies, RequestError } from '../dist/latchkey-client.js';
import { fakeServer } from './fake-server.mjs';
import { LatchkeyClient, clientOf, rejection } from './lib.mjs';

test('a person logs in, is known, and logs out', async (t) => {
  const server = await fakeServer(t);
  const client = await clientOf(server);
  assert.equal((await client.currentUser()).name, null);

  const login = await client.login('olivia', 'battery-staple', true);
  assert.equal(login.name, 'olivia');
  assert.deepEqual(JSON.parse(server.last('/api/login').text), { user: 'olivia', pass: 'battery-staple', remember: true });
  assert.equal((await client.currentUser()).name, 'olivia');
  assert.equal((await client.passiveLogin()).session, login.session);
  assert.equal((await client.logout()).name, undefined);
  assert.equal((await client.currentUser()).name, null);
  assert.equal((await client.passiveLogin()).name, undefined);
});

test('a login carries further members', async (t) => {
  const server = await fakeServer(t);
  const client = await clientOf(server);
  await client.browser.login('olivia', 'battery-staple', false, { additionalPayload: { otp: '1' } });
  assert.equal(JSON.parse(server.last('/api/login').text).otp, '1');
});

test('a wrong password is forbidden', async (t) => {
  const client = await clientOf(await fakeServer(t));
  const error = await rejection(client.login('olivia', 'guess'));
  assert.ok(error instanceof RequestError);
  assert.deepEqual([error.code, error.status], ['forbidden', 403]);
});

for (const [baseurl, suffix] of [
  ['http://printer.local', '_P80'],
  ['https://printer.local/', '_P443'],
  ['http://printer.local:5000/', '_P5000'],
  ['https://p.example/octo', '_P443_R|octo'],
  ['http://p.example:81/a/b/', '_P81_R|a|b'],
]) {
  test(`cookies of ${baseurl} end in ${suffix}`, () => {
    assert.equal(new LatchkeyClient({ baseurl }).getCookieName('csrf_token'), `csrf_token${suffix}`);
  });
}

test('the CSRF token is fetched once, and sent with what changes something', async (t) => {
  const server = await fakeServer(t, '/octo');
  const client = await clientOf(server, 'olivia');
  await client.plugins.appkeys.generateKey('A');
  await client.get('api/currentuser');
  const token = client.getCookie('csrf_token');
  assert.ok(server.csrfTokens.has(token));
  assert.equal(server.last('/api/plugin/appkeys').headers['x-csrf-token'], token);
  assert.equal(server.last('/api/currentuser').headers['x-csrf-token'], undefined);
  assert.equal(server.seen.filter(({ path }) => path === '/login/').length, 1);
});

test('with an API key there are no cookies and no CSRF token, even after a login', async (t) => {
  const server = await fakeServer(t);
  const client = await clientOf(server, 'ada');
  client.options.apikey = (await client.plugins.appkeys.generateKeyForUser('olivia', 'A')).api_key;

  const mine = await client.passiveLogin();
  assert.deepEqual([mine.name, mine._login_mechanism], ['olivia', 'apikey']);
  const { headers } = server.last('/api/login');
  assert.equal(headers['x-api-key'], client.options.apikey);
  assert.equal(headers.cookie, undefined);
  assert.equal(headers['x-csrf-token'], undefined);
  // Logging out is about the session, so it goes without the key.
  await client.logout();
  assert.equal(server.last('/api/logout').headers['x-api-key'], undefined);
  assert.equal(server.sessions.size, 1);
});

test('what changes something is sent with Cache-Control: no-cache and JSON as OctoPrint wants it', async (t) => {
  const server = await fakeServer(t);
  const client = await clientOf(server);
  await client.plugins.appkeys.request('A');
  const { headers } = server.last('/plugin/appkeys/request');
  assert.equal(headers['cache-control'], 'no-cache');
  assert.equal(headers['content-type'], 'application/json; charset=UTF-8');
});

test('every verb sends what it says', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/echo', ({ method, headers, text, query }, reply) => {
    reply(200, { method, type: headers['content-type'], text, query: Object.fromEntries(query) });
    return true;
  });
  const client = new LatchkeyClient({ baseurl: server.url, apikey: 'k' });
  const said = async (promise) => {
    const { method, type, text, query } = await promise;
    return [method, type?.split(';')[0], text, query];
  };
  assert.deepEqual(await said(client.get('echo?a=1')), ['GET', undefined, '', { a: '1' }]);
  assert.deepEqual(await said(client.getWithQuery('echo', { a: 'x y', b: undefined })), ['GET', undefined, '', { a: 'x y' }]);
  assert.deepEqual(await said(client.post('echo', { a: 1 })), ['POST', 'application/x-www-form-urlencoded', 'a=1', {}]);
  assert.deepEqual(await said(client.postJson('echo', { a: undefined })), ['POST', 'application/json', '{"a":null}', {}]);
  assert.deepEqual(await said(client.putJson('echo', [1])), ['PUT', 'application/json', '[1]', {}]);
  assert.deepEqual(await said(client.patchJson('echo', {})), ['PATCH', 'application/json', '{}', {}]);
  assert.deepEqual(await said(client.put('echo', 'raw', { contentType: 'text/plain' })), ['PUT', 'text/plain', 'raw', {}]);
  assert.deepEqual(await said(client.patch('echo')), ['PATCH', undefined, '', {}]);
  assert.deepEqual(await said(client.delete('echo')), ['DELETE', undefined, '', {}]);
  assert.deepEqual(await said(client.issueCommand('echo', 'home', { axes: ['x'] })), [
    'POST', 'application/json', '{"axes":["x"],"command":"home"}', {},
  ]);
  const [method, type, form] = await said(client.postForm('echo', { a: 1, file: new Blob(['G28']) }));
  assert.deepEqual([method, type], ['POST', 'multipart/form-data']);
  assert.match(form, /name="a"[^]*G28/);
  assert.match(await client.download('echo'), /^\{/);
});

test('an empty answer resolves with undefined, whatever its status', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/204', (_, reply) => reply(204, undefined, { 'Content-Type': 'text/plain' }) ?? true);
  server.overrides.set('/200', (_, reply) => reply(200, '') ?? true);
  const client = await clientOf(server);
  assert.equal(await client.get('204'), undefined);
  assert.equal(await client.get('200'), undefined);
});

test('a page where JSON was expected is an invalid response', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/page', (_, reply) => reply(200, '<html>') ?? true);
  const client = await clientOf(server);
  assert.equal((await rejection(client.get('page'))).code, 'invalid_response');
});

test('a redirect is not followed, and its origin is named', async (t) => {
  const server = await fakeServer(t);
  const other = await fakeServer(t);
  server.overrides.set('/api/currentuser', (_, reply) => reply(302, '', { Location: `${other.url}secret-path` }) ?? true);
  const client = new LatchkeyClient({ baseurl: server.url, apikey: 'k' });
  const error = await rejection(client.currentUser());
  assert.equal(error.code, 'redirected');
  assert.match(error.message, new RegExp(new URL(other.url).origin));
  assert.doesNotMatch(error.message, /secret-path/);
  assert.deepEqual(other.seen, []);
});

test('a key, a password in the address and further fields go to the server alone', async (t) => {
  const server = await fakeServer(t);
  const other = await fakeServer(t);
  const baseurl = server.url.replace('//', '//me:s%40crt@');
  const client = new LatchkeyClient({ baseurl, apikey: 'k', headers: { 'X-Extra': 'e' }, locale: 'de' });
  await client.currentUser();
  const { headers } = server.last('/api/currentuser');
  assert.equal(headers.authorization, `Basic ${btoa('me:s@crt')}`);
  assert.deepEqual([headers['x-extra'], headers['x-locale']], ['e', 'de']);
  assert.doesNotMatch(client.getBaseUrl(), /crt/);

  await client.get(`${other.url}api/currentuser`);
  const foreign = other.last('/api/currentuser').headers;
  assert.deepEqual([foreign.authorization, foreign['x-api-key'], foreign['x-extra']], [undefined, undefined, undefined]);
});

test('a request ends at its timeout, even with a fetch that does not heed signals', async () => {
  const deaf = new LatchkeyClient({ baseurl: 'http://p.example/', fetch: () => new Promise(() => {}), timeout: 20 });
  assert.equal((await rejection(deaf.get('api/version'))).code, 'timeout');
});

test('an answer whose body never ends is given up', async (t) => {
  const server = await fakeServer(t);
  server.overrides.set('/slow', (_, _reply, response) => response.writeHead(200).write('{') !== undefined);
  const client = new LatchkeyClient({ baseurl: server.url, timeout: 100 });
  assert.equal((await rejection(client.get('slow'))).code, 'timeout');
});

test('a request is aborted by its signal', async () => {
  const stop = new AbortController();
  const client = new LatchkeyClient({ baseurl: 'http://p.example/', fetch: () => new Promise(() => {}) });
  const running = client.get('api/version', { signal: stop.signal });
  queueMicrotask(() => stop.abort());
  assert.equal((await rejection(running)).code, 'aborted');
});

for (const baseurl of [undefined, 'printer', 'ftp://p.example/', 'javascript:1']) {
  test(`an app without a page cannot use ${baseurl} as its base URL`, async () => {
    assert.equal((await rejection(new LatchkeyClient({ baseurl }).get('x'))).code, 'invalid_argument');
  });
}

test('further components can be registered', async (t) => {
  const server = await fakeServer(t);
  class Who {
    constructor(base) {
      this.base = base;
    }
    ask() {
      return this.base.get('api/currentuser');
    }
  }
  LatchkeyClient.registerComponent('who', Who);
  LatchkeyClient.registerPluginComponent('whoever', Who);
  const client = await clientOf(server);
  assert.equal(client.who, client.who);
  assert.equal((await client.who.ask()).name, null);
  assert.equal((await client.plugins.whoever.ask()).name, null);
  assert.notEqual(client.who, (await clientOf(server)).who);
});

test('cookies are kept by path, until they expire, and for their server', () => {
  const jar = new MemoryCookies();
  const at = (path, host = 'p.example') => jar.header(new URL(`https://${host}${path}`));
  jar.take(new URL('https://p.example/octo/login/'), ['a=1; Path=/octo/', 'b=2; Path=/; Secure; Max-Age=60', 'c=3; Max-Age=0', 'nonsense', 'd=4']);
  assert.equal(at('/octo/api'), 'a=1; b=2');
  assert.equal(at('/octo/login/x'), 'd=4; a=1; b=2');
  assert.equal(at('/octopus'), 'b=2');
  assert.equal(jar.header(new URL('http://p.example/')), undefined);
  assert.equal(at('/', 'q.example'), undefined);
  jar.take(new URL('https://p.example/'), ['b=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT']);
  assert.equal(at('/'), undefined);
});

test('cookies of answers to key requests are not taken', async (t) => {
  const http = createServer((_, response) => response.writeHead(200, { 'Set-Cookie': 'x=1; Path=/' }).end('{}'));
  t.after(() => http.close());
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const cookies = new MemoryCookies();
  const baseurl = `http://127.0.0.1:${http.address().port}/`;
  await new LatchkeyClient({ baseurl, cookies, apikey: 'k' }).get('x');
  assert.equal(cookies.header(new URL(baseurl)), undefined);
  await new LatchkeyClient({ baseurl, cookies }).get('x');
  assert.equal(cookies.header(new URL(baseurl)), 'x=1');
  http.closeAllConnections();
});
