import { type AuthenticateOptions, type AuthenticateProgress } from './authenticate.js';
import type { BaseClient, RequestOptions } from './base.js';
import type { ClientPromise } from './promise.js';
export interface AppKey {
    app_id: string;
    user_id: string;
    /** Left out where the password was not entered recently, and in lists. */
    api_key?: string;
}
export interface PendingKeyRequest {
    app_id: string;
    user_id: string | null;
    user_token: string;
    remote_address: string;
}
export interface KeyList {
    keys: AppKey[];
    /** By user token. */
    pending: Record<string, PendingKeyRequest>;
}
export interface KeyRequested {
    app_token: string;
    /** Where a person can log in and decide. Absent from servers before 1.8. */
    auth_dialog?: string;
}
/** The two things an undecided or granted request answers. */
export type DecisionState = {
    message: string;
    api_key?: undefined;
} | {
    api_key: string;
    message?: undefined;
};
/** Application Keys: asking for one, deciding, and looking after them. */
export declare class AppKeysClient {
    readonly base: BaseClient;
    constructor(base: BaseClient);
    getKeys(opts?: RequestOptions): ClientPromise<KeyList>;
    getAllKeys(opts?: RequestOptions): ClientPromise<KeyList>;
    getKey(app: string, opts?: RequestOptions): ClientPromise<{
        key: AppKey;
    }>;
    getKey(app: string, user?: string, opts?: RequestOptions): ClientPromise<{
        key: AppKey;
    }>;
    generateKey(app: string, opts?: RequestOptions): ClientPromise<Required<AppKey>>;
    generateKeyForUser(user: string, app: string, opts?: RequestOptions): ClientPromise<Required<AppKey>>;
    /** @deprecated Since OctoPrint 1.10: use `revokeKeyForApp`. */
    revokeKey(key: string, opts?: RequestOptions): ClientPromise<void>;
    revokeKeyForApp(app: string, user?: string, opts?: RequestOptions): ClientPromise<void>;
    /** Grants or denies; `userToken` comes by the push socket or from `getKeys`. */
    decide(userToken: string, decision: boolean, opts?: RequestOptions): ClientPromise<void>;
    /** Resolves where the server knows Application Keys. */
    probe(opts?: RequestOptions): ClientPromise<void>;
    request(app: string, opts?: RequestOptions): ClientPromise<KeyRequested>;
    requestForUser(app: string, user?: string | null, opts?: RequestOptions): ClientPromise<KeyRequested>;
    checkDecision(appToken: string, opts?: RequestOptions): ClientPromise<DecisionState>;
    /** Probes, asks, and polls every second until somebody decides. Resolves with the key. */
    authenticate(app: string, user?: string | null, opts?: AuthenticateOptions): ClientPromise<string, AuthenticateProgress>;
}
