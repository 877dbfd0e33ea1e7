// Latchkey client. MIT OR Apache-2.0. Built from client-js/src; do not edit.

// src/errors.ts
var ClientError = class extends Error {
  code;
  status;
  responseText;
  responseJSON;
  constructor(code, message, details = {}) {
    super(message, details.cause === void 0 ? void 0 : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.status = details.status;
    this.responseText = details.responseText;
    this.responseJSON = details.responseJSON;
  }
};
var RequestError = class extends ClientError {
};
var AppKeysError = class extends ClientError {
};
var SessionKeyError = class extends ClientError {
};
var CODES = {
  400: "bad_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  429: "rate_limited",
  // From 600 on: what a Latchkey relay says about an app connection.
  601: "offline",
  602: "timeout",
  603: "ended",
  604: "ended",
  605: "forbidden",
  606: "unauthorized",
  607: "too_large",
  608: "too_large"
};
function codeOfStatus(status) {
  const known = CODES[status];
  if (known) return known;
  if (status >= 300 && status < 400) return "redirected";
  if (status >= 400 && status < 500) return "bad_request";
  return "server_error";
}
function sentenceOf(body) {
  if (typeof body !== "object" || body === null) return void 0;
  const { error, Error: relay } = body;
  for (const sentence of [error, relay]) {
    if (typeof sentence === "string" && sentence) return sentence;
  }
  return void 0;
}

// src/address.ts
function parseAddress(baseurl) {
  const page = globalThis.location?.href;
  let base;
  try {
    base = new URL(baseurl ?? "/", page);
  } catch (cause) {
    const message = baseurl === void 0 ? "baseurl is missing" : "baseurl is not an address";
    throw new ClientError("invalid_argument", message, { cause });
  }
  if (base.protocol !== "http:" && base.protocol !== "https:") {
    throw new ClientError("invalid_argument", "baseurl must begin with http:// or https://");
  }
  base.search = "";
  base.hash = "";
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  const socket = new URL("sockjs/websocket", base);
  socket.protocol = base.protocol === "https:" ? "wss:" : "ws:";
  socket.username = base.username;
  socket.password = base.password;
  let authorization;
  if (base.username || base.password) {
    const pair = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
    authorization = `Basic ${base64(new TextEncoder().encode(pair))}`;
    base.username = "";
    base.password = "";
  }
  return { base, authorization, socket };
}
function cookieSuffix(base) {
  const port = base.port || (base.protocol === "https:" ? "443" : "80");
  const prefix = base.pathname.replace(/\/$/, "");
  return prefix ? `_P${port}_R${prefix.replaceAll("/", "|")}` : `_P${port}`;
}
function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

// src/http.ts
async function exchange(fetch, request2) {
  const { signal, timeout: timeout2 } = request2;
  if (signal?.aborted) throw aborted(signal.reason);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(TIMED_OUT), timeout2);
  const abort = () => stop.abort(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([send(fetch, request2, stop.signal), rejectOn(stop.signal)]);
  } catch (cause) {
    if (signal?.aborted) throw aborted(signal.reason);
    if (stop.signal.aborted) throw new RequestError("timeout", `no answer within ${timeout2 / 1e3} s`);
    if (cause instanceof ClientError) throw cause;
    throw new RequestError("network", "the server could not be reached", { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
var TIMED_OUT = new Error("timed out");
async function send(fetch, request2, signal) {
  const { method, url, headers, body, credentials, redirect } = request2;
  const init = { method, headers, credentials, redirect, signal, cache: "no-store" };
  if (body !== void 0) init.body = body;
  const response = await fetch(url.href, init);
  if (response.type === "opaqueredirect") return { status: 302, text: "", headers: response.headers };
  return { status: response.status, text: await response.text(), headers: response.headers };
}
function rejectOn(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(TIMED_OUT), { once: true });
  });
}
function aborted(reason) {
  return new RequestError("aborted", "cancelled", { cause: reason });
}
function readAnswer(answer, wanted) {
  const { status, text, headers } = answer;
  const isJson = /^application\/(.*\+)?json\b/i.test(headers.get("content-type") ?? "");
  if (status < 200 || status >= 300) {
    const responseJSON = isJson ? parsed(text) : void 0;
    throw new RequestError(codeOfStatus(status), refusal(answer, responseJSON), {
      status,
      responseText: text,
      responseJSON
    });
  }
  if (wanted.expect !== void 0 && status !== wanted.expect) {
    const message = `the server answered ${status} instead of ${wanted.expect}`;
    throw new RequestError("invalid_response", message, { status, responseText: text });
  }
  if (wanted.dataType === "text") return text;
  if (status === 204 || text.trim() === "") return void 0;
  const value = parsed(text);
  if (value === void 0) {
    throw new RequestError("invalid_response", "the answer is not JSON", { status, responseText: text });
  }
  return value;
}
function refusal({ status, headers }, body) {
  if (status >= 300 && status < 400) {
    const to = headers.get("location");
    return `the server redirects${to ? ` to ${originOf(to)}` : ""}; use that address as baseurl`;
  }
  const sentence = sentenceOf(body);
  return sentence ? `the server answered ${status}: ${sentence}` : `the server answered ${status}`;
}
function originOf(target) {
  try {
    return new URL(target).origin;
  } catch {
    return "another path";
  }
}
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return void 0;
  }
}

// src/completion.ts
var CompletionError = class extends ClientError {
  /** The relay's own word, e.g. `cancelled`; missing where it gave none. */
  error;
  constructor(code, message, error, details) {
    super(code, message, details);
    this.error = error;
  }
};
var CompletionCancelledError = class extends CompletionError {
};
var CompletionFailedError = class extends CompletionError {
};
var CompletionIncompleteError = class extends CompletionError {
  /** The names of what is missing. */
  missing;
  constructor(missing) {
    super("invalid_response", `the relay left out ${missing.join(", ")}`);
    this.missing = missing;
  }
};
var NotACompletionError = class extends CompletionError {
};
var ForeignCompletionError = class extends CompletionError {
};
var CANCELLED = /^(cancel+ed|access_denied|denied|refused|user_cancel+ed)$/i;
var NEEDED = ["id", "url", "appApiToken"];
var EXPECTED = ["authBasicHttpUser", "authBasicHttpPassword", "authBearerToken"];
function parseCompletion(url, options = {}) {
  const parameters = parametersOf(String(url));
  const success = parameters.get("success");
  if (success !== "true" && success !== "false") {
    throw new NotACompletionError("invalid_argument", "this is not an address where a portal ends");
  }
  const state = parameters.get("state");
  const code = parameters.get("code");
  const mayMiss = options.allowMissingState === true && !code;
  if (options.state !== void 0 && state !== options.state && !(state === void 0 && mayMiss)) {
    throw foreign();
  }
  if (success === "false") throw failure(parameters);
  if (code) return { mode: "code", code, state };
  return completionOf((name) => parameters.get(name), options.relay);
}
function foreign() {
  return new ForeignCompletionError("invalid_response", "this completion belongs to another run of the portal");
}
function failure(parameters) {
  const error = parameters.get("error");
  const description = parameters.get("errordescription");
  const said = [error, description].filter(Boolean).join(", ");
  if (error && CANCELLED.test(error)) {
    return new CompletionCancelledError("denied", `the portal was cancelled: ${said}`, error);
  }
  const message = said ? `the portal ended without access: ${said}` : "the portal ended without access";
  return new CompletionFailedError("denied", message, error);
}
function completionOf(get, relay) {
  const missing = [
    ...NEEDED.filter((name) => !get(name.toLowerCase())),
    ...EXPECTED.filter((name) => get(name.toLowerCase()) === void 0)
  ];
  if (missing.length > 0) throw new CompletionIncompleteError(missing);
  const value = (name) => get(name.toLowerCase()) ?? "";
  const optional = (name) => get(name.toLowerCase()) || void 0;
  return {
    mode: "parameters",
    id: value("id"),
    url: rootOf(value("url"), relay),
    appApiToken: value("appApiToken"),
    authBasicHttpUser: value("authBasicHttpUser"),
    authBasicHttpPassword: value("authBasicHttpPassword"),
    authBearerToken: value("authBearerToken"),
    printerName: optional("printerName"),
    userPrinterAccessUrl: optional("userPrinterAccessUrl"),
    printerLastKnownLocalIp: optional("printerLastKnownLocalIp"),
    octoPrintApiKey: optional("octoPrintApiKey"),
    relay
  };
}
function rootOf(text, relay) {
  let url;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new CompletionFailedError("invalid_response", "the relay gave an address that is none", void 0, { cause });
  }
  if (!/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new CompletionFailedError("invalid_response", "the relay gave an address that cannot be used");
  }
  if (url.protocol === "http:" && relay !== void 0 && /^\s*https:/i.test(relay)) {
    throw new CompletionFailedError("invalid_response", "the relay is at https:// and gave an address at http://");
  }
  return text.replace(/\/+$/, "");
}
function parametersOf(url) {
  const [address = ""] = url.split("#");
  const start = address.indexOf("?");
  const found = /* @__PURE__ */ new Map();
  if (start < 0) return found;
  for (const pair of address.slice(start + 1).split("&")) {
    const [name = "", ...rest] = pair.split("=");
    const key = decode(name).toLowerCase();
    if (key && !found.has(key)) found.set(key, decode(spaces(key, rest.join("="))));
  }
  return found;
}
function spaces(key, value) {
  return /^(printername|errordescription|error)$/.test(key) ? value.replaceAll("+", " ") : value;
}
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// src/relay-errors.ts
var RelayError = class extends RequestError {
  /** Asking again in the same way will never help. */
  isPermanent;
  retry;
  /** The app connection is over: forget it, and lead the person through the portal anew. */
  isOver;
  constructor(code, message, details, retry, isOver = false) {
    super(code, message, details);
    this.retry = retry;
    this.isPermanent = retry === "never";
    this.isOver = isOver;
  }
};
var RelayFailedError = class extends RelayError {
};
var PrinterOfflineError = class extends RelayError {
};
var PrinterTimeoutError = class extends RelayError {
};
var ConnectionNotFoundError = class extends RelayError {
};
var ConnectionEndedError = class extends RelayError {
};
var OwnerNotEntitledError = class extends RelayError {
};
var CredentialsRefusedError = class extends RelayError {
};
var DownloadTooLargeError = class extends RelayError {
};
var UploadTooLargeError = class extends RelayError {
};
var WebcamLimitError = class extends RelayError {
};
var HostUpdateRequiredError = class extends RelayError {
};
var NoBetaAccessError = class extends RelayError {
};
var HostFailedError = class extends RelayError {
};
var NoActivePrintError = class extends RelayError {
};
var KNOWN = {
  600: [RelayFailedError, "server_error", "soon", "something went wrong on the way to the printer"],
  601: [PrinterOfflineError, "offline", "soon", "the printer is not connected"],
  602: [PrinterTimeoutError, "timeout", "soon", "the printer did not answer in time"],
  603: [ConnectionNotFoundError, "ended", "never", "this app connection does not exist"],
  604: [ConnectionEndedError, "ended", "never", "this app connection is over"],
  605: [OwnerNotEntitledError, "forbidden", "later", "the owner cannot use app connections at present"],
  606: [CredentialsRefusedError, "unauthorized", "never", "the credentials are missing or wrong"],
  607: [DownloadTooLargeError, "too_large", "never", "the answer is larger than allowed"],
  608: [UploadTooLargeError, "too_large", "never", "what was sent is larger than allowed"],
  609: [WebcamLimitError, "rate_limited", "later", "the webcam was used too much"],
  610: [HostUpdateRequiredError, "unsupported", "later", "the software at the printer must be updated"],
  611: [NoBetaAccessError, "forbidden", "later", "the owner has no access to this beta"],
  612: [HostFailedError, "server_error", "soon", "the software at the printer failed"],
  613: [NoActivePrintError, "not_found", "later", "nothing is printed"]
};
function isRelayStatus(status) {
  return status >= 600;
}
function relayError(status, text = "") {
  let responseJSON;
  try {
    responseJSON = JSON.parse(text);
  } catch {
  }
  const known = KNOWN[status];
  const details = { status, responseText: text, responseJSON };
  const sentence = sentenceOf(responseJSON) ?? known?.[3] ?? "the relay refused";
  const message = `the relay answered ${status}: ${sentence}`;
  if (!known) return new RelayError("server_error", message, details, "later");
  const [Known, code, retry] = known;
  return new Known(code, message, details, retry, status === 603 || status === 604);
}

// src/portal.ts
function startUrl(relay, options) {
  if (!options.appId) throw new ClientError("invalid_argument", "appId is missing");
  const { codeChallenge, moonraker } = options;
  const parameters = {
    appId: options.appId,
    returnUrl: options.returnUrl,
    printerId: options.printerId,
    octoPrintApiKeyAppName: options.octoPrintApiKeyAppName,
    appLogoUrl: options.appLogoUrl,
    authType: options.authType,
    moonraker: moonraker === void 0 ? void 0 : String(moonraker),
    responseMode: codeChallenge ? "code" : void 0,
    codeChallenge,
    codeChallengeMethod: codeChallenge ? "S256" : void 0,
    state: options.state
  };
  const pairs = Object.entries(parameters).filter(([, value]) => value);
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return `${at(relay, "appportal/v1")}?${query}`;
}
async function createPkce(crypto = globalThis.crypto) {
  if (!crypto?.subtle) {
    const message = "this page cannot hash: browsers offer WebCrypto only over https and on localhost";
    throw new ClientError("no_webcrypto", message);
  }
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return { verifier, challenge: base64url(new Uint8Array(hash)), method: "S256" };
}
async function redeemCode(relay, code, verifier, options = {}) {
  const fetch = options.fetch ?? globalThis.fetch;
  const answer = await exchange(fetch, {
    method: "POST",
    url: new URL(at(relay, "appportal/v1/token")),
    headers: new Headers({ "Content-Type": "application/json", Accept: "application/json" }),
    body: JSON.stringify({ code, codeVerifier: verifier }),
    credentials: "omit",
    redirect: "manual",
    timeout: options.timeout ?? 3e4,
    signal: options.signal
  });
  const { status, text } = answer;
  if (isRelayStatus(status)) throw relayError(status, text);
  if (status === 400) throw refused(text);
  const given = readAnswer(answer, { expect: 200 });
  if (typeof given !== "object" || given === null) {
    throw new CompletionError("invalid_response", "the relay answered something else than was asked for");
  }
  const members = /* @__PURE__ */ new Map();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "string" && !members.has(name.toLowerCase())) members.set(name.toLowerCase(), value);
  }
  return completionOf((name) => members.get(name), at(relay, "").replace(/\/$/, ""));
}
function refused(text) {
  let said = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
  }
  const error = typeof said.error === "string" ? said.error : void 0;
  const description = typeof said.errorDescription === "string" ? said.errorDescription : void 0;
  const why = [error, description].filter(Boolean).join(", ") || "it does not say why";
  return new CompletionError("expired", `the relay did not take the code (${why}); a code is good once and for a minute`, error, {
    status: 400,
    responseText: text
  });
}
function at(relay, path) {
  let base;
  try {
    base = new URL(relay);
  } catch (cause) {
    throw new ClientError("invalid_argument", "the relay needs an address such as https://relay.example.com", { cause });
  }
  if (!/^https?:$/.test(base.protocol)) {
    throw new ClientError("invalid_argument", "the address of the relay must begin with http:// or https://");
  }
  return `${base.origin}${base.pathname.replace(/\/*$/, "/")}${path}`;
}
function base64url(bytes) {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// src/app-connection.ts
var TIMEOUT = 3e4;
var AppConnection = class {
  /** The printer's root, without a slash at the end. */
  url;
  /** The field `Authorization`, for what makes its own requests; missing where the hostname is the credential. */
  authorization;
  options;
  #origin;
  #token;
  #relay;
  #pair;
  constructor(completion, options = {}) {
    const { url, appApiToken, authBasicHttpUser: user, authBasicHttpPassword: password } = completion;
    this.#origin = originOf2(url);
    this.url = url.replace(/\/+$/, "");
    this.options = options;
    this.#token = appApiToken;
    this.#relay = options.relay ?? completion.relay;
    this.#pair = user && password ? { user, password } : void 0;
    this.authorization = authorizationOf(completion.authBearerToken, this.#pair);
  }
  /** What the relay says of it. A printer that is not connected is no error. */
  async info(options = {}) {
    if (this.#relay === void 0) {
      throw new ClientError("invalid_argument", "info() needs the address of the relay: new AppConnection(completion, { relay })");
    }
    const answer = await exchange(this.#fetch(), {
      method: "GET",
      url: new URL(at(this.#relay, "api/appconnection/info")),
      headers: new Headers({ AppToken: this.#token, Accept: "application/json" }),
      credentials: "omit",
      redirect: "manual",
      timeout: options.timeout ?? TIMEOUT,
      signal: options.signal
    });
    if (isRelayStatus(answer.status)) throw relayError(answer.status, answer.text);
    const body = readAnswer(answer, { expect: 200 });
    const info = body?.Result ?? body;
    if (typeof info?.IsOnline !== "boolean") {
      throw new RequestError("invalid_response", "the relay answered something else than was asked for");
    }
    return info;
  }
  /**
   * As the global `fetch`, with the credential, for a path at the printer. What the relay says itself is thrown as a
   * `RelayError`; every answer of the printer's server is returned, refusals too.
   */
  async fetch(path, init = {}) {
    const url = this.#address(path);
    const headers = new Headers(init.headers);
    if (this.authorization) headers.set("Authorization", this.authorization);
    const fetch = this.#fetch();
    let response;
    try {
      response = await fetch(url, { credentials: "omit", redirect: "manual", ...init, headers });
    } catch (cause) {
      if (init.signal?.aborted) throw aborted(init.signal.reason);
      throw new RequestError("network", "the relay could not be reached", { cause });
    }
    if (!isRelayStatus(response.status)) return response;
    throw relayError(response.status, await response.text().catch(() => ""));
  }
  /**
   * Opens a WebSocket at the printer; resolves once it is open. Browsers do not tell why one fails, so the same path
   * is asked once more with GET, and what the relay says to that is thrown.
   */
  async webSocket(path, options = {}) {
    const { signal } = options;
    if (signal?.aborted) throw aborted(signal.reason);
    const socket = this.#open(path, options.protocols ?? []);
    options.setUp?.(socket);
    try {
      await opened(socket, options.timeout ?? TIMEOUT, signal);
      return socket;
    } catch (error) {
      socket.close();
      if (error instanceof ClientError) throw error;
      throw await this.#why(path, signal, error);
    }
  }
  #open(path, protocols) {
    const own = globalThis.WebSocket;
    const Socket = this.options.WebSocket ?? own;
    if (!Socket) throw new ClientError("invalid_argument", "there is no WebSocket; pass one as an option");
    const url = new URL(this.#address(path));
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const headers = this.authorization ? { Authorization: this.authorization } : {};
    if (isBrowser()) {
      if (this.#pair) {
        url.username = this.#pair.user;
        url.password = this.#pair.password;
      }
      return new Socket(url.href, protocols);
    }
    return Socket === own ? new Socket(url.href, { protocols, headers }) : new Socket(url.href, protocols, { headers });
  }
  async #why(path, signal, cause) {
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => stop.abort(), 1e4);
    try {
      const response = await this.fetch(path, { signal: stop.signal });
      void response.body?.cancel().catch(() => void 0);
    } catch (error) {
      if (signal?.aborted) return aborted(signal.reason);
      if (error instanceof RequestError && error.code !== "aborted") return error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
    const unproven = isBrowser() && this.authorization !== void 0;
    const message = unproven ? "the WebSocket could not be opened; this browser may not send credentials with WebSockets" : "the WebSocket could not be opened, although the relay lets requests through";
    return new RequestError(unproven ? "unsupported" : "network", message, { cause });
  }
  /** Byte for byte below the printer's root. Credentials go nowhere else. */
  #address(path) {
    if (/^[a-z][a-z0-9+.-]*:/i.test(path)) {
      if (originOf2(path) !== this.#origin) {
        throw new ClientError("invalid_argument", "the app connection leads to one printer, and this address is elsewhere");
      }
      return path;
    }
    return `${this.url}${path.startsWith("/") ? "" : "/"}${path}`;
  }
  // Called through a variable: browsers refuse a fetch that is called as somebody's method.
  #fetch() {
    const fetch = this.options.fetch ?? globalThis.fetch;
    if (typeof fetch !== "function") throw new ClientError("invalid_argument", "there is no fetch; pass one as an option");
    return (url, init) => fetch(url, init);
  }
};
function opened(socket, timeout2, signal) {
  return new Promise((resolve, reject) => {
    const { onopen, onclose, onerror } = socket;
    const done = (settle) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      Object.assign(socket, { onopen, onclose, onerror: onerror ?? (() => void 0) });
      settle();
    };
    const fail = (error) => done(() => reject(error));
    const abort = () => fail(aborted(signal?.reason));
    const timer = setTimeout(() => fail(new RequestError("timeout", `not open within ${timeout2 / 1e3} s`)), timeout2);
    signal?.addEventListener("abort", abort, { once: true });
    socket.onopen = (event) => done(() => {
      resolve();
      onopen?.call(socket, event);
    });
    socket.onclose = fail;
    socket.onerror = () => void 0;
  });
}
function authorizationOf(bearer, pair) {
  if (bearer) return `Bearer ${bearer}`;
  return pair && `Basic ${base64(new TextEncoder().encode(`${pair.user}:${pair.password}`))}`;
}
function originOf2(text) {
  let url;
  try {
    url = new URL(text);
  } catch {
  }
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new ClientError("invalid_argument", "an app connection has an address that begins with http:// or https://");
  }
  return url.origin;
}
function isBrowser() {
  return typeof window !== "undefined" || typeof globalThis.importScripts === "function";
}

// src/promise.ts
function call(callbacks, value) {
  for (const callback of callbacks) {
    try {
      callback(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
var ClientPromise = class _ClientPromise extends Promise {
  #listeners = [];
  /** Runs `work`, which may report progress before it ends. */
  static run(work) {
    const promise = new _ClientPromise((resolve, reject) => {
      Promise.resolve().then(() => work((progress) => call(promise.#listeners, progress))).then(resolve, reject);
    });
    return promise;
  }
  done(...callbacks) {
    super.then((value) => call(callbacks, value), () => void 0);
    return this;
  }
  fail(...callbacks) {
    super.then(void 0, (reason) => call(callbacks, reason));
    return this;
  }
  always(...callbacks) {
    super.then(
      (value) => call(callbacks, value),
      (reason) => call(callbacks, reason)
    );
    return this;
  }
  /** Listens to what happens on the way. */
  progress(...callbacks) {
    this.#listeners.push(...callbacks);
    return this;
  }
  promise() {
    return this;
  }
};

// src/authenticate.ts
var SERVER_GIVES_UP = 6e5;
var UNPOLLED = 5e3;
var SLOWEST_POLL = 4e3;
var ONE_POLL = 1e4;
var OUTAGE = 2e4;
var NO_SUCH_THING = ["not_found", "forbidden", "bad_request", "invalid_response"];
var TRANSIENT = ["network", "timeout", "server_error", "offline", "rate_limited"];
function authenticate(client, app, user, opts = {}) {
  return ClientPromise.run(async (notify) => {
    try {
      await probe(client, opts.signal);
      const requested = await request(client, app, user, opts.signal);
      const authDialog = openable(requested.auth_dialog);
      notify({ state: "requested", appToken: requested.app_token, authDialog });
      if (authDialog !== void 0) opts.onDialog?.(authDialog, requested);
      return await poll(client, requested.app_token, opts, notify);
    } catch (error) {
      throw typed(error);
    }
  });
}
async function probe(client, signal) {
  try {
    await client.probe({ signal });
  } catch (error) {
    const { code, status = 600 } = error;
    if (code !== void 0 && NO_SUCH_THING.includes(code) && status < 600) throw unsupported(status, error);
    throw error;
  }
}
async function request(client, app, user, signal) {
  const requested = await client.requestForUser(app, user, { signal });
  if (!requested || typeof requested.app_token !== "string" || !requested.app_token) {
    throw new AppKeysError("invalid_response", "the server gave no token to poll with");
  }
  return requested;
}
async function poll(client, token, opts, notify) {
  const { signal } = opts;
  const patience = opts.timeout ?? SERVER_GIVES_UP;
  const interval = Math.min(Math.max(opts.interval ?? 1e3, 1), SLOWEST_POLL);
  const began = performance.now();
  let heard = began;
  let outage = false;
  for (; ; ) {
    const left = began + patience - performance.now();
    if (left <= 0) throw timeout();
    await pause(Math.min(interval, left), signal);
    const asked = performance.now();
    try {
      const answer = await client.checkDecision(token, { signal, timeout: ONE_POLL });
      if (answer?.api_key) return answer.api_key;
      heard = asked;
      outage = false;
      notify({ state: "waiting" });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.code === "not_found") throw refused2({ began, heard, asked, outage }, error);
      if (!TRANSIENT.includes(error.code) || asked - heard > OUTAGE) throw error;
      outage = true;
    }
  }
}
function refused2({ began, heard, asked, outage }, cause) {
  if (performance.now() - heard >= UNPOLLED || asked - began >= SERVER_GIVES_UP) return timeout(cause);
  if (outage) {
    const message = "an answer was lost, and with it perhaps the key; ask again";
    return new AppKeysError("network", message, { status: 404, cause });
  }
  return new AppKeysError("denied", "access was denied", { status: 404, cause });
}
function timeout(cause) {
  return new AppKeysError("timeout", "nobody decided in time", { status: cause?.status, cause });
}
function unsupported(status, cause) {
  return new AppKeysError("unsupported", "the server does not offer Application Keys; enter a key by hand", {
    status,
    cause
  });
}
function typed(error) {
  if (!(error instanceof ClientError) || error instanceof AppKeysError) return error;
  const { code, message, status, responseText, responseJSON, cause } = error;
  return new AppKeysError(code, message, { status, responseText, responseJSON, cause });
}
function openable(address) {
  if (typeof address !== "string") return void 0;
  try {
    const { protocol } = new URL(address);
    return protocol === "http:" || protocol === "https:" ? address : void 0;
  } catch {
    return void 0;
  }
}
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new AppKeysError("aborted", "cancelled", { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

// src/appkeys.ts
var AppKeysClient = class {
  base;
  constructor(base) {
    this.base = base;
  }
  getKeys(opts) {
    return this.base.simpleApiGet("appkeys", opts);
  }
  getAllKeys(opts) {
    return this.base.get(`${this.base.getSimpleApiUrl("appkeys")}?all=true`, opts);
  }
  getKey(app, user, opts) {
    if (typeof user === "object" && user !== null) return this.getKey(app, void 0, user);
    const query = new URLSearchParams(user ? { app, user } : { app });
    return this.base.get(`${this.base.getSimpleApiUrl("appkeys")}?${query}`, opts);
  }
  generateKey(app, opts) {
    return this.base.simpleApiCommand("appkeys", "generate", { app }, opts);
  }
  generateKeyForUser(user, app, opts) {
    return this.base.simpleApiCommand("appkeys", "generate", { app, user }, opts);
  }
  /** @deprecated Since OctoPrint 1.10: use `revokeKeyForApp`. */
  revokeKey(key, opts) {
    return this.base.simpleApiCommand("appkeys", "revoke", { key }, opts);
  }
  revokeKeyForApp(app, user, opts) {
    return this.base.simpleApiCommand("appkeys", "revoke", user ? { app, user } : { app }, opts);
  }
  /** Grants or denies; `userToken` comes by the push socket or from `getKeys`. */
  decide(userToken, decision, opts) {
    const url = `${this.base.getBlueprintUrl("appkeys")}decision/${encodeURIComponent(userToken)}`;
    return this.base.postJson(url, { decision: Boolean(decision) }, opts);
  }
  /** Resolves where the server knows Application Keys. */
  probe(opts) {
    return this.base.get(`${this.base.getBlueprintUrl("appkeys")}probe`, { ...opts, expect: 204 });
  }
  request(app, opts) {
    return this.requestForUser(app, void 0, opts);
  }
  requestForUser(app, user, opts) {
    const url = `${this.base.getBlueprintUrl("appkeys")}request`;
    return this.base.postJson(url, { app, user: user || null }, { ...opts, csrf: false });
  }
  checkDecision(appToken, opts) {
    return this.base.get(`${this.base.getBlueprintUrl("appkeys")}request/${encodeURIComponent(appToken)}`, opts);
  }
  /** Probes, asks, and polls every second until somebody decides. Resolves with the key. */
  authenticate(app, user, opts) {
    return authenticate(this, app, user, opts);
  }
};

// src/browser.ts
var BrowserClient = class {
  base;
  constructor(base) {
    this.base = base;
  }
  login(user, pass, remember = false, opts = {}) {
    const { additionalPayload, ...rest } = opts;
    const data = { user, pass, remember: Boolean(remember), ...additionalPayload };
    return this.base.postJson("api/login", data, { ...rest, apikey: false });
  }
  passiveLogin(opts) {
    return this.base.postJson("api/login", { passive: true }, opts);
  }
  logout(opts) {
    return this.base.postJson("api/logout", {}, { ...opts, apikey: false });
  }
  currentUser(opts) {
    return this.base.get("api/currentuser", opts);
  }
};

// src/cookies.ts
var MOST_COOKIES = 100;
var browserCookies = {
  works: (url) => globalThis.location?.origin === url.origin,
  get(name, url) {
    if (!browserCookies.works(url)) return void 0;
    for (const pair of document.cookie.split("; ")) {
      if (pair.startsWith(`${name}=`)) return decode2(pair.slice(name.length + 1));
    }
    return void 0;
  },
  header: () => void 0,
  take: () => void 0
};
var MemoryCookies = class {
  #kept = /* @__PURE__ */ new Map();
  works() {
    return true;
  }
  get(name, url) {
    const found = this.#sent(url).find((cookie) => cookie.name === name);
    return found && decode2(found.value);
  }
  header(url) {
    const pairs = this.#sent(url).map((cookie) => `${cookie.name}=${cookie.value}`);
    return pairs.length > 0 ? pairs.join("; ") : void 0;
  }
  take(url, fields2) {
    for (const field of fields2) {
      const cookie = parse(field, url);
      if (!cookie) continue;
      const others = (this.#kept.get(url.host) ?? []).filter(
        (kept) => kept.name !== cookie.name || kept.path !== cookie.path
      );
      if (cookie.expires === void 0 || cookie.expires > Date.now()) others.push(cookie);
      this.#kept.set(url.host, others.slice(-MOST_COOKIES));
    }
  }
  // The longest path first, as browsers do.
  #sent(url) {
    return (this.#kept.get(url.host) ?? []).filter((cookie) => pathCovers(cookie.path, url.pathname)).filter((cookie) => !cookie.secure || url.protocol === "https:").filter((cookie) => cookie.expires === void 0 || cookie.expires > Date.now()).sort((a, b) => b.path.length - a.path.length);
  }
};
function parse(field, url) {
  const [pair = "", ...attributes] = field.split(";");
  const at2 = pair.indexOf("=");
  if (at2 < 1) return void 0;
  const directory = url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf("/")));
  const cookie = {
    name: pair.slice(0, at2).trim(),
    value: pair.slice(at2 + 1).trim(),
    path: directory,
    secure: false,
    expires: void 0
  };
  let maxAge;
  for (const attribute of attributes) {
    const [name = "", value = ""] = attribute.split(/=(.*)/s).map((part) => part.trim());
    switch (name.toLowerCase()) {
      case "path":
        if (value.startsWith("/")) cookie.path = value;
        break;
      case "secure":
        cookie.secure = true;
        break;
      case "max-age":
        if (/^-?\d+$/.test(value)) maxAge = Date.now() + Number(value) * 1e3;
        break;
      case "expires":
        if (!Number.isNaN(Date.parse(value))) cookie.expires = Date.parse(value);
        break;
    }
  }
  if (maxAge !== void 0) cookie.expires = maxAge;
  return cookie;
}
function pathCovers(path, asked) {
  if (asked === path) return true;
  return asked.startsWith(path.endsWith("/") ? path : `${path}/`);
}
function decode2(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

// src/base.ts
var TIMEOUT2 = 3e4;
var SAFE = /^(GET|HEAD|OPTIONS)$/;
var BaseClient = class {
  options;
  #cookies;
  #address;
  constructor(options = {}) {
    this.options = options;
    this.#cookies = options.cookies ?? (typeof document === "undefined" ? new MemoryCookies() : browserCookies);
  }
  getBaseUrl() {
    return this.address().base.href;
  }
  getParsedBaseUrl() {
    return new URL(this.address().base);
  }
  getCookieSuffix() {
    return cookieSuffix(this.address().base);
  }
  getCookieName(name) {
    return name + this.getCookieSuffix();
  }
  getCookie(name) {
    return this.#cookies.get(this.getCookieName(name), this.address().base);
  }
  /** The server's address, read anew when `options.baseurl` has changed. */
  address() {
    const from = this.options.baseurl;
    if (!this.#address || this.#address.from !== from) {
      this.#address = { from, parsed: parseAddress(from) };
    }
    return this.#address.parsed;
  }
  /** Sends a request and resolves with what the answer says. `url` is relative to the base URL, or absolute. */
  ajax(method, url, opts = {}) {
    return ClientPromise.run(() => this.#send(method.toUpperCase(), url, opts));
  }
  ajaxWithData(method, url, data, opts) {
    return this.ajax(method, url, { ...opts, data });
  }
  get(url, opts) {
    return this.ajax("GET", url, opts);
  }
  getWithQuery(url, query, opts) {
    return this.ajaxWithData("GET", url, query, opts);
  }
  post(url, data, opts) {
    return this.ajaxWithData("POST", url, data, opts);
  }
  postForm(url, data, opts) {
    const form = new FormData();
    for (const [name, value] of Object.entries(data)) {
      form.append(name, value instanceof Blob ? value : String(value));
    }
    return this.post(url, form, opts);
  }
  postJson(url, data, opts) {
    return this.#json("POST", url, data, opts);
  }
  put(url, data, opts) {
    return this.ajaxWithData("PUT", url, data, opts);
  }
  putJson(url, data, opts) {
    return this.#json("PUT", url, data, opts);
  }
  patch(url, data, opts) {
    return this.ajaxWithData("PATCH", url, data, opts);
  }
  patchJson(url, data, opts) {
    return this.#json("PATCH", url, data, opts);
  }
  delete(url, opts) {
    return this.ajax("DELETE", url, opts);
  }
  download(url, opts) {
    return this.ajax("GET", url, { ...opts, dataType: "text" });
  }
  issueCommand(url, command, payload, opts) {
    return this.postJson(url, { ...payload, command }, opts);
  }
  getSimpleApiUrl(plugin) {
    return `api/plugin/${plugin}`;
  }
  simpleApiGet(plugin, opts) {
    return this.get(this.getSimpleApiUrl(plugin), opts);
  }
  simpleApiCommand(plugin, command, payload, opts) {
    return this.issueCommand(this.getSimpleApiUrl(plugin), command, payload, opts);
  }
  getBlueprintUrl(plugin) {
    return `plugin/${plugin}/`;
  }
  #json(method, url, data, opts) {
    const text = JSON.stringify(data, (_, value) => value === void 0 ? null : value);
    return this.ajaxWithData(method, url, text, { ...opts, contentType: "application/json; charset=UTF-8" });
  }
  async #send(method, path, opts) {
    const { base } = this.address();
    const url = new URL(path, base);
    const { body, type } = bodyOf(method, url, opts);
    const headers = await this.#headers(method, url, opts);
    if (type && !headers.has("Content-Type")) headers.set("Content-Type", type);
    const answer = await this.#exchange(method, url, headers, body, opts);
    return readAnswer(answer, opts);
  }
  async #headers(method, url, opts) {
    const headers = new Headers(opts.headers);
    if (!SAFE.test(method) && method !== "DELETE") headers.set("Cache-Control", "no-cache");
    if (this.options.locale !== void 0) headers.set("X-Locale", this.options.locale);
    const { base, authorization } = this.address();
    if (url.origin !== base.origin) return headers;
    for (const [name, value] of Object.entries(this.options.headers ?? {})) {
      if (!headers.has(name)) headers.set(name, value);
    }
    if (authorization && !headers.has("Authorization")) headers.set("Authorization", authorization);
    if (this.#usesKey(opts)) {
      headers.set("X-Api-Key", this.options.apikey);
    } else if (!SAFE.test(method) && opts.csrf !== false) {
      const token = await this.#csrfToken(opts);
      if (token) headers.set("X-CSRF-Token", token);
    }
    return headers;
  }
  #usesKey(opts) {
    return Boolean(this.options.apikey) && opts.apikey !== false;
  }
  // The server sets the cookie with its pages, not with answers of its API.
  async #csrfToken(opts) {
    const { base, authorization } = this.address();
    const known = this.getCookie("csrf_token");
    if (known !== void 0 || !this.#cookies.works(base)) return known;
    const headers = new Headers({ Accept: "text/html", ...this.options.headers });
    if (authorization && !headers.has("Authorization")) headers.set("Authorization", authorization);
    const { signal, timeout: timeout2 } = opts;
    await this.#exchange("GET", new URL("login/", base), headers, void 0, { signal, timeout: timeout2, apikey: false });
    return this.getCookie("csrf_token");
  }
  async #exchange(method, url, headers, body, opts) {
    const { options } = this;
    const fetch = options.fetch ?? globalThis.fetch;
    if (typeof fetch !== "function") throw new ClientError("invalid_argument", "there is no fetch; pass one as an option");
    const withCookies = !this.#usesKey(opts) && url.origin === this.address().base.origin;
    const cookie = withCookies ? this.#cookies.header(url) : void 0;
    if (cookie) headers.set("Cookie", cookie);
    const answer = await exchange(fetch, {
      method,
      url,
      headers,
      body,
      credentials: options.credentials ?? (withCookies ? "same-origin" : "omit"),
      redirect: opts.redirect ?? "manual",
      timeout: opts.timeout ?? options.timeout ?? TIMEOUT2,
      signal: opts.signal
    });
    if (withCookies) this.#cookies.take(url, answer.headers.getSetCookie?.() ?? []);
    return answer;
  }
};
function bodyOf(method, url, opts) {
  const { data, contentType } = opts;
  if (data === void 0 || data === null) return {};
  if (SAFE.test(method)) {
    const query = typeof data === "string" ? new URLSearchParams(data) : fields(data);
    for (const [name, value] of query) url.searchParams.append(name, value);
    return {};
  }
  const given = contentType ? { type: contentType } : {};
  if (typeof data === "string") return { body: data, ...given };
  if (data instanceof FormData || data instanceof Blob || data instanceof URLSearchParams) {
    return { body: data, ...given };
  }
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return { body: data, ...given };
  return { body: fields(data), ...given };
}
function fields(data) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(data)) {
    if (value !== void 0 && value !== null) query.append(name, String(value));
  }
  return query;
}

// src/rsa-key.ts
var SEQUENCE = 48;
var INTEGER = 2;
var OCTETS = 4;
var RSA_HEADER = [2, 1, 0, 48, 13, 6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 1, 5, 0];
function readRsaKey(pem) {
  const match = /-----BEGIN (RSA |ENCRYPTED )?PRIVATE KEY-----([^-]*)-----END \1?PRIVATE KEY-----/.exec(pem);
  if (!match) throw invalid("it is not a PEM private key (PKCS#8 or PKCS#1)");
  const [, kind, text = ""] = match;
  if (kind === "ENCRYPTED " || text.includes("ENCRYPTED")) throw invalid("it is encrypted; decrypt it first");
  const der = decode3(text);
  try {
    if (kind === "RSA ") return { pkcs8: wrap(der), bits: modulusBits(der) };
    return { pkcs8: der, bits: modulusBits(inner(der)) };
  } catch (cause) {
    throw invalid("it is not an RSA key", cause);
  }
}
function invalid(why, cause) {
  return new SessionKeyError("invalid_private_key", `the private key cannot be used: ${why}`, { cause });
}
function decode3(text) {
  try {
    return Uint8Array.from(atob(text.replace(/\s+/g, "")), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw invalid("it is not BASE64", cause);
  }
}
function wrap(pkcs1) {
  return element(SEQUENCE, [...RSA_HEADER, ...element(OCTETS, [...pkcs1])]);
}
function element(tag, content) {
  const { length } = content;
  if (length < 128) return Uint8Array.from([tag, length, ...content]);
  const bytes = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 255);
  return Uint8Array.from([tag, 128 | bytes.length, ...bytes, ...content]);
}
function read(der, tag) {
  if (der[0] !== tag) throw new Error("unexpected element");
  let length = der[1] ?? 0;
  let at2 = 2;
  if (length & 128) {
    const end = at2 + (length & 127);
    if (end > at2 + 4) throw new Error("length too long");
    length = 0;
    for (; at2 < end; at2 += 1) length = length * 256 + (der[at2] ?? 0);
  }
  if (at2 + length > der.length) throw new Error("cut off");
  return { content: der.subarray(at2, at2 + length), rest: der.subarray(at2 + length) };
}
function inner(pkcs8) {
  const version = read(read(pkcs8, SEQUENCE).content, INTEGER);
  const algorithm = read(version.rest, SEQUENCE);
  const rsa = RSA_HEADER.slice(5);
  if (!rsa.every((byte, at2) => algorithm.content[at2] === byte)) throw new Error("another algorithm");
  return read(algorithm.rest, OCTETS).content;
}
function modulusBits(pkcs1) {
  const version = read(read(pkcs1, SEQUENCE).content, INTEGER);
  const modulus = read(version.rest, INTEGER).content;
  const first = modulus.findIndex((byte) => byte !== 0);
  if (first < 0) throw new Error("no modulus");
  return (modulus.length - first - 1) * 8 + (32 - Math.clz32(modulus[first] ?? 0));
}

// src/session-keys.ts
var SessionKeysClient = class {
  base;
  constructor(base) {
    this.base = base;
  }
  /** Fetches an unverified key, signs and verifies it. */
  authenticate(request2) {
    return ClientPromise.run(async () => {
      try {
        return await this.#authenticate(request2);
      } catch (error) {
        throw typed2(error);
      }
    });
  }
  getUnverifiedKey(opts) {
    return this.base.get("apps/auth", opts);
  }
  verify({ appid, appversion, key, signature }, opts) {
    const version = appversion === void 0 ? {} : { appversion };
    const data = { appid, ...version, key, _sig: signature };
    return this.base.postJson("apps/auth", data, { ...opts, csrf: false, apikey: false });
  }
  async #authenticate(request2) {
    const { appid, appversion, privateKey, signal } = request2;
    if (!appid) throw new SessionKeyError("invalid_argument", "appid is missing");
    let { sign } = request2;
    if (!sign) {
      if (!privateKey) throw new SessionKeyError("invalid_argument", "give a privateKey, or sign");
      sign = await webCryptoSigner(privateKey, this.base.options.crypto ?? globalThis.crypto);
    }
    const { unverifiedKey: key } = await this.getUnverifiedKey({ signal, apikey: false }) ?? {};
    if (typeof key !== "string" || !key) throw new SessionKeyError("invalid_response", "the server gave no key");
    const made = await sign(`${appid}:${appversion ?? "any"}:${key}`);
    const signature = typeof made === "string" ? made.replace(/\s+/g, "") : base64(made);
    return await this.verify({ appid, appversion, key, signature }, { signal });
  }
};
async function webCryptoSigner(pem, crypto) {
  const { pkcs8, bits } = readRsaKey(pem);
  const subtle = crypto?.subtle;
  if (!subtle) {
    const message = "this page cannot sign: browsers offer WebCrypto only over https and on localhost; pass `sign`";
    throw new SessionKeyError("no_webcrypto", message);
  }
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-1" };
  try {
    const key = await subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
    await subtle.sign(algorithm.name, key, new Uint8Array());
    return async (message) => new Uint8Array(await subtle.sign(algorithm.name, key, new TextEncoder().encode(message)));
  } catch (cause) {
    throw refusedKey(bits, cause);
  }
}
function refusedKey(bits, cause) {
  if (bits < 2048) {
    const message = `this browser does not sign with an RSA key of ${bits} bits. Keep the key on a server of yours, sign there, and pass \`sign\`; or register the app anew with 2048 bits`;
    return new SessionKeyError("key_too_small", message, { cause });
  }
  return new SessionKeyError("invalid_private_key", "the private key cannot be used", { cause });
}
function typed2(error) {
  if (!(error instanceof ClientError) || error instanceof SessionKeyError) return error;
  const { code, message, status, responseText, responseJSON, cause } = error;
  const details = { status, responseText, responseJSON, cause };
  if (!(error instanceof RequestError) || status === void 0) return new SessionKeyError(code, message, details);
  const meaning = meaningOf(status, responseText ?? "");
  return new SessionKeyError(meaning?.[0] ?? code, meaning?.[1] ?? message, details);
}
function meaningOf(status, text) {
  if (status === 404) return ["unsupported", "the server does not offer App Session Keys"];
  if (status !== 401) return void 0;
  if (/invalid app\b/i.test(text)) return ["unknown_app", "the server does not know this app in this version"];
  if (/invalid signature/i.test(text)) return ["invalid_signature", "the signature is wrong for this app"];
  if (/invalid key/i.test(text)) return ["expired", "the key to be verified is unknown or too old"];
  return void 0;
}

// src/socket.ts
var OPEN = 1;
var CONNECT_TIMEOUT = 1e4;
var SocketClient = class {
  base;
  options = {
    /** Milliseconds before the first attempt to connect again; doubles with each further one, up to `slowest`. */
    fastest: 500,
    slowest: 3e4,
    /** Attempts in a row before giving up. */
    attempts: Infinity
  };
  socket;
  reconnecting = false;
  reconnectTrial = 0;
  #browser;
  #handlers = /* @__PURE__ */ new Map();
  #connect = {};
  #timer;
  // What the server is told again on every new connection.
  #auth;
  #throttle;
  #subscription;
  constructor(base, browser) {
    this.base = base;
    this.#browser = browser;
  }
  connect(opts = {}) {
    this.disconnect();
    this.#connect = opts;
    this.#open();
  }
  reconnect() {
    this.connect(this.#connect);
  }
  disconnect() {
    clearTimeout(this.#timer);
    this.reconnecting = false;
    this.reconnectTrial = 0;
    this.#drop();
  }
  get connected() {
    return this.socket?.readyState === OPEN;
  }
  /** Calls `handler` for each message of this name; `*` for all. */
  onMessage(name, handler) {
    this.#handlers.set(name, [...this.#handlers.get(name) ?? [], handler]);
    return this;
  }
  removeMessage(name, handler) {
    const rest = (this.#handlers.get(name) ?? []).filter((other) => other !== handler);
    this.#handlers.set(name, rest);
    return this;
  }
  sendMessage(type, payload) {
    const { socket } = this;
    if (socket?.readyState !== OPEN) throw new ClientError("not_connected", "the push socket is not connected");
    socket.send(JSON.stringify({ [type]: payload }));
  }
  /** `user` and `session` are a login's `name` and `session`. Remembered, as are throttle and subscription. */
  sendAuth(user, session) {
    this.#auth = `${user}:${session}`;
    if (this.connected) this.sendMessage("auth", this.#auth);
  }
  /** Only every `factor`-th state message, one each 0.5 s at most, is sent. */
  sendThrottleFactor(factor) {
    this.#throttle = factor;
    if (this.connected) this.sendMessage("throttle", factor);
  }
  subscribe(subscription) {
    this.#subscription = subscription;
    if (this.connected) this.sendMessage("subscribe", subscription);
  }
  /** Called before each attempt to connect again; true leaves it to the caller. */
  onReconnectAttempt(_trial) {
  }
  onReconnectFailed() {
  }
  onConnected() {
  }
  onDisconnected(_code) {
  }
  onConnectTimeout() {
  }
  onAuthFailed(_error) {
  }
  #open() {
    const Socket = this.base.options.WebSocket ?? globalThis.WebSocket;
    if (!Socket) throw new ClientError("invalid_argument", "there is no WebSocket; pass one as an option");
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
    socket.onerror = () => void 0;
  }
  #tell() {
    if (this.#subscription) this.sendMessage("subscribe", this.#subscription);
    if (this.#throttle !== void 0) this.sendMessage("throttle", this.#throttle);
    if (this.#connect.authenticate) this.#authenticate(this.socket);
    else if (this.#auth) this.sendMessage("auth", this.#auth);
  }
  #authenticate(socket) {
    this.#browser.passiveLogin().then(({ name, session }) => {
      if (!name || !session) throw new ClientError("forbidden", "nobody is logged in");
      if (this.socket === socket) this.sendAuth(name, session);
    }).catch((error) => this.onAuthFailed(error));
  }
  #take(socket, text) {
    if (this.socket !== socket || typeof text !== "string") return;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof message !== "object" || message === null) return;
    if ("connected" in message) {
      clearTimeout(this.#timer);
      this.reconnecting = false;
      this.reconnectTrial = 0;
    }
    for (const [event, data] of Object.entries(message)) this.#propagate({ event, data });
  }
  #propagate(message) {
    const handlers = [...this.#handlers.get("*") ?? [], ...this.#handlers.get(message.event) ?? []];
    call(handlers, message);
  }
  #lost(socket, code) {
    if (this.socket !== socket) return;
    clearTimeout(this.#timer);
    this.#drop();
    this.onDisconnected(code);
    if (this.socket) return;
    if (this.reconnectTrial >= this.options.attempts) {
      this.reconnecting = false;
      this.onReconnectFailed();
      return;
    }
    if (this.onReconnectAttempt(this.reconnectTrial)) return;
    const { fastest, slowest } = this.options;
    const pause2 = Math.min(slowest, fastest * 2 ** Math.min(this.reconnectTrial, 30));
    this.reconnecting = true;
    this.reconnectTrial += 1;
    this.#timer = setTimeout(() => this.#open(), pause2 * (0.5 + Math.random() / 2));
  }
  #drop() {
    const { socket } = this;
    this.socket = void 0;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
};

// src/client.ts
var Plugins = class {
  base;
  appkeys;
  constructor(base) {
    this.base = base;
    this.appkeys = new AppKeysClient(base);
  }
};
var LatchkeyClient = class _LatchkeyClient extends BaseClient {
  static ClientError = ClientError;
  static RequestError = RequestError;
  static AppKeysError = AppKeysError;
  static SessionKeyError = SessionKeyError;
  static ClientPromise = ClientPromise;
  browser;
  plugins;
  sessionKeys;
  socket;
  constructor(options = {}) {
    super(options);
    this.browser = new BrowserClient(this);
    this.plugins = new Plugins(this);
    this.sessionKeys = new SessionKeysClient(this);
    this.socket = new SocketClient(this, this.browser);
  }
  /** Adds `component` to every client under `name`, made at its first use. */
  static registerComponent(name, component) {
    register(_LatchkeyClient.prototype, name, component, (client) => client);
  }
  /** The same for `client.plugins`. */
  static registerPluginComponent(name, component) {
    register(Plugins.prototype, name, component, (plugins) => plugins.base);
  }
  static escapePath(path) {
    return path.split("/").map(encodeURIComponent).join("/");
  }
  login(user, pass, remember, opts) {
    return this.browser.login(user, pass, remember, opts);
  }
  passiveLogin(opts) {
    return this.browser.passiveLogin(opts);
  }
  logout(opts) {
    return this.browser.logout(opts);
  }
  currentUser(opts) {
    return this.browser.currentUser(opts);
  }
};
function register(prototype, name, component, baseOf) {
  const made = /* @__PURE__ */ new WeakMap();
  Object.defineProperty(prototype, name, {
    configurable: true,
    get() {
      if (!made.has(this)) made.set(this, new component(baseOf(this)));
      return made.get(this);
    }
  });
}
export {
  AppConnection,
  AppKeysClient,
  AppKeysError,
  BrowserClient,
  ClientError,
  ClientPromise,
  CompletionCancelledError,
  CompletionError,
  CompletionFailedError,
  CompletionIncompleteError,
  ConnectionEndedError,
  ConnectionNotFoundError,
  CredentialsRefusedError,
  DownloadTooLargeError,
  ForeignCompletionError,
  HostFailedError,
  HostUpdateRequiredError,
  LatchkeyClient,
  MemoryCookies,
  NoActivePrintError,
  NoBetaAccessError,
  NotACompletionError,
  OwnerNotEntitledError,
  PrinterOfflineError,
  PrinterTimeoutError,
  RelayError,
  RelayFailedError,
  RequestError,
  SessionKeyError,
  SessionKeysClient,
  SocketClient,
  UploadTooLargeError,
  WebcamLimitError,
  createPkce,
  LatchkeyClient as default,
  parseCompletion,
  redeemCode,
  startUrl
};
