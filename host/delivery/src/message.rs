//! The message that is sent: what a transform makes of an event, and the webhook's own header fields.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::callable::Unavailable;
use hookwright_invoke::calls::Invoke;
use hookwright_invoke::conditions::{decide, evaluation_failed};
use hookwright_invoke::occasion::{By, Occasion};
use hookwright_invoke::recording::Site;
use hookwright_invoke::rendering::{Rendered, Scoping, rendered};
use hookwright_model::{
    Author, AutomationId, Batching, Cause, Delivery, Event, Failure, Header, Kind, Profile, Purpose, Scope, User,
    VariableError, Webhook, json, named, render,
};
use hookwright_plugin::{Message, Transformed};
use hookwright_routing::catalogue::Catalogue;
use serde_json::{Map, Value, json};

use crate::fields::OwnHeader;
use crate::signers::Signing;

/// The object id in test messages of Xurrent.
const TEST_OBJECT: &str = "12345";

const JSON: &str = "application/json";

/// A message before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Shaped {
    pub(crate) headers: Vec<Header>,
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// The result of shaping an event for a webhook.
pub(crate) enum Shape {
    /// It is sent.
    Send(Shaped),
    /// The webhook does not want it, for this reason.
    Drop(String),
    /// A plugin that is needed cannot be called at present.
    Wait(Unavailable),
    /// A plugin failed.
    Failed(Failure),
}

/// Shapes the messages of deliveries.
pub(crate) struct Messages {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) invoke: Arc<Invoke>,
    pub(crate) signing: Arc<Signing>,
}

impl Messages {
    /// The message of a delivery, if its webhook wants it.
    pub(crate) async fn shape(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        event: &Event,
    ) -> Result<Shape, PipelineError> {
        let occasion = Occasion { space: &webhook.space, event, by: By::Webhook(delivery.id), shared: None };
        if let (Some(when), Purpose::Event | Purpose::Redelivery) = (&webhook.when, delivery.purpose) {
            let (decision, waits) = decide(&self.invoke, occasion, Some(when), Default::default()).await;
            match waits {
                Some(unavailable) => return Ok(Shape::Wait(unavailable)),
                None if decision.fired => {}
                None if evaluation_failed(&decision) => {
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
        let callable = match self.invoke.available(&occasion, transform) {
            Ok(callable) => callable,
            Err(unavailable) => return Ok(Shape::Wait(unavailable)),
        };
        let mut workbench = self.invoke.workbench(&webhook.space, "hookwright", Cause::api());
        let mut scoping = Scoping::new(occasion);
        let ready = self.invoke.prepare(callable, occasion, Kind::Transform).and_then(|invocation| {
            let filled = rendered(&self.invoke, invocation.plugin(), &webhook.with, &mut scoping, &mut workbench)?;
            Ok((invocation, filled))
        });
        let (mut invocation, Rendered { mut parameters, names_from_data }) = match ready {
            Ok(ready) => ready,
            Err(failure) => return Ok(Shape::Failed(failure)),
        };
        // After the variables are filled in: a name that a user chose is a value, not a template.
        if let Some(parameters) = parameters.as_object_mut() {
            for (name, value) in self.defaults(webhook, delivery.purpose, event) {
                parameters.entry(name).or_insert(value);
            }
        }
        invocation.call.names_from_data = names_from_data;
        let changed_at = invocation.call.now;
        let site =
            || Site { place: format!("webhook {}", webhook.id), automation: None, changed_at, source: "hookwright" };
        let (result, _) = self.invoke.apply(invocation, &parameters, message_of(event), site).await;
        Ok(match result {
            Ok(Transformed::Send(message)) => match readable(&message.content_type, &message.body) {
                Ok(()) => {
                    let Message { headers, content_type, body } = message;
                    Shape::Send(Shaped { headers, content_type, body })
                }
                Err(failure) => Shape::Failed(failure),
            },
            Ok(Transformed::Drop(reason)) => Shape::Drop(reason),
            Err(failure) => Shape::Failed(failure),
        })
    }

    /// Parameters of the transform that the profile sets if the webhook does not.
    fn defaults(&self, webhook: &Webhook, purpose: Purpose, event: &Event) -> Map<String, Value> {
        let mut with = Map::new();
        if webhook.transform.as_deref() == webhook.profile.transform() {
            let user = user_of(event);
            if let (Some(user), Profile::Capsule | Profile::Uspacy | Profile::Xurrent) = (user, webhook.profile) {
                with.insert("user".to_owned(), json!(user));
            }
            match webhook.profile {
                Profile::Xurrent => {
                    with.insert("webhook_id".to_owned(), webhook.number.to_string().into());
                    with.insert("account_id".to_owned(), webhook.space.as_str().into());
                    with.insert("account".to_owned(), self.settings.public_url().into());
                    // The subject of an event names a record if it consists of a kind and an id.
                    let record = event.subject.as_deref().filter(|subject| {
                        let plain = |part: &str| {
                            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                        };
                        purpose != Purpose::Test && subject.split('/').count() == 2 && subject.split('/').all(plain)
                    });
                    if let Some(record) = record {
                        with.insert(
                            "resource".to_owned(),
                            format!("{}/v1/records/{record}", self.settings.public_url()).into(),
                        );
                    }
                    with.insert("name".to_owned(), webhook.name.as_str().into());
                    if user.is_none() {
                        let (id, name) = self.actor(event);
                        with.insert("person_id".to_owned(), id.into());
                        with.insert("person_name".to_owned(), name.into());
                    }
                    if purpose == Purpose::Test {
                        with.insert("object_id".to_owned(), TEST_OBJECT.into());
                        if let Some(event) = &webhook.event {
                            with.insert("event".to_owned(), event.as_str().into());
                        }
                    }
                }
                Profile::Capsule => {
                    if let Some(event) = webhook.event.as_ref().filter(|_| purpose == Purpose::Test) {
                        with.insert("event".to_owned(), event.as_str().into());
                    }
                    if let Some(embed) = &webhook.embed {
                        with.insert("embed".to_owned(), embed.as_str().into());
                    }
                }
                // An event of an automation has no user, even if a user changed the record before it.
                Profile::Uspacy if maker(event).is_some_and(|by| by.automation.is_some()) => {
                    with.insert("user".to_owned(), Value::Null);
                }
                _ => {}
            }
        }
        with
    }

    /// Who made an event that no user made, as an id and a name: the API key, else the automation, else the source.
    fn actor(&self, event: &Event) -> (Option<String>, Option<String>) {
        let Some(by) = maker(event) else { return (None, None) };
        if by.key.is_some() {
            return (by.key.clone(), by.key_name.clone());
        }
        match &by.automation {
            Some(id) => {
                let known = self.catalogue.automation(&event.space, &AutomationId::from(id.as_str()));
                (Some(id.clone()), known.map(|automation| automation.name.clone()))
            }
            None => (None, by.source.clone()),
        }
    }

    /// The webhook's own header fields, with their variables and secrets filled in.
    pub(crate) fn own_headers(&self, webhook: &Webhook, event: &Event) -> Result<Vec<OwnHeader>, PipelineError> {
        let mut scope: Option<Scope> = None;
        let mut own = Vec::with_capacity(webhook.headers.len());
        for header in &webhook.headers {
            let (name, written) = (header.name.to_ascii_lowercase(), &header.value);
            if !written.contains("{{") {
                own.push(OwnHeader::plain(name, written.clone()));
                continue;
            }
            let mut secrets = Map::new();
            let mut hidden = Vec::new();
            for secret in named(written, "secrets") {
                let value = self.signing.secret_text(&webhook.space, secret)?;
                hidden.push(value.clone());
                secrets.insert(secret.to_owned(), value.into());
            }
            let scope = scope.get_or_insert_with(|| Scope::new(event, &webhook.space, self.clock.now()));
            scope.set("secrets", Value::Object(secrets));
            let value = match render(&Value::from(written.as_str()), scope) {
                Ok(Value::String(text)) => text,
                Ok(Value::Null) => String::new(),
                Ok(other) => other.to_string(),
                Err(error) => {
                    let code = match &error {
                        VariableError::Missing { .. } => "variable.missing",
                        VariableError::TooLarge => "parameters.too_large",
                    };
                    let message = format!("the header field `{name}`: {error}");
                    return Err(Failure::permanent(code, message).into());
                }
            };
            crate::fields::check_value(&name, &value)?;
            let mut header = OwnHeader::plain(name, value);
            if !hidden.is_empty() {
                header.logged.clone_from(written);
                header.secrets.extend(hidden);
            }
            own.push(header);
        }
        Ok(own)
    }
}

/// Who made an event, if Hookwright made it.
fn maker(event: &Event) -> Option<&Author> {
    event.cause.as_ref()?.by.as_ref()
}

/// The user who made the event. The event's data is not considered, because the sender chooses it.
fn user_of(event: &Event) -> Option<&User> {
    maker(event)?.user.as_ref()
}

/// The input of a transform: the payload byte for byte if it is the event's data; else the data as JSON.
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
    // The data is copied byte for byte, so that numbers keep all their digits.
    let mut text = Value::Object(message).to_string();
    text.pop();
    text.push_str(",\"data\":");
    text.push_str(&event.data_json());
    text.push('}');
    Bytes::from(text)
}

/// Several messages as one: their lists at `batching.list` joined, or the messages themselves as a list. `None`: the
/// messages do not have the same form.
pub(crate) fn joined(batching: &Batching, messages: &[Shaped]) -> Option<Shaped> {
    let first = messages.first()?;
    if messages.iter().any(|message| message.content_type != first.content_type) {
        return None;
    }
    let body = if batching.list.is_empty() {
        let mut body = BytesMut::with_capacity(messages.iter().map(|message| message.body.len() + 1).sum());
        for (place, message) in messages.iter().enumerate() {
            body.put_u8(if place == 0 { b'[' } else { b',' });
            // The elements of a message that is already a list are added one by one.
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

/// Fails if a message claims to be JSON and is not, so that no receiver is sent what it cannot read.
pub(crate) fn readable(content_type: &str, body: &[u8]) -> Result<(), Failure> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media == JSON || media.ends_with("+json");
    match json::check(body) {
        Err(refused) if is_json && !body.is_empty() => {
            let said: String = refused.to_string().chars().take(300).collect();
            let message = format!("the content type of the message is {media}, but the body {said}: nothing is sent");
            Err(Failure::permanent("message.not_json", message))
        }
        _ => Ok(()),
    }
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
    fn the_data_is_sent_byte_for_byte() {
        let event = event(JSON, b"{\"n\": 1.0000000000000000001, \"a\":1e2}");
        let body = standard(&event);
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.ends_with("\"data\":{\"n\": 1.0000000000000000001, \"a\":1e2}}"), "{text}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["type"], "a.b");
    }

    #[test]
    fn a_transform_gets_the_payload_byte_for_byte() {
        let message = message_of(&event("text/xml", b"<a/>"));
        assert_eq!((message.content_type.as_str(), &message.body[..]), ("text/xml", &b"<a/>"[..]));
        let message = message_of(&event(JSON, b"{\"a\": 1.50}"));
        assert_eq!((message.content_type.as_str(), &message.body[..]), (JSON, &b"{\"a\": 1.50}"[..]));
    }

    #[test]
    fn messages_are_joined_at_their_lists() {
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

    #[test]
    fn a_message_that_claims_to_be_json_must_be_json() {
        for (body, content_type, sent) in [
            (&b"{\"a\":1}"[..], "application/json", true),
            (b"{\"a\":\"\n\"}", "application/json; charset=utf-8", false),
            (b"{\"a\":1,\"a\":1}", "application/vnd.x+json", false),
            (b"{\"a\":", "text/plain", true),
            (b"", "application/json", true),
        ] {
            let code = readable(content_type, body).err().map(|failure| failure.code);
            assert_eq!(code.as_deref(), (!sent).then_some("message.not_json"), "{content_type}");
        }
    }
}
