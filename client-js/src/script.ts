// The plain script: `LatchkeyClient`, and OctoPrint's names where nobody has taken them.

import { LatchkeyClient as Client } from './client.js';

declare global {
  var LatchkeyClient: typeof import('./client.js').LatchkeyClient;
}

const globals = globalThis as Record<string, unknown>;
globals.LatchkeyClient = Client;
if (globals.OctoPrintClient === undefined) {
  globals.OctoPrintClient = Client;
  globals.OctoPrint ??= new Client();
}
