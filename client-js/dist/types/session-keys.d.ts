import type { BaseClient, RequestOptions } from './base.js';
import { ClientPromise } from './promise.js';
export interface UnverifiedKey {
    unverifiedKey: string;
    /** Seconds since 1970. */
    validUntil: number;
}
export interface SessionKey {
    key: string;
    /** Seconds since 1970. There is no renewal: authenticate again before. */
    validUntil: number;
}
/** Signs with RSASSA-PKCS1-v1_5 and SHA-1; gives the signature, as bytes or in BASE64. */
export type Signer = (message: string) => Promise<Uint8Array | string> | Uint8Array | string;
export interface SessionKeyRequest {
    appid: string;
    /** Left out, the app is looked up as version `any`. */
    appversion?: string | undefined;
    /** PEM, PKCS#8 or PKCS#1, not encrypted. Either this or `sign`. */
    privateKey?: string | undefined;
    sign?: Signer | undefined;
    signal?: AbortSignal | undefined;
}
export interface VerifyRequest {
    appid: string;
    appversion?: string | undefined;
    key: string;
    /** BASE64. */
    signature: string;
}
/** App Session Keys: an app proves by a signature who it is, and gets a key for two hours. */
export declare class SessionKeysClient {
    #private;
    readonly base: BaseClient;
    constructor(base: BaseClient);
    /** Fetches an unverified key, signs and verifies it. */
    authenticate(request: SessionKeyRequest): ClientPromise<SessionKey>;
    getUnverifiedKey(opts?: RequestOptions): ClientPromise<UnverifiedKey>;
    verify({ appid, appversion, key, signature }: VerifyRequest, opts?: RequestOptions): ClientPromise<SessionKey>;
}
