/** What went wrong, for programs. `message` is for people. */
export type ErrorCode = 'aborted' | 'bad_request' | 'denied' | 'ended' | 'expired' | 'forbidden' | 'invalid_argument' | 'invalid_private_key' | 'invalid_response' | 'invalid_signature' | 'key_too_small' | 'network' | 'no_webcrypto' | 'not_connected' | 'not_found' | 'offline' | 'rate_limited' | 'redirected' | 'server_error' | 'timeout' | 'too_large' | 'unauthorized' | 'unknown_app' | 'unsupported';
export interface ErrorDetails {
    /** HTTP status, if the server answered. */
    status?: number | undefined;
    responseText?: string | undefined;
    responseJSON?: unknown;
    cause?: unknown;
}
/** The base of everything this library rejects with. */
export declare class ClientError extends Error {
    readonly code: ErrorCode;
    readonly status: number | undefined;
    readonly responseText: string | undefined;
    readonly responseJSON: unknown;
    constructor(code: ErrorCode, message: string, details?: ErrorDetails);
}
/** A request failed: it was not answered, or not with success. */
export declare class RequestError extends ClientError {
}
/** `appkeys.authenticate` ended without a key. */
export declare class AppKeysError extends ClientError {
}
/** A session key could not be obtained. */
export declare class SessionKeyError extends ClientError {
}
export declare function codeOfStatus(status: number): ErrorCode;
/** The sentence a server gave, in either of the forms that servers use. */
export declare function sentenceOf(body: unknown): string | undefined;
