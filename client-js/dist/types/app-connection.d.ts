import type { Completion } from './completion.js';
import { type Fetch } from './http.js';
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
export type ConnectionCredentials = Pick<Completion, 'url' | 'appApiToken'> & Partial<Pick<Completion, 'authBasicHttpUser' | 'authBasicHttpPassword' | 'authBearerToken' | 'relay'>>;
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
/** One printer, through a relay, with the credentials that a portal gave. */
export declare class AppConnection {
    #private;
    /** The printer's root, without a slash at the end. */
    readonly url: string;
    /** The field `Authorization`, for what makes its own requests; missing where the hostname is the credential. */
    readonly authorization: string | undefined;
    readonly options: AppConnectionOptions;
    constructor(completion: ConnectionCredentials, options?: AppConnectionOptions);
    /** What the relay says of it. A printer that is not connected is no error. */
    info(options?: AskOptions): Promise<ConnectionInfo>;
    /**
     * As the global `fetch`, with the credential, for a path at the printer. What the relay says itself is thrown as a
     * `RelayError`; every answer of the printer's server is returned, refusals too.
     */
    fetch(path: string, init?: RequestInit): Promise<Response>;
    /**
     * Opens a WebSocket at the printer; resolves once it is open. Browsers do not tell why one fails, so the same path
     * is asked once more with GET, and what the relay says to that is thrown.
     */
    webSocket(path: string, options?: SocketOptions): Promise<WebSocketLike>;
}
