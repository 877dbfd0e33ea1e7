import { AppKeysClient } from './appkeys.js';
import { BaseClient, type ClientOptions, type RequestOptions } from './base.js';
import { BrowserClient, type CurrentUser, type LoginOptions, type UserSession } from './browser.js';
import { AppKeysError, ClientError, RequestError, SessionKeyError } from './errors.js';
import { ClientPromise } from './promise.js';
import { SessionKeysClient } from './session-keys.js';
import { SocketClient } from './socket.js';
/** Components by name; further ones come by `registerPluginComponent`. */
export declare class Plugins {
    readonly base: LatchkeyClient;
    readonly appkeys: AppKeysClient;
    [name: string]: any;
    constructor(base: LatchkeyClient);
}
type Component = new (base: LatchkeyClient) => unknown;
/** A client of one OctoPrint-compatible server. */
export declare class LatchkeyClient extends BaseClient {
    static readonly ClientError: typeof ClientError;
    static readonly RequestError: typeof RequestError;
    static readonly AppKeysError: typeof AppKeysError;
    static readonly SessionKeyError: typeof SessionKeyError;
    static readonly ClientPromise: typeof ClientPromise;
    readonly browser: BrowserClient;
    readonly plugins: Plugins;
    readonly sessionKeys: SessionKeysClient;
    readonly socket: SocketClient;
    constructor(options?: ClientOptions);
    /** Adds `component` to every client under `name`, made at its first use. */
    static registerComponent(name: string, component: Component): void;
    /** The same for `client.plugins`. */
    static registerPluginComponent(name: string, component: Component): void;
    static escapePath(path: string): string;
    login(user: string, pass: string, remember?: boolean, opts?: LoginOptions): ClientPromise<UserSession>;
    passiveLogin(opts?: RequestOptions): ClientPromise<UserSession>;
    logout(opts?: RequestOptions): ClientPromise<UserSession>;
    currentUser(opts?: RequestOptions): ClientPromise<CurrentUser>;
}
export {};
