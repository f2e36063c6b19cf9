//! The mock of other servers: it answers requests from the case's list, in order, and records them.

use async_trait::async_trait;
use bytes::Bytes;
use hookwright_model::{Failure, Mistakes, SpaceId};
use hookwright_plugin::{Outbound, OutboundRequest, OutboundResponse};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::body;
use crate::case::GivenExchange;
use crate::compare::{Mismatch, compare};

/// A prepared entry of the list.
#[derive(Clone)]
struct Prepared {
    request: Option<Value>,
    answer: Result<OutboundResponse, Failure>,
}

/// The list.
#[derive(Clone, Default)]
pub(crate) struct Script(Vec<Prepared>);

impl Script {
    pub(crate) fn new(exchanges: &[GivenExchange]) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::default();
        let mut script = Vec::with_capacity(exchanges.len());
        for (place, given) in exchanges.iter().enumerate() {
            let answer = match (&given.failure, &given.response) {
                (Some(failure), _) => Err(failure.clone().into()),
                (None, None) => Ok(OutboundResponse { status: 200, headers: Vec::new(), body: Bytes::new() }),
                (None, Some(response)) => {
                    let path = format!("http[{place}].response");
                    let status = response.status.unwrap_or(200);
                    if !(100..=599).contains(&status) {
                        mistakes.add(format!("{path}.status"), format!("is {status}: give 100 to 599"));
                    }
                    let body = response.body.bytes(&format!("{path}.body")).unwrap_or_else(|mistake| {
                        mistakes.add(mistake.path, mistake.message);
                        Bytes::new()
                    });
                    let headers = response.headers.iter();
                    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
                    Ok(OutboundResponse { status, headers, body })
                }
            };
            let request = given.request.clone().map(with_small_names);
            script.push(Prepared { request, answer });
        }
        mistakes.check().map(|()| Self(script))
    }
}

/// An expected request, with the names of its header fields in lower case as they are shown.
pub(crate) fn with_small_names(mut expected: Value) -> Value {
    if let Some(Value::Object(headers)) = expected.get_mut("headers") {
        let small: Map<String, Value> =
            std::mem::take(headers).into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        *headers = small;
    }
    expected
}

/// Answers the requests of one call.
pub(crate) struct Outside {
    script: Script,
    seen: Mutex<Vec<OutboundRequest>>,
}

impl Outside {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, seen: Mutex::default() }
    }

    /// The requests in the form of outcomes.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.seen.lock().iter().map(shown).collect()
    }

    /// The requests that differ from the list.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        let requests = self.requests();
        let mut mismatches = Vec::new();
        for (place, prepared) in self.script.0.iter().enumerate() {
            let path = format!("http[{place}].request");
            match (&prepared.request, requests.get(place)) {
                (Some(expected), Some(request)) => compare(&path, expected, Some(request), &mut mismatches),
                (None, Some(_)) => {}
                (expected, None) => mismatches.push(Mismatch {
                    path,
                    expected: crate::compare::shown(expected.as_ref().or(Some(&json!({})))),
                    actual: format!("no request: the plugin sent {}", requests.len()),
                }),
            }
        }
        for (place, request) in requests.iter().enumerate().skip(self.script.0.len()) {
            mismatches.push(Mismatch {
                path: format!("http[{place}]"),
                expected: format!("no request beyond the {} that the case answers", self.script.0.len()),
                actual: crate::compare::shown(Some(request)),
            });
        }
        mismatches
    }
}

#[async_trait]
impl Outbound for Outside {
    async fn send(&self, _: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let mut seen = self.seen.lock();
        let place = seen.len();
        let what = format!("{} {}", request.method, request.url);
        seen.push(request);
        match self.script.0.get(place) {
            Some(prepared) => prepared.answer.clone(),
            None => Err(Failure::permanent(
                "case.no_answer",
                format!("the case has no answer for request {}, `{what}`: add one to `http`", place.saturating_add(1)),
            )),
        }
    }
}

fn shown(request: &OutboundRequest) -> Value {
    json!({
        "method": request.method,
        "url": request.url,
        "headers": headers(&request.headers),
        "body": body::shown(&request.body),
        "timeout_ms": request.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    })
}

/// Header fields by their name in lower case; several of one name are joined as RFC 9110 section 5.3 says.
pub(crate) fn headers(pairs: &[(String, String)]) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let name = name.to_ascii_lowercase();
        let joined = match fields.get(&name).and_then(Value::as_str) {
            Some(former) => format!("{former}, {value}"),
            None => value.clone(),
        };
        fields.insert(name, joined.into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_one_name_are_joined_and_names_are_small() {
        let pairs = [("Accept", "a"), ("X-B", "1"), ("accept", "b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(headers(&pairs), json!({"accept": "a, b", "x-b": "1"}));
        assert_eq!(with_small_names(json!({"headers": {"X-A": "1"}})), json!({"headers": {"x-a": "1"}}));
    }
}
