// RSA private keys as apps keep them: PEM, either PKCS#8 or PKCS#1. WebCrypto reads only the former.

import { SessionKeyError } from './errors.js';

export interface RsaKey {
  pkcs8: Uint8Array<ArrayBuffer>;
  /** Length of the modulus. */
  bits: number;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTETS = 0x04;
// Version 0, then the algorithm: rsaEncryption (1.2.840.113549.1.1.1) with NULL parameters.
const RSA_HEADER = [0x02, 1, 0, 0x30, 13, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 0x05, 0];

export function readRsaKey(pem: string): RsaKey {
  const match = /-----BEGIN (RSA |ENCRYPTED )?PRIVATE KEY-----([^-]*)-----END \1?PRIVATE KEY-----/.exec(pem);
  if (!match) throw invalid('it is not a PEM private key (PKCS#8 or PKCS#1)');
  const [, kind, text = ''] = match;
  if (kind === 'ENCRYPTED ' || text.includes('ENCRYPTED')) throw invalid('it is encrypted; decrypt it first');
  const der = decode(text);
  try {
    if (kind === 'RSA ') return { pkcs8: wrap(der), bits: modulusBits(der) };
    return { pkcs8: der, bits: modulusBits(inner(der)) };
  } catch (cause) {
    throw invalid('it is not an RSA key', cause);
  }
}

function invalid(why: string, cause?: unknown): SessionKeyError {
  return new SessionKeyError('invalid_private_key', `the private key cannot be used: ${why}`, { cause });
}

function decode(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text.replace(/\s+/g, '')), (char) => char.charCodeAt(0));
  } catch (cause) {
    throw invalid('it is not BASE64', cause);
  }
}

function wrap(pkcs1: Uint8Array): Uint8Array<ArrayBuffer> {
  return element(SEQUENCE, [...RSA_HEADER, ...element(OCTETS, [...pkcs1])]);
}

function element(tag: number, content: number[]): Uint8Array<ArrayBuffer> {
  const { length } = content;
  if (length < 0x80) return Uint8Array.from([tag, length, ...content]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return Uint8Array.from([tag, 0x80 | bytes.length, ...bytes, ...content]);
}

/** The element at the beginning of `der`, and what follows it. */
function read(der: Uint8Array, tag: number): { content: Uint8Array; rest: Uint8Array } {
  if (der[0] !== tag) throw new Error('unexpected element');
  let length = der[1] ?? 0;
  let at = 2;
  if (length & 0x80) {
    const end = at + (length & 0x7f);
    if (end > at + 4) throw new Error('length too long');
    length = 0;
    for (; at < end; at += 1) length = length * 256 + (der[at] ?? 0);
  }
  if (at + length > der.length) throw new Error('cut off');
  return { content: der.subarray(at, at + length), rest: der.subarray(at + length) };
}

/** The PKCS#1 key in a PKCS#8 one. */
function inner(pkcs8: Uint8Array): Uint8Array {
  const version = read(read(pkcs8, SEQUENCE).content, INTEGER);
  const algorithm = read(version.rest, SEQUENCE);
  const rsa = RSA_HEADER.slice(5);
  if (!rsa.every((byte, at) => algorithm.content[at] === byte)) throw new Error('another algorithm');
  return read(algorithm.rest, OCTETS).content;
}

function modulusBits(pkcs1: Uint8Array): number {
  const version = read(read(pkcs1, SEQUENCE).content, INTEGER);
  const modulus = read(version.rest, INTEGER).content;
  const first = modulus.findIndex((byte) => byte !== 0);
  if (first < 0) throw new Error('no modulus');
  return (modulus.length - first - 1) * 8 + (32 - Math.clz32(modulus[first] ?? 0));
}
