//! Whether a request comes from Jira: its signature, or the secret in its URL.

use hookwright_sdk::inbound::{Encoding, Stop, codes, query, signed};
use hookwright_sdk::{Refusal, Request, crypto};

/// The name of the webhook's secret.
pub(crate) const SECRET: &str = "signing-secret";

/// Checks the signature (WebSub's `METHOD=CODE`); where there is none, the secret in the query's `parameter`.
///
/// # Errors
/// The refusal, with status 401, or the host's failure where it has no secret to check with.
pub(crate) fn check(request: &Request, parameter: Option<&str>) -> Result<(), Stop> {
    if let Some(header) = request.header_list("x-hub-signature") {
        return by_signature(request, &header);
    }
    let Some(parameter) = parameter else {
        let said = "no x-hub-signature header: give the webhook in Jira the same secret as this source, or let the \
                    secret come in the URL (token_parameter)";
        return Err(Refusal::new(401, "jira.signature_missing", said).into());
    };
    let Some(token) = query(request, parameter) else {
        let said =
            format!("neither an x-hub-signature header nor `{parameter}` in the URL's query: add ?{parameter}=SECRET");
        return Err(Refusal::new(401, "jira.token_missing", said).into());
    };
    if crypto::checked(crypto::verify_token(SECRET, &token))? {
        return Ok(());
    }
    let said = format!("`{parameter}` in the URL's query is not this source's secret");
    Err(Refusal::new(401, "jira.token_wrong", said).into())
}

fn by_signature(request: &Request, header: &str) -> Result<(), Stop> {
    let wrong = |said: &str| Refusal::new(401, "jira.signature_wrong", format!("the x-hub-signature header {said}"));
    let mut digits = codes(header, "sha256=").peekable();
    digits.peek().ok_or_else(|| wrong("does not begin with sha256="))?;
    let found: Vec<Vec<u8>> = digits.filter_map(|digits| Encoding::Hex.decode(digits)).collect();
    if found.is_empty() {
        return Err(wrong("is not hexadecimal").into());
    }
    if signed("sha256", SECRET, &request.body, &found)? {
        return Ok(());
    }
    Err(wrong("is not the body's: the webhook in Jira has another secret than this source").into())
}
