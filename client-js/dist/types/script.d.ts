import { AppConnection } from './app-connection.js';
import { parseCompletion } from './completion.js';
import { createPkce, redeemCode, startUrl } from './portal.js';
declare const portal: {
    AppConnection: typeof AppConnection;
    createPkce: typeof createPkce;
    parseCompletion: typeof parseCompletion;
    redeemCode: typeof redeemCode;
    startUrl: typeof startUrl;
};
declare global {
    var LatchkeyClient: typeof import('./client.js').LatchkeyClient & typeof portal;
}
export {};
