import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';

const here = fileURLToPath(new URL('..', import.meta.url));
const node = (...args) => execFileSync(process.execPath, args, { cwd: here, encoding: 'utf8' });

/** Every file below `folder`, with what is in it. */
function contents(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const entry = ({ parentPath, path = parentPath, name }) => [join(path, name).slice(folder.length), readFileSync(join(path, name), 'utf8')];
  return Object.fromEntries(files.map(entry).sort());
}

test('what is in dist is what the sources build', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-client-build-'));
  t.after(() => rmSync(folder, { recursive: true }));
  node('build.mjs', join(folder, 'dist'));
  const built = contents(join(folder, 'dist'));
  const kept = contents(join(here, 'dist'));
  const stale = [...new Set([...Object.keys(built), ...Object.keys(kept)])].filter((file) => built[file] !== kept[file]);
  assert.deepEqual(stale, [], 'run `npm run build` in client-js and commit dist');
});

test('nothing is needed at run time', () => {
  const manifest = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
  for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies']) assert.equal(manifest[kind], undefined);
  for (const file of ['latchkey-client.js', 'latchkey-client.script.js']) {
    assert.doesNotMatch(readFileSync(join(here, 'dist', file), 'utf8'), /^\s*import\b|\bimport\(|\brequire\(/m);
  }
});

test('the types say what an app may write, and what not', () => {
  node('node_modules/typescript/bin/tsc', '--project', 'test/types');
});

const script = readFileSync(join(here, 'dist/latchkey-client.script.js'), 'utf8');

test('the plain script gives one name, and the names of OctoPrint where they are free', () => {
  const free = createContext({});
  runInContext(script, free);
  assert.equal(free.OctoPrintClient, free.LatchkeyClient);
  assert.ok(free.OctoPrint instanceof free.LatchkeyClient);
  for (const name of ['AppConnection', 'createPkce', 'parseCompletion', 'redeemCode', 'startUrl']) {
    assert.equal(typeof free.LatchkeyClient[name], 'function', name);
  }
  const { appkeys } = free.OctoPrint.plugins;
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(appkeys)).filter((name) => name !== 'constructor');
  assert.deepEqual(names.sort(), [
    'authenticate', 'checkDecision', 'decide', 'generateKey', 'generateKeyForUser', 'getAllKeys', 'getKey', 'getKeys',
    'probe', 'request', 'requestForUser', 'revokeKey', 'revokeKeyForApp',
  ]);

  const OctoPrintClient = function () {};
  const taken = createContext({ OctoPrintClient, OctoPrint: 'theirs' });
  runInContext(script, taken);
  assert.equal(taken.OctoPrintClient, OctoPrintClient);
  assert.equal(taken.OctoPrint, 'theirs');
  assert.equal(typeof taken.LatchkeyClient, 'function');
});
