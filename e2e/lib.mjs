// What the browser tests share: Chromium as phone and desktop, in light and dark; the demo as a child process;
// screenshots; accessibility. The tests use nothing outside this machine, and the browser could not reach it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { ARTIFACTS, freePort, until } from './processes.mjs';

export { ARTIFACTS, until };

export const PHONE = { name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
export const DESKTOP = { name: 'desktop', viewport: { width: 1280, height: 800 } };
export const SCHEMES = ['light', 'dark'];

/** Each combination of device and colour scheme. */
export const LOOKS = [PHONE, DESKTOP].flatMap((device) => SCHEMES.map((scheme) => ({ device, scheme, name: `${device.name}-${scheme}` })));

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // A page that loads anything from elsewhere fails at once, and shows up in `problems`.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
];

/** Starts Chromium with a profile of its own, which goes with it. */
export function launch() {
  // The sandbox needs what containers and root lack; the pages are our own.
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromiumSandbox: false, args: FLAGS });
}

/**
 * Opens a page in a fresh context. `page.problems` collects what a user would not see: script errors, failed requests,
 * refusals by the content security policy.
 */
export async function open(browser, { device = DESKTOP, scheme = 'light', ...options } = {}) {
  const { name, ...emulation } = device;
  const context = await browser.newContext({ ...emulation, colorScheme: scheme, locale: 'en-US', ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(`script error: ${error.message}`));
  page.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText;
    // A stream is aborted by leaving the page that shows it.
    if (reason !== 'net::ERR_ABORTED') page.problems.push(`${reason}: ${request.url()}`);
  });
  page.on('console', (message) => {
    // "Failed to load resource" repeats a status that the test looks at itself.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) page.problems.push(message.text());
  });
  return page;
}

/** Keeps a picture of the page as `artifacts/screenshots/NAME.png`. */
export async function screenshot(page, name) {
  const folder = join(ARTIFACTS, 'screenshots');
  await mkdir(folder, { recursive: true });
  // A page with a camera stream never finishes loading, so the fonts are all there is to wait for.
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}

/** Fails with a readable list if axe finds anything, WCAG 2.2 AA and best practices alike. */
export async function assertAccessible(page) {
  // Evaluated by the debugger, which the page's content security policy does not concern.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const findings = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}\n${nodes.map((node) => `    ${node.target.join(' ')}  ${node.failureSummary.replaceAll('\n', ' ')}`).join('\n')}`,
  );
  assert.deepEqual(findings, [], `accessibility of ${page.url()}:\n${findings.join('\n')}`);
}

/** Fails if the page is wider than the window, which on a phone means scrolling sideways. */
export async function assertFitsWidth(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= window, `${page.url()} is ${content} wide in a window of ${window}`);
}

/** Runs `body` once per look, each in a fresh page; what it throws says which look it was. */
export async function inEveryLook(browser, body) {
  for (const look of LOOKS) {
    const page = await open(browser, look);
    try {
      await body(page, look);
    } catch (error) {
      await screenshot(page, `failed-${look.name}-${Date.now()}`).catch(() => {});
      throw new Error([`${look.name}: ${error.message}`, ...page.problems].join('\n'), { cause: error });
    } finally {
      await page.context().close();
    }
  }
}

/**
 * Starts `latchkey demo` on free ports with a data folder of its own and waits for its first line.
 * Returns what that line says, with `stop()`, which ends the demo as an operator would and fails if it does not comply.
 */
export async function startDemo(...options) {
  const binary = process.env.LATCHKEY_BIN;
  assert.ok(binary, 'LATCHKEY_BIN must name the built program; `./test browser` sets it.');
  const data = await mkdtemp(join(tmpdir(), 'latchkey-demo-'));
  const ports = ['--relay-port', await freePort(), '--host-port', await freePort()].map(String);
  const logs = join(ARTIFACTS, 'demo');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `demo-${process.pid}-${ports[1]}.log`);

  const child = spawn(binary, ['demo', '--json', '--data', data, ...ports, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.pipe(createWriteStream(log));
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);

  const { line, problem } = await Promise.race([
    firstLine(child.stdout).then((line) => ({ line })),
    once(child, 'error').then(([error]) => ({ problem: `could not be started: ${error.message}` })),
    ended.then(({ code, signal }) => ({ problem: `ended (${signal ?? code}) before it was ready` })),
    timer(60).then(() => ({ problem: 'was not ready within 60 s' })),
  ]);
  const facts = parse(line);
  if (!facts) {
    kill();
    await rm(data, { recursive: true, force: true });
    assert.fail(`latchkey demo ${problem ?? `printed this instead of one JSON object: ${line.slice(0, 200)}`}; what it said is in ${log}`);
  }

  const stop = async () => {
    child.kill('SIGTERM');
    const end = await Promise.race([ended, timer(20)]);
    process.off('exit', kill);
    kill();
    await rm(data, { recursive: true, force: true });
    assert.ok(end, `latchkey demo did not end within 20 s of SIGTERM; what it said is in ${log}`);
    assert.deepEqual(end, { code: 0, signal: null }, `latchkey demo ended badly; what it said is in ${log}`);
  };
  return { ...facts, data, log, stop };
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** A wait that keeps no process alive. */
function timer(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000).unref());
}

async function firstLine(stream) {
  let text = '';
  stream.setEncoding('utf8');
  return new Promise((resolve) => {
    // Keeps reading after the first line, so that the child never blocks on a full pipe.
    stream.on('data', (chunk) => {
      text = text.includes('\n') ? text : text + chunk;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
  });
}
