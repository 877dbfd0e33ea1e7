import type { AppKeysClient, KeyRequested } from './appkeys.js';
import { ClientPromise } from './promise.js';
export interface AuthenticateOptions {
    /** Ends the waiting; the server forgets a request that nobody polls for within 5 seconds. */
    signal?: AbortSignal | undefined;
    /** Called once with the address at which a person can decide, to be opened in a browser. */
    onDialog?: ((authDialog: string, requested: KeyRequested) => unknown) | undefined;
    /** Milliseconds to wait for a decision. Servers give up after 600,000, the default. */
    timeout?: number | undefined;
    /** Milliseconds between polls, 1,000 if not given and 4,000 at most. */
    interval?: number | undefined;
}
export type AuthenticateProgress = {
    state: 'requested';
    appToken: string;
    authDialog: string | undefined;
} | {
    state: 'waiting';
};
export declare function authenticate(client: AppKeysClient, app: string, user: string | null | undefined, opts?: AuthenticateOptions): ClientPromise<string, AuthenticateProgress>;
