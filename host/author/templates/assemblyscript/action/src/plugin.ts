// The plugin-kind `plugin-name`.

import { Event, Manifest, Outcome } from "../target/sdk/hookwright";
import { tickets } from "../target/sdk/host";
import { compact, get, quote, text } from "../target/sdk/json";

export function describe(): Manifest {
  return new Manifest(
    "plugin-name",
    "0.1.0",
    "Adds a note about the event to a ticket",
    '{"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false}',
  );
}

export function run(event: Event, parameters: string): Outcome {
  // An id may be a number or a string.
  const given = get(parameters, "ticket");
  const said = text(given);
  const ticket: string = said == null ? compact(given, "") : said;
  const note = tickets.addNote(ticket, event.eventType + " from " + event.source, false);
  if (note.failure) return Outcome.failed(note.failure!);
  return Outcome.done('{"note":' + quote(note.value) + "}");
}
