// Sends every example payload of @octokit/webhooks-examples, signed by @octokit/webhooks, and prints one line for each.
//
// node github.mjs URL SECRET
import { createHash, randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Webhooks } from "@octokit/webhooks";

const [url, secret] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const webhooks = new Webhooks({ secret });

// The main export has GitHub's own payloads; the folders beside it those of GitHub Enterprise Server.
const root = join(dirname(require.resolve("@octokit/webhooks-examples")), "..");
const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
const deliveries = [];
for (const folder of folders) {
  for (const { name, examples } of require(join(root, folder.name, "index.json"))) {
    for (const payload of examples) {
      deliveries.push({ event: name, body: JSON.stringify(payload), action: payload.action ?? null });
    }
  }
}

async function send({ event, body, action }) {
  const delivery = randomUUID();
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/0123abc",
      "x-github-delivery": delivery,
      "x-github-event": event,
      "x-hub-signature-256": await webhooks.sign(body),
    },
    body,
  });
  const sha256 = createHash("sha256").update(body).digest("hex");
  const answer = await response.text();
  console.log(JSON.stringify({ delivery, event, action, sha256, status: response.status, answer }));
}

async function worker() {
  for (let next = deliveries.shift(); next; next = deliveries.shift()) await send(next);
}
await Promise.all(Array.from({ length: 8 }, worker));
