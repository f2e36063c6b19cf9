//! Whether a request comes from GitLab: its token, or its signature.

use hookwright_sdk::inbound::{Encoding, NotFresh, Stop, TimeFormat, codes, fresh, signed};
use hookwright_sdk::{Refusal, Request, crypto};

/// The name of the webhook's token.
pub(crate) const SECRET: &str = "signing-secret";

/// Seconds that a signed request may be old.
const TOLERANCE: u32 = 300;

/// Checks what the request brings. Where it brings both, one that is right is enough: GitLab's two tokens differ, and
/// the operator stored one of them.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
pub(crate) fn check(request: &Request) -> Result<(), Stop> {
    let token = request.header("x-gitlab-token").filter(|token| !token.is_empty());
    let signature = request.header_list("webhook-signature");
    if let Some(token) = token
        && crypto::checked(crypto::verify_token(SECRET, token))?
    {
        return Ok(());
    }
    let refusal = match (signature, token) {
        (Some(signature), _) => match by_signature(request, &signature)? {
            None => return Ok(()),
            Some(refusal) => refusal,
        },
        (None, Some(_)) => Refusal::new(
            401,
            "gitlab.token_wrong",
            "the x-gitlab-token header is not this source's secret: give the webhook in GitLab the same secret token",
        ),
        (None, None) => Refusal::new(
            401,
            "gitlab.token_missing",
            "no x-gitlab-token header: give the webhook in GitLab the same secret token as this source",
        ),
    };
    Err(refusal.into())
}

/// What is wrong with the signature. `None` if it is valid.
fn by_signature(request: &Request, signature: &str) -> Result<Option<Refusal>, Stop> {
    let wrong = |said: &str| Ok(Some(Refusal::new(401, "gitlab.signature_wrong", said)));
    let (Some(id), Some(time)) = (request.header("webhook-id"), request.header("webhook-timestamp")) else {
        return wrong("webhook-id and webhook-timestamp must come with webhook-signature");
    };
    match fresh(time, TimeFormat::Seconds, TOLERANCE) {
        Ok(()) => {}
        Err(NotFresh::TooFar(said)) => return wrong(&format!("the webhook-timestamp header {said}")),
        Err(unreadable) => return Ok(Some(unreadable.refusal("gitlab", "the webhook-timestamp header"))),
    }
    let codes: Vec<Vec<u8>> = codes(signature, "v1,").filter_map(|code| Encoding::Base64.decode(code)).collect();
    let mut data = format!("{id}.{time}.").into_bytes();
    data.extend_from_slice(&request.body);
    if signed("sha256", SECRET, &data, &codes)? {
        return Ok(None);
    }
    wrong(
        "the webhook-signature header is not the body's: store the webhook's signing token (whsec_..) as this source's secret",
    )
}
