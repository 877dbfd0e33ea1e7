// How real apps read the address where a portal ends. Each function reads it as that app does and throws when
// what the app needs is missing, so that a completion can be tried with all of them.
//
// Written from their sources and from the documents, as small as they can be: which names they look up, in which
// spelling, how they decode, and what makes them give up.

import assert from 'node:assert/strict';

/** The name and value of each parameter as they stand in the address, in order; not decoded. */
function rawParameters(url) {
  const text = String(url);
  assert.ok(!text.includes(' '), 'a space in an address ends it for most apps');
  const [address] = text.split('#');
  const start = address.indexOf('?');
  assert.ok(start > 0, `no query in ${address}`);
  return address
    .slice(start + 1)
    .split('&')
    .map((pair) => {
      const [name, ...value] = pair.split('=');
      return [name, value.join('=')];
    });
}

/** A parser that looks names up in exactly one spelling, and takes the first of several. */
function exact(url, decode) {
  const found = new Map();
  for (const [name, value] of rawParameters(url)) {
    const key = decode(name);
    assert.ok(!found.has(key), `${key} is there twice, and parsers differ in which they take`);
    found.set(key, decode(value));
  }
  return found;
}

// What Foundation's URLComponents does: a plus sign stays one.
const keepingPlus = (text) => decodeURIComponent(text);
// What Dart's Uri and Android's Uri do: a plus sign is a space.
const plusIsSpace = (text) => decodeURIComponent(text.replaceAll('+', ' '));

function need(found, app, names) {
  const missing = names.filter((name) => !found.get(name));
  assert.deepEqual(missing, [], `${app} gives up without them`);
}

function needSuccess(found, app) {
  assert.equal(found.get('success'), 'true', `${app} compares with the word in lower case`);
}

/** The printer's root as apps use it: they put paths behind it, and the pair before its host. */
function needRoot(url, app) {
  const parsed = new URL(url);
  assert.match(parsed.protocol, /^https?:$/, `${app} asks there by http`);
  assert.equal(url, `${parsed.protocol}//${parsed.host}`, `${app}: no slash at the end, host in lower case, no usual port, no user`);
}

// They stand in the user-info of addresses, without being encoded.
function needPlain(text, app) {
  assert.match(text, /^[A-Za-z0-9]+$/, `${app} puts this into addresses as it is`);
}

/** OctoPod (iOS): own scheme, names in lower case, and it stops without the printer's name. */
export function readAsOctoPod(url) {
  const found = exact(url, keepingPlus);
  needSuccess(found, 'OctoPod');
  need(found, 'OctoPod', ['printername', 'url', 'authbasichttpuser', 'authbasichttppassword', 'id', 'appApiToken']);
  needRoot(found.get('url'), 'OctoPod');
  return {
    name: found.get('printername'),
    url: found.get('url'),
    user: found.get('authbasichttpuser'),
    password: found.get('authbasichttppassword'),
    appToken: found.get('appApiToken'),
    apiKey: found.get('octoPrintApiKey') || undefined,
  };
}

const ALL_SIX = ['id', 'url', 'appApiToken', 'authbasichttpuser', 'authbasichttppassword', 'authBearerToken'];

/** Mobileraker (Flutter): own scheme, stops if any of six is missing although it uses fewer. */
export function readAsMobileraker(url) {
  const found = exact(url, plusIsSpace);
  needSuccess(found, 'Mobileraker');
  need(found, 'Mobileraker', ALL_SIX);
  needRoot(found.get('url'), 'Mobileraker');
  needPlain(found.get('authbasichttpuser'), 'Mobileraker');
  needPlain(found.get('authbasichttppassword'), 'Mobileraker');
  return {
    url: found.get('url'),
    user: found.get('authbasichttpuser'),
    password: found.get('authbasichttppassword'),
    bearer: found.get('authBearerToken'),
    appToken: found.get('appApiToken'),
    id: found.get('id'),
  };
}

/** OctoApp (Android): waits for the portal's own completion page in its web view, and needs the same six. */
export function readAsOctoApp(url) {
  const found = exact(url, plusIsSpace);
  needSuccess(found, 'OctoApp');
  need(found, 'OctoApp', ALL_SIX);
  const root = found.get('url');
  needRoot(root, 'OctoApp');
  const [user, password] = [found.get('authbasichttpuser'), found.get('authbasichttppassword')];
  needPlain(user, 'OctoApp');
  needPlain(password, 'OctoApp');
  return {
    // It keeps nothing but this address.
    url: root.replace('://', `://${user}:${password}@`),
    bearer: found.get('authBearerToken'),
    appToken: found.get('appApiToken'),
    id: found.get('id'),
  };
}

/** A tool written from the documents, which spell the pair with capital letters. */
export function readAsDocumented(url) {
  const found = exact(url, keepingPlus);
  needSuccess(found, 'a documented tool');
  need(found, 'a documented tool', ['id', 'url', 'appApiToken', 'authBasicHttpUser', 'authBasicHttpPassword', 'authBearerToken']);
  needRoot(found.get('url'), 'a documented tool');
  // Where both spellings are sent they say the same, for parsers that fold case.
  for (const name of ['authBasicHttpUser', 'authBasicHttpPassword']) {
    const real = found.get(name.toLowerCase());
    if (real !== undefined) assert.equal(real, found.get(name), `${name} in two spellings`);
  }
  return {
    id: found.get('id'),
    url: found.get('url'),
    user: found.get('authBasicHttpUser'),
    password: found.get('authBasicHttpPassword'),
    bearer: found.get('authBearerToken'),
    appToken: found.get('appApiToken'),
    printerPage: found.get('userPrinterAccessUrl') || undefined,
    localIp: found.get('printerLastKnownLocalIp') || undefined,
    apiKey: found.get('octoPrintApiKey') || undefined,
  };
}

/** All of them, by name. */
export const READERS = {
  OctoPod: readAsOctoPod,
  Mobileraker: readAsMobileraker,
  OctoApp: readAsOctoApp,
  documented: readAsDocumented,
};
