"""The plugin-kind `plugin-name`."""

import json

from wit_world import exports
from wit_world.exports.action import Outcome_Done
from wit_world.imports import tickets
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="plugin-name",
            version="0.1.0",
            summary="Adds a note about the event to a ticket",
            parameters='{"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false}',
            # The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each
            # call gets a fresh instance.
            hints=[("instance", "warm")],
        )


class Action(exports.Action):
    def run(self, event, parameters):
        ticket = json.loads(parameters)["ticket"]
        # An id may be a number, and the host requires a string.
        note = tickets.add_note(str(ticket), f"{event.event_type} from {event.source}", False)
        return Outcome_Done(json.dumps({"note": note}))
