// Compiled, never run: what an app may write, and what not.

import {
  AppConnection,
  AppKeysError,
  CompletionError,
  LatchkeyClient,
  RelayError,
  createPkce,
  parseCompletion,
  redeemCode,
  startUrl,
  type Completion,
  type ErrorCode,
  type KeyList,
  type Retry,
} from 'latchkey-client';

const client = new LatchkeyClient({ baseurl: 'http://printer.local/', apikey: 'k' });
const { appkeys } = client.plugins;

export async function app(): Promise<string> {
  const key: string = await appkeys
    .authenticate('My App', 'olivia', { onDialog: (url, { app_token }) => [url.length, app_token.length] })
    .progress((progress) => (progress.state === 'requested' ? progress.appToken.length : 0))
    .done((got) => got.length)
    .fail((error: AppKeysError) => error.code);
  const keys: KeyList = await appkeys.getKeys();
  const own: string | undefined = (await appkeys.getKey('My App', { timeout: 1 })).key.api_key;
  const made: string = (await appkeys.generateKeyForUser('olivia', 'My App')).api_key;
  const nothing: void = await appkeys.decide('t', true);
  const decision = await appkeys.checkDecision('t');
  const name: string | null = (await client.currentUser()).name;
  const until: number = (await client.sessionKeys.authenticate({ appid: 'a', sign: () => 'c2ln' })).validUntil;
  client.socket.onMessage('plugin', ({ data }) => data).subscribe({ plugins: ['appkeys'] });
  return [key, keys.keys.length, own, made, nothing, decision.api_key, name, until].join();
}

export async function connect(completed: string): Promise<string> {
  const { verifier, challenge } = await createPkce();
  const start: string = startUrl('https://relay.example', { appId: 'a', codeChallenge: challenge, state: 's' });
  const parsed = parseCompletion(completed, { state: 's' });
  const completion: Completion =
    parsed.mode === 'code' ? await redeemCode('https://relay.example', parsed.code, verifier) : parsed;
  const printer = new AppConnection(completion, { relay: 'https://relay.example' });
  try {
    const online: boolean = (await printer.info()).IsOnline;
    const socket = await printer.webSocket('/sockjs/websocket', { setUp: (one) => (one.onmessage = () => online) });
    socket.send(await (await printer.fetch('/api/job', { method: 'POST' })).text());
  } catch (error) {
    if (error instanceof RelayError && error.isPermanent) return `${error.retry satisfies Retry} ${error.status}`;
    if (error instanceof CompletionError) return String(error.error);
  }
  return start;
}

export const codes: ErrorCode[] = ['denied', 'timeout', 'unsupported', 'rate_limited', 'network', 'key_too_small'];

// @ts-expect-error: there is no such code
export const wrong: ErrorCode = 'refused';
// @ts-expect-error: a decision is true or false
void appkeys.decide('t', 'yes');
// @ts-expect-error: the app has to be named
void appkeys.authenticate();
// @ts-expect-error: an option by another name
void new LatchkeyClient({ baseUrl: 'http://printer.local/' });
// @ts-expect-error: the app has to be named
void startUrl('https://relay.example', {});
// @ts-expect-error: a completion may be a code yet
void new AppConnection(parseCompletion('https://relay.example/appportal/v1/complete?success=true'));
