//! What is sent: the message that a transform makes of an event, and the header fields of the webhook's own.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use hookwright_model::{
    Batching, Cause, Delivery, Effects, Event, Failure, Header, Kind, Profile, Purpose, Scope, Webhook, named, render,
};
use hookwright_plugin::{Message, Transformed};
use serde_json::{Map, Value};

use crate::calling::{By, Occasion};
use crate::conditions::{broken, decide};
use crate::parking::Unavailable;
use crate::replay::{About, Said, TakenMessage, came_to};
use crate::steps::{Scoping, rendered, right_kind};
use crate::{Pipeline, PipelineError};

/// The object id that Xurrent's tests carry.
const TEST_OBJECT: &str = "12345";
const JSON: &str = "application/json";

/// A message before it is signed.
#[derive(Clone, Debug)]
pub(super) struct Shaped {
    pub(super) headers: Vec<Header>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// What becomes of an event that a webhook subscribes to.
pub(super) enum Shape {
    /// It is sent.
    Send(Shaped),
    /// The webhook does not want it, for this reason.
    Drop(String),
    /// A plugin that is needed cannot be called for now.
    Wait(Unavailable),
    /// A plugin failed.
    Failed(Failure),
}

/// A header field of the webhook's own, with what the log shows of it.
pub(super) struct OwnHeader {
    pub(super) name: String,
    pub(super) value: String,
    /// What stands in the log: the same, or the field as it was written if a secret is in it.
    pub(super) logged: String,
}

impl Pipeline {
    /// The message of a delivery, if its webhook wants it.
    pub(super) async fn shape(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        event: &Event,
    ) -> Result<Shape, PipelineError> {
        let occasion = Occasion { space: &webhook.space, event, by: By::Webhook(delivery.id) };
        if let (Some(when), Purpose::Event | Purpose::Redelivery) = (&webhook.when, delivery.purpose) {
            let (decision, waits) = decide(self, occasion, Some(when), Default::default()).await;
            match waits {
                Some(unavailable) => return Ok(Shape::Wait(unavailable)),
                None if decision.fired => {}
                None if broken(&decision) => {
                    return Ok(Shape::Failed(Failure::permanent("webhook.condition_failed", decision.reason)));
                }
                None => return Ok(Shape::Drop(decision.reason)),
            }
        }
        let Some(transform) = &webhook.transform else {
            return Ok(Shape::Send(Shaped {
                headers: Vec::new(),
                content_type: JSON.to_owned(),
                body: standard(event),
            }));
        };
        let callable = match self.available(&occasion, transform) {
            Ok(callable) => callable,
            Err(unavailable) => return Ok(Shape::Wait(unavailable)),
        };
        let plugin = &callable.plugin;
        let mut workbench = self.workbench(&webhook.space, "hookwright", Cause::api());
        let mut scoping = Scoping::new(occasion);
        let with = with_defaults(webhook, delivery.purpose);
        let ready = right_kind(plugin, Kind::Transform, transform)
            .and_then(|()| rendered(self, plugin, &with, &mut scoping, &mut workbench));
        let parameters = match ready {
            Ok(parameters) => parameters,
            Err(failure) => return Ok(Shape::Failed(failure)),
        };
        let mut call = self.call(&webhook.space, &callable.access);
        let taping = self.taping(&callable, &occasion);
        call.tape = taping.as_ref().map(|taping| Arc::clone(&taping.tape));
        let (now, message) = (call.now, message_of(event));
        let taken = taping.is_some().then(|| TakenMessage::of(&message));
        let called = plugin.apply(call, event, message, &parameters).await;
        self.note_call(callable, &webhook.space, &event.id, &called);
        if let Some(taping) = taping {
            let answer = called.result.as_ref().map(Said::Message);
            let came_to = came_to(answer, &Effects::default(), &taping.tape);
            let about = About {
                kind: Kind::Transform,
                place: format!("webhook {}", webhook.id),
                automation: None,
                now,
                source: "hookwright",
                parameters: &parameters,
                message: taken,
            };
            self.taken_down(taping, &occasion, about, came_to);
        }
        Ok(match called.result {
            Ok(Transformed::Send(message)) => {
                let Message { headers, content_type, body } = message;
                Shape::Send(Shaped { headers, content_type, body })
            }
            Ok(Transformed::Drop(reason)) => Shape::Drop(reason),
            Err(failure) => Shape::Failed(failure),
        })
    }

    /// The header fields of the webhook's own, with their variables and secrets.
    pub(super) fn own_headers(&self, webhook: &Webhook, event: &Event) -> Result<Vec<OwnHeader>, PipelineError> {
        let mut scope: Option<Scope> = None;
        let mut own = Vec::with_capacity(webhook.headers.len());
        for header in &webhook.headers {
            let (name, written) = (header.name.to_ascii_lowercase(), &header.value);
            if !written.contains("{{") {
                own.push(OwnHeader { name, value: written.clone(), logged: written.clone() });
                continue;
            }
            let mut secrets = Map::new();
            for secret in named(written, "secrets") {
                secrets.insert(secret.to_owned(), self.secret_text(&webhook.space, secret)?.into());
            }
            let hides = !secrets.is_empty();
            let scope = scope.get_or_insert_with(|| Scope::new(event, &webhook.space, self.now()));
            scope.set("secrets", Value::Object(secrets));
            let value = match render(&Value::from(written.as_str()), scope) {
                Ok(Value::String(text)) => text,
                Ok(Value::Null) => String::new(),
                Ok(other) => other.to_string(),
                Err(error) => {
                    let message = format!("the header field `{name}`: `{}`: {}", error.variable, error.message);
                    return Err(Failure::permanent("variable.missing", message).into());
                }
            };
            let logged = if hides { written.clone() } else { value.clone() };
            own.push(OwnHeader { name, value, logged });
        }
        Ok(own)
    }

    /// A secret of the space, as text.
    pub(super) fn secret_text(&self, space: &hookwright_model::SpaceId, name: &str) -> Result<String, PipelineError> {
        let Some(secret) = self.store.secret(space, name)? else {
            let message = format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name}");
            return Err(Failure::permanent("secret.unknown", message).into());
        };
        let value = self.vault.open_sealed(&secret.sealed)?;
        String::from_utf8(value)
            .map_err(|_| Failure::permanent("secret.unusable", format!("the secret `{name}` is not text")).into())
    }
}

/// What a transform gets: what came in, byte for byte, if that is the data; else the data as JSON.
fn message_of(event: &Event) -> Message {
    let data = event.data_json();
    let whole = data.len() == event.payload.len() || !event.data.is_json();
    let (content_type, body) = if whole {
        let content_type = event.content_type.clone().unwrap_or_else(|| JSON.to_owned());
        (content_type, event.payload.clone())
    } else {
        (JSON.to_owned(), Bytes::from(data.into_owned()))
    };
    Message { headers: Vec::new(), content_type, body }
}

/// The transform's parameters, with what its profile says of the webhook where they say nothing.
fn with_defaults(webhook: &Webhook, purpose: Purpose) -> Map<String, Value> {
    let mut with = Map::new();
    if webhook.transform.as_deref() == webhook.profile.transform() {
        match webhook.profile {
            Profile::Xurrent => {
                with.insert("webhook_id".to_owned(), webhook.number.to_string().into());
                with.insert("account".to_owned(), webhook.space.as_str().into());
                with.insert("name".to_owned(), webhook.name.as_str().into());
                if purpose == Purpose::Test {
                    with.insert("object_id".to_owned(), TEST_OBJECT.into());
                    if let Some(event) = &webhook.event {
                        with.insert("event".to_owned(), event.as_str().into());
                    }
                }
            }
            Profile::Capsule if purpose == Purpose::Test => {
                if let Some(event) = &webhook.event {
                    with.insert("event".to_owned(), event.as_str().into());
                }
            }
            _ => {}
        }
    }
    with.extend(webhook.with.clone());
    with
}

/// The payload that Standard Webhooks 1.0 recommends (`type`, `timestamp`, `data`), with the event's other attributes.
fn standard(event: &Event) -> Bytes {
    let mut message = Map::new();
    message.insert("type".to_owned(), event.event_type.as_str().into());
    message.insert("timestamp".to_owned(), event.time.as_str().into());
    message.insert("id".to_owned(), event.id.as_str().into());
    message.insert("source".to_owned(), event.source.as_str().into());
    if let Some(subject) = &event.subject {
        message.insert("subject".to_owned(), subject.as_str().into());
    }
    // The data goes out as it came in, digit by digit.
    let mut text = Value::Object(message).to_string();
    text.pop();
    text.push_str(",\"data\":");
    text.push_str(&event.data_json());
    text.push('}');
    Bytes::from(text)
}

/// Several messages as one: their lists joined where `batching.list` says, or the messages themselves as a list. None:
/// they are not of one form.
pub(super) fn joined(batching: &Batching, messages: &[Shaped]) -> Option<Shaped> {
    let first = messages.first()?;
    if messages.iter().any(|message| message.content_type != first.content_type) {
        return None;
    }
    let body = if batching.list.is_empty() {
        let mut body = BytesMut::with_capacity(messages.iter().map(|message| message.body.len() + 1).sum());
        for (place, message) in messages.iter().enumerate() {
            body.put_u8(if place == 0 { b'[' } else { b',' });
            // A message that is a list already adds its parts.
            let text = message.body.trim_ascii();
            let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
            body.put_slice(inner.unwrap_or(text));
        }
        body.put_u8(b']');
        body.freeze()
    } else {
        let mut whole: Value = serde_json::from_slice(&first.body).ok()?;
        let mut rest = Vec::new();
        for message in messages.get(1..).unwrap_or_default() {
            let mut value: Value = serde_json::from_slice(&message.body).ok()?;
            let Value::Array(list) = value.pointer_mut(&batching.list)?.take() else { return None };
            rest.extend(list);
        }
        let Value::Array(list) = whole.pointer_mut(&batching.list)? else { return None };
        list.extend(rest);
        Bytes::from(whole.to_string())
    };
    Some(Shaped { body, ..first.clone() })
}

#[cfg(test)]
mod tests {
    use hookwright_model::{EventDraft, SpaceId, Timestamp};

    use super::*;

    fn event(content_type: &str, payload: &'static [u8]) -> Event {
        let draft = EventDraft {
            event_type: "a.b".into(),
            source: "s".into(),
            content_type: Some(content_type.into()),
            payload: Bytes::from_static(payload),
            ..EventDraft::default()
        };
        draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap()
    }

    #[test]
    fn the_data_goes_out_as_it_came_in() {
        let event = event(JSON, b"{\"n\": 1.0000000000000000001, \"a\":1e2}");
        let body = standard(&event);
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.ends_with("\"data\":{\"n\": 1.0000000000000000001, \"a\":1e2}}"), "{text}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["type"], "a.b");
    }

    #[test]
    fn a_transform_gets_what_came_in_byte_for_byte() {
        let message = message_of(&event("text/xml", b"<a/>"));
        assert_eq!((message.content_type.as_str(), &message.body[..]), ("text/xml", &b"<a/>"[..]));
        let message = message_of(&event(JSON, b"{\"a\": 1.50}"));
        assert_eq!((message.content_type.as_str(), &message.body[..]), (JSON, &b"{\"a\": 1.50}"[..]));
    }

    #[test]
    fn messages_are_joined_where_their_lists_stand() {
        let shaped = |body: &'static str| Shaped {
            headers: Vec::new(),
            content_type: JSON.to_owned(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let batching = |list: &str| Batching { most: 10, wait_ms: 0, list: list.to_owned() };
        let both = |list, a, b| joined(&batching(list), &[shaped(a), shaped(b)]).map(|s| s.body);
        assert_eq!(both("", "{\"a\":1.0}", "2").unwrap(), "[{\"a\":1.0},2]");
        assert_eq!(both("", "[1]", " [2,3] ").unwrap(), "[1,2,3]");
        let capsule = both("/payload", r#"{"event":"e","payload":[1]}"#, r#"{"event":"e","payload":[2]}"#);
        assert_eq!(capsule.unwrap(), r#"{"event":"e","payload":[1,2]}"#);
        assert_eq!(both("/payload", r#"{"payload":[1]}"#, "{}"), None);
    }
}
