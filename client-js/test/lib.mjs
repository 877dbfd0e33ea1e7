import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { LatchkeyClient } from '../dist/latchkey-client.js';

/** The error that `promise` is rejected with. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it was not rejected');
}

/**
 * A relay and a printer in one, which answers what `answer` says: `{ status, json, text, headers }` for a request with
 * its body. Ends with the test. `seen` are the requests.
 */
export async function fakeRelay(t, answer) {
  const seen = [];
  const http = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    const asked = { method: request.method, path: request.url, headers: request.headers, body };
    seen.push(asked);
    const { status = 200, json, text = '', headers = {} } = (await answer(asked)) ?? { status: 404 };
    const type = json === undefined ? {} : { 'Content-Type': 'application/json' };
    response.writeHead(status, { ...type, ...headers }).end(json === undefined ? text : JSON.stringify(json));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { http, seen, url: `http://127.0.0.1:${http.address().port}` };
}

/** A client of `server`, logged in as `user` if one is given. */
export async function clientOf(server, user) {
  const client = new LatchkeyClient({ baseurl: server.url });
  if (user) await client.login(user, server.people[user].password);
  return client;
}

export { LatchkeyClient };
