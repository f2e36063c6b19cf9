"""The plugin-kind `plugin-name`."""

from hookwright import SIGNING_SECRET, verified
from wit_world import exports
from wit_world.exports.source import Answer, Draft, Intake, Reception_Accepted, Reception_Refused, Refusal
from wit_world.imports import crypto
from wit_world.imports.types import Manifest


class Metadata(exports.Metadata):
    def describe(self):
        return Manifest(
            name="plugin-name",
            version="0.1.0",
            summary="Takes requests that are signed with the source's secret",
            parameters='{"type":"object","additionalProperties":false}',
            # The instance serves several requests: a variable of the module outlives its call. Take the hint away, and
            # each call gets a fresh instance.
            hints=[("instance", "warm")],
        )


class Source(exports.Source):
    def receive(self, request, parameters):
        # sha256=HEX, the HMAC of the body; the key is the secret that the source was created with.
        signature = dict(request.headers).get("x-signature", "").removeprefix("sha256=")
        try:
            code = bytes.fromhex(signature)
        except ValueError:
            code = b""
        if not verified(lambda: crypto.verify_hmac("sha256", SIGNING_SECRET, request.body, code)):
            message = "the header x-signature is not the HMAC of the body: send sha256=HEX"
            return Reception_Refused(Refusal(401, "signature.wrong", message))
        draft = Draft(None, "plugin-name.received", None, None, request.body.decode(), [])
        # Status 0: the host responds as to requests of its own API.
        return Reception_Accepted(Intake([draft], Answer(0, [], b"")))
