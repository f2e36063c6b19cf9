"""A receiver that reads what comes with the PyPI package cloudevents.

Prints its port as {"port"}, and for each request {mode, events} as the library reads and writes them. What it cannot
read is answered with 400 and printed as {error}.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


def say(**message):
    # In one piece: several threads print.
    print(json.dumps(message) + "\n", end="", flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.headers["content-type"]
        mode = "batched" if kind.startswith(BATCH) else "structured" if kind.startswith(STRUCTURED) else "binary"
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            if mode == "batched":
                # The library has no call that reads a batch: its JSON of each event in an array is the format.
                events = [JSONFormat().read(CloudEvent, json.dumps(event).encode()) for event in json.loads(body)]
            else:
                events = [from_http_event(HTTPMessage(headers=headers, body=body))]
            message = {"events": [json.loads(JSONFormat().write(event)) for event in events]}
        except Exception as error:
            message = {"error": repr(error), "body": body.decode(errors="replace")}
        self.send_response(400 if "error" in message else 204)
        if "error" in message:
            self.send_header("content-length", "0")
        self.end_headers()
        say(mode=mode, **message)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
say(port=server.server_port)
server.serve_forever()
