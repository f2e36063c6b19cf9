// The condition `probe-condition` (see ../../../README.md).
import { failure, guarded } from './hookwright.js';
import { compact, equal, follow, get, text } from './json.js';

export const metadata = {
  describe: () => ({
    name: 'probe-condition',
    version: '0.1.0',
    summary: 'Compares a value of the event with an expected one',
    parameters: '{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}',
    hints: [],
  }),
};

export const condition = {
  evaluate: guarded((event, parameters) => {
    const given = get(parameters, 'path');
    const path = text(given);
    if (!path) {
      const said = compact(given, 'nothing');
      throw failure('parameters.invalid', `\`path\` is ${said}: write the dotted path of a value, such as "a.b"`);
    }
    const expected = get(parameters, 'equals') ?? 'null';
    const value = follow(event.data, path);
    const reason = `${path} is ${compact(value, 'nothing')}, expected ${compact(expected, 'null')}`;
    return { holds: equal(value, expected), reason };
  }),
};
