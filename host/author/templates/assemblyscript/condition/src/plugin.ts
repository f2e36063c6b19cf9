// The plugin-kind `plugin-name`.

import { Event, Manifest, Verdict } from "../target/sdk/hookwright";
import { compact, equal, get } from "../target/sdk/json";

export function describe(): Manifest {
  return new Manifest(
    "plugin-name",
    "0.1.0",
    "Holds where the event's level is the expected one",
    '{"type":"object","required":["level"],"properties":{"level":{"type":"string"}},"additionalProperties":false}',
  );
}

export function evaluate(event: Event, parameters: string): Verdict {
  const expected = get(parameters, "level");
  const level = get(event.data, "level");
  const reason = "level is " + compact(level, "nothing") + ", expected " + compact(expected, "nothing");
  return new Verdict(equal(level, expected), reason);
}
