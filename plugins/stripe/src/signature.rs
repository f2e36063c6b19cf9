//! `Stripe-Signature`: `t=TIME,v1=CODE`, with a code for each of the endpoint's secrets while one is being replaced.

use hookwright_sdk::inbound::{Encoding, Stop, TimeFormat, fresh, signed};
use hookwright_sdk::{Refusal, Request};

/// The name of the endpoint's secret.
pub(crate) const SECRET: &str = "signing-secret";

/// Checks the signature and its age.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
pub(crate) fn check(request: &Request, tolerance: u32) -> Result<(), Stop> {
    let Some(header) = request.header_list("stripe-signature") else {
        let said = "no stripe-signature header: Stripe sends one with every event";
        return Err(Refusal::new(401, "stripe.signature_missing", said).into());
    };
    let wrong = |said: &str| Refusal::new(401, "stripe.signature_wrong", format!("the stripe-signature header {said}"));
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some((_, time)) = parts().find(|(name, _)| *name == "t") else {
        return Err(wrong("has no time (t=)").into());
    };
    // v0 codes are those of test events made with an old scheme, which proves nothing.
    let codes: Vec<Vec<u8>> =
        parts().filter(|(name, _)| *name == "v1").filter_map(|(_, code)| Encoding::Hex.decode(code)).collect();
    if codes.is_empty() {
        return Err(wrong("has no code (v1=) in hexadecimal").into());
    }
    let mut data = format!("{time}.").into_bytes();
    data.extend_from_slice(&request.body);
    if !signed("sha256", SECRET, &data, &codes)? {
        return Err(wrong(
            "is not the body's: store the signing secret (whsec_..) of this endpoint in Stripe as the source's secret",
        )
        .into());
    }
    // The age counts only once the time is known to be Stripe's own.
    fresh(time, TimeFormat::Seconds, tolerance)
        .map_err(|not_fresh| not_fresh.refusal("stripe", "the time (t=) of the stripe-signature header").into())
}
