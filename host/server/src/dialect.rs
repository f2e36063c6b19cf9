//! Errors in the formats of the reference systems, on their paths: a client that was written for one of them can parse
//! them.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hookwright_model::Mistake;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::problem::Problem;

/// The system whose error format a path uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"message", "errors": [{"message", "resource", "field"}]}`.
    Capsule,
    /// `{"message", "errors": [..]}`.
    Xurrent,
    /// `{"errors": {FIELD: [..], "text": [..]}, "status"}`: used below the URLs of incoming webhooks.
    Uspacy,
}

/// The code of an access that an incoming webhook does not have. Its response is exactly the one in the article.
pub(crate) const ACCESS_DENIED: &str = "access.denied";

/// Hookwright's names of a webhook's fields, with the system's names.
const CAPSULE: [(&str, &str); 3] = [("url", "targetUrl"), ("events", "event"), ("batching", "batched")];
const XURRENT: [(&str, &str); 4] =
    [("url", "uri"), ("events", "event"), ("source_id", "sourceID"), ("policy", "webhook_policy")];

impl Dialect {
    /// The system of a path; `None`: Hookwright's own format.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let within = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if within("/api/v2/resthooks") {
            Some(Self::Capsule)
        } else if within("/webhooks") {
            Some(Self::Xurrent)
        } else {
            None
        }
    }

    /// A response to a path, in its format.
    pub(crate) fn answer(path: &str, problem: Problem) -> Response {
        let response = problem.into_response();
        match Self::of(path) {
            Some(dialect) => dialect.spoken(response),
            None => response,
        }
    }

    /// The response with its body in this format, if it is an error. It also has `code`, for clients that know it.
    pub(crate) fn spoken(self, mut response: Response) -> Response {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
        *response.body_mut() = Body::from(self.body(&problem).to_string());
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        response
    }

    fn body(self, problem: &Problem) -> Value {
        let (detail, errors) = (problem.detail(), problem.errors());
        match self {
            Self::Uspacy if problem.is(ACCESS_DENIED) => {
                json!({"errors": {"text": ["Access is denied!"]}, "status": true})
            }
            Self::Uspacy => {
                let mut fields = serde_json::Map::new();
                for Mistake { path, message } in errors {
                    let messages =
                        fields.entry(if path.is_empty() { "text" } else { path }).or_insert_with(|| json!([]));
                    if let Some(list) = messages.as_array_mut() {
                        list.push(message.as_str().into());
                    }
                }
                if fields.is_empty() {
                    fields.insert("text".to_owned(), json!([detail]));
                }
                json!({"errors": fields, "status": true, "code": problem.code()})
            }
            Self::Capsule if !errors.is_empty() => {
                let errors: Vec<Value> = errors
                    .iter()
                    .map(|Mistake { path, message }| {
                        let field = renamed(path.strip_prefix("restHook.").unwrap_or(path), &CAPSULE);
                        json!({"message": format!("{field} {message}").trim(), "resource": "restHook", "field": field})
                    })
                    .collect();
                json!({"message": "Validation Failed", "errors": errors, "code": problem.code()})
            }
            Self::Xurrent if !errors.is_empty() => {
                let sentence = |Mistake { path, message }: &Mistake| format!("{} {message}", renamed(path, &XURRENT));
                let errors: Vec<String> = errors.iter().map(|one| sentence(one).trim().to_owned()).collect();
                json!({"message": errors.join("; "), "errors": errors, "code": problem.code()})
            }
            _ => json!({"message": detail, "code": problem.code()}),
        }
    }
}

/// A path with its first name translated.
fn renamed(path: &str, words: &[(&str, &str)]) -> String {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, rest) = path.split_at(end);
    match words.iter().find(|(own, _)| *own == first) {
        Some((_, other)) => (*other).to_owned(),
        None => format!("{first}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::Mistakes;
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_paths_of_reference_systems_use_their_error_formats() {
        for (path, dialect) in [
            ("/api/v2/resthooks", Some(Dialect::Capsule)),
            ("/api/v2/resthooks/1", Some(Dialect::Capsule)),
            ("/webhooks", Some(Dialect::Xurrent)),
            ("/webhooks/1/test", Some(Dialect::Xurrent)),
            ("/webhook", None),
            ("/webhooksx", None),
            ("/v1/webhooks", None),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }

    #[test]
    fn fields_in_errors_have_the_callers_names() {
        let mut mistakes = Mistakes::default();
        mistakes.add("url", "is missing");
        mistakes.add("events[0]", "is none");
        let problem = Problem::invalid(mistakes);
        let capsule = Dialect::Capsule.body(&problem);
        assert_eq!(capsule["message"], "Validation Failed");
        assert_eq!(
            capsule["errors"][0],
            json!({"message": "targetUrl is missing", "resource": "restHook", "field": "targetUrl"})
        );
        let xurrent = Dialect::Xurrent.body(&problem);
        assert_eq!(xurrent["message"], "uri is missing; event is none");
        assert_eq!(xurrent["errors"], json!(["uri is missing", "event is none"]));
        let uspacy = Dialect::Uspacy.body(&problem);
        let fields = json!({"url": ["is missing"], "events[0]": ["is none"]});
        assert_eq!(uspacy, json!({"errors": fields, "status": true, "code": "input.invalid"}));
    }

    #[test]
    fn denied_access_is_answered_as_in_the_article() {
        let denied = Problem::new(StatusCode::FORBIDDEN, ACCESS_DENIED, "the webhook has no access to crm");
        let body = Dialect::Uspacy.body(&denied).to_string();
        assert_eq!(body, r#"{"errors":{"text":["Access is denied!"]},"status":true}"#);
        let other = Dialect::Uspacy.body(&Problem::not_found("lead", "9"));
        assert_eq!(other["errors"], json!({"text": ["there is no lead `9` in this space"]}));
    }
}
