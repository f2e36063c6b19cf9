// The plugin-kind `plugin-name`.
import type { Condition } from 'hookwright:plugin/condition@0.1.0';
import type { Metadata } from 'hookwright:plugin/metadata@0.1.0';

export const metadata: Metadata = {
  describe: () => ({
    name: 'plugin-name',
    version: '0.1.0',
    summary: 'Holds where the event\'s level is the expected one',
    parameters: '{"type":"object","required":["level"],"properties":{"level":{"type":"string"}},"additionalProperties":false}',
    // The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each call
    // gets a fresh instance.
    hints: [['instance', 'warm']],
  }),
};

export const condition: Condition = {
  evaluate: (event, parameters) => {
    const { level: expected } = JSON.parse(parameters);
    const level = JSON.parse(event.data)?.level;
    const reason = `level is ${JSON.stringify(level)}, expected ${JSON.stringify(expected)}`;
    return { holds: level === expected, reason };
  },
};
