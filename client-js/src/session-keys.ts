import { base64 } from './address.js';
import type { BaseClient, RequestOptions } from './base.js';
import { ClientError, RequestError, SessionKeyError, type ErrorCode } from './errors.js';
import { ClientPromise } from './promise.js';
import { readRsaKey } from './rsa-key.js';

export interface UnverifiedKey {
  unverifiedKey: string;
  /** Seconds since 1970. */
  validUntil: number;
}

export interface SessionKey {
  key: string;
  /** Seconds since 1970. There is no renewal: authenticate again before. */
  validUntil: number;
}

/** Signs with RSASSA-PKCS1-v1_5 and SHA-1; gives the signature, as bytes or in BASE64. */
export type Signer = (message: string) => Promise<Uint8Array | string> | Uint8Array | string;

export interface SessionKeyRequest {
  appid: string;
  /** Left out, the app is looked up as version `any`. */
  appversion?: string | undefined;
  /** PEM, PKCS#8 or PKCS#1, not encrypted. Either this or `sign`. */
  privateKey?: string | undefined;
  sign?: Signer | undefined;
  signal?: AbortSignal | undefined;
}

export interface VerifyRequest {
  appid: string;
  appversion?: string | undefined;
  key: string;
  /** BASE64. */
  signature: string;
}

/** App Session Keys: an app proves by a signature who it is, and gets a key for two hours. */
export class SessionKeysClient {
  readonly base: BaseClient;

  constructor(base: BaseClient) {
    this.base = base;
  }

  /** Fetches an unverified key, signs and verifies it. */
  authenticate(request: SessionKeyRequest): ClientPromise<SessionKey> {
    return ClientPromise.run<SessionKey>(async () => {
      try {
        return await this.#authenticate(request);
      } catch (error) {
        throw typed(error);
      }
    });
  }

  getUnverifiedKey(opts?: RequestOptions): ClientPromise<UnverifiedKey> {
    return this.base.get('apps/auth', opts);
  }

  verify({ appid, appversion, key, signature }: VerifyRequest, opts?: RequestOptions): ClientPromise<SessionKey> {
    const version = appversion === undefined ? {} : { appversion };
    const data = { appid, ...version, key, _sig: signature };
    return this.base.postJson('apps/auth', data, { ...opts, csrf: false, apikey: false });
  }

  async #authenticate(request: SessionKeyRequest): Promise<SessionKey> {
    const { appid, appversion, privateKey, signal } = request;
    if (!appid) throw new SessionKeyError('invalid_argument', 'appid is missing');
    let { sign } = request;
    if (!sign) {
      if (!privateKey) throw new SessionKeyError('invalid_argument', 'give a privateKey, or sign');
      // Before the server is asked: an unverified key lives for a minute only.
      sign = await webCryptoSigner(privateKey, this.base.options.crypto ?? globalThis.crypto);
    }
    const { unverifiedKey: key } = (await this.getUnverifiedKey({ signal, apikey: false })) ?? {};
    if (typeof key !== 'string' || !key) throw new SessionKeyError('invalid_response', 'the server gave no key');
    const made = await sign(`${appid}:${appversion ?? 'any'}:${key}`);
    const signature = typeof made === 'string' ? made.replace(/\s+/g, '') : base64(made);
    return await this.verify({ appid, appversion, key, signature }, { signal });
  }
}

async function webCryptoSigner(pem: string, crypto: Crypto | undefined): Promise<Signer> {
  const { pkcs8, bits } = readRsaKey(pem);
  const subtle = crypto?.subtle;
  if (!subtle) {
    const message = 'this page cannot sign: browsers offer WebCrypto only over https and on localhost; pass `sign`';
    throw new SessionKeyError('no_webcrypto', message);
  }
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-1' };
  try {
    const key = await subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
    // A key may be imported and be refused all the same when it is used.
    await subtle.sign(algorithm.name, key, new Uint8Array());
    return async (message) =>
      new Uint8Array(await subtle.sign(algorithm.name, key, new TextEncoder().encode(message)));
  } catch (cause) {
    throw refusedKey(bits, cause);
  }
}

function refusedKey(bits: number, cause: unknown): SessionKeyError {
  if (bits < 2048) {
    const message =
      `this browser does not sign with an RSA key of ${bits} bits. ` +
      'Keep the key on a server of yours, sign there, and pass `sign`; or register the app anew with 2048 bits';
    return new SessionKeyError('key_too_small', message, { cause });
  }
  return new SessionKeyError('invalid_private_key', 'the private key cannot be used', { cause });
}

function typed(error: unknown): unknown {
  if (!(error instanceof ClientError) || error instanceof SessionKeyError) return error;
  const { code, message, status, responseText, responseJSON, cause } = error;
  const details = { status, responseText, responseJSON, cause };
  if (!(error instanceof RequestError) || status === undefined) return new SessionKeyError(code, message, details);
  const meaning = meaningOf(status, responseText ?? '');
  return new SessionKeyError(meaning?.[0] ?? code, meaning?.[1] ?? message, details);
}

// The answers are sentences, not codes.
function meaningOf(status: number, text: string): [ErrorCode, string] | undefined {
  if (status === 404) return ['unsupported', 'the server does not offer App Session Keys'];
  if (status !== 401) return undefined;
  if (/invalid app\b/i.test(text)) return ['unknown_app', 'the server does not know this app in this version'];
  if (/invalid signature/i.test(text)) return ['invalid_signature', 'the signature is wrong for this app'];
  if (/invalid key/i.test(text)) return ['expired', 'the key to be verified is unknown or too old'];
  return undefined;
}
