//! An HMAC of the body in a header field of the owner's choice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_model::{HmacAlgorithm, HmacEncoding, HmacPolicy};

use crate::error::SigningError;
use crate::keys::{Algorithm, Key};
use crate::signed::{Signed, Unsigned, sign_with};

/// Signs `timestamp.body` if the time is sent, else the body.
pub(crate) fn sign(
    policy: &HmacPolicy,
    newest: &(String, Key),
    unsigned: &Unsigned<'_>,
) -> Result<Signed, SigningError> {
    let algorithm = match policy.algorithm {
        HmacAlgorithm::Sha1 => Algorithm::HmacSha1,
        HmacAlgorithm::Sha256 => Algorithm::HmacSha256,
        HmacAlgorithm::Sha512 => Algorithm::HmacSha512,
    };
    let mut headers = Vec::new();
    let code = match &policy.timestamp_header {
        Some(header) => {
            let timestamp = unsigned.time.seconds().to_string();
            let code = sign_with(newest, algorithm, &[timestamp.as_bytes(), b".", unsigned.body])?;
            headers.push((header.clone(), timestamp));
            code
        }
        None => sign_with(newest, algorithm, &[unsigned.body])?,
    };
    let written = match policy.encoding {
        HmacEncoding::Hex => hex::encode(code),
        HmacEncoding::Base64 => STANDARD.encode(code),
    };
    headers.push((policy.header.clone(), format!("{}{written}", policy.prefix.as_deref().unwrap_or_default())));
    Ok(Signed::as_is(unsigned, headers))
}
