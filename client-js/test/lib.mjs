import assert from 'node:assert/strict';
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

/** A client of `server`, logged in as `user` if one is given. */
export async function clientOf(server, user) {
  const client = new LatchkeyClient({ baseurl: server.url });
  if (user) await client.login(user, server.people[user].password);
  return client;
}

export { LatchkeyClient };
