"""The plugin-kind `plugin-name`."""

import json

from wit_world import exports
from wit_world.exports.transform import Message, Verdict_Send
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="plugin-name",
            version="0.1.0",
            summary="Makes the message of the event's type and payload",
            parameters='{"type":"object","additionalProperties":false}',
            # The instance serves several calls: a variable of the module outlives its call. Take the hint away, and each
            # call gets a fresh instance.
            hints=[("instance", "warm")],
        )


class Transform(exports.Transform):
    def apply(self, event, message, parameters):
        body = f'{{"type":{json.dumps(event.event_type)},"data":{event.data}}}'
        return Verdict_Send(Message(message.headers, "application/json", body.encode()))
