//! Bodies that were sent compressed, for sources that check a signature: it is over the bytes as they were sent.

use std::borrow::Cow;

use crate::{Refusal, Request, encoding};

/// The request with its body decoded, as its `Content-Encoding` says, and without that header. A source with the hint
/// `body=as-sent` gets what was sent, checks the signature over that, and reads what this gives; to every other source
/// the host hands requests that are decoded already.
///
/// # Errors
/// The refusal, with status 400 and this code: the body is not what the header says.
pub fn decoded<'r>(request: &'r Request, code: &str) -> Result<Cow<'r, Request>, Refusal> {
    let values: Vec<&str> =
        request.headers.iter().filter(|(name, _)| is_coding(name)).map(|(_, value)| value.as_str()).collect();
    if values.is_empty() {
        return Ok(Cow::Borrowed(request));
    }
    let body = encoding::content_decode(&values.join(", "), &request.body)
        .map_err(|failure| Refusal::new(400, code, failure.message))?;
    let headers = request.headers.iter().filter(|(name, _)| !is_coding(name)).cloned().collect();
    Ok(Cow::Owned(Request { headers, body, ..request.clone() }))
}

fn is_coding(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-encoding")
}
