// The plugin-kind `plugin-name`.
import { addNote } from 'hookwright:plugin/tickets@0.1.0';

/** @type {import('hookwright:plugin/metadata@0.1.0').Metadata} */
export const metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: 'Adds a note about the event to a ticket',
    parameters: '{"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false}',
    // The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each call
    // gets a fresh instance.
    hints: [['instance', 'warm']],
  }),
};

/** @type {import('hookwright:plugin/action@0.1.0').Action} */
export const action = {
  run: (event, parameters) => {
    const { ticket } = JSON.parse(parameters);
    // An id may be a number, and the host requires a string.
    const note = addNote(String(ticket), `${event.eventType} from ${event.source}`, false);
    return { tag: 'done', val: JSON.stringify({ note }) };
  },
};
