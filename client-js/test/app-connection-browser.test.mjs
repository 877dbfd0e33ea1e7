// An app connection from a page of another address, in Chromium: what a page can do, and what it cannot.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { fakeRelay } from './lib.mjs';

const SCRIPT = await readFile(fileURLToPath(new URL('../dist/latchkey-client.script.js', import.meta.url)), 'utf8');

let browser;
before(async () => {
  // The sandbox needs what containers and root lack; the pages are our own.
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', chromiumSandbox: false });
});
after(() => browser?.close());

/** A page of an address of its own, with the client. */
async function open(t) {
  const pages = createServer((request, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>app</title>'));
  await once(pages.listen(0, '127.0.0.1'), 'listening');
  const page = await browser.newPage();
  t.after(async () => {
    await page.close();
    pages.closeAllConnections();
    pages.close();
  });
  await page.goto(`http://127.0.0.1:${pages.address().port}/`);
  await page.evaluate(SCRIPT);
  return page;
}

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Headers': 'AppToken, Authorization, Content-Type',
};
const CREDENTIALS = { appApiToken: 'lk_app_1', authBasicHttpUser: 'user', authBasicHttpPassword: 'password', authBearerToken: '' };

/** A relay that answers as `answer` says, but for preflights, which succeed. */
const relayFor = (t, answer) =>
  fakeRelay(t, (asked) => {
    if (asked.method === 'OPTIONS') return { status: 204, headers: CORS };
    return { ...answer(asked), headers: CORS };
  });

test('a page of another address asks, and reads each status', async (t) => {
  const relay = await relayFor(t, ({ path, headers }) => {
    if (path === '/api/appconnection/info') return { json: { PrinterName: headers.apptoken, IsOnline: true } };
    if (path === '/gone') return { status: 604, json: { Error: 'Said so.' } };
    return { json: { as: headers.authorization } };
  });
  const page = await open(t);
  const seen = await page.evaluate(
    async ({ url, credentials }) => {
      const connection = new globalThis.LatchkeyClient.AppConnection({ url, relay: url, ...credentials });
      const gone = await connection.fetch('/gone').catch((error) => error);
      const { verifier, challenge } = await globalThis.LatchkeyClient.createPkce();
      return {
        name: (await connection.info()).PrinterName,
        as: (await (await connection.fetch('/api/job')).json()).as,
        gone: [gone.status, gone.code, gone.isOver, gone.message],
        pkce: [verifier.length, challenge.length],
      };
    },
    { url: relay.url, credentials: CREDENTIALS },
  );
  assert.equal(seen.name, 'lk_app_1');
  assert.equal(seen.as, `Basic ${btoa('user:password')}`);
  assert.deepEqual(seen.gone, [604, 'ended', true, 'the relay answered 604: Said so.']);
  assert.deepEqual(seen.pkce, [43, 43]);
});

test('a WebSocket of a page has no credential, and it is told so', async (t) => {
  let status = 200;
  const relay = await relayFor(t, () => ({ status, json: { Error: 'Said so.' } }));
  const handshakes = [];
  relay.http.on('upgrade', ({ headers }, socket) => {
    handshakes.push(headers);
    socket.end('HTTP/1.1 606 \r\nContent-Length: 0\r\n\r\n');
  });
  const page = await open(t);
  const attempt = () =>
    page.evaluate(
      async ({ url, credentials }) => {
        const connection = new globalThis.LatchkeyClient.AppConnection({ url, ...credentials });
        const error = await connection.webSocket('/sockjs/websocket').catch((cause) => cause);
        return [error.code, error.status];
      },
      { url: relay.url, credentials: CREDENTIALS },
    );
  assert.deepEqual(await attempt(), ['unsupported', undefined]);
  assert.equal(handshakes[0].authorization, undefined, 'README says what works where');
  status = 601;
  assert.deepEqual(await attempt(), ['offline', 601]);
});
