//! The source `stripe`: receives Stripe's webhooks.
//!
//! Every request must carry `Stripe-Signature` with the time and at least one code that the endpoint's secret gives. The
//! secret is stored as `signing-secret`, whole, with its `whsec_`: unlike Standard Webhooks, Stripe keys its codes with
//! the secret's text. `invoice.paid` becomes an event of type `stripe.invoice.paid`, known by Stripe's id of it, about
//! the object in it, at the time at which Stripe made it. The payload is the event's data, untouched.

mod signature;

use hookwright_sdk::inbound::{self, Perhaps, Stop};
use hookwright_sdk::{Draft, Failure, Manifest, Pairs, Plugin, Reception, Refusal, Request, Source};
use serde::Deserialize;
use serde_json::Value;

use crate::signature::SECRET;

/// Headers that are stored with the event.
const KEPT: [&str; 2] = ["content-type", "user-agent"];

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default = "five_minutes")]
    tolerance_seconds: u32,
}

fn five_minutes() -> u32 {
    300
}

/// The parts of an event from which the envelope is made.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    id: Perhaps<String>,
    #[serde(default, rename = "type")]
    event_type: Perhaps<String>,
    /// Seconds since 1970; RFC 3339 in events of Stripe's second version.
    #[serde(default)]
    created: Perhaps<Value>,
    #[serde(default)]
    data: Perhaps<Data>,
    #[serde(default)]
    related_object: Perhaps<Object>,
    /// The connected account.
    #[serde(default)]
    account: Perhaps<String>,
    #[serde(default)]
    livemode: Perhaps<bool>,
    #[serde(default)]
    api_version: Perhaps<String>,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    id: Perhaps<String>,
}

struct Stripe;

impl Plugin for Stripe {
    const MANIFEST: Manifest = Manifest {
        name: "stripe",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks from Stripe and checks their signatures",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET), ("body", "as-sent")],
    };
    type Parameters = Parameters;
}

impl Source for Stripe {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    inbound::only_post(request, "stripe.method", "Stripe")?;
    signature::check(request, parameters.tolerance_seconds)?;
    let plain = inbound::decoded(request, "stripe.payload_invalid")?;
    let payload = inbound::json(&plain, "stripe.payload_invalid")?;
    let head: Head = inbound::head(payload).map_err(|said| Refusal::new(400, "stripe.payload_invalid", said))?;
    Ok(Reception::events(vec![draft(request, payload, head)?]))
}

fn draft(request: &Request, payload: &str, head: Head) -> Result<Draft, Refusal> {
    let missing = |field: &str| {
        let said = format!("the payload has no `{field}`: this is not an event of Stripe");
        Refusal::new(400, "stripe.event_missing", said)
    };
    let event_type = head.event_type.0.map(|text| inbound::dotted(&text)).filter(|text| !text.is_empty());
    let event_type = event_type.ok_or_else(|| missing("type"))?;
    let id = head.id.0.as_deref().and_then(inbound::event_id).ok_or_else(|| missing("id"))?;
    let object = head.data.0.map(|data| data.object).or(head.related_object.0);
    let mut attributes: Pairs = inbound::kept(request, &KEPT);
    let told = [
        ("stripe-account", head.account.0),
        ("stripe-api-version", head.api_version.0),
        ("stripe-livemode", head.livemode.0.map(|live| live.to_string())),
    ];
    attributes.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Draft {
        id: Some(id),
        subject: object.and_then(|object| inbound::subject(&object.id.0?)),
        attributes,
        ..Draft::new(format!("stripe.{event_type}"), payload)
    }
    .at(head.created.0.as_ref()))
}

hookwright_sdk::export_source!(Stripe);

#[cfg(test)]
mod tests;
