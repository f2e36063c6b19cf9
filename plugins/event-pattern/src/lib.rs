//! The condition `event-pattern`: an Amazon EventBridge event pattern.
//!
//! `{"pattern": {"type": [{"prefix": "order."}], "data": {"state": ["open", "waiting"]}}}`. A pattern is an object that
//! has the shape of the event. Each name leads to a nested pattern or to a list of what its value may be; the pattern
//! holds when every name in it does, and a name does when one of its list does.
//!
//! The event is the object `{"id", "type", "source", "subject", "time", "data": {..}}`; `subject` is not there if the
//! source did not give one.
//!
//! | in a list | holds for |
//! |---|---|
//! | `"text"`, `1`, `true`, `null` | exactly that value |
//! | `{"prefix": "a"}`, `{"suffix": "a"}` | a string that begins or ends so; `{"prefix": {"equals-ignore-case": "a"}}` whatever the case |
//! | `{"equals-ignore-case": "a"}` | that text, whatever the case |
//! | `{"wildcard": "a*b"}` | a string of that shape; `\*` and `\\` stand for themselves |
//! | `{"anything-but": ..}` | any value but this, these, or those that a prefix, suffix, wildcard or equals-ignore-case takes |
//! | `{"numeric": [">", 0, "<=", 5]}` | a number in that range |
//! | `{"cidr": "10.0.0.0/8"}` | an address in that network, IPv4 or IPv6 |
//! | `{"exists": true}`, `{"exists": false}` | a value that is there, or that is not |
//!
//! `"$or": [{..}, {..}]` holds when one of the patterns in it does. Where the event has a list, one element is enough.

mod check;
mod matcher;
mod pattern;
mod wildcard;

use hookwright_sdk::{Condition, Event, Failure, Manifest, Plugin, Verdict};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::pattern::{NAMES, Pattern};

struct EventPattern;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    pattern: Map<String, Value>,
}

impl Plugin for EventPattern {
    const MANIFEST: Manifest = Manifest {
        name: "event-pattern",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Matches the event with an EventBridge event pattern",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html")],
    };
    type Parameters = Parameters;
}

impl Condition for EventPattern {
    fn evaluate(event: &Event, parameters: Parameters) -> Result<Verdict, Failure> {
        let pattern = Pattern::read(&parameters.pattern)
            .map_err(|problem| Failure::permanent("pattern.invalid", format!("parameter `pattern`: {problem}")))?;
        let event = as_object(event);
        Ok(match check::matches(&pattern, &event) {
            Ok(()) => Verdict::yes(format!("the pattern matches: {}", pattern.paths().join(", "))),
            Err(mismatch) => Verdict::no(mismatch),
        })
    }
}

/// The event as patterns see it. A subject that is not there is left out, so that `exists` tells.
fn as_object(event: &Event) -> Map<String, Value> {
    let [id, kind, source, subject, time, data] = NAMES;
    let mut members = Map::new();
    for (name, text) in [(id, &event.id), (kind, &event.event_type), (source, &event.source), (time, &event.time)] {
        members.insert(name.into(), text.as_str().into());
    }
    if let Some(text) = &event.subject {
        members.insert(subject.into(), text.as_str().into());
    }
    members.insert(data.into(), event.data().clone());
    members
}

hookwright_sdk::export_condition!(EventPattern);

#[cfg(test)]
mod tests;
