import { RequestError } from './errors.js';
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;
export interface Exchange {
    method: string;
    url: URL;
    headers: Headers;
    body?: BodyInit | undefined;
    credentials: RequestCredentials;
    redirect: RequestRedirect;
    /** Milliseconds for the whole exchange, body included. */
    timeout: number;
    signal?: AbortSignal | undefined;
}
export interface Answer {
    status: number;
    text: string;
    headers: Headers;
}
/** Sends one request and reads its answer whole, in bounded time. */
export declare function exchange(fetch: Fetch, request: Exchange): Promise<Answer>;
export declare function aborted(reason: unknown): RequestError;
/** What a successful answer says; an empty one says `undefined`. Rejects for all others. */
export declare function readAnswer(answer: Answer, wanted: {
    dataType?: 'json' | 'text' | undefined;
    expect?: number | undefined;
}): unknown;
