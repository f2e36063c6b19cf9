// Verifies signed requests with the libraries that receivers use.
//
// Reads lines of JSON: {scheme, method, url, headers: {name: value}, body} and what the scheme needs of
//   secret        the text of a secret
//   keys          {id: {pem, jwk, text}}: public keys
//   algorithm, audience, issuer, header, encoding, prefix, timestamp_header: of the policy
//   certificate   PEM, in place of what SigningCertURL would answer
// Prints for each line and each library of its scheme {library, verified} and, if it is not, error.
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { createHash, createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import * as jose from "jose";
import signatures from "http-message-signatures";
import { Webhook } from "standardwebhooks";
import { Webhooks } from "@octokit/webhooks";
import Stripe from "stripe";

const require = createRequire(import.meta.url);
const svix = require("svix");
const SnsValidator = require("sns-validator");
const SnsPayloadValidator = require("sns-payload-validator");

function check(holds, message) {
  if (!holds) throw new Error(message);
}

function header(request, name) {
  const found = Object.entries(request.headers).find(([known]) => known.toLowerCase() === name.toLowerCase());
  check(found, `there is no ${name}`);
  return found[1];
}

function same(one, other) {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

// sns-validator insists on https. The server in the tests speaks plain HTTP on loopback, so that is asked instead; a
// certificate that was given is answered without asking anybody.
async function withCertificate(certificate, action) {
  const get = https.get;
  https.get = (url, ...rest) => {
    const answer = rest.at(-1);
    if (!certificate) return http.get(url.replace(/^https:/, "http:"), answer);
    const response = Object.assign(Readable.from([certificate]), { statusCode: 200 });
    setImmediate(() => answer(response));
    return new EventEmitter();
  };
  try {
    return await action();
  } finally {
    https.get = get;
  }
}

// The certificate's address is not signed, so a receiver may put the one that it trusts in its place.
function withAddress(body, address) {
  const document = JSON.parse(body);
  return { ...document, SigningCertURL: address(document.SigningCertURL) };
}

// sns-validator takes an expression for the host, and wants https.
const HOSTS = /^(127\.0\.0\.1|localhost|hooks\.example)(:\d+)?$/;
const tls = (url) => url.replace(/^http:/, "https:");
// sns-payload-validator has no option, the address must look like one of Amazon's; but it looks into its cache first.
const AMAZONS = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${"0".repeat(32)}.pem`;

async function fetchedCertificate({ certificate, body }) {
  if (certificate) return certificate;
  const response = await fetch(JSON.parse(body).SigningCertURL.replace(/^https:/, "http:"));
  check(response.ok, `the certificate's URL answers ${response.status}`);
  return response.text();
}

const schemes = {
  standard: {
    standardwebhooks: ({ secret, body, headers }) => new Webhook(secret).verify(body, headers),
    svix: ({ secret, body, headers }) => new svix.Webhook(secret).verify(body, headers),
  },
  // No library for Node.js verifies v1a.
  "standard-asymmetric": {
    "node:crypto": (request) => {
      const signed = [header(request, "webhook-id"), header(request, "webhook-timestamp"), request.body].join(".");
      const given = header(request, "webhook-signature").split(" ").filter((one) => one.startsWith("v1a,"));
      const verifies = (text) => given.some((one) => {
        const x = Buffer.from(text.replace("whpk_", ""), "base64").toString("base64url");
        const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
        return verify(null, Buffer.from(signed), key, Buffer.from(one.slice(4), "base64"));
      });
      check(Object.values(request.keys).some(({ text }) => verifies(text)), "no signature matches");
    },
  },
  stripe: {
    stripe: (request) => {
      const stripe = new Stripe("sk_test_none");
      const args = [request.body, header(request, "stripe-signature"), request.secret];
      // An event of Stripe's own form is read too, any other body is only verified.
      const isEvent = request.body.includes('"object":"event"');
      if (isEvent) stripe.webhooks.constructEvent(...args);
      else stripe.webhooks.signature.verifyHeader(...args);
    },
  },
  github: {
    "@octokit/webhooks": async (request) => {
      const webhooks = new Webhooks({ secret: request.secret });
      check(await webhooks.verify(request.body, header(request, "x-hub-signature-256")), "the signature does not match");
      check(header(request, "x-github-delivery") && header(request, "x-github-event"), "the delivery has no name");
    },
  },
  jwt: {
    jose: async ({ keys, secret, body, algorithm, audience, issuer }) => {
      const sets = Object.entries(keys ?? {}).map(([kid, { jwk }]) => ({ ...jwk, kid }));
      const key = secret ? new TextEncoder().encode(secret) : jose.createLocalJWKSet({ keys: sets });
      const { payload } = await jose.jwtVerify(JSON.parse(body).jwt, key, { algorithms: [algorithm], audience, issuer });
      check(payload.data !== undefined, "the token has no data");
    },
  },
  sns: {
    "sns-validator": ({ body, certificate }) =>
      withCertificate(certificate, () => new Promise((resolve, reject) => {
        new SnsValidator(HOSTS).validate(withAddress(body, tls), (error) => (error ? reject(error) : resolve()));
      })),
    "sns-payload-validator": async (request) => {
      const validator = new SnsPayloadValidator();
      validator.certCache.set(AMAZONS, await fetchedCertificate(request));
      await validator.validate(withAddress(request.body, () => AMAZONS));
    },
  },
  "http-message-signatures": {
    "http-message-signatures": async (request) => {
      const digest = createHash("sha256").update(request.body).digest("base64");
      check(same(header(request, "content-digest"), `sha-256=:${digest}:`), "the digest is not that of the body");
      const keyLookup = async ({ keyid }) => {
        const key = request.secret ?? request.keys?.[keyid]?.pem;
        return key && { id: keyid, algs: [request.algorithm], verify: signatures.createVerifier(key, request.algorithm) };
      };
      const requiredFields = ["@method", "@target-uri", "content-digest"];
      const verified = await signatures.httpbis.verifyMessage({ keyLookup, requiredFields, tolerance: 5 }, request);
      check(verified === true, "no signature matches");
    },
  },
  // Every receiver of these writes it by hand.
  hmac: {
    "node:crypto": (request) => {
      const time = request.timestamp_header && header(request, request.timestamp_header);
      const signed = time ? `${time}.${request.body}` : request.body;
      const code = createHmac(request.algorithm, request.secret).update(signed).digest(request.encoding);
      check(same(header(request, request.header), `${request.prefix ?? ""}${code}`), "the code does not match");
    },
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  for (const [library, verifies] of Object.entries(schemes[request.scheme] ?? {})) {
    try {
      await verifies(request);
      console.log(JSON.stringify({ library, verified: true }));
    } catch (error) {
      console.log(JSON.stringify({ library, verified: false, error: String(error) }));
    }
  }
}
