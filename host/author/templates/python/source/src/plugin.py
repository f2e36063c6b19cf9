"""The plugin-kind `plugin-name`."""

from componentize_py_types import Err
from hookwright import guarded
from wit_world import exports
from wit_world.exports.source import Answer, Draft, Intake, Reception_Accepted, Reception_Refused, Refusal
from wit_world.imports import crypto
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="plugin-name",
            version="0.1.0",
            summary="Takes requests that carry the right token",
            parameters='{"type":"object","additionalProperties":false}',
            hints=[("instance", "warm")],
        )


class Source(exports.Source):
    @guarded
    def receive(self, request, parameters):
        token = dict(request.headers).get("x-token", "")
        try:
            crypto.verify_token("token", token)
        except Err:
            return Reception_Refused(Refusal(401, "token.invalid", "the header x-token has not the agreed token"))
        draft = Draft(None, "plugin-name.received", None, None, request.body.decode(), [])
        # Status 0: the host answers as it answers its own API.
        return Reception_Accepted(Intake([draft], Answer(0, [], b"")))
