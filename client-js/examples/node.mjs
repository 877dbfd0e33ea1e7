// Asks an OctoPrint-compatible server for a key, and prints it:
//
//   node examples/node.mjs http://octopi.local/ 'My App'
//
// Outside this repository, import from 'latchkey-client'.

import { LatchkeyClient } from '../dist/latchkey-client.js';

const [baseurl, app = 'Latchkey example'] = process.argv.slice(2);
if (!baseurl) {
  console.error('Usage: node node.mjs URL [APP]');
  process.exit(2);
}

const client = new LatchkeyClient({ baseurl });
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

try {
  const key = await client.plugins.appkeys.authenticate(app, undefined, {
    signal: stop.signal,
    onDialog: (url) => console.error(`Open this address to allow it:\n  ${url}`),
  });
  client.options.apikey = key;
  const { name } = await client.currentUser();
  console.error(`${name} allowed it.`);
  console.log(key);
} catch (error) {
  const hints = { denied: 'Somebody said no.', timeout: 'Nobody decided in time.', rate_limited: 'Try again in a minute.' };
  console.error(hints[error.code] ?? error.message);
  process.exitCode = 1;
}
