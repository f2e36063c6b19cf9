// A receiver that reads what comes with the npm package cloudevents.
//
// Prints its port as {"port"}, and for each request {mode, events} as the library reads them, strictly: without data that is
// bytes, whose base64 stands in data_base64. What it cannot read is answered with 400 and printed as {error}.
import { createServer } from "node:http";
import { CloudEvent, HTTP } from "cloudevents";

const BATCH = "application/cloudevents-batch+json";
const STRUCTURED = "application/cloudevents+json";

function modeOf(type) {
  if (type.startsWith(BATCH)) return "batched";
  return type.startsWith(STRUCTURED) ? "structured" : "binary";
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const bytes = Buffer.concat(parts);
  const type = request.headers["content-type"] ?? "";
  const mode = modeOf(type);
  try {
    // In binary mode only JSON and text are a text to the library.
    const isText = mode !== "binary" || /json|^text\//.test(type);
    const message = { headers: request.headers, body: isText ? bytes.toString("utf8") : new Uint8Array(bytes) };
    const events = [HTTP.toEvent(message)].flat().map((event) => {
      event.validate();
      const read = new CloudEvent(event, true).toJSON();
      // The library leaves header values as they came: percent-encoded (HTTP binding, section 3.1.3.2).
      if (mode === "binary") read.subject = decodeURIComponent(read.subject);
      return mode === "binary" && !isText ? { ...read, data: undefined, data_base64: bytes.toString("base64") } : read;
    });
    response.writeHead(204).end();
    console.log(JSON.stringify({ mode, events }));
  } catch (error) {
    response.writeHead(400).end();
    console.log(JSON.stringify({ mode, error: String(error), body: bytes.toString("utf8") }));
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
