import { AppKeysClient } from './appkeys.js';
import { BaseClient, type ClientOptions, type RequestOptions } from './base.js';
import { BrowserClient, type CurrentUser, type LoginOptions, type UserSession } from './browser.js';
import { AppKeysError, ClientError, RequestError, SessionKeyError } from './errors.js';
import { ClientPromise } from './promise.js';
import { SessionKeysClient } from './session-keys.js';
import { SocketClient } from './socket.js';

/** Components by name; further ones come by `registerPluginComponent`. */
export class Plugins {
  readonly base: LatchkeyClient;
  readonly appkeys: AppKeysClient;
  [name: string]: any;

  constructor(base: LatchkeyClient) {
    this.base = base;
    this.appkeys = new AppKeysClient(base);
  }
}

type Component = new (base: LatchkeyClient) => unknown;

/** A client of one OctoPrint-compatible server. */
export class LatchkeyClient extends BaseClient {
  static readonly ClientError = ClientError;
  static readonly RequestError = RequestError;
  static readonly AppKeysError = AppKeysError;
  static readonly SessionKeyError = SessionKeyError;
  static readonly ClientPromise = ClientPromise;

  readonly browser: BrowserClient;
  readonly plugins: Plugins;
  readonly sessionKeys: SessionKeysClient;
  readonly socket: SocketClient;

  constructor(options: ClientOptions = {}) {
    super(options);
    this.browser = new BrowserClient(this);
    this.plugins = new Plugins(this);
    this.sessionKeys = new SessionKeysClient(this);
    this.socket = new SocketClient(this, this.browser);
  }

  /** Adds `component` to every client under `name`, made at its first use. */
  static registerComponent(name: string, component: Component): void {
    register(LatchkeyClient.prototype, name, component, (client) => client as LatchkeyClient);
  }

  /** The same for `client.plugins`. */
  static registerPluginComponent(name: string, component: Component): void {
    register(Plugins.prototype, name, component, (plugins) => (plugins as Plugins).base);
  }

  static escapePath(path: string): string {
    return path.split('/').map(encodeURIComponent).join('/');
  }

  login(user: string, pass: string, remember?: boolean, opts?: LoginOptions): ClientPromise<UserSession> {
    return this.browser.login(user, pass, remember, opts);
  }

  passiveLogin(opts?: RequestOptions): ClientPromise<UserSession> {
    return this.browser.passiveLogin(opts);
  }

  logout(opts?: RequestOptions): ClientPromise<UserSession> {
    return this.browser.logout(opts);
  }

  currentUser(opts?: RequestOptions): ClientPromise<CurrentUser> {
    return this.browser.currentUser(opts);
  }
}

function register(
  prototype: object,
  name: string,
  component: Component,
  baseOf: (owner: object) => LatchkeyClient,
): void {
  const made = new WeakMap<object, unknown>();
  Object.defineProperty(prototype, name, {
    configurable: true,
    get(this: object) {
      if (!made.has(this)) made.set(this, new component(baseOf(this)));
      return made.get(this);
    },
  });
}
