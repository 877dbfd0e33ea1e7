export { AppKeysClient } from './appkeys.js';
export type { AppKey, DecisionState, KeyList, KeyRequested, PendingKeyRequest } from './appkeys.js';
export type { AuthenticateOptions, AuthenticateProgress } from './authenticate.js';
export type { ClientOptions, RequestOptions } from './base.js';
export { BrowserClient } from './browser.js';
export type { CurrentUser, LoginOptions, UserSession } from './browser.js';
export { LatchkeyClient, LatchkeyClient as default } from './client.js';
export { MemoryCookies } from './cookies.js';
export type { CookieStore } from './cookies.js';
export { AppKeysError, ClientError, RequestError, SessionKeyError } from './errors.js';
export type { ErrorCode, ErrorDetails } from './errors.js';
export { ClientPromise } from './promise.js';
export { SessionKeysClient } from './session-keys.js';
export type { SessionKey, SessionKeyRequest, Signer, UnverifiedKey, VerifyRequest } from './session-keys.js';
export { SocketClient } from './socket.js';
export type {
  ConnectOptions,
  MessageHandler,
  SocketMessage,
  Subscription,
  WebSocketConstructor,
  WebSocketLike,
} from './socket.js';
