// The plugin-kind `plugin-name`.
import type { Source } from 'hookwright:plugin/source@0.1.0';
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';
import { verifyToken } from 'hookwright:plugin/crypto@0.1.0';
import { utf8Decode, utf8Encode } from 'hookwright:plugin/encoding@0.1.0';
import { failureOf, guarded } from './hookwright.js';

export const metadata: Metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: 'Takes requests that carry the right token',
    parameters: '{"type":"object","additionalProperties":false}',
    hints: [['instance', 'warm']],
  }),
};

export const source: Source = {
  receive: guarded((request) => {
    const token = request.headers.find(([name]) => name === 'x-token')?.[1] ?? '';
    try {
      verifyToken('token', token);
    } catch (error) {
      if (failureOf(error) === undefined) throw error;
      const message = 'the header x-token has not the agreed token';
      return { tag: 'refused', val: { status: 401, code: 'token.invalid', message } };
    }
    const draft = { eventType: 'plugin-name.received', data: utf8Decode(request.body), attributes: [] };
    // Status 0: the host answers as it answers its own API.
    return { tag: 'accepted', val: { events: [draft], answer: { status: 0, headers: [], body: utf8Encode('') } } };
  }),
};
