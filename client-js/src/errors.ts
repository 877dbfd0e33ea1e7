/** What went wrong, for programs. `message` is for people. */
export type ErrorCode =
  | 'aborted'
  | 'bad_request'
  | 'denied'
  | 'ended'
  | 'expired'
  | 'forbidden'
  | 'invalid_argument'
  | 'invalid_private_key'
  | 'invalid_response'
  | 'invalid_signature'
  | 'key_too_small'
  | 'network'
  | 'no_webcrypto'
  | 'not_connected'
  | 'not_found'
  | 'offline'
  | 'rate_limited'
  | 'redirected'
  | 'server_error'
  | 'timeout'
  | 'too_large'
  | 'unauthorized'
  | 'unknown_app'
  | 'unsupported';

export interface ErrorDetails {
  /** HTTP status, if the server answered. */
  status?: number | undefined;
  responseText?: string | undefined;
  responseJSON?: unknown;
  cause?: unknown;
}

/** The base of everything this library rejects with. */
export class ClientError extends Error {
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly responseText: string | undefined;
  readonly responseJSON: unknown;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = details.status;
    this.responseText = details.responseText;
    this.responseJSON = details.responseJSON;
  }
}

/** A request failed: it was not answered, or not with success. */
export class RequestError extends ClientError {}

/** `appkeys.authenticate` ended without a key. */
export class AppKeysError extends ClientError {}

/** A session key could not be obtained. */
export class SessionKeyError extends ClientError {}

const CODES: Record<number, ErrorCode> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  429: 'rate_limited',
  // From 600 on: what a Latchkey relay says about an app connection.
  601: 'offline',
  602: 'timeout',
  603: 'ended',
  604: 'ended',
  605: 'forbidden',
  606: 'unauthorized',
  607: 'too_large',
  608: 'too_large',
};

export function codeOfStatus(status: number): ErrorCode {
  const known = CODES[status];
  if (known) return known;
  if (status >= 300 && status < 400) return 'redirected';
  if (status >= 400 && status < 500) return 'bad_request';
  return 'server_error';
}

/** The sentence a server gave, in either of the forms that servers use. */
export function sentenceOf(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { error, Error: relay } = body as { error?: unknown; Error?: unknown };
  for (const sentence of [error, relay]) {
    if (typeof sentence === 'string' && sentence) return sentence;
  }
  return undefined;
}
