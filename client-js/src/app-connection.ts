import { base64 } from './address.js';
import type { Completion } from './completion.js';
import { ClientError, RequestError } from './errors.js';
import { aborted, exchange, readAnswer, type Fetch } from './http.js';
import { at } from './portal.js';
import { isRelayStatus, relayError } from './relay-errors.js';
import type { WebSocketConstructor, WebSocketLike } from './socket.js';

/** What the relay says of an app connection. Times are ISO 8601; "never" is the year 1. */
export interface ConnectionInfo {
  PrinterName: string;
  PrinterLocalIp: string | null;
  IsOnline: boolean;
  LastConnectionTimeUtc: string;
  LastDisconnectTimeUtc: string;
  UserFacingPrinterUrl: string;
  PrinterLimits: {
    MaxDownloadFileSizeBytes: number;
    MaxUploadFileSizeBytes: number;
    MaxSingleWebcamStreamLengthSeconds: number;
    MaxTotalWebcamStreamTimePerTimeWindowSeconds?: number | null;
    WebcamStreamTimeWindow?: number | null;
  };
}

/** The part of a completion that is used here, so that what was kept elsewhere will do. */
export type ConnectionCredentials = Pick<Completion, 'url' | 'appApiToken'> &
  Partial<Pick<Completion, 'authBasicHttpUser' | 'authBasicHttpPassword' | 'authBearerToken' | 'relay'>>;

export interface AppConnectionOptions {
  /** The relay's address, for `info`; that of the completion if not given. */
  relay?: string | undefined;
  fetch?: Fetch | undefined;
  /** The package `ws`, or one with the same arguments, where Node.js has none. */
  WebSocket?: WebSocketConstructor | undefined;
}

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds, 30,000 if not given. */
  timeout?: number | undefined;
}

export interface SocketOptions extends AskOptions {
  protocols?: string[] | undefined;
  /** Is given the socket before it is open, so that no message is missed. */
  setUp?: ((socket: WebSocketLike) => void) | undefined;
}

type AnyWebSocket = new (url: string, ...more: unknown[]) => WebSocketLike;

const TIMEOUT = 30_000;

/** One printer, through a relay, with the credentials that a portal gave. */
export class AppConnection {
  /** The printer's root, without a slash at the end. */
  readonly url: string;
  /** The field `Authorization`, for what makes its own requests; missing where the hostname is the credential. */
  readonly authorization: string | undefined;
  readonly options: AppConnectionOptions;
  readonly #origin: string;
  readonly #token: string;
  readonly #relay: string | undefined;
  readonly #pair: { user: string; password: string } | undefined;

  constructor(completion: ConnectionCredentials, options: AppConnectionOptions = {}) {
    const { url, appApiToken, authBasicHttpUser: user, authBasicHttpPassword: password } = completion;
    this.#origin = originOf(url);
    this.url = url.replace(/\/+$/, '');
    this.options = options;
    this.#token = appApiToken;
    this.#relay = options.relay ?? completion.relay;
    this.#pair = user && password ? { user, password } : undefined;
    this.authorization = authorizationOf(completion.authBearerToken, this.#pair);
  }

  /** What the relay says of it. A printer that is not connected is no error. */
  async info(options: AskOptions = {}): Promise<ConnectionInfo> {
    if (this.#relay === undefined) {
      throw new ClientError('invalid_argument', 'info() needs the address of the relay: new AppConnection(completion, { relay })');
    }
    const answer = await exchange(this.#fetch(), {
      method: 'GET',
      url: new URL(at(this.#relay, 'api/appconnection/info')),
      headers: new Headers({ AppToken: this.#token, Accept: 'application/json' }),
      credentials: 'omit',
      redirect: 'manual',
      timeout: options.timeout ?? TIMEOUT,
      signal: options.signal,
    });
    if (isRelayStatus(answer.status)) throw relayError(answer.status, answer.text);
    const body = readAnswer(answer, { expect: 200 }) as { Result?: ConnectionInfo } & ConnectionInfo;
    // Some relays answer bare, as the documents show it.
    const info = body?.Result ?? body;
    if (typeof info?.IsOnline !== 'boolean') {
      throw new RequestError('invalid_response', 'the relay answered something else than was asked for');
    }
    return info;
  }

  /**
   * As the global `fetch`, with the credential, for a path at the printer. What the relay says itself is thrown as a
   * `RelayError`; every answer of the printer's server is returned, refusals too.
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const url = this.#address(path);
    const headers = new Headers(init.headers);
    if (this.authorization) headers.set('Authorization', this.authorization);
    const fetch = this.#fetch();
    let response: Response;
    try {
      response = await fetch(url, { credentials: 'omit', redirect: 'manual', ...init, headers });
    } catch (cause) {
      if (init.signal?.aborted) throw aborted(init.signal.reason);
      throw new RequestError('network', 'the relay could not be reached', { cause });
    }
    if (!isRelayStatus(response.status)) return response;
    throw relayError(response.status, await response.text().catch(() => ''));
  }

  /**
   * Opens a WebSocket at the printer; resolves once it is open. Browsers do not tell why one fails, so the same path
   * is asked once more with GET, and what the relay says to that is thrown.
   */
  async webSocket(path: string, options: SocketOptions = {}): Promise<WebSocketLike> {
    const { signal } = options;
    if (signal?.aborted) throw aborted(signal.reason);
    const socket = this.#open(path, options.protocols ?? []);
    options.setUp?.(socket);
    try {
      await opened(socket, options.timeout ?? TIMEOUT, signal);
      return socket;
    } catch (error) {
      socket.close();
      if (error instanceof ClientError) throw error;
      throw await this.#why(path, signal, error);
    }
  }

  #open(path: string, protocols: string[]): WebSocketLike {
    const own = globalThis.WebSocket as AnyWebSocket | undefined;
    const Socket = (this.options.WebSocket as AnyWebSocket | undefined) ?? own;
    if (!Socket) throw new ClientError('invalid_argument', 'there is no WebSocket; pass one as an option');
    const url = new URL(this.#address(path));
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const headers = this.authorization ? { Authorization: this.authorization } : {};
    if (isBrowser()) {
      // No field can be set. The pair in the address is all that may help; README says where it does.
      if (this.#pair) {
        url.username = this.#pair.user;
        url.password = this.#pair.password;
      }
      return new Socket(url.href, protocols);
    }
    // The one of Node.js takes everything in its second argument, `ws` in its third.
    return Socket === own ? new Socket(url.href, { protocols, headers }) : new Socket(url.href, protocols, { headers });
  }

  async #why(path: string, signal: AbortSignal | undefined, cause: unknown): Promise<unknown> {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => stop.abort(), 10_000);
    try {
      const response = await this.fetch(path, { signal: stop.signal });
      void response.body?.cancel().catch(() => undefined);
    } catch (error) {
      if (signal?.aborted) return aborted(signal.reason);
      if (error instanceof RequestError && error.code !== 'aborted') return error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
    const unproven = isBrowser() && this.authorization !== undefined;
    const message = unproven
      ? 'the WebSocket could not be opened; this browser may not send credentials with WebSockets'
      : 'the WebSocket could not be opened, although the relay lets requests through';
    return new RequestError(unproven ? 'unsupported' : 'network', message, { cause });
  }

  /** Byte for byte below the printer's root. Credentials go nowhere else. */
  #address(path: string): string {
    if (/^[a-z][a-z0-9+.-]*:/i.test(path)) {
      if (originOf(path) !== this.#origin) {
        throw new ClientError('invalid_argument', 'the app connection leads to one printer, and this address is elsewhere');
      }
      return path;
    }
    return `${this.url}${path.startsWith('/') ? '' : '/'}${path}`;
  }

  // Called through a variable: browsers refuse a fetch that is called as somebody's method.
  #fetch(): Fetch {
    const fetch = this.options.fetch ?? globalThis.fetch;
    if (typeof fetch !== 'function') throw new ClientError('invalid_argument', 'there is no fetch; pass one as an option');
    return (url, init) => fetch(url, init);
  }
}

function opened(socket: WebSocketLike, timeout: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const { onopen, onclose, onerror } = socket;
    const done = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      // As `setUp` left them; but `ws` throws an error that nobody listens to, and `onclose` follows in all of them.
      Object.assign(socket, { onopen, onclose, onerror: onerror ?? (() => undefined) });
      settle();
    };
    const fail = (error: unknown) => done(() => reject(error));
    const abort = () => fail(aborted(signal?.reason));
    const timer = setTimeout(() => fail(new RequestError('timeout', `not open within ${timeout / 1000} s`)), timeout);
    signal?.addEventListener('abort', abort, { once: true });
    socket.onopen = (event) => done(() => {
      resolve();
      onopen?.call(socket, event);
    });
    socket.onclose = fail;
    socket.onerror = () => undefined;
  });
}

function authorizationOf(bearer: string | undefined, pair: { user: string; password: string } | undefined): string | undefined {
  if (bearer) return `Bearer ${bearer}`;
  return pair && `Basic ${base64(new TextEncoder().encode(`${pair.user}:${pair.password}`))}`;
}

function originOf(text: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Said below.
  }
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ClientError('invalid_argument', 'an app connection has an address that begins with http:// or https://');
  }
  return url.origin;
}

function isBrowser(): boolean {
  return typeof window !== 'undefined' || typeof (globalThis as { importScripts?: unknown }).importScripts === 'function';
}
