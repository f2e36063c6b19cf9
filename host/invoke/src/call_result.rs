//! The result of a call as an object that can be compared.

use hookwright_model::{Effects, Event, Failure, Outcome, Tape, Verdict};
use hookwright_plugin::Transformed;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The answer of a plugin of any kind.
pub enum PluginAnswer<'a> {
    /// Of a condition.
    Verdict(&'a Verdict),
    /// Of an action.
    Outcome(&'a Outcome),
    /// Of a transform.
    Message(&'a Transformed),
}

/// The result of a call as an object that can be compared: the answer, the changes, the events and the requests. Ids of events
/// are left out; everything else is the same if the call is repeated with the same answers of the host.
pub fn comparable_result(answer: Result<PluginAnswer<'_>, &Failure>, effects: &Effects, tape: &Tape) -> Value {
    let mut seen = Map::new();
    match answer {
        Ok(PluginAnswer::Verdict(verdict)) => {
            seen.insert("outcome".to_owned(), if verdict.holds { "holds" } else { "does not hold" }.into());
            seen.insert("reason".to_owned(), verdict.reason.as_str().into());
        }
        Ok(PluginAnswer::Outcome(Outcome::Done(result))) => {
            seen.insert("outcome".to_owned(), "done".into());
            seen.insert("result".to_owned(), result.clone());
        }
        Ok(PluginAnswer::Outcome(Outcome::Skipped(reason))) => {
            seen.insert("outcome".to_owned(), "skipped".into());
            seen.insert("reason".to_owned(), reason.as_str().into());
        }
        Ok(PluginAnswer::Message(Transformed::Send(message))) => {
            seen.insert("outcome".to_owned(), "message".into());
            seen.insert("content_type".to_owned(), message.content_type.as_str().into());
            seen.insert("headers".to_owned(), json!(message.headers));
            seen.insert("body".to_owned(), body_of(&message.body));
        }
        Ok(PluginAnswer::Message(Transformed::Drop(reason))) => {
            seen.insert("outcome".to_owned(), "dropped".into());
            seen.insert("reason".to_owned(), reason.as_str().into());
        }
        Err(failure) => {
            seen.insert("outcome".to_owned(), "failed".into());
            seen.insert("code".to_owned(), failure.code.as_str().into());
            seen.insert("reason".to_owned(), failure.message.as_str().into());
            seen.insert("retry_after_ms".to_owned(), failure.retry_after_ms.into());
        }
    }
    if !effects.changes.is_empty() {
        seen.insert("effects".to_owned(), json!(effects.changes));
    }
    if !effects.events.is_empty() {
        let events = effects.events.iter().map(|new| {
            let Event { event_type, source, subject, .. } = &new.event;
            json!({"type": event_type, "source": source, "subject": subject, "data": new.event.data_value()})
        });
        seen.insert("events".to_owned(), events.collect());
    }
    let requests = tape.requests();
    if !requests.is_empty() {
        seen.insert("requests".to_owned(), json!(requests));
    }
    Value::Object(seen)
}

/// A body as a value: JSON as such, text as text, anything else by its digest.
fn body_of(body: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice(body) {
        return value;
    }
    match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => format!("{} bytes, sha256 {}", body.len(), hex::encode(Sha256::digest(body))).into(),
    }
}

/// The digest of a result, by which two results are compared without storing them.
pub fn digest_of(result: &Value) -> String {
    hex::encode(Sha256::digest(result.to_string().as_bytes()))
}
