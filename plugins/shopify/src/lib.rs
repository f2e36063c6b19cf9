//! The source `shopify`: receives Shopify's webhooks.
//!
//! Every request must be signed (`X-Shopify-Hmac-Sha256`) with the secret that the operator stored as `signing-secret`:
//! the app's client secret, or for webhooks made in the shop's admin the one that its page shows. The topic
//! `orders/create` becomes an event of type `shopify.orders.create`, known by the webhook's id, about `orders/ID`, at
//! the time at which Shopify triggered it. The payload is the event's data, untouched.

use hookwright_sdk::inbound::{self, Encoding, Perhaps, Stop};
use hookwright_sdk::{Draft, Failure, Id, Manifest, Plugin, Reception, Refusal, Request, Source};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The name of the secret.
const SECRET: &str = "signing-secret";

/// Headers that are stored with the event.
const KEPT: [&str; 8] = [
    "content-type",
    "x-shopify-api-version",
    "x-shopify-event-id",
    "x-shopify-name",
    "x-shopify-shop-domain",
    "x-shopify-sub-topic",
    "x-shopify-topic",
    "x-shopify-webhook-id",
];

/// The part of a payload that the envelope uses.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Perhaps<Id>,
}

struct Shopify;

impl Plugin for Shopify {
    const MANIFEST: Manifest = Manifest {
        name: "shopify",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks from Shopify and checks their signatures",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
    };
    type Parameters = IgnoredAny;
}

impl Source for Shopify {
    fn receive(request: &Request, _parameters: IgnoredAny) -> Result<Reception, Failure> {
        inbound::settle(receive(request))
    }
}

fn receive(request: &Request) -> Result<Reception, Stop> {
    inbound::only_post(request, "shopify.method", "Shopify")?;
    check(request)?;
    let plain = inbound::decoded(request, "shopify.payload_invalid")?;
    let payload = inbound::json(&plain, "shopify.payload_invalid")?;
    let topic = request.header("x-shopify-topic").unwrap_or_default();
    let words = inbound::dotted(topic);
    if words.is_empty() {
        let said = "no x-shopify-topic header, or an empty one: Shopify sends one with every webhook";
        return Err(Refusal::new(400, "shopify.topic_missing", said).into());
    }
    let head: Head = inbound::head(payload).map_err(|said| Refusal::new(400, "shopify.payload_invalid", said))?;
    let resource = topic.split('/').next().unwrap_or_default();
    Ok(Reception::events(vec![
        Draft {
            // Several webhooks may tell of one event, so the event's id comes second.
            id: ["x-shopify-webhook-id", "x-shopify-event-id"]
                .iter()
                .find_map(|name| inbound::event_id(request.header(name)?)),
            subject: head.id.0.and_then(|id| inbound::subject(&format!("{resource}/{id}"))),
            attributes: inbound::kept(request, &KEPT),
            ..Draft::new(format!("shopify.{words}"), payload)
        }
        .at(request.header("x-shopify-triggered-at").map(Value::from).as_ref()),
    ]))
}

/// Checks the signature of the body.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
fn check(request: &Request) -> Result<(), Stop> {
    let Some(header) = request.header_list("x-shopify-hmac-sha256") else {
        let said = "no x-shopify-hmac-sha256 header: Shopify sends one with every webhook";
        return Err(Refusal::new(401, "shopify.signature_missing", said).into());
    };
    let wrong =
        |said: &str| Refusal::new(401, "shopify.signature_wrong", format!("the x-shopify-hmac-sha256 header {said}"));
    let codes: Vec<Vec<u8>> = inbound::codes(&header, "").filter_map(|code| Encoding::Base64.decode(code)).collect();
    if codes.is_empty() {
        return Err(wrong("is not base64").into());
    }
    if inbound::signed("sha256", SECRET, &request.body, &codes)? {
        return Ok(());
    }
    Err(wrong(
        "is not the body's: store the app's client secret, or the secret that the shop's notification settings show, as \
         this source's secret",
    )
    .into())
}

hookwright_sdk::export_source!(Shopify);

#[cfg(test)]
mod tests;
