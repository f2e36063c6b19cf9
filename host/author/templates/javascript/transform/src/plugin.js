// The plugin-kind `plugin-name`.
import { utf8Encode } from 'hookwright:plugin/encoding@0.1.0';

/** @type {import('hookwright:plugin/metadata@0.1.0').Metadata} */
export const metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: 'Makes the message of the event\'s type and payload',
    parameters: '{"type":"object","additionalProperties":false}',
    // The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each call
    // gets a fresh instance.
    hints: [['instance', 'warm']],
  }),
};

/** @type {import('hookwright:plugin/transform@0.1.0').Transform} */
export const transform = {
  apply: (event, message) => {
    const body = `{"type":${JSON.stringify(event.eventType)},"data":${event.data}}`;
    return { tag: 'send', val: { headers: message.headers, contentType: 'application/json', body: utf8Encode(body) } };
  },
};
