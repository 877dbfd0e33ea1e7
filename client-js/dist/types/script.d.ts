declare global {
    var LatchkeyClient: typeof import('./client.js').LatchkeyClient;
}
export {};
