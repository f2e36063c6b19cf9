"""A receiver that verifies what comes with the PyPI package standardwebhooks.

Prints its port as {"port"}, reads the secret as one line, and prints for each request whether it verifies.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook


def say(**message):
    # In one piece: several threads print.
    print(json.dumps(message) + "\n", end="", flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        identity = self.headers["webhook-id"]
        try:
            payload = self.server.webhook.verify(body, dict(self.headers.items()))
        except Exception as error:
            status, message = 401, {"verified": False, "error": repr(error)}
        else:
            status, message = 204, {"verified": True, "payload": payload}
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()
        say(id=identity, **message)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
say(port=server.server_port)
server.webhook = Webhook(sys.stdin.readline().strip())
say(ready=True)
server.serve_forever()
