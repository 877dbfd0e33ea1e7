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
export class CompletionError extends ClientError {
  /** The relay's own word, e.g. `cancelled`; missing where it gave none. */
  readonly error: string | undefined;

  constructor(code: ErrorCode, message: string, error?: string, details?: ErrorDetails) {
    super(code, message, details);
    this.error = error;
  }
}

/** Somebody cancelled or refused. */
export class CompletionCancelledError extends CompletionError {}
/** It failed, or the relay does not say why. */
export class CompletionFailedError extends CompletionError {}
/** It is said to have worked, and something is missing. */
export class CompletionIncompleteError extends CompletionError {
  /** The names of what is missing. */
  readonly missing: string[];

  constructor(missing: string[]) {
    super('invalid_response', `the relay left out ${missing.join(', ')}`);
    this.missing = missing;
  }
}
/** The address is not one where a portal ends. */
export class NotACompletionError extends CompletionError {}
/** It belongs to another run of the portal than the one it was compared with. */
export class ForeignCompletionError extends CompletionError {}

const CANCELLED = /^(cancel+ed|access_denied|denied|refused|user_cancel+ed)$/i;

/** Must be there, and not be empty. */
const NEEDED = ['id', 'url', 'appApiToken'] as const;
/** Must be there. */
const EXPECTED = ['authBasicHttpUser', 'authBasicHttpPassword', 'authBearerToken'] as const;

/**
 * Reads the address to which a portal sent the browser, of whatever scheme. Throws a `CompletionError` if it is
 * not, or not with an app connection.
 */
export function parseCompletion(url: string | URL, options: ParseOptions = {}): Completion | CompletionCode {
  const parameters = parametersOf(String(url));
  const success = parameters.get('success');
  if (success !== 'true' && success !== 'false') {
    throw new NotACompletionError('invalid_argument', 'this is not an address where a portal ends');
  }
  const state = parameters.get('state');
  const code = parameters.get('code');
  // Without it, somebody else's app connection could be slipped in. Whoever gives codes knows it.
  const mayMiss = options.allowMissingState === true && !code;
  if (options.state !== undefined && state !== options.state && !(state === undefined && mayMiss)) {
    throw foreign();
  }
  if (success === 'false') throw failure(parameters);
  if (code) return { mode: 'code', code, state };
  return completionOf((name) => parameters.get(name), options.relay);
}

function foreign(): ForeignCompletionError {
  return new ForeignCompletionError('invalid_response', 'this completion belongs to another run of the portal');
}

function failure(parameters: Parameters): CompletionError {
  const error = parameters.get('error');
  const description = parameters.get('errordescription');
  const said = [error, description].filter(Boolean).join(', ');
  if (error && CANCELLED.test(error)) {
    return new CompletionCancelledError('denied', `the portal was cancelled: ${said}`, error);
  }
  const message = said ? `the portal ended without access: ${said}` : 'the portal ended without access';
  return new CompletionFailedError('denied', message, error);
}

/** Puts a completion together from what `get` says, which is asked by names in lower case. */
export function completionOf(get: (name: string) => string | undefined, relay?: string): Completion {
  const missing = [
    ...NEEDED.filter((name) => !get(name.toLowerCase())),
    ...EXPECTED.filter((name) => get(name.toLowerCase()) === undefined),
  ];
  if (missing.length > 0) throw new CompletionIncompleteError(missing);
  const value = (name: string) => get(name.toLowerCase()) ?? '';
  const optional = (name: string) => get(name.toLowerCase()) || undefined;
  return {
    mode: 'parameters',
    id: value('id'),
    url: rootOf(value('url'), relay),
    appApiToken: value('appApiToken'),
    authBasicHttpUser: value('authBasicHttpUser'),
    authBasicHttpPassword: value('authBasicHttpPassword'),
    authBearerToken: value('authBearerToken'),
    printerName: optional('printerName'),
    userPrinterAccessUrl: optional('userPrinterAccessUrl'),
    printerLastKnownLocalIp: optional('printerLastKnownLocalIp'),
    octoPrintApiKey: optional('octoPrintApiKey'),
    relay,
  };
}

function rootOf(text: string, relay: string | undefined): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new CompletionFailedError('invalid_response', 'the relay gave an address that is none', undefined, { cause });
  }
  if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new CompletionFailedError('invalid_response', 'the relay gave an address that cannot be used');
  }
  // The credentials would go unprotected to wherever that leads.
  if (url.protocol === 'http:' && relay !== undefined && /^\s*https:/i.test(relay)) {
    throw new CompletionFailedError('invalid_response', 'the relay is at https:// and gave an address at http://');
  }
  return text.replace(/\/+$/, '');
}

type Parameters = Map<string, string>;

/** Names in lower case: relays and documents spell them differently. Of two that are the same, the first counts. */
function parametersOf(url: string): Parameters {
  const [address = ''] = url.split('#');
  const start = address.indexOf('?');
  const found: Parameters = new Map();
  if (start < 0) return found;
  for (const pair of address.slice(start + 1).split('&')) {
    const [name = '', ...rest] = pair.split('=');
    const key = decode(name).toLowerCase();
    if (key && !found.has(key)) found.set(key, decode(spaces(key, rest.join('='))));
  }
  return found;
}

/**
 * Relays write a space as `%20`, and some as `+`. In names of people's making a plus sign that was meant comes as
 * `%2B`; in tokens there are no spaces, so a plus sign there is one.
 */
function spaces(key: string, value: string): string {
  return /^(printername|errordescription|error)$/.test(key) ? value.replaceAll('+', ' ') : value;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
