"""The plugin-kind `plugin-name`."""

import json

from wit_world import exports
from wit_world.exports.condition import Verdict
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="plugin-name",
            version="0.1.0",
            summary="Holds where the event's level is the expected one",
            parameters='{"type":"object","required":["level"],"properties":{"level":{"type":"string"}},"additionalProperties":false}',
            # The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each
            # call gets a fresh instance.
            hints=[("instance", "warm")],
        )


class Condition(exports.Condition):
    def evaluate(self, event, parameters):
        expected = json.loads(parameters)["level"]
        data = json.loads(event.data)
        level = data.get("level") if isinstance(data, dict) else None
        return Verdict(level == expected, f"level is {json.dumps(level)}, expected {json.dumps(expected)}")
