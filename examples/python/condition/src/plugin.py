"""The condition `probe-condition` (see ../../../README.md)."""

import exact_json
from hookwright import failure, guarded
from wit_world import exports
from wit_world.exports.condition import Verdict
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="probe-condition",
            version="0.1.0",
            summary="Compares a value of the event with an expected one",
            parameters='{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}',
            hints=[],
        )


class Condition(exports.Condition):
    @guarded
    def evaluate(self, event, parameters):
        given = exact_json.get(parameters, "path")
        path = exact_json.text(given)
        if not path:
            said = exact_json.compact(given, "nothing")
            raise failure(
                "parameters.invalid", f'`path` is {said}: write the dotted path of a value, such as "a.b"'
            )
        expected = exact_json.get(parameters, "equals") or "null"
        value = exact_json.follow(event.data, path)
        reason = f"{path} is {exact_json.compact(value, 'nothing')}, expected {exact_json.compact(expected, 'null')}"
        return Verdict(exact_json.equal(value, expected), reason)
