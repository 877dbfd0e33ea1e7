import type { BaseClient } from './base.js';
import type { BrowserClient } from './browser.js';
import { ClientError } from './errors.js';
import { call } from './promise.js';

/** The part of a WebSocket that is used here. */
export interface WebSocketLike {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

export interface ConnectOptions {
  /** Milliseconds until a connection must have said `connected`. */
  connectTimeout?: number | undefined;
  /** Logs in passively at every (re)connect and authenticates with the session. Rejections go to `onAuthFailed`. */
  authenticate?: boolean | undefined;
}

/** Which messages to get. Before the first subscription all are delivered. */
export interface Subscription {
  state?: boolean;
  plugins?: boolean | string[];
  events?: boolean | string[];
}

export interface SocketMessage<T = any> {
  event: string;
  data: T;
}
export type MessageHandler = (message: SocketMessage) => unknown;

const OPEN = 1;
const CONNECT_TIMEOUT = 10_000;

/** The push socket. Connects again by itself until `disconnect` is called. */
export class SocketClient {
  readonly base: BaseClient;
  options = {
    /** Milliseconds before the first attempt to connect again; doubles with each further one, up to `slowest`. */
    fastest: 500,
    slowest: 30_000,
    /** Attempts in a row before giving up. */
    attempts: Infinity,
  };
  socket: WebSocketLike | undefined;
  reconnecting = false;
  reconnectTrial = 0;
  #browser: BrowserClient;
  #handlers = new Map<string, MessageHandler[]>();
  #connect: ConnectOptions = {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  // What the server is told again on every new connection.
  #auth: string | undefined;
  #throttle: number | undefined;
  #subscription: Subscription | undefined;

  constructor(base: BaseClient, browser: BrowserClient) {
    this.base = base;
    this.#browser = browser;
  }

  connect(opts: ConnectOptions = {}): void {
    this.disconnect();
    this.#connect = opts;
    this.#open();
  }

  reconnect(): void {
    this.connect(this.#connect);
  }

  disconnect(): void {
    clearTimeout(this.#timer);
    this.reconnecting = false;
    this.reconnectTrial = 0;
    this.#drop();
  }

  get connected(): boolean {
    return this.socket?.readyState === OPEN;
  }

  /** Calls `handler` for each message of this name; `*` for all. */
  onMessage(name: string, handler: MessageHandler): this {
    this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), handler]);
    return this;
  }

  removeMessage(name: string, handler: MessageHandler): this {
    const rest = (this.#handlers.get(name) ?? []).filter((other) => other !== handler);
    this.#handlers.set(name, rest);
    return this;
  }

  sendMessage(type: string, payload: unknown): void {
    const { socket } = this;
    if (socket?.readyState !== OPEN) throw new ClientError('not_connected', 'the push socket is not connected');
    socket.send(JSON.stringify({ [type]: payload }));
  }

  /** `user` and `session` are a login's `name` and `session`. Remembered, as are throttle and subscription. */
  sendAuth(user: string, session: string): void {
    this.#auth = `${user}:${session}`;
    if (this.connected) this.sendMessage('auth', this.#auth);
  }

  /** Only every `factor`-th state message, one each 0.5 s at most, is sent. */
  sendThrottleFactor(factor: number): void {
    this.#throttle = factor;
    if (this.connected) this.sendMessage('throttle', factor);
  }

  subscribe(subscription: Subscription): void {
    this.#subscription = subscription;
    if (this.connected) this.sendMessage('subscribe', subscription);
  }

  /** Called before each attempt to connect again; true leaves it to the caller. */
  onReconnectAttempt(_trial: number): boolean | void {}
  onReconnectFailed(): void {}
  onConnected(): void {}
  onDisconnected(_code: number): void {}
  onConnectTimeout(): void {}
  onAuthFailed(_error: unknown): void {}

  #open(): void {
    const Socket = this.base.options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    if (!Socket) throw new ClientError('invalid_argument', 'there is no WebSocket; pass one as an option');
    const socket = new Socket(this.base.address().socket.href);
    this.socket = socket;
    this.#timer = setTimeout(() => {
      this.onConnectTimeout();
      this.#lost(socket, 1006);
    }, this.#connect.connectTimeout ?? CONNECT_TIMEOUT);
    socket.onopen = () => {
      this.#tell();
      this.onConnected();
    };
    socket.onmessage = ({ data }) => this.#take(socket, data);
    socket.onclose = ({ code }) => this.#lost(socket, code ?? 1006);
    // What it was is not told to scripts, and `onclose` follows.
    socket.onerror = () => undefined;
  }

  #tell(): void {
    if (this.#subscription) this.sendMessage('subscribe', this.#subscription);
    if (this.#throttle !== undefined) this.sendMessage('throttle', this.#throttle);
    if (this.#connect.authenticate) this.#authenticate(this.socket);
    else if (this.#auth) this.sendMessage('auth', this.#auth);
  }

  #authenticate(socket: WebSocketLike | undefined): void {
    this.#browser
      .passiveLogin()
      .then(({ name, session }) => {
        if (!name || !session) throw new ClientError('forbidden', 'nobody is logged in');
        if (this.socket === socket) this.sendAuth(name, session);
      })
      .catch((error) => this.onAuthFailed(error));
  }

  #take(socket: WebSocketLike, text: unknown): void {
    if (this.socket !== socket || typeof text !== 'string') return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof message !== 'object' || message === null) return;
    if ('connected' in message) {
      clearTimeout(this.#timer);
      this.reconnecting = false;
      this.reconnectTrial = 0;
    }
    for (const [event, data] of Object.entries(message)) this.#propagate({ event, data });
  }

  #propagate(message: SocketMessage): void {
    const handlers = [...(this.#handlers.get('*') ?? []), ...(this.#handlers.get(message.event) ?? [])];
    call(handlers, message);
  }

  #lost(socket: WebSocketLike, code: number): void {
    if (this.socket !== socket) return;
    clearTimeout(this.#timer);
    this.#drop();
    this.onDisconnected(code);
    // Unless the caller connected in there.
    if (this.socket) return;
    if (this.reconnectTrial >= this.options.attempts) {
      this.reconnecting = false;
      this.onReconnectFailed();
      return;
    }
    if (this.onReconnectAttempt(this.reconnectTrial)) return;
    const { fastest, slowest } = this.options;
    const pause = Math.min(slowest, fastest * 2 ** Math.min(this.reconnectTrial, 30));
    this.reconnecting = true;
    this.reconnectTrial += 1;
    // Spread, so that not everybody comes back in the same moment after a restart.
    this.#timer = setTimeout(() => this.#open(), pause * (0.5 + Math.random() / 2));
  }

  #drop(): void {
    const { socket } = this;
    this.socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
