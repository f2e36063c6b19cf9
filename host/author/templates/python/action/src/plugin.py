"""The plugin-kind `plugin-name`."""

import json

from hookwright import guarded
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
            hints=[("instance", "warm")],
        )


class Action(exports.Action):
    @guarded
    def run(self, event, parameters):
        ticket = json.loads(parameters)["ticket"]
        # An id may be a number; the host takes text, and a number where it wants text is a trap.
        note = tickets.add_note(str(ticket), f"{event.event_type} from {event.source}", False)
        return Outcome_Done(json.dumps({"note": note}))
