import type { BaseClient } from './base.js';
import type { BrowserClient } from './browser.js';
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
/** The push socket. Connects again by itself until `disconnect` is called. */
export declare class SocketClient {
    #private;
    readonly base: BaseClient;
    options: {
        /** Milliseconds before the first attempt to connect again; doubles with each further one, up to `slowest`. */
        fastest: number;
        slowest: number;
        /** Attempts in a row before giving up. */
        attempts: number;
    };
    socket: WebSocketLike | undefined;
    reconnecting: boolean;
    reconnectTrial: number;
    constructor(base: BaseClient, browser: BrowserClient);
    connect(opts?: ConnectOptions): void;
    reconnect(): void;
    disconnect(): void;
    get connected(): boolean;
    /** Calls `handler` for each message of this name; `*` for all. */
    onMessage(name: string, handler: MessageHandler): this;
    removeMessage(name: string, handler: MessageHandler): this;
    sendMessage(type: string, payload: unknown): void;
    /** `user` and `session` are a login's `name` and `session`. Remembered, as are throttle and subscription. */
    sendAuth(user: string, session: string): void;
    /** Only every `factor`-th state message, one each 0.5 s at most, is sent. */
    sendThrottleFactor(factor: number): void;
    subscribe(subscription: Subscription): void;
    /** Called before each attempt to connect again; true leaves it to the caller. */
    onReconnectAttempt(_trial: number): boolean | void;
    onReconnectFailed(): void;
    onConnected(): void;
    onDisconnected(_code: number): void;
    onConnectTimeout(): void;
    onAuthFailed(_error: unknown): void;
}
