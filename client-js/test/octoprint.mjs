// The server that the workflow is walked through with: a real OctoPrint of our own, or one that is named.
//
//   LATCHKEY_TEST_URL, LATCHKEY_TEST_USER, LATCHKEY_TEST_PASSWORD       a running server, and somebody who may log in there
//   LATCHKEY_TEST_ADMIN, LATCHKEY_TEST_ADMIN_PASSWORD                   an administrator; without, what needs one is skipped
//   LATCHKEY_OCTOPRINT                                                  else: OctoPrint's command

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SETTINGS = fileURLToPath(new URL('../../crates/latchkey/tests/it/harness/octoprint', import.meta.url));
const START_WITHIN = 90_000;
// The user can be told of what a page of another address asks.
const OVERLAY = 'api: {allowCrossOrigin: true}\n';

/** `url`, `user`, `admin` (each with `name` and `password`), and `stop()`. */
export async function startServer() {
  const { env } = process;
  if (env.LATCHKEY_TEST_URL) {
    const person = (name, password) => (name ? { name, password } : undefined);
    return {
      url: env.LATCHKEY_TEST_URL.replace(/\/?$/, '/'),
      user: person(env.LATCHKEY_TEST_USER, env.LATCHKEY_TEST_PASSWORD),
      admin: person(env.LATCHKEY_TEST_ADMIN, env.LATCHKEY_TEST_ADMIN_PASSWORD),
      isOctoPrint: false,
      stop: async () => {},
    };
  }
  return {
    ...(await startOctoPrint()),
    user: { name: 'olivia', password: 'battery-staple' },
    admin: { name: 'admin', password: 'correct-horse' },
    isOctoPrint: true,
  };
}

async function startOctoPrint() {
  const program = process.env.LATCHKEY_OCTOPRINT;
  assert.ok(program, 'LATCHKEY_OCTOPRINT is not set: run `./test client-js`, or export LATCHKEY_OCTOPRINT=$(scripts/octoprint-env)');
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-client-js-'));
  for (const file of ['config.yaml', 'users.yaml']) copyFileSync(join(SETTINGS, file), join(folder, file));
  writeFileSync(join(folder, 'overlay.yaml'), OVERLAY);
  const log = join(folder, 'output.log');
  const output = openSync(log, 'w');
  const port = await freePort();
  const place = ['--host', '127.0.0.1', '--port', String(port), '--basedir', folder, '--overlay', join(folder, 'overlay.yaml')];
  const child = spawn(program, ['serve', '--iknowwhatimdoing', ...place], { stdio: ['ignore', output, output] });
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };

  const url = `http://127.0.0.1:${port}/`;
  try {
    // While it starts, a stand-in answers 503 and 404; the API itself says 403 to a caller without a key.
    for (const end = Date.now() + START_WITHIN; ; await sleep(100)) {
      assert.equal(child.exitCode, null, `OctoPrint ended:\n${tail(log)}`);
      assert.ok(Date.now() < end, `OctoPrint did not start:\n${tail(log)}`);
      const listening = readFileSync(log, 'utf8').includes(`Listening on http://127.0.0.1:${port}`);
      const status = listening && (await fetch(`${url}api/version`).then((answer) => answer.status, () => 0));
      if (status === 403) return { url, stop };
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

const tail = (log) => readFileSync(log, 'utf8').split('\n').slice(-15).join('\n');

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

let callers = 0;
/** Fields that make the server, which trusts its own machine's proxies, count a caller as one from elsewhere: limits are per address. */
export function anotherCaller() {
  callers += 1;
  return { 'X-Forwarded-For': `10.77.${process.pid % 250}.${callers}` };
}
