// The programs that tests start. Nothing here needs an installed package, so that the JavaScript client's tests share it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const ARTIFACTS = process.env.LATCHKEY_ARTIFACTS ?? fileURLToPath(new URL('../artifacts', import.meta.url));

/** Calls `read` until `accept` likes what it returns, and returns that; fails after `seconds`. */
export async function until(what, read, accept, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < deadline) {
    last = await read();
    if (accept(last)) return last;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  assert.fail(`waited ${seconds} s for ${what}; last: ${JSON.stringify(last)}`);
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a program whose files are in `folder`, and which ends with the tests. `stop()` keeps nothing of it, so it need
 * not end gently.
 */
export function startIn(folder, program, args, stdio) {
  const child = spawn(program, args, { stdio });
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { child, stop };
}
