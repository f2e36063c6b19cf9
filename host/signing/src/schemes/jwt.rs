//! A message inside a JSON Web Token, as in Xurrent's webhook policies: the body is `{"jwt": TOKEN}`, and the token's
//! claim `data` is the message.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookwright_model::JwtPolicy;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::SigningError;
use crate::keys::Key;
use crate::signed::{Signed, Unsigned, sign_with};

/// The header (RFC 7515 section 4).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
}

/// The claims (RFC 7519 section 4.1); times are whole seconds since the epoch.
#[derive(Serialize)]
struct Claims<'a> {
    data: Data<'a>,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    nbf: i64,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// The message: JSON unchanged, other text as a string, an empty body as null.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(&'a str),
    Nothing(()),
}

#[derive(Serialize)]
struct Body<'a> {
    jwt: &'a str,
}

pub(crate) fn sign(
    policy: &JwtPolicy,
    newest: &(String, Key),
    unsigned: &Unsigned<'_>,
) -> Result<Signed, SigningError> {
    let data = if unsigned.body.is_empty() {
        Data::Nothing(())
    } else if let Ok(json) = serde_json::from_slice::<&RawValue>(unsigned.body) {
        Data::Json(json)
    } else {
        Data::Text(std::str::from_utf8(unsigned.body).map_err(|_| SigningError::NotText("jwt"))?)
    };
    let now = unsigned.time.seconds();
    let claims = Claims {
        data,
        jti: unsigned.id,
        sub: unsigned.webhook,
        iss: policy.issuer.as_deref(),
        nbf: now,
        iat: now,
        exp: now.saturating_add(i64::from(policy.expires_in_seconds)),
        aud: policy.audience.as_deref(),
    };
    let header = Header { typ: "JWT", alg: policy.algorithm.name(), kid: &newest.0 };
    let failed = |_| SigningError::Failed(newest.0.clone());
    let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(failed)?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&claims).map_err(failed)?, &mut token);
    let signature = sign_with(newest, policy.algorithm.into(), &[token.as_bytes()])?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    let body = serde_json::to_vec(&Body { jwt: &token }).map_err(failed)?;
    Ok(Signed { headers: Vec::new(), content_type: "application/json".to_owned(), body: Bytes::from(body) })
}
