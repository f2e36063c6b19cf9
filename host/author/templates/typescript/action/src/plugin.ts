// The plugin-kind `plugin-name`.
import type { Action } from 'hookwright:plugin/action@0.1.0';
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';
import { addNote } from 'hookwright:plugin/tickets@0.1.0';

export const metadata: Metadata = {
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

export const action: Action = {
  run: (event, parameters) => {
    const { ticket } = JSON.parse(parameters);
    // An id may be a number, and the host requires a string.
    const note = addNote(String(ticket), `${event.eventType} from ${event.source}`, false);
    return { tag: 'done', val: JSON.stringify({ note }) };
  },
};
