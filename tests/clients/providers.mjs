// Sends payloads of Stripe and Slack that others recorded, signed as each signs, and prints one line for each.
//
// node providers.mjs stripe|slack URL SECRET
import { createHash, createHmac, randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import Stripe from "stripe";

const [provider, url, secret] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const root = (name) => dirname(require.resolve(`${name}/package.json`));
const now = Math.floor(Date.now() / 1000);

/** Objects of Stripe, each in an event as Stripe sends it, signed by Stripe's own library. */
function* stripe() {
  const folder = join(root("@activepieces/piece-stripe"), "src/lib/trigger");
  const types = { charge: "charge.succeeded", customer: "customer.created", subscription: "customer.subscription.created" };
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
    for (const { name, sampleData: object } of Object.values(require(join(folder, file)))) {
      const type = name === "payment_failed" ? "charge.failed" : types[object.object];
      const id = `evt_${randomUUID().replaceAll("-", "")}`;
      const event = { id, object: "event", api_version: "2022-11-15", created: now, data: { object }, livemode: false, type };
      const body = JSON.stringify(event, null, 2);
      const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret });
      const headers = { "content-type": "application/json; charset=utf-8", "stripe-signature": signature };
      yield { id, type: `stripe.${type}`, subject: object.id, body, headers };
    }
  }
}

/** Events and interactions of Slack, signed by "Verifying requests from Slack", whose code is HMAC-SHA256. */
async function* slack() {
  const folder = join(root("@pipedream/slack"), "sources");
  for (const name of readdirSync(folder)) {
    let sample;
    try {
      const { default: recorded } = await import(pathToFileURL(join(folder, name, "test-event.mjs")));
      sample = recorded.event ?? recorded;
    } catch {
      continue;
    }
    const interaction = sample.trigger_id !== undefined;
    const id = interaction ? sample.trigger_id : `Ev${randomUUID().replaceAll("-", "").slice(0, 10)}`;
    const envelope = { token: "x", team_id: "T0001", api_app_id: "A0001", event: sample, type: "event_callback", event_id: id, event_time: now };
    const body = interaction ? `payload=${encodeURIComponent(JSON.stringify(sample))}` : JSON.stringify(envelope);
    const kind = interaction ? `interaction.${sample.type}` : [sample.type, sample.subtype].filter(Boolean).join(".");
    const code = createHmac("sha256", secret).update(`v0:${now}:${body}`).digest("hex");
    const headers = {
      "content-type": interaction ? "application/x-www-form-urlencoded" : "application/json",
      "x-slack-request-timestamp": String(now),
      "x-slack-signature": `v0=${code}`,
    };
    yield { id, type: `slack.${kind}`, body, headers };
  }
}

for await (const { body, headers, ...known } of { stripe, slack }[provider]()) {
  const response = await fetch(url, { method: "POST", headers, body });
  const sha256 = createHash("sha256").update(body).digest("hex");
  console.log(JSON.stringify({ ...known, sha256, status: response.status, answer: await response.text() }));
}
