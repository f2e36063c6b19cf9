//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): accepted where a retry can be recognized, and
//! refused elsewhere, so that no caller relies on a key without effect.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use hookwright_model::{HOPS_HEADER, IdempotencyKey, KeyedRequest};
use http::{HeaderMap, HeaderName, Method, header};
use sha2::{Digest as _, Sha256};

use crate::body;
use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The routes that accept a key, all of them `POST`.
const KEYED: &[&str] = &[
    "/webhook",
    "/v1/events",
    "/v1/records/{kind}",
    "/v1/records/{kind}/{id}/notes",
    "/v1/tickets",
    "/v1/tickets/{id}/notes",
    "/v1/workflows/{name}/start",
];

/// Parses the request's key on routes that accept one. Refuses it on other `POST` routes, where a retry would be
/// executed twice. It is ignored for methods that are idempotent in themselves, including `PATCH` as a merge (RFC
/// 7396), and in requests of steps, which always have a key.
pub(crate) fn check(path: &str, request: &mut Request) -> Result<(), Problem> {
    let is_post = request.method() == Method::POST;
    let takes_key = is_post && KEYED.contains(&path);
    let refuses_key = is_post && path.starts_with("/v1/") && !request.headers().contains_key(HOPS_HEADER);
    if !takes_key && !refuses_key {
        return Ok(());
    }
    let mut values = request.headers().get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(()) };
    if !takes_key {
        let detail = format!(
            "Idempotency-Key is not supported by POST {path}, so a retry would be executed again: send the request without \
             it. It is supported by POST {}",
            KEYED.join(", ")
        );
        return Err(Problem::bad("idempotency.unsupported", detail));
    }
    let invalid = |what: &str| Problem::bad("idempotency.key_invalid", format!("the header Idempotency-Key {what}"));
    if values.next().is_some() {
        return Err(invalid("was sent more than once: send one key"));
    }
    let key = IdempotencyKey::parse(value.as_bytes()).map_err(|what| invalid(&what))?;
    request.extensions_mut().insert(key);
    Ok(())
}

/// A body, with the request's header fields and its idempotency key if it has one.
pub(crate) struct KeyedBody {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) request: Option<KeyedRequest>,
}

impl FromRequest<crate::Shared> for KeyedBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &crate::Shared) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(body, app.limits.body_bytes, app.limits.time).await?;
        let keyed = parts.extensions.get::<IdempotencyKey>().map(|key| KeyedRequest {
            key: key.clone(),
            fingerprint: fingerprint(parts.uri.path(), &parts.headers, &bytes),
        });
        Ok(Self { headers: parts.headers, bytes, request: keyed })
    }
}

/// The fingerprint that distinguishes a request from others with the same key: path, content type, the attributes of a
/// CloudEvent in binary mode, and the body after its content coding was decoded.
fn fingerprint(path: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(bytes);
    };
    part(path.as_bytes());
    let media = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
    part(media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_bytes());
    let mut attributes: Vec<(&str, &[u8])> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("ce-"))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    attributes.sort_unstable();
    for (name, value) in attributes {
        part(name.as_bytes());
        part(value);
    }
    // The attributes before it are pairs, so the body cannot be mistaken for one.
    part(b"");
    part(body);
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn every_route_that_accepts_an_idempotency_key_exists() {
        for path in KEYED {
            let exists = crate::ROUTES.iter().any(|route| route.method == "POST" && route.path == *path);
            assert!(exists, "POST {path}");
        }
    }

    #[test]
    fn requests_differ_by_path_type_attributes_and_body() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        let json = headers(&[("content-type", "application/json")]);
        let first = fingerprint("/v1/events", &json, b"{}");
        let same = headers(&[("content-type", "Application/JSON; charset=utf-8"), ("user-agent", "retry/2")]);
        assert_eq!(first, fingerprint("/v1/events", &same, b"{}"));
        let binary = headers(&[("content-type", "application/json"), ("ce-id", "1"), ("ce-type", "a")]);
        let other = headers(&[("content-type", "application/json"), ("ce-id", "1"), ("ce-type", "b")]);
        let all = [
            first,
            fingerprint("/webhook", &json, b"{}"),
            fingerprint("/v1/events", &json, b"{ }"),
            fingerprint("/v1/events", &headers(&[("content-type", "text/plain")]), b"{}"),
            fingerprint("/v1/events", &binary, b"{}"),
            fingerprint("/v1/events", &other, b"{}"),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
