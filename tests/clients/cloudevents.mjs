// Sends events with the npm package cloudevents in all three modes, reads each back, and prints one line for each.
//
// node cloudevents.mjs URL KEY
import { CloudEvent, HTTP } from "cloudevents";

const [url, key] = process.argv.slice(2);
const authorization = `Bearer ${key}`;

const make = (mode, more = {}) =>
  new CloudEvent({
    type: `shop.order.${mode}`,
    source: "/npm/cloudevents",
    subject: "order 7",
    time: "2026-01-02T03:04:05.678Z",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    data: { order: 7, items: [{ sku: "ä-1", price: 12.5 }] },
    ...more,
  });

async function send(mode, message, events) {
  const response = await fetch(url, { method: "POST", headers: { ...message.headers, authorization }, body: message.body });
  const answer = await response.json();
  for (const sent of events) {
    const story = await (await fetch(`${url}/${sent.id}`, { headers: { authorization } })).json();
    const payload = await fetch(`${url}/${sent.id}/payload`, { headers: { authorization } });
    const base64 = Buffer.from(await payload.arrayBuffer()).toString("base64");
    const wanted = sent.toJSON();
    // What comes out must be a valid event for the same library, strictly.
    const read = story.event && new CloudEvent(story.event, true).toJSON();
    console.log(JSON.stringify({ mode, status: response.status, answer, sent: wanted, read, payload: base64 }));
  }
}

const structured = make("structured");
await send("structured", HTTP.structured(structured), [structured]);

const binary = make("binary");
await send("binary", HTTP.binary(binary), [binary]);

const bytes = make("bytes", { data: new Uint8Array([0, 255, 128, 10]), datacontenttype: "application/octet-stream" });
await send("binary", HTTP.binary(bytes), [bytes]);

// The library reads batches but has no call that writes one: its JSON of each event in an array is the format.
const batch = [make("batched"), make("batched", { data: "text", datacontenttype: "text/plain" })];
const headers = { "content-type": "application/cloudevents-batch+json; charset=utf-8" };
await send("batched", { headers, body: JSON.stringify(batch) }, batch);
