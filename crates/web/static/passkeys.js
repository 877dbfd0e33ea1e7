// Passkeys: the parts of a page that need the browser's help with them. Without it they stay hidden.

const decode = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

/** What the page says, by the word for it. */
class Problem extends Error {}

async function post(path, body) {
  const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const type = answer.headers.get('content-type') ?? '';
  const said = type.startsWith('application/json') ? await answer.json() : {};
  if (said.go) {
    location.assign(said.go);
    return;
  }
  if (!answer.ok) throw new Problem(said.problem ?? 'failed');
  return said;
}

async function enter(part) {
  const { token, then } = part.dataset;
  const question = await post('/sign-in/passkey/begin', { csrf_token: token });
  if (!question) return;
  const ask = question.ask.publicKey;
  const found = await navigator.credentials.get({ publicKey: { ...ask, challenge: decode(ask.challenge), allowCredentials: [] } });
  const { response } = found;
  const shown = {
    id: found.id,
    rawId: encode(found.rawId),
    type: found.type,
    extensions: {},
    response: {
      authenticatorData: encode(response.authenticatorData),
      clientDataJSON: encode(response.clientDataJSON),
      signature: encode(response.signature),
      userHandle: response.userHandle ? encode(response.userHandle) : null,
    },
  };
  await post('/sign-in/passkey/finish', { csrf_token: token, step: question.step, then, shown });
}

async function add(part) {
  const { value: token } = part.elements.csrf_token;
  const question = await post('/account/security/passkeys/begin', { csrf_token: token });
  if (!question) return;
  const ask = question.ask.publicKey;
  const excludeCredentials = (ask.excludeCredentials ?? []).map((known) => ({ ...known, id: decode(known.id) }));
  const user = { ...ask.user, id: decode(ask.user.id) };
  const created = await navigator.credentials.create({ publicKey: { ...ask, challenge: decode(ask.challenge), user, excludeCredentials } });
  const { response } = created;
  const made = {
    id: created.id,
    rawId: encode(created.rawId),
    type: created.type,
    extensions: {},
    response: { attestationObject: encode(response.attestationObject), clientDataJSON: encode(response.clientDataJSON) },
  };
  await post('/account/security/passkeys/finish', { csrf_token: token, name: part.elements.name.value, made });
}

function say(part, word) {
  for (const line of part.querySelectorAll('[data-problem]')) line.hidden = line.dataset.problem !== word;
}

function wordFor(error) {
  if (error instanceof Problem) return error.message;
  if (error.name === 'InvalidStateError') return 'known';
  if (error.name === 'NotAllowedError' || error.name === 'AbortError') return 'stopped';
  return 'failed';
}

async function run(part, work) {
  const button = part.querySelector('button');
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  say(part, '');
  try {
    await work(part);
  } catch (error) {
    say(part, wordFor(error));
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

if (window.PublicKeyCredential && navigator.credentials) {
  for (const part of document.querySelectorAll('[data-passkey]')) {
    if (part.dataset.passkey === 'add') {
      part.addEventListener('submit', (event) => {
        event.preventDefault();
        run(part, add);
      });
    } else {
      part.querySelector('button').addEventListener('click', () => run(part, enter));
    }
    part.hidden = false;
  }
  for (const part of document.querySelectorAll('[data-without-passkeys]')) part.hidden = true;
}
