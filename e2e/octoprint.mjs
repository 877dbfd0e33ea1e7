// A real OctoPrint as a child process, set up as in the Rust stories: crates/latchkey/tests/it/harness/octoprint.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ARTIFACTS, freePort, startIn, until } from './processes.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SETTINGS = join(ROOT, 'crates/latchkey/tests/it/harness/octoprint');

export const ADMIN = { name: 'admin', password: 'correct-horse' };
export const USER = { name: 'olivia', password: 'battery-staple' };
export const ADMIN_API_KEY = 'LATCHKEYTESTSONLYADMINAPIKEY0000';

/**
 * Starts it on a free port, with the settings of `overlay` (YAML) over the usual ones, and waits until its API answers.
 * Returns its `url` and `stop()`.
 */
export async function startOctoPrint(overlay = '{}') {
  const program = process.env.LATCHKEY_OCTOPRINT ?? execFileSync(join(ROOT, 'scripts/octoprint-env'), { encoding: 'utf8' }).trim();
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-octoprint-'));
  for (const file of ['config.yaml', 'users.yaml']) await copyFile(join(SETTINGS, file), join(folder, file));
  await writeFile(join(folder, 'overlay.yaml'), overlay);
  const port = await freePort();
  const logs = join(ARTIFACTS, 'octoprint');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `script-${process.pid}-${port}.log`);
  const output = openSync(log, 'w');

  const place = ['--host', '127.0.0.1', '--port', String(port), '--basedir', folder, '--overlay', join(folder, 'overlay.yaml')];
  const { child, stop } = startIn(folder, program, ['serve', '--iknowwhatimdoing', ...place], ['ignore', output, output]);

  const url = `http://127.0.0.1:${port}/`;
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
