// The key pair and the signature that the documentation of App Session Keys publishes for testing.

export const APP = { appid: 'com.example.my_octoprint_app', appversion: '1.0' };
export const KEY = 'F43A844750F74AD080FE9F438D47B33C';
export const SIGNATURE = 'LGVCiolQWDc4AVn1DOcWljY0cFQxWF4pldVveUjjmL9JhiL0LnCKBbGwZ/CwKBWswFAxPaxQ0kDusVdOmCUa/w==';
export const PRIVATE_KEY = `-----BEGIN RSA PRIVATE KEY-----
MIIBPQIBAAJBAIhZ+Ls1zxtyd9kkm0DprhHIwL6woGUw5vbk5U00Hgva/ROIY7va
NUpHiiy9vijO2VtFbkaR2JjRPYslx8Ni+QkCAwEAAQJARK4lFo+FEcs3yR2iQjEy
p+yaAbNQJ4hZXlVvltLAYICzOM3kyKx53/eKU59NjskLz9q6QxfleymYPWAgl4NW
fQIjAJVH8MjwNcaAquTM9z2OiFi3OC8WgaKOi5W/T+r2+B70wG8CHwDp08dqOZ/u
xcBiy4Wzpcme9bckqoVuS3gWMm+YqgcCIwCMFU07kkY0NyumtzxPdIA4F/7OGSWf
IHqWFEfvasAddHlbAh8A5UgkB3Zf7Bt+7aFSBnlvve6FWm/XDPL12xYztYgrAiIa
W3miN6FjIm+8TDowrk+nyYXG2GZefeY7QXOjYr6tlDn0
-----END RSA PRIVATE KEY-----
`;

/** Makes a fake server hand out the documented key, and take the documented signature alone. */
export function documented(server) {
  server.overrides.set('/apps/auth', ({ method, text }, reply) => {
    if (method === 'GET') reply(200, { unverifiedKey: KEY, validUntil: 1416220357.011 });
    else if (JSON.parse(text)._sig === SIGNATURE) reply(200, { key: KEY, validUntil: 1416227497.011 });
    else reply(401, 'Invalid signature');
    return true;
  });
}
