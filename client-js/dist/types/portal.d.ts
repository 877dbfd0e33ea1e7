import { type Completion } from './completion.js';
import { type Fetch } from './http.js';
export interface StartOptions {
    /** The app's id. */
    appId: string;
    /** Where the browser goes at the end; the relay's own page that says "done" if not given. */
    returnUrl?: string | undefined;
    /** Proposes a printer. */
    printerId?: string | undefined;
    /** Asks for a key of the printer's own server, under this name. */
    octoPrintApiKeyAppName?: string | undefined;
    appLogoUrl?: string | undefined;
    authType?: string | undefined;
    /** The app speaks Moonraker. */
    moonraker?: boolean | undefined;
    /** From `createPkce`: the result comes as a code. */
    codeChallenge?: string | undefined;
    /** Comes back with the result: something nobody can guess, such as another verifier of `createPkce`. */
    state?: string | undefined;
}
export interface Pkce {
    /** Stays with the app, until `redeemCode`. */
    verifier: string;
    /** Goes to `startUrl` as `codeChallenge`. */
    challenge: string;
    method: 'S256';
}
export interface RedeemOptions {
    fetch?: Fetch | undefined;
    signal?: AbortSignal | undefined;
    /** Milliseconds, 30,000 if not given. */
    timeout?: number | undefined;
}
/** The address at a relay where a person chooses a printer and allows the app. */
export declare function startUrl(relay: string | URL, options: StartOptions): string;
/** A fresh secret, and what proves later that the app has it (RFC 7636). */
export declare function createPkce(crypto?: Crypto | undefined): Promise<Pkce>;
/** Exchanges the code of a completion, which is good once and for a minute. */
export declare function redeemCode(relay: string | URL, code: string, verifier: string, options?: RedeemOptions): Promise<Completion>;
/** The address of `path` at a relay, without user, query and fragment. */
export declare function at(relay: string | URL, path: string): string;
