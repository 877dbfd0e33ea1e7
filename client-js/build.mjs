// Builds dist/, or with an argument another folder of the same shape.

import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const target = process.argv[2] ?? join(here, 'dist');

const common = {
  absWorkingDir: here,
  bundle: true,
  target: ['es2022'],
  charset: 'utf8',
  legalComments: 'none',
  banner: { js: '// Latchkey client. MIT OR Apache-2.0. Built from client-js/src; do not edit.' },
};
await rm(target, { recursive: true, force: true });
await build({ ...common, entryPoints: ['src/index.ts'], format: 'esm', outfile: join(target, 'latchkey-client.js') });
await build({ ...common, entryPoints: ['src/script.ts'], format: 'iife', outfile: join(target, 'latchkey-client.script.js') });
execFileSync(process.execPath, [join(here, 'node_modules/typescript/bin/tsc'), '--project', here, '--outDir', join(target, 'types')], {
  stdio: 'inherit',
});
