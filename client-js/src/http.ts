import { ClientError, RequestError, codeOfStatus, sentenceOf } from './errors.js';

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface Exchange {
  method: string;
  url: URL;
  headers: Headers;
  body?: BodyInit | undefined;
  credentials: RequestCredentials;
  redirect: RequestRedirect;
  /** Milliseconds for the whole exchange, body included. */
  timeout: number;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  status: number;
  text: string;
  headers: Headers;
}

/** Sends one request and reads its answer whole, in bounded time. */
export async function exchange(fetch: Fetch, request: Exchange): Promise<Answer> {
  const { signal, timeout } = request;
  if (signal?.aborted) throw aborted(signal.reason);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(TIMED_OUT), timeout);
  const abort = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    // An injected fetch may not heed the signal; waiting is bounded all the same.
    return await Promise.race([send(fetch, request, stop.signal), rejectOn(stop.signal)]);
  } catch (cause) {
    if (signal?.aborted) throw aborted(signal.reason);
    if (stop.signal.aborted) throw new RequestError('timeout', `no answer within ${timeout / 1000} s`);
    if (cause instanceof ClientError) throw cause;
    throw new RequestError('network', 'the server could not be reached', { cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

const TIMED_OUT = new Error('timed out');

async function send(fetch: Fetch, request: Exchange, signal: AbortSignal): Promise<Answer> {
  const { method, url, headers, body, credentials, redirect } = request;
  const init: RequestInit = { method, headers, credentials, redirect, signal, cache: 'no-store' };
  if (body !== undefined) init.body = body;
  const response = await fetch(url.href, init);
  if (response.type === 'opaqueredirect') return { status: 302, text: '', headers: response.headers };
  return { status: response.status, text: await response.text(), headers: response.headers };
}

function rejectOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(TIMED_OUT), { once: true });
  });
}

export function aborted(reason: unknown): RequestError {
  return new RequestError('aborted', 'cancelled', { cause: reason });
}

/** What a successful answer says; an empty one says `undefined`. Rejects for all others. */
export function readAnswer(
  answer: Answer,
  wanted: { dataType?: 'json' | 'text' | undefined; expect?: number | undefined },
): unknown {
  const { status, text, headers } = answer;
  const isJson = /^application\/(.*\+)?json\b/i.test(headers.get('content-type') ?? '');
  if (status < 200 || status >= 300) {
    const responseJSON = isJson ? parsed(text) : undefined;
    throw new RequestError(codeOfStatus(status), refusal(answer, responseJSON), {
      status,
      responseText: text,
      responseJSON,
    });
  }
  if (wanted.expect !== undefined && status !== wanted.expect) {
    const message = `the server answered ${status} instead of ${wanted.expect}`;
    throw new RequestError('invalid_response', message, { status, responseText: text });
  }
  if (wanted.dataType === 'text') return text;
  if (status === 204 || text.trim() === '') return undefined;
  const value = parsed(text);
  if (value === undefined) {
    throw new RequestError('invalid_response', 'the answer is not JSON', { status, responseText: text });
  }
  return value;
}

function refusal({ status, headers }: Answer, body: unknown): string {
  if (status >= 300 && status < 400) {
    const to = headers.get('location');
    return `the server redirects${to ? ` to ${originOf(to)}` : ''}; use that address as baseurl`;
  }
  const sentence = sentenceOf(body);
  return sentence ? `the server answered ${status}: ${sentence}` : `the server answered ${status}`;
}

// A target may carry tokens in its path and query.
function originOf(target: string): string {
  try {
    return new URL(target).origin;
  } catch {
    return 'another path';
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
