// The push socket of a printer as an EventTarget, for whoever is signed in on this page. It comes back by itself.
//
// Events, the message in `detail`: `open` (signed in, also after a return), `request`, `end`, `current`, `lost`, `out`
// (no longer signed in; it does not come back from that).

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30000;
// The printer speaks at least this often; silence means the connection is dead.
const SILENCE = 60000;

/** What the page was told about itself. */
export const facts = document.body.dataset;

/** The address of one of our own paths. */
export const at = (path) => facts.prefix + path;

/** Sends `body` (an object as JSON, or form fields) to one of our own paths. Does not go where the answer leads. */
export function post(path, body) {
  const headers = { 'X-CSRF-Token': facts.csrf, Accept: 'application/json' };
  if (!(body instanceof URLSearchParams)) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(body);
  }
  return fetch(at(path), { method: 'POST', headers, body, credentials: 'same-origin', redirect: 'manual' });
}

/** The requests that wait for a decision of this person, as the printer lists them. */
export async function pending() {
  const answer = await fetch(at('/api/plugin/appkeys'), { headers: { Accept: 'application/json' }, credentials: 'same-origin', cache: 'no-store' });
  if (!answer.ok) throw new Error(`the list of requests answered ${answer.status}`);
  return Object.values((await answer.json()).pending ?? {});
}

class Push extends EventTarget {
  #wait = FIRST_WAIT;
  #watch;

  // Whether the page shows the printer's state too.
  #state = document.querySelector('[data-live]') !== null;

  constructor() {
    super();
    // By then all modules of the page listen.
    document.addEventListener('DOMContentLoaded', () => this.#connect(), { once: true });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  async #connect() {
    let person;
    try {
      const answer = await post('/api/login', { passive: true });
      // A token that is no longer taken: only another page has a better one.
      if (answer.status === 400 || answer.status === 403) return this.#tell('out');
      person = await answer.json();
    } catch {
      return this.#later();
    }
    if (!person.name || !person.session) return this.#tell('out');

    const address = new URL(at('/sockjs/websocket'), location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const socket = new WebSocket(address);
    socket.addEventListener('open', () => {
      socket.send(JSON.stringify({ auth: `${person.name}:${person.session}` }));
      if (!this.#state) socket.send(JSON.stringify({ subscribe: { state: false, events: false, plugins: ['appkeys'] } }));
      this.#wait = FIRST_WAIT;
      this.#tell('open');
    });
    socket.addEventListener('message', ({ data }) => {
      this.#heard(socket);
      this.#message(socket, data);
    });
    socket.addEventListener('close', () => {
      clearTimeout(this.#watch);
      if (socket.over) return;
      this.#tell('lost');
      this.#later();
    });
    this.#heard(socket);
  }

  #heard(socket) {
    clearTimeout(this.#watch);
    // Without the printer's state there may be nothing to say for long.
    if (this.#state) this.#watch = setTimeout(() => socket.close(), SILENCE);
  }

  #message(socket, data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message.plugin?.plugin === 'appkeys') {
      const { type, ...detail } = message.plugin.data ?? {};
      if (type === 'request_access') this.#tell('request', detail);
      if (type === 'end_request') this.#tell('end', detail);
    }
    const state = message.current ?? message.history;
    if (state) this.#tell('current', state);
    if (message.reauthRequired) {
      if (message.reauthRequired.reason === 'stale') return socket.close();
      socket.over = true;
      socket.close();
      this.#tell('out');
    }
  }

  #later() {
    setTimeout(() => this.#connect(), this.#wait * (0.5 + Math.random()));
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}

export const push = new Push();
