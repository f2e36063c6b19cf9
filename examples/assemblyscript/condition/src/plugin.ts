// The condition `probe-condition` (see ../../../README.md).

import { Event, Failure, Manifest, Verdict } from "../target/sdk/hookwright";
import { compact, equal, follow, get, text } from "../target/sdk/json";

export function describe(): Manifest {
  return new Manifest(
    "probe-condition",
    "0.1.0",
    "Compares a value of the event with an expected one",
    '{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}',
  );
}

export function evaluate(event: Event, parameters: string): Verdict {
  const given = get(parameters, "path");
  const path = text(given);
  if (path == null || path.length == 0) {
    const said = compact(given, "nothing");
    const message = "`path` is " + said + ': write the dotted path of a value, such as "a.b"';
    return Verdict.failed(new Failure("parameters.invalid", message));
  }
  const equals = get(parameters, "equals");
  const expected: string = equals == null ? "null" : equals;
  const value = follow(event.data, path);
  const reason = path + " is " + compact(value, "nothing") + ", expected " + compact(expected, "");
  return new Verdict(equal(value, expected), reason);
}
