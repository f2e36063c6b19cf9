//! Errors in the shapes of the systems whose paths are served: a client written for one of them reads what it knows.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use hookwright_model::Mistake;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::problem::Problem;

/// Whose words a path speaks, where it is not Hookwright's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `{"message", "errors": [{"message", "resource", "field"}]}`.
    Capsule,
    /// `{"message", "errors": [..]}`.
    Xurrent,
    /// `{"errors": {FIELD: [..], "text": [..]}, "status"}`: spoken below the URLs of incoming webhooks.
    Uspacy,
}

/// The code of what an incoming webhook may not do. Its answer is the article's, letter by letter.
pub(crate) const DENIED: &str = "access.denied";

/// What the fields of a webhook are called, beside Hookwright's words for them.
const CAPSULE: [(&str, &str); 3] = [("url", "targetUrl"), ("events", "event"), ("batching", "batched")];
const XURRENT: [(&str, &str); 4] =
    [("url", "uri"), ("events", "event"), ("source_id", "sourceID"), ("policy", "webhook_policy")];

impl Dialect {
    /// Whose words this path speaks; none: Hookwright's own.
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

    /// An answer to a path, in its words.
    pub(crate) fn answer(path: &str, problem: Problem) -> Response {
        let response = problem.into_response();
        match Self::of(path) {
            Some(dialect) => dialect.spoken(response),
            None => response,
        }
    }

    /// The answer with its body in these words, if it tells of a problem. `code` stays, for who knows it.
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
            Self::Uspacy if problem.is(DENIED) => json!({"errors": {"text": ["Access is denied!"]}, "status": true}),
            Self::Uspacy => {
                let mut told = serde_json::Map::new();
                for Mistake { path, message } in errors {
                    let place = told.entry(if path.is_empty() { "text" } else { path }).or_insert_with(|| json!([]));
                    if let Some(list) = place.as_array_mut() {
                        list.push(message.as_str().into());
                    }
                }
                if told.is_empty() {
                    told.insert("text".to_owned(), json!([detail]));
                }
                json!({"errors": told, "status": true, "code": problem.code()})
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
                let told = |Mistake { path, message }: &Mistake| format!("{} {message}", renamed(path, &XURRENT));
                let errors: Vec<String> = errors.iter().map(|one| told(one).trim().to_owned()).collect();
                json!({"message": errors.join("; "), "errors": errors, "code": problem.code()})
            }
            _ => json!({"message": detail, "code": problem.code()}),
        }
    }
}

/// A path whose first word is said in other words.
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
    fn only_the_paths_of_the_other_systems_speak_their_words() {
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
    fn a_field_is_named_as_its_caller_names_it() {
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
        let told = json!({"url": ["is missing"], "events[0]": ["is none"]});
        assert_eq!(uspacy, json!({"errors": told, "status": true, "code": "input.invalid"}));
    }

    #[test]
    fn what_is_denied_is_told_as_the_article_has_it() {
        let denied = Problem::new(StatusCode::FORBIDDEN, DENIED, "the webhook has no access to crm");
        let body = Dialect::Uspacy.body(&denied).to_string();
        assert_eq!(body, r#"{"errors":{"text":["Access is denied!"]},"status":true}"#);
        let other = Dialect::Uspacy.body(&Problem::not_found("lead", "9"));
        assert_eq!(other["errors"], json!({"text": ["there is no lead `9` in this space"]}));
    }
}
