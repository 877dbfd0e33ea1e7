import { base64 } from './address.js';
import { CompletionError, completionOf, type Completion } from './completion.js';
import { ClientError } from './errors.js';
import { exchange, readAnswer, type Fetch } from './http.js';
import { isRelayStatus, relayError } from './relay-errors.js';

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
export function startUrl(relay: string | URL, options: StartOptions): string {
  if (!options.appId) throw new ClientError('invalid_argument', 'appId is missing');
  const { codeChallenge, moonraker } = options;
  const parameters: Record<string, string | undefined> = {
    appId: options.appId,
    returnUrl: options.returnUrl,
    printerId: options.printerId,
    octoPrintApiKeyAppName: options.octoPrintApiKeyAppName,
    appLogoUrl: options.appLogoUrl,
    authType: options.authType,
    moonraker: moonraker === undefined ? undefined : String(moonraker),
    responseMode: codeChallenge ? 'code' : undefined,
    codeChallenge,
    codeChallengeMethod: codeChallenge ? 'S256' : undefined,
    state: options.state,
  };
  const pairs = Object.entries(parameters).filter(([, value]) => value);
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value as string)}`).join('&');
  return `${at(relay, 'appportal/v1')}?${query}`;
}

/** A fresh secret, and what proves later that the app has it (RFC 7636). */
export async function createPkce(crypto: Crypto | undefined = globalThis.crypto): Promise<Pkce> {
  if (!crypto?.subtle) {
    const message = 'this page cannot hash: browsers offer WebCrypto only over https and on localhost';
    throw new ClientError('no_webcrypto', message);
  }
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return { verifier, challenge: base64url(new Uint8Array(hash)), method: 'S256' };
}

/** Exchanges the code of a completion, which is good once and for a minute. */
export async function redeemCode(
  relay: string | URL,
  code: string,
  verifier: string,
  options: RedeemOptions = {},
): Promise<Completion> {
  const fetch: Fetch = options.fetch ?? globalThis.fetch;
  const answer = await exchange(fetch, {
    method: 'POST',
    url: new URL(at(relay, 'appportal/v1/token')),
    headers: new Headers({ 'Content-Type': 'application/json', Accept: 'application/json' }),
    body: JSON.stringify({ code, codeVerifier: verifier }),
    credentials: 'omit',
    redirect: 'manual',
    timeout: options.timeout ?? 30_000,
    signal: options.signal,
  });
  const { status, text } = answer;
  if (isRelayStatus(status)) throw relayError(status, text);
  if (status === 400) throw refused(text);
  const given = readAnswer(answer, { expect: 200 });
  if (typeof given !== 'object' || given === null) {
    throw new CompletionError('invalid_response', 'the relay answered something else than was asked for');
  }
  const members = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string' && !members.has(name.toLowerCase())) members.set(name.toLowerCase(), value);
  }
  return completionOf((name) => members.get(name), at(relay, '').replace(/\/$/, ''));
}

function refused(text: string): CompletionError {
  let said: { error?: unknown; errorDescription?: unknown } = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
    // Whatever it is, it says no more than the status.
  }
  const error = typeof said.error === 'string' ? said.error : undefined;
  const description = typeof said.errorDescription === 'string' ? said.errorDescription : undefined;
  const why = [error, description].filter(Boolean).join(', ') || 'it does not say why';
  return new CompletionError('expired', `the relay did not take the code (${why}); a code is good once and for a minute`, error, {
    status: 400,
    responseText: text,
  });
}

/** The address of `path` at a relay, without user, query and fragment. */
export function at(relay: string | URL, path: string): string {
  let base: URL;
  try {
    base = new URL(relay);
  } catch (cause) {
    throw new ClientError('invalid_argument', 'the relay needs an address such as https://relay.example.com', { cause });
  }
  if (!/^https?:$/.test(base.protocol)) {
    throw new ClientError('invalid_argument', 'the address of the relay must begin with http:// or https://');
  }
  return `${base.origin}${base.pathname.replace(/\/*$/, '/')}${path}`;
}

function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
