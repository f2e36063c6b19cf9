// A receiver that verifies what comes with the npm package standardwebhooks.
//
// Prints its port as {"port"}, reads the secret as one line, and prints for each request whether it verifies.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

let webhook;
createInterface({ input: process.stdin }).once("line", (secret) => {
  webhook = new Webhook(secret.trim());
  console.log(JSON.stringify({ ready: true }));
});

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString("utf8");
  const id = request.headers["webhook-id"];
  try {
    const payload = webhook.verify(body, request.headers);
    response.writeHead(204).end();
    console.log(JSON.stringify({ verified: true, id, payload }));
  } catch (error) {
    response.writeHead(401).end();
    console.log(JSON.stringify({ verified: false, id, error: String(error) }));
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
