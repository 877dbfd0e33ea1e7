import { ClientError } from './errors.js';

/** Where the server is, taken apart once. */
export interface Address {
  /** Ends with a slash, and carries no credentials. */
  base: URL;
  /** The `Authorization` field for a user and password that were in the address. */
  authorization: string | undefined;
  /** The push socket's address, with that user and password. WebSockets of Node.js send them; browsers only when asked with 401. */
  socket: URL;
}

/** `baseurl` may be absolute, or, on a page, a path or absent. */
export function parseAddress(baseurl: string | undefined): Address {
  const page = globalThis.location?.href;
  let base: URL;
  try {
    base = new URL(baseurl ?? '/', page);
  } catch (cause) {
    const message = baseurl === undefined ? 'baseurl is missing' : 'baseurl is not an address';
    throw new ClientError('invalid_argument', message, { cause });
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new ClientError('invalid_argument', 'baseurl must begin with http:// or https://');
  }
  base.search = '';
  base.hash = '';
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const socket = new URL('sockjs/websocket', base);
  socket.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
  socket.username = base.username;
  socket.password = base.password;
  let authorization: string | undefined;
  if (base.username || base.password) {
    const pair = `${decodeURIComponent(base.username)}:${decodeURIComponent(base.password)}`;
    authorization = `Basic ${base64(new TextEncoder().encode(pair))}`;
    base.username = '';
    base.password = '';
  }
  return { base, authorization, socket };
}

/** What the server appends to the names of its cookies: the port, and the path prefix if there is one. */
export function cookieSuffix(base: URL): string {
  const port = base.port || (base.protocol === 'https:' ? '443' : '80');
  const prefix = base.pathname.replace(/\/$/, '');
  return prefix ? `_P${port}_R${prefix.replaceAll('/', '|')}` : `_P${port}`;
}

export function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
