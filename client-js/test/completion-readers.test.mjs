// The readers that stand in for real apps give up when those do: else a portal that satisfies them says nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { READERS, readAsDocumented, readAsMobileraker, readAsOctoApp, readAsOctoPod } from '../../e2e/completion.mjs';
import { parseCompletion } from '../dist/latchkey-client.js';

const WHOLE = {
  success: 'true',
  id: 'c1',
  url: 'https://app-x.relay.example',
  appApiToken: 'lk_app_1',
  authbasichttpuser: 'user',
  authbasichttppassword: 'password',
  authBearerToken: 'bearer',
  printername: 'Work shop + 1',
  authBasicHttpUser: 'user',
  authBasicHttpPassword: 'password',
};

const address = (change = {}, at = 'octopod://octoeverywhere') => {
  const values = Object.entries({ ...WHOLE, ...change }).filter(([, value]) => value !== undefined);
  return `${at}?${values.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`;
};

test('a whole completion satisfies all of them, wherever it ends', () => {
  for (const at of ['octopod://octoeverywhere', 'https://relay.example/appportal/v1/complete', 'http://127.0.0.1:1234/done']) {
    assert.equal(readAsOctoPod(address({}, at)).name, 'Work shop + 1');
    assert.equal(readAsMobileraker(address({}, at)).bearer, 'bearer');
    assert.equal(readAsOctoApp(address({}, at)).url, 'https://user:password@app-x.relay.example');
    assert.equal(readAsDocumented(address({}, at)).user, 'user');
    assert.equal(parseCompletion(address({}, at)).printerName, 'Work shop + 1');
  }
  // The demo's port is not a usual one.
  for (const read of Object.values(READERS)) read(address({ url: 'http://app-x.localhost:7010' }));
});

const ALL = Object.keys(READERS);
const APPS = ['OctoPod', 'Mobileraker', 'OctoApp'];

for (const [what, change, who] of [
  ['success in capitals', { success: 'True' }, ALL],
  ['a failure', { success: 'false' }, ALL],
  ['no id', { id: undefined }, ALL],
  ['no url', { url: undefined }, ALL],
  ['no App token', { appApiToken: undefined }, ALL],
  ['no bearer token', { authBearerToken: undefined }, ['Mobileraker', 'OctoApp', 'documented']],
  ['no user as it is in reality', { authbasichttpuser: undefined }, APPS],
  ['no password as it is in reality', { authbasichttppassword: undefined }, APPS],
  ['no user as documented', { authBasicHttpUser: undefined }, ['documented']],
  ['no password as documented', { authBasicHttpPassword: undefined }, ['documented']],
  ['two spellings that differ', { authBasicHttpUser: 'other' }, ['documented']],
  ['no printer name', { printername: undefined }, ['OctoPod']],
  ['the printer name as documented', { printername: undefined, printerName: 'x' }, ['OctoPod']],
  ['a slash at the end', { url: 'https://app-x.relay.example/' }, ALL],
  ['a host in capitals', { url: 'https://APP-X.relay.example' }, ALL],
  ['the usual port', { url: 'https://app-x.relay.example:443' }, ALL],
  ['a password with signs', { authbasichttppassword: 'a:b@c', authBasicHttpPassword: 'a:b@c' }, ['Mobileraker', 'OctoApp']],
]) {
  test(`${what}: ${who.join(', ')} give up`, () => {
    for (const [name, read] of Object.entries(READERS)) {
      const call = () => read(address(change));
      if (who.includes(name)) assert.throws(call, { name: 'AssertionError' }, name);
      else assert.doesNotThrow(call, name);
    }
  });
}

test('a space as a plus sign is read wrongly by one of them', () => {
  const plus = address({ printername: 'Work shop' }).replace('%20', '+');
  assert.equal(readAsOctoPod(plus).name, 'Work+shop');
});

test('one name twice, and no query at all, are noticed', () => {
  for (const read of Object.values(READERS)) {
    assert.throws(() => read(`${address()}&id=c1`), /twice/);
    assert.throws(() => read('octopod://octoeverywhere'), /no query/);
    assert.throws(() => read(address().replace('%20', ' ')), /space/);
  }
});
