// The action `summarise`: sums an event up in one line, and adds the line to a ticket as a note if one is named.
//
//   {"action": "summarise", "with": {"ticket": "{{ticket.id}}", "fields": ["status", "priority"]}}

import { write } from 'hookwright:plugin/log@0.1.0';
import { addNote } from 'hookwright:plugin/tickets@0.1.0';

const LONGEST = 500;

/** A failure as the host understands it: a plain object, not an `Error`. `retryAfterMs` undefined: do not try again. */
function failure(code, message, retryAfterMs) {
  return { code, message, retryAfterMs };
}

/**
 * Wraps a function of the plugin. An `Error` that reaches the host is a trap whose message is lost, so it is caught here
 * and thrown again as a failure. A failure, such as one of the host's, passes through unchanged.
 */
function guarded(run) {
  return (...args) => {
    try {
      return run(...args);
    } catch (error) {
      const payload = error?.payload ?? error;
      if (typeof payload?.code === 'string') throw payload;
      throw failure('plugin.error', String(error?.message ?? error));
    }
  };
}

function summaryOf(event, data, fields) {
  const values = fields
    .filter((name) => data?.[name] !== undefined)
    .map((name) => `${name} ${JSON.stringify(data[name])}`);
  const about = event.subject == null ? '' : ` about ${event.subject}`;
  const line = `${event.eventType} from ${event.source}${about}${values.length ? ': ' : ''}${values.join(', ')}`;
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

export const metadata = {
  describe: () => ({
    name: 'summarise',
    version: '0.1.0',
    summary: 'Sums an event up in one line, and adds it to a ticket as a note',
    parameters: JSON.stringify({
      type: 'object',
      properties: {
        ticket: { type: ['string', 'integer'], description: 'The ticket that gets the note.' },
        fields: { type: 'array', items: { type: 'string' }, description: 'Which of the payload’s values to name.' },
      },
      additionalProperties: false,
    }),
    hints: [['instance', 'warm']],
  }),
};

export const action = {
  run: guarded((event, parameters) => {
    const { ticket, fields = [] } = JSON.parse(parameters);
    const data = JSON.parse(event.data);
    const summary = summaryOf(event, data, fields);
    write('info', summary, [['event', event.id]]);
    // An id may be a number in the payload; the host requires strings, and a number in their place is a trap.
    const note = ticket == null ? undefined : addNote(String(ticket), summary, false);
    return { tag: 'done', val: JSON.stringify({ summary, note }) };
  }),
};
