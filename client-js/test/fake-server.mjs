// A small server of the contract, in this process: what a client sees of it, and switches for what goes wrong.

import { createVerify, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const token = () => randomBytes(32).toString('base64url');
const NOBODY = { _credentials_seen: false, _is_external_client: false, needs: { group: ['guests'] } };

export class FakeServer {
  prefix = '';
  people = { ada: { password: 'lovelace', admin: true }, olivia: { password: 'battery-staple', admin: false } };
  /** Every request: method, path, headers, body. */
  seen = [];
  pending = new Map();
  keys = [];
  sessions = new Map();
  csrfTokens = new Set();
  sockets = new Set();
  handshakes = [];
  /** What arrived on push sockets. */
  socketMessages = [];
  apps = {};
  unverified = new Map();
  /** `path` without the prefix to a function of request and response; true says that it answered. */
  overrides = new Map();
  fresh = true;

  static async start(prefix = '') {
    const server = new FakeServer();
    server.prefix = prefix;
    server.http = createServer((request, response) => void server.#answer(request, response));
    server.ws = new WebSocketServer({ noServer: true });
    server.http.on('upgrade', (request, socket, head) => {
      server.handshakes.push(request.headers);
      if (request.url !== `${prefix}/sockjs/websocket`) return socket.destroy();
      server.ws.handleUpgrade(request, socket, head, (peer) => server.#push(peer));
    });
    server.http.listen(0, '127.0.0.1');
    await once(server.http, 'listening');
    server.port = server.http.address().port;
    server.url = `http://127.0.0.1:${server.port}${prefix}/`;
    return server;
  }

  async stop() {
    for (const peer of this.sockets) peer.terminate();
    this.http.closeAllConnections();
    this.http.close();
    await once(this.http, 'close');
  }

  /** Decides the only pending request as soon as there is one. */
  async decideNext(granted) {
    const [request] = await this.until(() => [...this.pending.values()].filter(({ state }) => state === 'pending'));
    this.#decide(request, granted, 'ada');
    return request;
  }

  /** The first non-empty answer of `look`. */
  async until(look) {
    for (const end = Date.now() + 5_000; Date.now() < end; ) {
      const found = look();
      if (Array.isArray(found) ? found.length > 0 : found) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error('it did not come to that within 5 s');
  }

  last(path) {
    return this.seen.findLast((request) => request.path === path);
  }

  #decide(request, granted, user) {
    request.state = granted ? 'granted' : 'denied';
    request.decidedBy = user;
    this.broadcast({ plugin: { plugin: 'appkeys', data: { type: 'end_request', user_token: request.userToken } } });
  }

  broadcast(message) {
    for (const peer of this.sockets) peer.send(JSON.stringify(message));
  }

  #push(peer) {
    this.sockets.add(peer);
    peer.on('close', () => this.sockets.delete(peer));
    peer.on('message', (text) => {
      const message = JSON.parse(text);
      this.socketMessages.push(message);
      if (message.auth) {
        const [user, session] = message.auth.split(':');
        const good = this.sessions.get(session) === user;
        peer.send(JSON.stringify(good ? { history: { state: {} } } : { reauthRequired: { reason: 'stale' } }));
      }
    });
    peer.send(JSON.stringify({ connected: { version: '1.11.8', permissions: [] } }));
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.url);
    let text = '';
    for await (const piece of request) text += piece;
    const path = url.pathname.slice(this.prefix.length);
    const seen = { method: request.method, path, query: url.searchParams, headers: request.headers, text };
    this.seen.push(seen);
    const reply = (status, body, headers = {}) => {
      const isText = typeof body === 'string';
      response.writeHead(status, { 'Content-Type': isText ? 'text/html' : 'application/json', ...headers });
      response.end(body === undefined ? undefined : isText ? body : JSON.stringify(body));
    };
    if (this.overrides.get(path)?.(seen, reply, response)) return;
    try {
      this.#route(seen, this.#caller(seen), reply);
    } catch (refusal) {
      if (!refusal.status) throw refusal;
      reply(refusal.status, path.startsWith('/apps/') ? refusal.message : { error: refusal.message });
    }
  }

  #cookie(seen, name) {
    const suffix = this.prefix ? `_R${this.prefix.replaceAll('/', '|')}` : '';
    const pairs = (seen.headers.cookie ?? '').split('; ').map((pair) => pair.split('='));
    return Object.fromEntries(pairs)[`${name}_P${this.port}${suffix}`];
  }

  #setCookie(name, value, attributes = '') {
    const suffix = this.prefix ? `_R${this.prefix.replaceAll('/', '|')}` : '';
    return `${name}_P${this.port}${suffix}=${value}; Path=${this.prefix}/; SameSite=Lax${attributes}`;
  }

  // As the contract has it: a login cookie comes before a key, and then the token is wanted.
  #caller(seen) {
    const session = this.#cookie(seen, 'session');
    const user = this.sessions.get(session);
    const key = this.keys.find(({ api_key }) => api_key === seen.headers['x-api-key']);
    if (!user && key) return { user: key.user_id, session: undefined, byKey: true };
    const safe = ['GET', 'HEAD', 'OPTIONS'].includes(seen.method);
    const exempt = seen.path === '/plugin/appkeys/request' || seen.path === '/apps/auth';
    const csrf = seen.headers['x-csrf-token'];
    if (!safe && !exempt && !(this.csrfTokens.has(csrf) && csrf === this.#cookie(seen, 'csrf_token'))) {
      throw refuse(400, 'CSRF validation failed');
    }
    return { user, session };
  }

  #route(seen, caller, reply) {
    const { method, path } = seen;
    const rest = path.split('/').at(-1);
    const route = `${method} ${path}`;
    const body = () => {
      if (!/^application\/json/.test(seen.headers['content-type'])) throw refuse(415, 'not JSON');
      return JSON.parse(seen.text);
    };
    if (route === 'GET /login/') {
      const csrf = token();
      this.csrfTokens.add(csrf);
      return reply(200, '<!doctype html><title>Login</title>', { 'Set-Cookie': [this.#setCookie('csrf_token', csrf)] });
    }
    if (route === 'POST /api/login') return this.#login(body(), caller, reply);
    if (route === 'POST /api/logout') {
      this.sessions.delete(caller.session);
      return reply(200, NOBODY, { 'Set-Cookie': [this.#setCookie('session', '', '; Max-Age=0; HttpOnly')] });
    }
    if (route === 'GET /api/currentuser') {
      return reply(200, { name: caller.user ?? null, permissions: [], groups: [caller.user ? 'users' : 'guests'] });
    }
    if (route === 'GET /plugin/appkeys/probe') return reply(204, undefined, { 'Content-Type': 'text/plain' });
    if (route === 'POST /plugin/appkeys/request') return this.#request(body(), reply);
    if (path.startsWith('/plugin/appkeys/request/')) return this.#poll(rest, reply);
    if (path.startsWith('/plugin/appkeys/decision/')) {
      this.#loggedIn(caller, true);
      const request = [...this.pending.values()].find((one) => one.userToken === rest && one.state === 'pending');
      if (!request) throw refuse(404, 'no such request');
      this.#decide(request, body().decision === true, caller.user);
      return reply(204);
    }
    if (path === '/api/plugin/appkeys') {
      this.#loggedIn(caller, method === 'POST');
      return method === 'GET' ? this.#list(seen.query, caller, reply) : this.#command(body(), caller, reply);
    }
    if (path === '/apps/auth') return method === 'GET' ? this.#unverified(reply) : this.#verify(body(), reply);
    throw refuse(404, 'not found');
  }

  #loggedIn(caller, fresh) {
    if (!caller.user) throw refuse(403, 'not logged in');
    if (fresh && !this.fresh) throw refuse(403, 'please reauthenticate');
  }

  #login(data, caller, reply) {
    if (data.passive) {
      if (!caller.user) return reply(200, NOBODY);
      const session = caller.session ?? token();
      this.sessions.set(session, caller.user);
      return reply(200, this.#person(caller.user, session, caller.byKey ? 'apikey' : 'password'));
    }
    if (this.people[data.user]?.password !== data.pass) throw refuse(403, 'wrong user or password');
    const session = token();
    this.sessions.set(session, data.user);
    const cookies = [this.#setCookie('session', session, '; HttpOnly')];
    if (data.remember) cookies.push(this.#setCookie('remember_token', token(), '; HttpOnly'));
    reply(200, this.#person(data.user, session, 'password'), { 'Set-Cookie': cookies });
  }

  #person(name, session, mechanism) {
    const { admin } = this.people[name];
    return { name, session, admin, active: true, user: true, needs: {}, _login_mechanism: mechanism };
  }

  #request({ app, user }, reply) {
    const request = { app, user, appToken: token(), userToken: token(), state: 'pending', polls: 0 };
    this.pending.set(request.appToken, request);
    const data = { type: 'request_access', app_name: app, user_token: request.userToken, user_id: user };
    this.broadcast({ plugin: { plugin: 'appkeys', data: { ...data, remote_address: '127.0.0.1' } } });
    const query = user ? `?user=${encodeURIComponent(user)}` : '';
    const location = `${this.url}plugin/appkeys/request/${request.appToken}`;
    const dialog = `${this.url}plugin/appkeys/auth/${request.appToken}${query}`;
    reply(201, { app_token: request.appToken, auth_dialog: dialog }, { Location: location });
  }

  #poll(appToken, reply) {
    const request = this.pending.get(appToken);
    if (!request || request.state === 'denied') throw refuse(404, 'no such request');
    request.polls += 1;
    if (request.state === 'pending') return reply(202, { message: 'Awaiting decision' });
    this.pending.delete(appToken);
    reply(200, { api_key: this.#key(request.app, request.decidedBy).api_key });
  }

  #key(app, user) {
    const same = (key) => key.user_id === user && key.app_id.toLowerCase() === app.toLowerCase();
    const key = this.keys.find(same) ?? { app_id: app, user_id: user, api_key: token() };
    if (!this.keys.includes(key)) this.keys.push(key);
    return key;
  }

  #list(query, { user }, reply) {
    const { admin } = this.people[user];
    const app = query.get('app');
    if (app) {
      const owner = query.get('user') ?? user;
      if (owner !== user && !admin) throw refuse(403, 'not yours');
      const key = this.keys.find((one) => one.user_id === owner && one.app_id.toLowerCase() === app.toLowerCase());
      if (!key) throw refuse(404, 'no such key');
      return reply(200, { key: this.fresh ? key : { ...key, api_key: undefined } });
    }
    const all = query.get('all') === 'true' && admin;
    const keys = this.keys.filter((key) => all || key.user_id === user);
    const pending = [...this.pending.values()].filter(({ state }) => state === 'pending');
    const entry = (one) => [one.userToken, { app_id: one.app, user_id: one.user ?? null, user_token: one.userToken, remote_address: '127.0.0.1' }];
    reply(200, { keys: keys.map(({ app_id, user_id }) => ({ app_id, user_id })), pending: Object.fromEntries(pending.map(entry)) });
  }

  #command({ command, app, user, key }, caller, reply) {
    const { admin } = this.people[caller.user];
    const owner = user ?? caller.user;
    if (owner !== caller.user && !admin) throw refuse(403, 'not yours');
    if (command === 'generate') {
      if (!app) throw refuse(400, 'no app');
      return reply(200, this.#key(app, owner));
    }
    if (command !== 'revoke') throw refuse(400, 'unknown command');
    const found = this.keys.find((one) => (key ? one.api_key === key : one.app_id === app && one.user_id === owner));
    if (!found) throw refuse(key ? 403 : 400, 'no such key');
    this.keys = this.keys.filter((one) => one !== found);
    reply(204);
  }

  #unverified(reply) {
    const key = randomBytes(16).toString('hex').toUpperCase();
    this.unverified.set(key, Date.now() / 1000);
    reply(200, { unverifiedKey: key, validUntil: Date.now() / 1000 + 60 });
  }

  #verify({ appid, appversion = 'any', key, _sig }, reply) {
    const created = this.unverified.get(key);
    if (!created) throw refuse(401, 'Invalid key or already verified');
    this.unverified.delete(key);
    const pubkey = this.apps[`${appid}:${appversion}`];
    if (!pubkey) throw refuse(401, `Invalid app: ${appid}:${appversion}`);
    const good = createVerify('RSA-SHA1').update(`${appid}:${appversion}:${key}`).verify(pubkey, _sig, 'base64');
    if (!good) throw refuse(401, 'Invalid signature');
    reply(200, { key, validUntil: created + 7200 });
  }
}

function refuse(status, message) {
  return Object.assign(new Error(message), { status });
}

/** A server for one test, stopped at its end. */
export async function fakeServer(test, prefix) {
  const server = await FakeServer.start(prefix);
  test.after(() => server.stop());
  return server;
}
