//! `X-Slack-Signature`: `v0=CODE` over `v0:TIME:BODY`.

use hookwright_sdk::inbound::{Encoding, Stop, fresh, signed};
use hookwright_sdk::{Refusal, Request};

use crate::SECRET;

/// Checks the signature and its age.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
pub(crate) fn check(request: &Request, tolerance: u32) -> Result<(), Stop> {
    let (Some(header), Some(time)) = (request.header("x-slack-signature"), request.header("x-slack-request-timestamp"))
    else {
        let said = "no x-slack-signature or no x-slack-request-timestamp header: Slack sends both with every request";
        return Err(Refusal::new(401, "slack.signature_missing", said).into());
    };
    let wrong = |said: &str| Refusal::new(401, "slack.signature_wrong", format!("the x-slack-signature header {said}"));
    let digits = header.strip_prefix("v0=").ok_or_else(|| wrong("does not begin with v0="))?;
    let code = Encoding::Hex.decode(digits).ok_or_else(|| wrong("is not hexadecimal"))?;
    let mut data = format!("v0:{time}:").into_bytes();
    data.extend_from_slice(&request.body);
    if !signed("sha256", SECRET, &data, &[code])? {
        return Err(wrong(
            "is not the body's: store the app's signing secret (Basic Information, App Credentials) as this source's secret",
        )
        .into());
    }
    fresh(time, tolerance).map_err(|said| {
        Refusal::new(401, "slack.signature_old", format!("the x-slack-request-timestamp header {said}")).into()
    })
}
