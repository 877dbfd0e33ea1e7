import type { AppKeysClient, KeyRequested } from './appkeys.js';
import { AppKeysError, ClientError, RequestError } from './errors.js';
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

export type AuthenticateProgress =
  | { state: 'requested'; appToken: string; authDialog: string | undefined }
  | { state: 'waiting' };

const SERVER_GIVES_UP = 600_000;
// The server drops a request that was not polled for this long.
const UNPOLLED = 5_000;
const SLOWEST_POLL = 4_000;
const ONE_POLL = 10_000;
// An outage of the server or the way there that is sat out.
const OUTAGE = 20_000;
// What servers without the workflow answer to the probe, and those that are not set up yet.
const NO_SUCH_THING: readonly string[] = ['not_found', 'forbidden', 'bad_request', 'invalid_response'];
const TRANSIENT: readonly string[] = ['network', 'timeout', 'server_error', 'offline', 'rate_limited'];

export function authenticate(
  client: AppKeysClient,
  app: string,
  user: string | null | undefined,
  opts: AuthenticateOptions = {},
): ClientPromise<string, AuthenticateProgress> {
  return ClientPromise.run<string, AuthenticateProgress>(async (notify) => {
    try {
      await probe(client, opts.signal);
      const requested = await request(client, app, user, opts.signal);
      const authDialog = openable(requested.auth_dialog);
      notify({ state: 'requested', appToken: requested.app_token, authDialog });
      if (authDialog !== undefined) opts.onDialog?.(authDialog, requested);
      return await poll(client, requested.app_token, opts, notify);
    } catch (error) {
      throw typed(error);
    }
  });
}

async function probe(client: AppKeysClient, signal: AbortSignal | undefined): Promise<void> {
  try {
    await client.probe({ signal });
  } catch (error) {
    const { code, status = 600 } = error as Partial<RequestError>;
    if (code !== undefined && NO_SUCH_THING.includes(code) && status < 600) throw unsupported(status, error);
    throw error;
  }
}

async function request(
  client: AppKeysClient,
  app: string,
  user: string | null | undefined,
  signal: AbortSignal | undefined,
): Promise<KeyRequested> {
  const requested = await client.requestForUser(app, user, { signal });
  if (!requested || typeof requested.app_token !== 'string' || !requested.app_token) {
    throw new AppKeysError('invalid_response', 'the server gave no token to poll with');
  }
  return requested;
}

async function poll(
  client: AppKeysClient,
  token: string,
  opts: AuthenticateOptions,
  notify: (progress: AuthenticateProgress) => void,
): Promise<string> {
  const { signal } = opts;
  const patience = opts.timeout ?? SERVER_GIVES_UP;
  const interval = Math.min(Math.max(opts.interval ?? 1_000, 1), SLOWEST_POLL);
  const began = performance.now();
  // When the server last certainly heard from us.
  let heard = began;
  let outage = false;
  for (;;) {
    const left = began + patience - performance.now();
    if (left <= 0) throw timeout();
    await pause(Math.min(interval, left), signal);
    const asked = performance.now();
    try {
      const answer = await client.checkDecision(token, { signal, timeout: ONE_POLL });
      if (answer?.api_key) return answer.api_key;
      heard = asked;
      outage = false;
      notify({ state: 'waiting' });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.code === 'not_found') throw refused({ began, heard, asked, outage }, error);
      if (!TRANSIENT.includes(error.code) || asked - heard > OUTAGE) throw error;
      outage = true;
    }
  }
}

// The server says 404 for a denial, for a request it dropped, and after the key was fetched. Which one it was can be
// told from what happened here.
function refused(
  { began, heard, asked, outage }: { began: number; heard: number; asked: number; outage: boolean },
  cause: RequestError,
): AppKeysError {
  if (performance.now() - heard >= UNPOLLED || asked - began >= SERVER_GIVES_UP) return timeout(cause);
  if (outage) {
    const message = 'an answer was lost, and with it perhaps the key; ask again';
    return new AppKeysError('network', message, { status: 404, cause });
  }
  return new AppKeysError('denied', 'access was denied', { status: 404, cause });
}

function timeout(cause?: RequestError): AppKeysError {
  return new AppKeysError('timeout', 'nobody decided in time', { status: cause?.status, cause });
}

function unsupported(status: number, cause: unknown): AppKeysError {
  return new AppKeysError('unsupported', 'the server does not offer Application Keys; enter a key by hand', {
    status,
    cause,
  });
}

function typed(error: unknown): unknown {
  if (!(error instanceof ClientError) || error instanceof AppKeysError) return error;
  const { code, message, status, responseText, responseJSON, cause } = error;
  return new AppKeysError(code, message, { status, responseText, responseJSON, cause });
}

// What a server calls its dialog is about to be opened in a browser.
function openable(address: unknown): string | undefined {
  if (typeof address !== 'string') return undefined;
  try {
    const { protocol } = new URL(address);
    return protocol === 'http:' || protocol === 'https:' ? address : undefined;
  } catch {
    return undefined;
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new AppKeysError('aborted', 'cancelled', { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}
