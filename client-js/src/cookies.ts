/** Where cookies are kept between requests. */
export interface CookieStore {
  /** Whether cookies of `url` can be had at all. */
  works(url: URL): boolean;
  /** The value of a cookie that would go to `url`. */
  get(name: string, url: URL): string | undefined;
  /** The `Cookie` field for a request to `url`; undefined where the browser adds it itself. */
  header(url: URL): string | undefined;
  /** Takes the `Set-Cookie` fields of an answer from `url`. */
  take(url: URL, fields: string[]): void;
}

interface Kept {
  name: string;
  value: string;
  path: string;
  secure: boolean;
  expires: number | undefined;
}

// A server that sets more than this on one client is not setting cookies for logging in.
const MOST_COOKIES = 100;

/** The browser's own cookies: it sends and takes them itself, and shows those that scripts may see. */
export const browserCookies: CookieStore = {
  works: (url) => globalThis.location?.origin === url.origin,
  get(name, url) {
    if (!browserCookies.works(url)) return undefined;
    for (const pair of document.cookie.split('; ')) {
      if (pair.startsWith(`${name}=`)) return decode(pair.slice(name.length + 1));
    }
    return undefined;
  },
  header: () => undefined,
  take: () => undefined,
};

/** Cookies of one server, in memory, for where there is no browser. */
export class MemoryCookies implements CookieStore {
  #kept = new Map<string, Kept[]>();

  works(): boolean {
    return true;
  }

  get(name: string, url: URL): string | undefined {
    const found = this.#sent(url).find((cookie) => cookie.name === name);
    return found && decode(found.value);
  }

  header(url: URL): string | undefined {
    const pairs = this.#sent(url).map((cookie) => `${cookie.name}=${cookie.value}`);
    return pairs.length > 0 ? pairs.join('; ') : undefined;
  }

  take(url: URL, fields: string[]): void {
    for (const field of fields) {
      const cookie = parse(field, url);
      if (!cookie) continue;
      const others = (this.#kept.get(url.host) ?? []).filter(
        (kept) => kept.name !== cookie.name || kept.path !== cookie.path,
      );
      if (cookie.expires === undefined || cookie.expires > Date.now()) others.push(cookie);
      this.#kept.set(url.host, others.slice(-MOST_COOKIES));
    }
  }

  // The longest path first, as browsers do.
  #sent(url: URL): Kept[] {
    return (this.#kept.get(url.host) ?? [])
      .filter((cookie) => pathCovers(cookie.path, url.pathname))
      .filter((cookie) => !cookie.secure || url.protocol === 'https:')
      .filter((cookie) => cookie.expires === undefined || cookie.expires > Date.now())
      .sort((a, b) => b.path.length - a.path.length);
  }
}

function parse(field: string, url: URL): Kept | undefined {
  const [pair = '', ...attributes] = field.split(';');
  const at = pair.indexOf('=');
  if (at < 1) return undefined;
  const directory = url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf('/')));
  const cookie: Kept = {
    name: pair.slice(0, at).trim(),
    value: pair.slice(at + 1).trim(),
    path: directory,
    secure: false,
    expires: undefined,
  };
  let maxAge: number | undefined;
  for (const attribute of attributes) {
    const [name = '', value = ''] = attribute.split(/=(.*)/s).map((part) => part.trim());
    switch (name.toLowerCase()) {
      case 'path':
        if (value.startsWith('/')) cookie.path = value;
        break;
      case 'secure':
        cookie.secure = true;
        break;
      case 'max-age':
        if (/^-?\d+$/.test(value)) maxAge = Date.now() + Number(value) * 1000;
        break;
      case 'expires':
        if (!Number.isNaN(Date.parse(value))) cookie.expires = Date.parse(value);
        break;
    }
  }
  if (maxAge !== undefined) cookie.expires = maxAge;
  return cookie;
}

function pathCovers(path: string, asked: string): boolean {
  if (asked === path) return true;
  return asked.startsWith(path.endsWith('/') ? path : `${path}/`);
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
