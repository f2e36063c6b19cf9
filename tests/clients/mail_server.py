"""A mail server: the PyPI package aiosmtpd.

Prints its port as {"port"}, and each mail that it took: envelope, header fields and parts. Who begins with `busy` is
refused for now the first time, who begins with `nobody` for good. With the argument `ascii` it does not offer SMTPUTF8.
"""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP


def say(**message):
    # In one piece: several threads print.
    print(json.dumps(message) + "\n", end="", flush=True)


class Handler:
    def __init__(self):
        self.refused = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 there is nobody of that name"
        if address.startswith("busy") and address not in self.refused:
            self.refused.add(address)
            return "451 4.3.0 come again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "name": part.get_filename(),
                "content": part.get_payload(decode=True).decode("utf-8", "replace").replace("\r\n", "\n"),
            }
            for part in message.walk()
            if not part.is_multipart()
        ]
        fields = {name.lower(): str(value) for name, value in message.items()}
        say(sender=envelope.mail_from, to=envelope.rcpt_tos, fields=fields, kind=message.get_content_type(), parts=parts)
        return "250 OK"


async def main():
    loop = asyncio.get_running_loop()
    handler = Handler()
    server = await loop.create_server(lambda: SMTP(handler, enable_SMTPUTF8="ascii" not in sys.argv[1:]), "127.0.0.1", 0)
    say(port=server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
