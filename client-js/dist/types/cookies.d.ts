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
/** The browser's own cookies: it sends and takes them itself, and shows those that scripts may see. */
export declare const browserCookies: CookieStore;
/** Cookies of one server, in memory, for where there is no browser. */
export declare class MemoryCookies implements CookieStore {
    #private;
    works(): boolean;
    get(name: string, url: URL): string | undefined;
    header(url: URL): string | undefined;
    take(url: URL, fields: string[]): void;
}
