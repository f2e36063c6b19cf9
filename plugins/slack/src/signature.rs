//! `X-Slack-Signature`: `v0=CODE` over `v0:TIME:BODY`.

use hookwright_sdk::inbound::{Encoding, Stop, TimeFormat, codes, fresh, signed};
use hookwright_sdk::{Refusal, Request};

/// The name of the app's signing secret.
pub(crate) const SECRET: &str = "signing-secret";

/// Checks the signature and its age.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
pub(crate) fn check(request: &Request, tolerance: u32) -> Result<(), Stop> {
    let (Some(header), Some(time)) =
        (request.header_list("x-slack-signature"), request.header("x-slack-request-timestamp"))
    else {
        let said = "no x-slack-signature or no x-slack-request-timestamp header: Slack sends both with every request";
        return Err(Refusal::new(401, "slack.signature_missing", said).into());
    };
    let wrong = |said: &str| Refusal::new(401, "slack.signature_wrong", format!("the x-slack-signature header {said}"));
    let mut digits = codes(&header, "v0=").peekable();
    digits.peek().ok_or_else(|| wrong("does not begin with v0="))?;
    let found: Vec<Vec<u8>> = digits.filter_map(|digits| Encoding::Hex.decode(digits)).collect();
    if found.is_empty() {
        return Err(wrong("is not hexadecimal").into());
    }
    let mut data = format!("v0:{time}:").into_bytes();
    data.extend_from_slice(&request.body);
    if !signed("sha256", SECRET, &data, &found)? {
        return Err(wrong(
            "is not the body's: store the app's signing secret (Basic Information, App Credentials) as this source's secret",
        )
        .into());
    }
    fresh(time, TimeFormat::Seconds, tolerance)
        .map_err(|not_fresh| not_fresh.refusal("slack", "the x-slack-request-timestamp header").into())
}
