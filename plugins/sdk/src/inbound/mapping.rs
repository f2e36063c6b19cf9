//! How the sources that know no provider find an event's envelope in a request: rules that the operator gives.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{dotted, event_id, kept, subject};
use crate::seek::seek;
use crate::several::read;
use crate::{Draft, Path, Refusal, Request, log, shorten, time};

/// The type of events for which no rule is given.
const TYPE: &str = "webhook.received";

/// The source of each part of the envelope.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The event's type; `webhook.received` unless given.
    #[serde(default, rename = "type")]
    pub event_type: Option<Rule>,
    /// The provider's id of it, by which a repeat is known. Without it each request is an event of its own.
    #[serde(default)]
    pub id: Option<Found>,
    /// When it happened, in any form that [`crate::dates`] reads. By default the time of arrival; an unreadable value
    /// is
    /// kept as the attribute `time-unread`.
    #[serde(default)]
    pub time: Option<Found>,
    /// Its subject.
    #[serde(default)]
    pub subject: Option<Rule>,
    /// Names of headers to keep with the event.
    #[serde(default)]
    pub attributes: Vec<String>,
}

/// A string, or where to find one.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Always this.
    Fixed(String),
    /// The actual value.
    Found(Found),
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let rule = match json.get().as_bytes().first() {
            Some(b'"') => read(json.get()).map(Self::Fixed),
            Some(b'{') => read(json.get()).map(Self::Found),
            _ => {
                Err("give a string, or an object that says where to find one, such as {\"path\": \"type\"}".to_owned())
            }
        };
        rule.map_err(serde::de::Error::custom)
    }
}

/// The position of a value in a request: a path in the payload, or a header.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// A dotted path into the payload, such as `data.object.id`.
    #[serde(default)]
    pub path: Option<String>,
    /// A header's name.
    #[serde(default)]
    pub header: Option<String>,
    /// The prefix of the value.
    #[serde(default)]
    pub prefix: String,
    /// The default, where there is no value.
    #[serde(default)]
    pub default: Option<String>,
}

impl Mapping {
    /// The event that a request brings. `payload` is its body as JSON text, `code` the one of the refusal.
    ///
    /// # Errors
    /// The refusal, with status 422: the type's rule has no value, or a path is not valid.
    pub fn draft(&self, request: &Request, payload: &str, code: &str) -> Result<Draft, Refusal> {
        let event_type = match &self.event_type {
            None => TYPE.to_owned(),
            Some(Rule::Fixed(text)) => dotted(text),
            Some(Rule::Found(found)) => {
                let value = found.text(request, payload, code)?.ok_or_else(|| {
                    let place = found.place();
                    Refusal::new(422, code, format!("{place} has no event type: correct `event.type` of the source"))
                })?;
                dotted(&value)
            }
        };
        if event_type.is_empty() {
            let message = "the event type has no letter or digit in it: correct `event.type` of the source";
            return Err(Refusal::new(422, code, message));
        }
        let id = self.id.as_ref().map(|found| found.text(request, payload, code)).transpose()?.flatten();
        let about = match &self.subject {
            None => None,
            Some(Rule::Fixed(text)) => Some(text.clone()),
            Some(Rule::Found(found)) => found.text(request, payload, code)?,
        };
        Ok(Draft {
            id: id.as_deref().and_then(event_id),
            subject: about.as_deref().and_then(subject),
            attributes: kept(request, &self.attributes),
            ..Draft::new(event_type, payload)
        }
        .at(self.time(request, payload, code)?.as_ref()))
    }

    /// The value of the event's time. If it is not a time, a line is logged.
    fn time(&self, request: &Request, payload: &str, code: &str) -> Result<Option<Value>, Refusal> {
        let Some(found) = &self.time else { return Ok(None) };
        let Some(value) = found.value(request, payload, code)? else { return Ok(None) };
        if time::understood(&value).is_none() {
            let shown = shorten(&value.to_string(), 100);
            log::warn(
                "no time can be read where the source looks for it",
                &[("at", &found.place()), ("value", &shown)],
            );
        }
        Ok(Some(value))
    }
}

impl Found {
    /// For messages: where the value was looked for.
    fn place(&self) -> String {
        match (&self.path, &self.header) {
            (Some(path), _) => format!("`{}` of the payload", shorten(path, 100)),
            (None, Some(header)) => format!("the {} header", shorten(header, 60)),
            (None, None) => "the request".into(),
        }
    }

    fn value(&self, request: &Request, payload: &str, code: &str) -> Result<Option<Value>, Refusal> {
        let found = match (&self.path, &self.header) {
            (Some(path), _) => {
                let path = Path::parse(path).map_err(|why| {
                    Refusal::new(422, code, format!("{why}; correct the path in `event` of the source"))
                })?;
                seek::<Value>(payload, &path.names_from(0)).filter(|value| !value.is_null())
            }
            (None, Some(header)) => request.header(header).map(Value::from),
            (None, None) => None,
        };
        Ok(found.or_else(|| self.default.clone().map(Value::from)))
    }

    /// The value as text, with its prefix. `None` if there is none, or it is an object or a list.
    fn text(&self, request: &Request, payload: &str, code: &str) -> Result<Option<String>, Refusal> {
        let text = match self.value(request, payload, code)? {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(truth)) => truth.to_string(),
            _ => return Ok(None),
        };
        Ok((!text.trim().is_empty()).then(|| format!("{}{}", self.prefix, text.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> Request {
        Request {
            method: "POST".into(),
            path: String::new(),
            query: String::new(),
            headers: vec![("x-event".into(), "order/paid".into()), ("x-id".into(), "7".into())],
            body: Vec::new(),
            remote_address: "192.0.2.1".into(),
        }
    }

    fn draft(mapping: Value, payload: &Value) -> Result<Draft, Refusal> {
        let mapping: Mapping = serde_json::from_value(mapping).unwrap();
        mapping.draft(&request(), &payload.to_string(), "x.mapping")
    }

    #[test]
    fn each_part_is_read_where_its_rule_points() {
        let payload = json!({"kind": "paid", "n": 12, "at": 1_492_774_577, "o": {"id": "o-1"}, "none": null});
        let found = draft(
            json!({
                "type": {"path": "kind", "prefix": "shop."}, "id": {"path": "n"}, "time": {"path": "at"},
                "subject": {"path": "o.id", "prefix": "order/"}, "attributes": ["X-Event", "x-other"]
            }),
            &payload,
        )
        .unwrap();
        assert_eq!(found.event_type, "shop.paid");
        assert_eq!(found.id.as_deref(), Some("12"));
        assert_eq!(found.time.as_deref(), Some("2017-04-21T11:36:17Z"));
        assert_eq!(found.subject.as_deref(), Some("order/o-1"));
        assert_eq!(found.attributes, [("x-event".to_owned(), "order/paid".to_owned())]);
        let found = draft(json!({"type": {"header": "X-Event"}, "id": {"header": "x-id"}}), &payload).unwrap();
        assert_eq!((found.event_type.as_str(), found.id.as_deref()), ("order.paid", Some("7")));
        let found = draft(json!({}), &payload).unwrap();
        assert_eq!((found.event_type.as_str(), found.id, found.time), (TYPE, None, None));
        let found = draft(json!({"type": "a.b", "subject": "s"}), &payload).unwrap();
        assert_eq!((found.event_type.as_str(), found.subject.as_deref()), ("a.b", Some("s")));
    }

    #[test]
    fn a_time_is_read_as_everywhere_else() {
        let table: Value = serde_json::from_str(include_str!("../../dates.json")).unwrap();
        let at = |written: &Value| draft(json!({"time": {"path": "at"}}), &json!({"at": written})).unwrap();
        for row in table["read"].as_array().unwrap() {
            let read =
                at(&row[0]).time.and_then(|time| crate::dates::Instant::parse(&time)).map(|read| read.to_string());
            assert_eq!(read.as_deref(), row[1].as_str(), "{row}");
        }
        for row in table["refused"].as_array().unwrap() {
            let draft = at(row);
            let unread = [("time-unread".to_owned(), row.as_str().unwrap().to_owned())];
            assert_eq!((draft.time, draft.attributes.as_slice()), (None, &unread[..]), "{row}");
        }
    }

    #[test]
    fn a_type_that_is_not_there_is_refused_and_the_rest_is_left_out() {
        let payload = json!({"none": null, "list": [1], "blank": " ", "at": "soon"});
        for rule in
            [json!({"path": "kind"}), json!({"path": "none"}), json!({"path": "list"}), json!({"path": "blank"})]
        {
            let refusal = draft(json!({"type": rule}), &payload).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (422, "x.mapping"));
            assert!(refusal.message.contains("`event.type`"), "{}", refusal.message);
        }
        assert!(draft(json!({"type": "!!"}), &payload).is_err());
        assert!(draft(json!({"type": {"path": "a..b"}}), &payload).unwrap_err().message.contains("empty name"));
        let found = draft(
            json!({
                "type": {"path": "kind", "default": "x.y"}, "id": {"path": "kind"},
                "time": {"path": "at"}, "subject": {"header": "x-none"}
            }),
            &payload,
        )
        .unwrap();
        assert_eq!((found.event_type.as_str(), found.id, found.time, found.subject), ("x.y", None, None, None));
        assert_eq!(crate::testing::logged().len(), 1);
    }
}
