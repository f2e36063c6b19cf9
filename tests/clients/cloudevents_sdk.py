"""Sends events with the PyPI package cloudevents in all three modes, reads each back, and prints one line for each.

python cloudevents_sdk.py URL KEY
"""

import base64
import json
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

URL, KEY = sys.argv[1:]
COUNT = iter(range(100))


def make(mode, data=None, **more):
    attributes = {
        "id": f"pypi-{next(COUNT)}",
        "specversion": "1.0",
        "type": f"shop.order.{mode}",
        "source": "/pypi/cloudevents",
        "subject": "Bestellung № 7 – 100 %",
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datacontenttype": "application/json",
        **more,
    }
    return CloudEvent(attributes, {"order": 7, "items": [{"sku": "ä-1", "price": 12.5}]} if data is None else data)


def call(path, body=None, headers=()):
    request = urllib.request.Request(URL + path, data=body, headers={**dict(headers), "authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request) as response:
        return response.status, response.read()


def send(mode, body, headers, events):
    status, answer = call("", body, headers)
    for sent in events:
        event = json.loads(call(f"/{sent.get_id()}")[1])["event"]
        # What comes out must be a valid event for the same library.
        JSONFormat().read(CloudEvent, json.dumps(event).encode())
        payload = base64.b64encode(call(f"/{sent.get_id()}/payload")[1]).decode()
        wanted = json.loads(JSONFormat().write(sent))
        print(json.dumps({"mode": mode, "status": status, "answer": json.loads(answer), "sent": wanted, "read": event, "payload": payload}))


def send_message(mode, message, event):
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    send(mode, body, message.headers, [event])


structured = make("structured")
send_message("structured", to_structured_event(structured), structured)

binary = make("binary")
send_message("binary", to_binary_event(binary), binary)

raw = make("bytes", data=b"\x00\xff\x80\n", datacontenttype="application/octet-stream")
send_message("binary", to_binary_event(raw), raw)

# The library has no call that writes a batch: its JSON of each event in an array is the format.
batch = [make("batched"), make("batched", data=b"\x00\xff", datacontenttype="application/octet-stream")]
body = b"[" + b",".join(JSONFormat().write(event) for event in batch) + b"]"
send("batched", body, {"content-type": "application/cloudevents-batch+json"}, batch)
