export { AppConnection } from './app-connection.js';
export type { AppConnectionOptions, AskOptions, ConnectionCredentials, ConnectionInfo, SocketOptions } from './app-connection.js';
export { AppKeysClient } from './appkeys.js';
export type { AppKey, DecisionState, KeyList, KeyRequested, PendingKeyRequest } from './appkeys.js';
export type { AuthenticateOptions, AuthenticateProgress } from './authenticate.js';
export type { ClientOptions, RequestOptions } from './base.js';
export { BrowserClient } from './browser.js';
export type { CurrentUser, LoginOptions, UserSession } from './browser.js';
export { LatchkeyClient, LatchkeyClient as default } from './client.js';
export {
  CompletionCancelledError,
  CompletionError,
  CompletionFailedError,
  CompletionIncompleteError,
  ForeignCompletionError,
  NotACompletionError,
  parseCompletion,
} from './completion.js';
export type { Completion, CompletionCode, ParseOptions } from './completion.js';
export { MemoryCookies } from './cookies.js';
export type { CookieStore } from './cookies.js';
export { AppKeysError, ClientError, RequestError, SessionKeyError } from './errors.js';
export type { ErrorCode, ErrorDetails } from './errors.js';
export { createPkce, redeemCode, startUrl } from './portal.js';
export type { Pkce, RedeemOptions, StartOptions } from './portal.js';
export { ClientPromise } from './promise.js';
export {
  ConnectionEndedError,
  ConnectionNotFoundError,
  CredentialsRefusedError,
  DownloadTooLargeError,
  HostFailedError,
  HostUpdateRequiredError,
  NoActivePrintError,
  NoBetaAccessError,
  OwnerNotEntitledError,
  PrinterOfflineError,
  PrinterTimeoutError,
  RelayError,
  RelayFailedError,
  UploadTooLargeError,
  WebcamLimitError,
} from './relay-errors.js';
export type { Retry } from './relay-errors.js';
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
