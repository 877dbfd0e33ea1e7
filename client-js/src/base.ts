import { cookieSuffix, parseAddress, type Address } from './address.js';
import { MemoryCookies, browserCookies, type CookieStore } from './cookies.js';
import { ClientError } from './errors.js';
import { exchange, readAnswer, type Fetch } from './http.js';
import { ClientPromise } from './promise.js';
import type { WebSocketConstructor } from './socket.js';

export interface ClientOptions {
  /** Where the server is, e.g. `http://octopi.local/`. On a page it may be a path, or left out for the page's own server. */
  baseurl?: string | undefined;
  /** An app key, session key or user's key. With one, cookies are neither sent nor needed. */
  apikey?: string | undefined;
  /** Goes along as `X-Locale`. */
  locale?: string | undefined;
  /** Goes along with every request, e.g. the `Authorization` of an app connection. */
  headers?: Record<string, string> | undefined;
  /** Milliseconds for each request; 30,000 if not given. */
  timeout?: number | undefined;
  /** Default: `omit` with an API key, else `same-origin`. */
  credentials?: RequestCredentials | undefined;
  fetch?: Fetch | undefined;
  WebSocket?: WebSocketConstructor | undefined;
  crypto?: Crypto | undefined;
  /** Default: the browser's own on a page, else a store in memory. */
  cookies?: CookieStore | undefined;
}

export interface RequestOptions {
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  timeout?: number | undefined;
  /** `json` if not given. */
  dataType?: 'json' | 'text' | undefined;
  data?: unknown;
  contentType?: string | false | undefined;
  /** `manual` if not given: a redirect is an error, so that no credential follows one unseen. */
  redirect?: RequestRedirect | undefined;
  /** The only status that counts as success. */
  expect?: number | undefined;
  /** False where the request needs no CSRF token. */
  csrf?: boolean | undefined;
  /** False to use the browser session even if there is an API key. */
  apikey?: boolean | undefined;
}

const TIMEOUT = 30_000;
const SAFE = /^(GET|HEAD|OPTIONS)$/;

/** Requests to one server, with what proves who is asking. Everything else is built on it. */
export class BaseClient {
  options: ClientOptions;
  #cookies: CookieStore;
  #address: { from: string | undefined; parsed: Address } | undefined;

  constructor(options: ClientOptions = {}) {
    this.options = options;
    this.#cookies = options.cookies ?? (typeof document === 'undefined' ? new MemoryCookies() : browserCookies);
  }

  getBaseUrl(): string {
    return this.address().base.href;
  }

  getParsedBaseUrl(): URL {
    return new URL(this.address().base);
  }

  getCookieSuffix(): string {
    return cookieSuffix(this.address().base);
  }

  getCookieName(name: string): string {
    return name + this.getCookieSuffix();
  }

  getCookie(name: string): string | undefined {
    return this.#cookies.get(this.getCookieName(name), this.address().base);
  }

  /** The server's address, read anew when `options.baseurl` has changed. */
  address(): Address {
    const from = this.options.baseurl;
    if (!this.#address || this.#address.from !== from) {
      this.#address = { from, parsed: parseAddress(from) };
    }
    return this.#address.parsed;
  }

  /** Sends a request and resolves with what the answer says. `url` is relative to the base URL, or absolute. */
  ajax<T = any>(method: string, url: string, opts: RequestOptions = {}): ClientPromise<T> {
    return ClientPromise.run<T>(() => this.#send(method.toUpperCase(), url, opts) as Promise<T>);
  }

  ajaxWithData<T = any>(method: string, url: string, data: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.ajax(method, url, { ...opts, data });
  }

  get<T = any>(url: string, opts?: RequestOptions): ClientPromise<T> {
    return this.ajax('GET', url, opts);
  }

  getWithQuery<T = any>(url: string, query: Record<string, unknown>, opts?: RequestOptions): ClientPromise<T> {
    return this.ajaxWithData('GET', url, query, opts);
  }

  post<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.ajaxWithData('POST', url, data, opts);
  }

  postForm<T = any>(url: string, data: Record<string, unknown>, opts?: RequestOptions): ClientPromise<T> {
    const form = new FormData();
    for (const [name, value] of Object.entries(data)) {
      form.append(name, value instanceof Blob ? value : String(value));
    }
    return this.post(url, form, opts);
  }

  postJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.#json('POST', url, data, opts);
  }

  put<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.ajaxWithData('PUT', url, data, opts);
  }

  putJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.#json('PUT', url, data, opts);
  }

  patch<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.ajaxWithData('PATCH', url, data, opts);
  }

  patchJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T> {
    return this.#json('PATCH', url, data, opts);
  }

  delete<T = any>(url: string, opts?: RequestOptions): ClientPromise<T> {
    return this.ajax('DELETE', url, opts);
  }

  download(url: string, opts?: RequestOptions): ClientPromise<string> {
    return this.ajax('GET', url, { ...opts, dataType: 'text' });
  }

  issueCommand<T = any>(url: string, command: string, payload?: object, opts?: RequestOptions): ClientPromise<T> {
    return this.postJson(url, { ...payload, command }, opts);
  }

  getSimpleApiUrl(plugin: string): string {
    return `api/plugin/${plugin}`;
  }

  simpleApiGet<T = any>(plugin: string, opts?: RequestOptions): ClientPromise<T> {
    return this.get(this.getSimpleApiUrl(plugin), opts);
  }

  simpleApiCommand<T = any>(
    plugin: string,
    command: string,
    payload?: object,
    opts?: RequestOptions,
  ): ClientPromise<T> {
    return this.issueCommand(this.getSimpleApiUrl(plugin), command, payload, opts);
  }

  getBlueprintUrl(plugin: string): string {
    return `plugin/${plugin}/`;
  }

  #json<T>(method: string, url: string, data: unknown, opts?: RequestOptions): ClientPromise<T> {
    const text = JSON.stringify(data, (_, value) => (value === undefined ? null : value));
    return this.ajaxWithData(method, url, text, { ...opts, contentType: 'application/json; charset=UTF-8' });
  }

  async #send(method: string, path: string, opts: RequestOptions): Promise<unknown> {
    const { base } = this.address();
    const url = new URL(path, base);
    const { body, type } = bodyOf(method, url, opts);
    const headers = await this.#headers(method, url, opts);
    if (type && !headers.has('Content-Type')) headers.set('Content-Type', type);
    const answer = await this.#exchange(method, url, headers, body, opts);
    return readAnswer(answer, opts);
  }

  async #headers(method: string, url: URL, opts: RequestOptions): Promise<Headers> {
    const headers = new Headers(opts.headers);
    if (!SAFE.test(method) && method !== 'DELETE') headers.set('Cache-Control', 'no-cache');
    if (this.options.locale !== undefined) headers.set('X-Locale', this.options.locale);
    // What proves who is asking is for this server alone.
    const { base, authorization } = this.address();
    if (url.origin !== base.origin) return headers;
    for (const [name, value] of Object.entries(this.options.headers ?? {})) {
      if (!headers.has(name)) headers.set(name, value);
    }
    if (authorization && !headers.has('Authorization')) headers.set('Authorization', authorization);
    if (this.#usesKey(opts)) {
      headers.set('X-Api-Key', this.options.apikey as string);
    } else if (!SAFE.test(method) && opts.csrf !== false) {
      const token = await this.#csrfToken(opts);
      if (token) headers.set('X-CSRF-Token', token);
    }
    return headers;
  }

  #usesKey(opts: RequestOptions): boolean {
    return Boolean(this.options.apikey) && opts.apikey !== false;
  }

  // The server sets the cookie with its pages, not with answers of its API.
  async #csrfToken(opts: RequestOptions): Promise<string | undefined> {
    const { base, authorization } = this.address();
    const known = this.getCookie('csrf_token');
    if (known !== undefined || !this.#cookies.works(base)) return known;
    const headers = new Headers({ Accept: 'text/html', ...this.options.headers });
    if (authorization && !headers.has('Authorization')) headers.set('Authorization', authorization);
    const { signal, timeout } = opts;
    await this.#exchange('GET', new URL('login/', base), headers, undefined, { signal, timeout, apikey: false });
    return this.getCookie('csrf_token');
  }

  async #exchange(
    method: string,
    url: URL,
    headers: Headers,
    body: BodyInit | undefined,
    opts: RequestOptions,
  ): ReturnType<typeof exchange> {
    const { options } = this;
    // Called through a variable: browsers refuse a fetch that is called as somebody's method.
    const fetch: Fetch = options.fetch ?? globalThis.fetch;
    if (typeof fetch !== 'function') throw new ClientError('invalid_argument', 'there is no fetch; pass one as an option');
    const withCookies = !this.#usesKey(opts) && url.origin === this.address().base.origin;
    const cookie = withCookies ? this.#cookies.header(url) : undefined;
    if (cookie) headers.set('Cookie', cookie);
    const answer = await exchange(fetch, {
      method,
      url,
      headers,
      body,
      credentials: options.credentials ?? (withCookies ? 'same-origin' : 'omit'),
      redirect: opts.redirect ?? 'manual',
      timeout: opts.timeout ?? options.timeout ?? TIMEOUT,
      signal: opts.signal,
    });
    if (withCookies) this.#cookies.take(url, answer.headers.getSetCookie?.() ?? []);
    return answer;
  }
}

function bodyOf(method: string, url: URL, opts: RequestOptions): { body?: BodyInit; type?: string } {
  const { data, contentType } = opts;
  if (data === undefined || data === null) return {};
  if (SAFE.test(method)) {
    const query = typeof data === 'string' ? new URLSearchParams(data) : fields(data);
    for (const [name, value] of query) url.searchParams.append(name, value);
    return {};
  }
  const given = contentType ? { type: contentType } : {};
  if (typeof data === 'string') return { body: data, ...given };
  if (data instanceof FormData || data instanceof Blob || data instanceof URLSearchParams) {
    return { body: data, ...given };
  }
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return { body: data as BodyInit, ...given };
  return { body: fields(data), ...given };
}

function fields(data: unknown): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(data as object)) {
    if (value !== undefined && value !== null) query.append(name, String(value));
  }
  return query;
}
