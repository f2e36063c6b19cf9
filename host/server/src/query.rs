//! Query parameters, `If-Match` and `Idempotency-Key`. Unknown ones are refused, so that a misspelled filter does not
//! silently return everything, and a condition is not ignored.

use std::error::Error as _;

use axum::extract::{FromRequestParts, Request};
use http::request::Parts;
use http::{Method, header};
use serde::de::DeserializeOwned;

use crate::idempotency;
use crate::problem::Problem;

/// Query parameters, read as a `T`. A query that cannot be read as one is refused before the body is read.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let axum::extract::Query(parameters) = read.map_err(|error| {
            // The source is the error of the value alone, without the prefix of the HTTP library.
            let reason = error.source().map_or_else(|| error.body_text(), ToString::to_string);
            invalid(unreadable(parts.uri.query().unwrap_or_default(), &reason))
        })?;
        Ok(Self(parameters))
    }
}

/// What a query parameter's value, or name, is refused with.
pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::bad("query.invalid", detail)
}

/// The message for a query that could not be deserialized: which parameter, its value, and what to send instead. `reason`
/// is the library's message, which begins with the parameter's name.
fn unreadable(query: &str, reason: &str) -> String {
    if let Some(name) = between(reason, "duplicate field `", "`") {
        return format!("query parameter `{name}` is given more than once: give it once");
    }
    let Some((name, reason)) = reason.split_once(": ") else { return format!("the query is not valid: {reason}") };
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let value = pairs.find(|(given, _)| given == name).map(|(_, value)| value).unwrap_or_default();
    let shown = hookwright_model::abridged(&value);
    let remedy = match reason {
        "provided string was not `true` or `false`" => "give true or false",
        "invalid digit found in string" | "cannot parse integer from empty string" => "give a whole number",
        "number too large to fit in target type" => "give a smaller number",
        _ => match reason.split_once(", expected ") {
            Some((_, expected)) => return format!("query parameter `{name}` is `{shown}`: give {expected}"),
            // The types of the API name the value and the remedy themselves.
            None => return format!("query parameter `{name}`: {reason}"),
        },
    };
    format!("query parameter `{name}` is `{shown}`: {remedy}")
}

/// The text between two others.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

/// The names of a list that is read in pages.
const PAGE: &[&str] = &["limit", "cursor"];
const SOURCE: &[&str] = &["source"];
const ROLLOUT: &[&str] = &["rollout", "percent", "minimum_calls", "percent_above_live"];
const ATTEMPTS: &[&str] =
    &["from", "until", "webhook", "event", "event_type", "ticket", "status", "succeeded", "error"];
const RUNS: &[&str] =
    &["automation", "workflow", "event", "event_type", "subject", "ticket", "state", "fired", "from", "until", "error"];

/// Method, path, and the accepted names, in groups. Routes that are not listed accept none.
const PARAMETERS: &[(Method, &str, &[&[&str]])] = &[
    (Method::GET, "/v1/events", &[PAGE, &["type", "source", "subject"]]),
    (Method::GET, "/v1/events/{id}", &[SOURCE]),
    (Method::GET, "/v1/events/{id}/explain", &[SOURCE]),
    (Method::POST, "/v1/events/{id}/replay", &[SOURCE]),
    (Method::GET, "/v1/events/{id}/payload", &[SOURCE]),
    (Method::GET, "/v1/refused-requests", &[PAGE]),
    (Method::GET, "/v1/automations", &[PAGE]),
    (Method::GET, "/v1/workflows", &[PAGE]),
    (Method::GET, "/v1/workflows/{name}/versions", &[PAGE]),
    (Method::GET, "/v1/schedules", &[PAGE]),
    (Method::GET, "/v1/plugins", &[PAGE]),
    (Method::GET, "/v1/plugins/{name}/versions", &[PAGE]),
    (Method::GET, "/v1/comparisons", &[PAGE]),
    (Method::GET, "/v1/secrets", &[PAGE]),
    (Method::GET, "/v1/kinds", &[PAGE]),
    (Method::GET, "/v1/vocabularies", &[PAGE]),
    (Method::GET, "/v1/redeliveries", &[PAGE]),
    (Method::GET, "/v1/sources", &[PAGE]),
    (Method::GET, "/v1/keys", &[PAGE]),
    (Method::PUT, "/v1/plugins/{name}", &[&["approve", "activate", "dev"], ROLLOUT]),
    (Method::DELETE, "/v1/plugins/{name}", &[&["force"]]),
    (Method::GET, "/v1/plugins/{name}/component", &[&["version"]]),
    (Method::POST, "/v1/plugins/{name}/activate", &[ROLLOUT]),
    (Method::POST, "/v1/plugins/{name}/compare", &[&["version", "last", "from", "until", "reasons"]]),
    (Method::GET, "/v1/plugins/{name}/logs", &[&["after", "limit", "wait"]]),
    (Method::GET, "/v1/records/{kind}/{id}/history", &[PAGE]),
    (Method::GET, "/v1/records/{kind}/{id}/notes", &[PAGE]),
    (Method::GET, "/v1/mails", &[PAGE]),
    (Method::GET, "/v1/tickets/{id}/notes", &[PAGE]),
    (Method::GET, "/v1/webhooks", &[PAGE, &["state", "profile", "event", "enabled"]]),
    (Method::GET, "/v1/webhook-policies", &[PAGE]),
    (Method::GET, "/v1/event-types", &[PAGE, &["vocabulary", "search", "builtin"]]),
    (Method::GET, "/v1/runs", &[PAGE, RUNS]),
    (Method::GET, "/v1/deliveries", &[PAGE, &["webhook", "event", "state"]]),
    (Method::GET, "/v1/attempts", &[PAGE, ATTEMPTS]),
    (Method::GET, "/v1/attempts/export", &[ATTEMPTS]),
    (Method::GET, "/v1/sources/{id}/requests", &[PAGE]),
    (Method::GET, "/v1/configuration/export", &[&["section"]]),
];

/// Routes whose parameters are fields of records, which are checked against the kind of record.
const FIELDS: &[&str] = &["/v1/tickets", "/v1/records/{kind}"];

/// The names that a route accepts; `None`: it checks them itself.
fn names(method: &Method, path: &str) -> Option<Vec<&'static str>> {
    if !path.starts_with("/v1/") || (method == Method::GET && FIELDS.contains(&path)) {
        return None;
    }
    let row = PARAMETERS.iter().find(|(listed, route, _)| listed == method && *route == path);
    Some(row.map(|(_, _, groups)| groups.concat()).unwrap_or_default())
}

/// Routes that make a change only if `If-Match` names the present version (compare-and-swap).
const CONDITIONAL: &[&str] = &[
    "/v1/automations/{id}",
    "/v1/automations/{id}/enable",
    "/v1/automations/{id}/disable",
    "/v1/records/{kind}/{id}",
    "/v1/schedules/{id}",
    "/v1/tickets/{id}",
];

/// A change with `If-Match` on a route that does not evaluate it must not be made (RFC 9110, section 13.1.1).
fn unevaluated(request: &Request, path: &str) -> Option<Problem> {
    let changes = [Method::POST, Method::PATCH, Method::PUT, Method::DELETE].contains(request.method());
    if !changes || !path.starts_with("/v1/") || CONDITIONAL.contains(&path) {
        return None;
    }
    request.headers().get(header::IF_MATCH)?;
    let detail = format!("If-Match is not evaluated at {path}: send the request without it");
    Some(Problem::bad("precondition.unsupported", detail))
}

/// Refuses a request whose query has a name that the route does not accept. HEAD is treated as GET.
pub(crate) fn check(path: &str, request: &mut Request) -> Result<(), Problem> {
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    if let Some(problem) = unevaluated(request, path) {
        return Err(problem);
    }
    idempotency::check(path, request)?;
    let query = request.uri().query().unwrap_or_default();
    if let (false, Some(known)) = (query.is_empty(), names(&method, path))
        && let Some(problem) = unknown(query, &known)
    {
        return Err(problem);
    }
    Ok(())
}

/// The first unknown name.
fn unknown(query: &str, known: &[&str]) -> Option<Problem> {
    let (name, _) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !known.contains(&name.as_ref()))?;
    let shown = hookwright_model::abridged(&name);
    let remedy = match closest(&name, known) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.is_empty() => "this route accepts none".to_owned(),
        None => format!("this route accepts {}", known.join(", ")),
    };
    Some(invalid(format!("unknown query parameter `{shown}`: {remedy}")))
}

/// The known name that is closest to a misspelled one, if one is close.
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name: String = name.chars().take(40).collect();
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(&name, known), *known));
    near.filter(|(distance, known)| *distance <= known.len().div_ceil(3)).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_parameter_is_rejected_with_the_closest_name() {
        let known = names(&Method::GET, "/v1/deliveries").unwrap();
        for (query, part) in [
            ("stat=dead", "`stat`: did you mean `state`?"),
            ("state=dead&lmit=3", "`lmit`: did you mean `limit`?"),
            ("nonsense=1", "accepts limit, cursor, webhook, event, state"),
        ] {
            let problem = unknown(query, &known).unwrap();
            assert!(problem.detail().contains(part), "{query}: {}", problem.detail());
        }
        assert!(unknown("state=dead&limit=3", &known).is_none());
        assert!(unknown("x=1", &[]).unwrap().detail().contains("accepts none"));
    }

    #[tokio::test]
    async fn an_invalid_value_is_rejected_with_the_parameter_the_value_and_the_remedy() {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum State {
            Open,
            Done,
        }
        #[derive(serde::Deserialize)]
        struct Filter {
            fired: Option<bool>,
            ticket: Option<u64>,
            status: Option<u16>,
            state: Option<State>,
            from: Option<hookwright_model::Timestamp>,
        }
        for (query, expected) in [
            ("fired=maybe", "query parameter `fired` is `maybe`: give true or false"),
            ("ticket=-1", "query parameter `ticket` is `-1`: give a whole number"),
            ("ticket=", "query parameter `ticket` is ``: give a whole number"),
            ("status=70000", "query parameter `status` is `70000`: give a smaller number"),
            ("state=lost", "query parameter `state` is `lost`: give `open` or `done`"),
            ("fired=true&fired=true", "query parameter `fired` is given more than once: give it once"),
            ("from=yesterday", "query parameter `from`: `yesterday` is not an RFC 3339 time, such as"),
        ] {
            let request = Request::get(format!("/?{query}")).body(axum::body::Body::empty()).unwrap();
            let (mut parts, _) = request.into_parts();
            let problem = Query::<Filter>::from_request_parts(&mut parts, &()).await.err().unwrap();
            assert!(problem.detail().starts_with(expected), "{query}: {}", problem.detail());
        }
        let request =
            Request::get("/?fired=true&ticket=1&status=2&state=open").body(axum::body::Body::empty()).unwrap();
        let (mut parts, _) = request.into_parts();
        let Query(filter) = Query::<Filter>::from_request_parts(&mut parts, &()).await.ok().unwrap();
        assert_eq!((filter.fired, filter.ticket, filter.status), (Some(true), Some(1), Some(2)));
        assert!(matches!(filter.state, Some(State::Open)) && filter.from.is_none());
    }

    #[test]
    fn every_listed_route_exists() {
        for (method, path, _) in PARAMETERS {
            let exists = crate::ROUTES.iter().any(|route| route.method == method.as_str() && route.path == *path);
            assert!(exists, "{method} {path}");
        }
    }

    #[test]
    fn source_urls_and_record_fields_are_not_checked_here() {
        assert_eq!(names(&Method::POST, "/in/{token}"), None);
        assert_eq!(names(&Method::GET, "/v1/tickets"), None);
        assert_eq!(names(&Method::POST, "/v1/tickets"), Some(vec![]));
    }
}
