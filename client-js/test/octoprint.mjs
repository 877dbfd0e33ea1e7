// The server that the workflow is walked through with: a real OctoPrint of our own, or one that is named.
//
//   LATCHKEY_TEST_URL, LATCHKEY_TEST_USER, LATCHKEY_TEST_PASSWORD       a running server, and somebody who may log in there
//   LATCHKEY_TEST_ADMIN, LATCHKEY_TEST_ADMIN_PASSWORD                   an administrator; without, what needs one is skipped
//   LATCHKEY_OCTOPRINT                                                  else: OctoPrint's command

import { ADMIN, USER, startOctoPrint } from '../../e2e/octoprint.mjs';

// The user can be told of what a page of another address asks.
const OVERLAY = 'api: {allowCrossOrigin: true}\n';

/** `url`, `user`, `admin` (each with `name` and `password`), and `stop()`. */
export async function startServer() {
  const { env } = process;
  if (env.LATCHKEY_TEST_URL) {
    const person = (name, password) => (name ? { name, password } : undefined);
    return {
      url: env.LATCHKEY_TEST_URL.replace(/\/?$/, '/'),
      user: person(env.LATCHKEY_TEST_USER, env.LATCHKEY_TEST_PASSWORD),
      admin: person(env.LATCHKEY_TEST_ADMIN, env.LATCHKEY_TEST_ADMIN_PASSWORD),
      isOctoPrint: false,
      stop: async () => {},
    };
  }
  return {
    ...(await startOctoPrint(OVERLAY)),
    user: USER,
    admin: ADMIN,
    isOctoPrint: true,
  };
}

let callers = 0;
/** Fields that make the server, which trusts its own machine's proxies, count a caller as one from elsewhere: limits are per address. */
export function anotherCaller() {
  callers += 1;
  return { 'X-Forwarded-For': `10.77.${process.pid % 250}.${callers}` };
}
