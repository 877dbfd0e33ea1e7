import type { BaseClient, RequestOptions } from './base.js';
import type { ClientPromise } from './promise.js';

/** Who is logged in. Without `name` and `session`: nobody. */
export interface UserSession {
  name?: string;
  /** What the push socket's `sendAuth` wants. */
  session?: string;
  active?: boolean;
  admin?: boolean;
  user?: boolean;
  apikey?: string | null;
  settings?: Record<string, unknown>;
  groups?: string[];
  permissions?: string[];
  roles?: string[];
  needs: Record<string, string[]>;
  _is_external_client?: boolean;
  _login_mechanism?: string;
  /** When the password was last entered, or false. */
  _credentials_seen?: string | false;
}

export interface CurrentUser {
  name: string | null;
  groups: string[];
  permissions: string[];
}

export interface LoginOptions extends RequestOptions {
  /** Further members of the login, e.g. a one-time code. */
  additionalPayload?: Record<string, unknown>;
}

/** Logging in and out. */
export class BrowserClient {
  readonly base: BaseClient;

  constructor(base: BaseClient) {
    this.base = base;
  }

  login(user: string, pass: string, remember = false, opts: LoginOptions = {}): ClientPromise<UserSession> {
    const { additionalPayload, ...rest } = opts;
    const data = { user, pass, remember: Boolean(remember), ...additionalPayload };
    return this.base.postJson('api/login', data, { ...rest, apikey: false });
  }

  passiveLogin(opts?: RequestOptions): ClientPromise<UserSession> {
    return this.base.postJson('api/login', { passive: true }, opts);
  }

  logout(opts?: RequestOptions): ClientPromise<UserSession> {
    return this.base.postJson('api/logout', {}, { ...opts, apikey: false });
  }

  currentUser(opts?: RequestOptions): ClientPromise<CurrentUser> {
    return this.base.get('api/currentuser', opts);
  }
}
