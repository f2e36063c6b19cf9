// Prints the header that a sender in JavaScript puts beside a body: sha256=HEX, its HMAC by the secret.
//
// node sign.mjs SECRET BODY
import { createHmac } from 'node:crypto';

const [secret, body] = process.argv.slice(2);
console.log(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`);
