import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ClientPromise } from '../dist/latchkey-client.js';
import { rejection } from './lib.mjs';

test('done, fail and always return the promise and are called in order', async () => {
  const called = [];
  const promise = ClientPromise.run(async () => 7);
  const same = promise
    .done((value) => called.push(['done', value]), (value) => called.push(['also', value]))
    .fail(() => called.push(['fail']))
    .always((value) => called.push(['always', value]));
  assert.equal(same, promise);
  assert.equal(promise.promise(), promise);
  assert.equal(await promise, 7);
  assert.deepEqual(called, [['done', 7], ['also', 7], ['always', 7]]);
});

test('fail and always are called with the reason', async () => {
  const called = [];
  const reason = new Error('no');
  const promise = ClientPromise.run(async () => {
    throw reason;
  })
    .done(() => called.push(['done']))
    .fail((error) => called.push(['fail', error]))
    .always((error) => called.push(['always', error]));
  assert.equal(await rejection(promise), reason);
  assert.deepEqual(called, [['fail', reason], ['always', reason]]);
});

test('what then returns has done too', async () => {
  const called = [];
  await ClientPromise.run(async () => 1).then((value) => value + 1).done((value) => called.push(value));
  assert.deepEqual(called, [2]);
});

test('progress is reported to listeners that were there before it', async () => {
  const told = [];
  const running = ClientPromise.run(async (notify) => {
    notify('one');
    notify('two');
  });
  await running.progress((news) => told.push(news));
  assert.deepEqual(told, ['one', 'two']);
});

/** How a Node.js process ends that runs `code`. */
async function run(code) {
  const library = fileURLToPath(new URL('../dist/latchkey-client.js', import.meta.url));
  const text = `import { ClientPromise } from ${JSON.stringify(library)};\n${code}`;
  const child = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', text]);
  return child.then(({ stdout }) => ({ code: 0, stdout }), ({ code, stderr }) => ({ code, stderr }));
}

test('a rejection that is listened to by done alone does not end the program', async () => {
  const { code, stdout } = await run(`
    ClientPromise.run(async () => { throw new Error('no') }).done(() => {});
    setTimeout(() => console.log('alive'), 20);`);
  assert.deepEqual([code, stdout], [0, 'alive\n']);
});

test('a rejection that nobody listens to is reported as for every promise', async () => {
  const { code, stderr } = await run(`ClientPromise.run(async () => { throw new Error('unheard') });`);
  assert.equal(code, 1);
  assert.match(stderr, /unheard/);
});

test("a callback's own mistake surfaces, and the others are called all the same", async () => {
  const { code, stderr } = await run(`
    process.on('uncaughtException', (error) => { console.error('caught', error.message); process.exitCode = 3; });
    const oops = () => { throw new Error('oops') };
    await ClientPromise.run(async () => 1).done(oops, () => console.error('second')).done(() => console.error('third'));`);
  assert.equal(code, 3);
  assert.match(stderr, /second[^]*third|caught oops[^]*third/);
  assert.match(stderr, /caught oops/);
});
