import { ClientError, type ErrorDetails, type ErrorCode } from './errors.js';
/** What a portal gives an app, once. Keep it like a password. */
export interface Completion {
    mode: 'parameters';
    id: string;
    /** The printer's root, without a slash at the end. */
    url: string;
    appApiToken: string;
    /** Empty where the hostname is the only credential; so are the next two. */
    authBasicHttpUser: string;
    authBasicHttpPassword: string;
    authBearerToken: string;
    printerName?: string | undefined;
    userPrinterAccessUrl?: string | undefined;
    printerLastKnownLocalIp?: string | undefined;
    octoPrintApiKey?: string | undefined;
    /** The relay it is of, where that is known. A completion URL does not say it. */
    relay?: string | undefined;
}
/** What a portal gives in code mode: to be exchanged with `redeemCode`, within a minute, once. */
export interface CompletionCode {
    mode: 'code';
    code: string;
    state?: string | undefined;
}
export interface ParseOptions {
    /** What was given to `startUrl`. What comes back with another one is refused, and so is what comes without any. */
    state?: string | undefined;
    /**
     * For relays that know no `state`: what comes without one is taken all the same, except a code. Then nothing tells
     * whether it belongs to what was asked for.
     */
    allowMissingState?: boolean | undefined;
    /** The relay's address, to be kept with the completion. */
    relay?: string | undefined;
}
/** A portal ended without an app connection. */
export declare class CompletionError extends ClientError {
    /** The relay's own word, e.g. `cancelled`; missing where it gave none. */
    readonly error: string | undefined;
    constructor(code: ErrorCode, message: string, error?: string, details?: ErrorDetails);
}
/** Somebody cancelled or refused. */
export declare class CompletionCancelledError extends CompletionError {
}
/** It failed, or the relay does not say why. */
export declare class CompletionFailedError extends CompletionError {
}
/** It is said to have worked, and something is missing. */
export declare class CompletionIncompleteError extends CompletionError {
    /** The names of what is missing. */
    readonly missing: string[];
    constructor(missing: string[]);
}
/** The address is not one where a portal ends. */
export declare class NotACompletionError extends CompletionError {
}
/** It belongs to another run of the portal than the one it was compared with. */
export declare class ForeignCompletionError extends CompletionError {
}
/**
 * Reads the address to which a portal sent the browser, of whatever scheme. Throws a `CompletionError` if it is
 * not, or not with an app connection.
 */
export declare function parseCompletion(url: string | URL, options?: ParseOptions): Completion | CompletionCode;
/** Puts a completion together from what `get` says, which is asked by names in lower case. */
export declare function completionOf(get: (name: string) => string | undefined, relay?: string): Completion;
