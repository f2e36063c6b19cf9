// The plugin-kind `plugin-name`.
import type { Action } from 'hookwright:plugin/action@0.1.0';
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';
import { addNote } from 'hookwright:plugin/tickets@0.1.0';
import { guarded } from './hookwright.js';

export const metadata: Metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: 'Adds a note about the event to a ticket',
    parameters: '{"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false}',
    hints: [['instance', 'warm']],
  }),
};

export const action: Action = {
  run: guarded((event, parameters) => {
    const { ticket } = JSON.parse(parameters);
    // An id may be a number; the host takes text, and a number where it wants text is a trap.
    const note = addNote(String(ticket), `${event.eventType} from ${event.source}`, false);
    return { tag: 'done', val: JSON.stringify({ note }) };
  }),
};
