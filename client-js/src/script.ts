// The plain script: `LatchkeyClient`, and OctoPrint's names where nobody has taken them.

import { AppConnection } from './app-connection.js';
import { LatchkeyClient as Client } from './client.js';
import { parseCompletion } from './completion.js';
import { createPkce, redeemCode, startUrl } from './portal.js';

const portal = { AppConnection, createPkce, parseCompletion, redeemCode, startUrl };

declare global {
  var LatchkeyClient: typeof import('./client.js').LatchkeyClient & typeof portal;
}

const globals = globalThis as Record<string, unknown>;
globals.LatchkeyClient = Object.assign(Client, portal);
if (globals.OctoPrintClient === undefined) {
  globals.OctoPrintClient = Client;
  globals.OctoPrint ??= new Client();
}
