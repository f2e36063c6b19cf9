//! GitHub's `X-Hub-Signature-256`: HMAC-SHA256 of the body, in hexadecimal.

use hookwright_model::GithubPolicy;

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::signed::{Signed, Unsigned, check_header, sign_with};

pub(crate) fn sign(
    policy: &GithubPolicy,
    newest: &(String, Key),
    unsigned: &Unsigned<'_>,
) -> Result<Signed, SigningError> {
    check_header("the event's type", unsigned.event_type)?;
    let mut headers = vec![
        ("X-GitHub-Event".to_owned(), unsigned.event_type.to_owned()),
        ("X-GitHub-Delivery".to_owned(), unsigned.id.to_owned()),
    ];
    let code = sign_with(newest, Algorithm::HmacSha256, &[unsigned.body])?;
    headers.push(("X-Hub-Signature-256".to_owned(), format!("sha256={}", hex::encode(code))));
    if policy.sha1 {
        let code = sign_with(newest, Algorithm::HmacSha1, &[unsigned.body])?;
        headers.push(("X-Hub-Signature".to_owned(), format!("sha1={}", hex::encode(code))));
    }
    Ok(Signed::as_is(unsigned, headers))
}
