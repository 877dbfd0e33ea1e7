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
export declare function parseAddress(baseurl: string | undefined): Address;
/** What the server appends to the names of its cookies: the port, and the path prefix if there is one. */
export declare function cookieSuffix(base: URL): string;
export declare function base64(bytes: Uint8Array): string;
