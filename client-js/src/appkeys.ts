import { authenticate, type AuthenticateOptions, type AuthenticateProgress } from './authenticate.js';
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
export type DecisionState = { message: string; api_key?: undefined } | { api_key: string; message?: undefined };

/** Application Keys: asking for one, deciding, and looking after them. */
export class AppKeysClient {
  readonly base: BaseClient;

  constructor(base: BaseClient) {
    this.base = base;
  }

  getKeys(opts?: RequestOptions): ClientPromise<KeyList> {
    return this.base.simpleApiGet('appkeys', opts);
  }

  getAllKeys(opts?: RequestOptions): ClientPromise<KeyList> {
    return this.base.get(`${this.base.getSimpleApiUrl('appkeys')}?all=true`, opts);
  }

  getKey(app: string, opts?: RequestOptions): ClientPromise<{ key: AppKey }>;
  getKey(app: string, user?: string, opts?: RequestOptions): ClientPromise<{ key: AppKey }>;
  getKey(app: string, user?: string | RequestOptions, opts?: RequestOptions): ClientPromise<{ key: AppKey }> {
    if (typeof user === 'object' && user !== null) return this.getKey(app, undefined, user);
    const query = new URLSearchParams(user ? { app, user } : { app });
    return this.base.get(`${this.base.getSimpleApiUrl('appkeys')}?${query}`, opts);
  }

  generateKey(app: string, opts?: RequestOptions): ClientPromise<Required<AppKey>> {
    return this.base.simpleApiCommand('appkeys', 'generate', { app }, opts);
  }

  generateKeyForUser(user: string, app: string, opts?: RequestOptions): ClientPromise<Required<AppKey>> {
    return this.base.simpleApiCommand('appkeys', 'generate', { app, user }, opts);
  }

  /** @deprecated Since OctoPrint 1.10: use `revokeKeyForApp`. */
  revokeKey(key: string, opts?: RequestOptions): ClientPromise<void> {
    return this.base.simpleApiCommand('appkeys', 'revoke', { key }, opts);
  }

  revokeKeyForApp(app: string, user?: string, opts?: RequestOptions): ClientPromise<void> {
    return this.base.simpleApiCommand('appkeys', 'revoke', user ? { app, user } : { app }, opts);
  }

  /** Grants or denies; `userToken` comes by the push socket or from `getKeys`. */
  decide(userToken: string, decision: boolean, opts?: RequestOptions): ClientPromise<void> {
    const url = `${this.base.getBlueprintUrl('appkeys')}decision/${encodeURIComponent(userToken)}`;
    return this.base.postJson(url, { decision: Boolean(decision) }, opts);
  }

  /** Resolves where the server knows Application Keys. */
  probe(opts?: RequestOptions): ClientPromise<void> {
    return this.base.get(`${this.base.getBlueprintUrl('appkeys')}probe`, { ...opts, expect: 204 });
  }

  request(app: string, opts?: RequestOptions): ClientPromise<KeyRequested> {
    return this.requestForUser(app, undefined, opts);
  }

  requestForUser(app: string, user?: string | null, opts?: RequestOptions): ClientPromise<KeyRequested> {
    const url = `${this.base.getBlueprintUrl('appkeys')}request`;
    return this.base.postJson(url, { app, user: user || null }, { ...opts, csrf: false });
  }

  checkDecision(appToken: string, opts?: RequestOptions): ClientPromise<DecisionState> {
    return this.base.get(`${this.base.getBlueprintUrl('appkeys')}request/${encodeURIComponent(appToken)}`, opts);
  }

  /** Probes, asks, and polls every second until somebody decides. Resolves with the key. */
  authenticate(
    app: string,
    user?: string | null,
    opts?: AuthenticateOptions,
  ): ClientPromise<string, AuthenticateProgress> {
    return authenticate(this, app, user, opts);
  }
}
