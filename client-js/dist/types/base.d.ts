import { type Address } from './address.js';
import { type CookieStore } from './cookies.js';
import { type Fetch } from './http.js';
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
/** Requests to one server, with what proves who is asking. Everything else is built on it. */
export declare class BaseClient {
    #private;
    options: ClientOptions;
    constructor(options?: ClientOptions);
    getBaseUrl(): string;
    getParsedBaseUrl(): URL;
    getCookieSuffix(): string;
    getCookieName(name: string): string;
    getCookie(name: string): string | undefined;
    /** The server's address, read anew when `options.baseurl` has changed. */
    address(): Address;
    /** Sends a request and resolves with what the answer says. `url` is relative to the base URL, or absolute. */
    ajax<T = any>(method: string, url: string, opts?: RequestOptions): ClientPromise<T>;
    ajaxWithData<T = any>(method: string, url: string, data: unknown, opts?: RequestOptions): ClientPromise<T>;
    get<T = any>(url: string, opts?: RequestOptions): ClientPromise<T>;
    getWithQuery<T = any>(url: string, query: Record<string, unknown>, opts?: RequestOptions): ClientPromise<T>;
    post<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T>;
    postForm<T = any>(url: string, data: Record<string, unknown>, opts?: RequestOptions): ClientPromise<T>;
    postJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T>;
    put<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T>;
    putJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T>;
    patch<T = any>(url: string, data?: unknown, opts?: RequestOptions): ClientPromise<T>;
    patchJson<T = any>(url: string, data: unknown, opts?: RequestOptions): ClientPromise<T>;
    delete<T = any>(url: string, opts?: RequestOptions): ClientPromise<T>;
    download(url: string, opts?: RequestOptions): ClientPromise<string>;
    issueCommand<T = any>(url: string, command: string, payload?: object, opts?: RequestOptions): ClientPromise<T>;
    getSimpleApiUrl(plugin: string): string;
    simpleApiGet<T = any>(plugin: string, opts?: RequestOptions): ClientPromise<T>;
    simpleApiCommand<T = any>(plugin: string, command: string, payload?: object, opts?: RequestOptions): ClientPromise<T>;
    getBlueprintUrl(plugin: string): string;
}
