//! The outcome of a call, as JSON values to be compared with the expected ones.

use bytes::Bytes;
use hookwright_model::{Change, Effects, Failure, Mistake, Outcome, Subscribers, Verdict, Workbench};
use hookwright_plugin::{Called, Message, Reception, SourceDraft, Transformed, Usage};
use serde_json::{Map, Value, json};

use crate::{body, exchange};

/// The outcome of one call.
pub struct Ended {
    /// The name of the result, such as `done`, and the result. Several only if all of them describe the same result.
    pub(crate) results: Map<String, Value>,
    workbench: Option<Workbench>,
    /// What the plugin logged.
    pub log: Vec<String>,
    /// What the call used.
    pub usage: Usage,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

impl Ended {
    /// The call was not made, because the parameters are not valid.
    pub(crate) fn refused(mistake: &Mistake) -> Self {
        let failure = Failure::permanent(Failure::PARAMETERS_INVALID, mistake.to_string());
        let mut results = Map::new();
        results.insert("parameters_invalid".to_owned(), json!({"path": mistake.path, "message": mistake.message}));
        results.insert("failure".to_owned(), shown_failure(&failure));
        Self { results, workbench: None, log: Vec::new(), usage: Usage::default(), failure: Some(failure) }
    }

    pub(crate) fn of<T>(called: Called<T>, result: impl FnOnce(&T) -> (&'static str, Value)) -> Self {
        let (name, value) = match &called.result {
            Ok(answer) => result(answer),
            Err(failure) => ("failure", shown_failure(failure)),
        };
        let mut results = Map::new();
        results.insert(name.to_owned(), value);
        let Called { result, workbench, log, usage, .. } = called;
        Self { results, workbench, log, usage, failure: result.err() }
    }

    /// The changes that it requested, with their content.
    pub(crate) fn effects(&mut self) -> Vec<Value> {
        let Some(workbench) = self.workbench.take() else { return Vec::new() };
        let effects = workbench.finish(&Subscribers::default());
        effects.changes.iter().map(|change| with_contents(change, &effects)).collect()
    }
}

/// A change, with the data of the event, the mail or the value that its summary omits.
fn with_contents(change: &Change, effects: &Effects) -> Value {
    let mut detail = change.detail.clone();
    let mut add = |name: &str, value: Value| {
        if let Some(detail) = detail.as_object_mut() {
            detail.insert(name.to_owned(), value);
        }
    };
    match change.kind.as_str() {
        "event.emitted" => {
            let emitted = effects.events.iter().find(|new| new.event.id == change.subject);
            if let Some(new) = emitted {
                add("data", new.event.data_value());
            }
        }
        "mail.queued" => {
            let mail = effects.mails.iter().find(|mail| format!("mail/{}", mail.id) == change.subject);
            if let Some(mail) = mail
                && let Ok(Value::Object(letter)) = serde_json::to_value(&mail.letter)
            {
                for (name, value) in letter {
                    add(&name, value);
                }
            }
        }
        "kv.set" => {
            let named = |write: &&hookwright_model::KvWrite| {
                format!("kv/{}/{}", write.key.plugin, write.key.key) == change.subject
            };
            if let Some((value, _)) = effects.kept.iter().find(named).and_then(|write| write.value.as_ref()) {
                add("value", body::shown(value));
            }
        }
        _ => {}
    }
    json!({"kind": change.kind, "subject": change.subject, "detail": detail})
}

fn shown_failure(failure: &Failure) -> Value {
    json!({"code": failure.code, "message": failure.message, "retry_after_ms": failure.retry_after_ms})
}

pub(crate) fn verdict(verdict: &Verdict) -> (&'static str, Value) {
    ("verdict", json!({"holds": verdict.holds, "reason": verdict.reason}))
}

pub(crate) fn outcome(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Done(result) => ("done", result.clone()),
        Outcome::Skipped(reason) => ("skipped", reason.as_str().into()),
    }
}

pub(crate) fn transformed(transformed: &Transformed) -> (&'static str, Value) {
    match transformed {
        Transformed::Send(message) => ("message", shown_message(message)),
        Transformed::Drop(reason) => ("dropped", reason.as_str().into()),
    }
}

/// A JSON body is shown as that value, any other in every form that it has.
fn shown_message(message: &Message) -> Value {
    let json = if body::is_json(&message.content_type) { serde_json::from_slice(&message.body).ok() } else { None };
    json!({
        "content_type": message.content_type,
        "headers": exchange::headers(&message.headers),
        "body": json.unwrap_or_else(|| body::shown(&message.body)),
    })
}

pub(crate) fn reception(reception: &Reception) -> (&'static str, Value) {
    match reception {
        Reception::Accepted(intake) => {
            let events: Vec<Value> = intake.events.iter().map(shown_event).collect();
            let answer = &intake.answer;
            let answer = json!({
                "status": answer.status,
                "headers": exchange::headers(&answer.headers),
                "body": body::shown(&answer.body),
            });
            ("accepted", json!({"events": events, "answer": answer}))
        }
        Reception::Refused { status, code, message } => {
            ("refused", json!({"status": status, "code": code, "message": message}))
        }
    }
}

fn shown_event(event: &SourceDraft) -> Value {
    let mut shown = Map::new();
    for (name, value) in [("id", &event.id), ("subject", &event.subject), ("time", &event.time)] {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value.as_str().into());
        }
    }
    shown.insert("type".to_owned(), event.event_type.as_str().into());
    shown.insert("data".to_owned(), serde_json::from_str(&event.data).unwrap_or_default());
    let attributes = event.attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    shown.insert("attributes".to_owned(), Value::Object(attributes.collect()));
    Value::Object(shown)
}

/// The default body of a message: the event's data.
pub(crate) fn body_of(event: &hookwright_model::Event) -> Bytes {
    Bytes::from(event.data_json().into_owned())
}
