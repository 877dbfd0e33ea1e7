// A mail server for tests: it takes every letter.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { until } from './processes.mjs';

export async function startMail() {
  const letters = [];
  const server = createServer((socket) => {
    let rest = '';
    let letter;
    socket.on('error', () => {});
    socket.write('220 test\r\n');
    socket.setEncoding('utf8').on('data', (text) => {
      rest += text;
      const lines = rest.split('\r\n');
      rest = lines.pop();
      for (const line of lines) {
        if (letter !== undefined && line !== '.') {
          letter += `${line}\r\n`;
        } else if (letter !== undefined) {
          letters.push(decoded(letter));
          letter = undefined;
          socket.write('250 taken\r\n');
        } else if (line === 'DATA') {
          letter = '';
          socket.write('354 go on\r\n');
        } else if (line === 'QUIT') {
          socket.end('221 bye\r\n');
        } else {
          socket.write('250 ok\r\n');
        }
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  let read = 0;
  /** The link of the next letter. */
  const link = async () => {
    await until('a letter', () => letters.length, (count) => count > read);
    read += 1;
    return letters[read - 1].match(/https?:\/\/\S+code=\S+/)[0];
  };
  return { port: server.address().port, letters, link, stop: () => server.close() };
}

/** Quoted-printable, as far as links need it. */
function decoded(letter) {
  if (!letter.includes('quoted-printable')) return letter;
  return letter.replaceAll('=\r\n', '').replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
}
