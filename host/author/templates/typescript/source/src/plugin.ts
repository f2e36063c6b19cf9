// The plugin-kind `plugin-name`.
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';
import type { Source } from 'hookwright:plugin/source@0.1.0';
import { verifyHmac } from 'hookwright:plugin/crypto@0.1.0';
import { hexDecode, utf8Decode, utf8Encode } from 'hookwright:plugin/encoding@0.1.0';
import { SIGNING_SECRET, verified } from './hookwright.js';

export const metadata: Metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: "Takes requests that are signed with the source's secret",
    parameters: '{"type":"object","additionalProperties":false}',
    // The instance serves several requests: a variable of the module outlives its call. Take the hint away, and each call
    // gets a fresh instance.
    hints: [['instance', 'warm']],
  }),
};

export const source: Source = {
  receive: (request) => {
    // sha256=HEX, the HMAC of the body; the key is the secret that the source was created with.
    const signature = request.headers.find(([name]) => name === 'x-signature')?.[1] ?? '';
    const hex = /^sha256=((?:[0-9a-f]{2})+)$/i.exec(signature)?.[1];
    const code = hex === undefined ? new Uint8Array() : hexDecode(hex);
    if (!verified(() => verifyHmac('sha256', SIGNING_SECRET, request.body, code))) {
      const message = 'the header x-signature is not the HMAC of the body: send sha256=HEX';
      return { tag: 'refused', val: { status: 401, code: 'signature.wrong', message } };
    }
    const draft = { eventType: 'plugin-name.received', data: utf8Decode(request.body), attributes: [] };
    // Status 0: the host responds as to requests of its own API.
    return { tag: 'accepted', val: { events: [draft], answer: { status: 0, headers: [], body: utf8Encode('') } } };
  },
};
