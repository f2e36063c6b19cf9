//! The source `token`: receives from any provider that sends a token and signs nothing.
//!
//! The token is compared with the secret that the operator stored as `signing-secret`, in constant time. It comes in a
//! header, with a scheme before it or without (`{"header": "Authorization", "scheme": "Bearer"}`), or in the URL's query
//! (`{"query": "token"}`). A token proves less than a signature does: whoever sees one request can send others. JSON is
//! the event's data as received; a form becomes an object, other text a string, and what is not text base64.

use hookwright_sdk::inbound::{self, Mapping, Stop};
use hookwright_sdk::{Failure, Manifest, Plugin, Reception, Refusal, Request, Source, crypto, shorten};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The name of the token.
const SECRET: &str = "signing-secret";

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    header: Option<String>,
    #[serde(default)]
    scheme: Option<String>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    event: Mapping,
}

struct Token;

impl Plugin for Token {
    const MANIFEST: Manifest = Manifest {
        name: "token",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Receives webhooks that carry a token in a header or in the URL",
        parameters: include_str!("parameters.json"),
        hints: &[("secret", SECRET)],
    };
    type Parameters = Parameters;
}

impl Source for Token {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    if !parameters.methods.contains(&request.method) {
        if parameters.methods.is_empty() {
            inbound::only_post(request, "token.method", "A provider")?;
        } else {
            let (method, taken) = (shorten(&request.method, 20), parameters.methods.join(", "));
            let said = format!("this request is a {method}, the source takes {taken}");
            return Err(Refusal::new(405, "token.method", said).into());
        }
    }
    check(request, parameters)?;
    let payload = match request.method.as_str() {
        // What has no body says in its query what it has to say, the token apart.
        "GET" | "DELETE" if request.body.is_empty() => queried(request, parameters).into(),
        _ => inbound::payload(request, "token.payload_invalid")?,
    };
    Ok(Reception::events(vec![parameters.event.draft(request, &payload, "token.type_missing")?]))
}

/// Compares the token.
///
/// # Errors
/// The refusal, with status 401; the failure where no place is given to look at, or the host has no secret.
fn check(request: &Request, parameters: &Parameters) -> Result<(), Stop> {
    let missing = |said: String| Refusal::new(401, "token.missing", said);
    let (place, token) = match (&parameters.header, &parameters.query) {
        (Some(name), None) => {
            let place = format!("the {} header", shorten(name, 60));
            let value =
                request.header(name).ok_or_else(|| missing(format!("{place} is missing: it must have the token")))?;
            let token = match &parameters.scheme {
                None => Some(value.trim()),
                Some(scheme) => after(value, scheme.trim()),
            };
            let token = token.filter(|token| !token.is_empty()).map(str::to_owned);
            (place, token)
        }
        (None, Some(name)) => {
            let place = format!("`{}` in the URL's query", shorten(name, 60));
            (place, inbound::query(request, name).filter(|token| !token.is_empty()))
        }
        _ => {
            return Err(Failure::permanent(
                "parameters.invalid",
                "give either `header` or `query`: the place where requests carry their token",
            )
            .into());
        }
    };
    let token = token.ok_or_else(|| {
        let scheme = parameters.scheme.as_deref().map(|scheme| format!(" after `{}`", shorten(scheme, 60)));
        missing(format!("{place} has no token{}", scheme.unwrap_or_default()))
    })?;
    if crypto::checked(crypto::verify_token(SECRET, &token))? {
        return Ok(());
    }
    Err(Refusal::new(401, "token.wrong", format!("{place} is not this source's secret")).into())
}

/// What follows the scheme, whose letters' case does not matter (RFC 9110, section 11.1).
fn after<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let value = value.trim_start();
    let (word, rest) = value.split_at_checked(scheme.len())?;
    (word.eq_ignore_ascii_case(scheme) && rest.starts_with(' ')).then(|| rest.trim())
}

/// The query as a JSON object, without the token.
fn queried(request: &Request, parameters: &Parameters) -> String {
    let fields = inbound::fields(request.query.as_bytes()).into_iter();
    let fields = fields.filter(|(name, _)| Some(name) != parameters.query.as_ref());
    Value::from(fields.map(|(name, value)| (name, value.into())).collect::<Map<_, _>>()).to_string()
}

hookwright_sdk::export_source!(Token);

#[cfg(test)]
mod tests;
