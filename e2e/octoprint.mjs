// A real OctoPrint as a child process, set up as in the Rust stories: crates/latchkey/tests/it/harness/octoprint.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ARTIFACTS, until } from './lib.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SETTINGS = join(ROOT, 'crates/latchkey/tests/it/harness/octoprint');

export const USER = { name: 'olivia', password: 'battery-staple' };
export const ADMIN_API_KEY = 'LATCHKEYTESTSONLYADMINAPIKEY0000';

/** Starts it on a free port and waits until its API answers. Returns its `url` and `stop()`. */
export async function startOctoPrint() {
  const program = process.env.LATCHKEY_OCTOPRINT ?? execFileSync(join(ROOT, 'scripts/octoprint-env'), { encoding: 'utf8' }).trim();
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-octoprint-'));
  for (const file of ['config.yaml', 'users.yaml']) await copyFile(join(SETTINGS, file), join(folder, file));
  const port = await freePort();
  const logs = join(ARTIFACTS, 'octoprint');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `browser-${process.pid}-${port}.log`);
  const output = openSync(log, 'w');

  const options = ['serve', '--iknowwhatimdoing', '--host', '127.0.0.1', '--port', String(port), '--basedir', folder];
  const child = spawn(program, options, { stdio: ['ignore', output, output] });
  const ended = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);

  const url = `http://127.0.0.1:${port}/`;
  const stop = async () => {
    // Nothing of it is kept, so it need not end gently.
    process.off('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const key = { headers: { 'X-Api-Key': ADMIN_API_KEY } };
    const status = () => {
      assert.equal(child.exitCode, null, `OctoPrint ended; what it said is in ${log}`);
      return fetch(`${url}api/version`, key).then((answer) => answer.status, () => 0);
    };
    await until(`OctoPrint, see ${log}`, status, (answered) => answered === 200, 120);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
