export interface RsaKey {
    pkcs8: Uint8Array<ArrayBuffer>;
    /** Length of the modulus. */
    bits: number;
}
export declare function readRsaKey(pem: string): RsaKey;
