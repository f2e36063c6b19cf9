//! Validates the results of plugins. It depends on no version of the WIT: the conversions of every version use it.

use std::borrow::Cow;

use hookwright_model::{Failure, Outcome, Verdict, json, json_span};
use serde_json::Value;

use crate::cut::{cut, prefix};
use crate::exchange::{Answer, Intake, Message, Pairs, Reception, SourceDraft, Transformed};

/// Maximum length of a message, in bytes. Longer ones are truncated.
const TEXT: usize = 4096;
/// Maximum length of a failure's code, in bytes. Longer ones are truncated.
const CODE: usize = 128;
/// Maximum number of header fields or attributes.
const PAIRS: usize = 128;
/// Maximum number of events from one request.
const EVENTS: usize = 1000;
/// The factor by which the result of a source may exceed the limit of other plugins' results.
const INTAKE_FACTOR: usize = 4;

fn for_people(text: String) -> String {
    if text.len() <= TEXT { text } else { cut(&text, TEXT) }
}

fn too_large(what: &str, size: usize, most: usize) -> Failure {
    let message = format!(
        "{what} has {size} bytes: at most {most}; make the plugin answer with less, or raise `limits.output_bytes` in its policy"
    );
    Failure::permanent("plugin.output_too_large", message)
}

fn invalid(message: String) -> Failure {
    Failure::permanent("plugin.result_invalid", message)
}

/// A failure from the plugin, abridged.
pub(crate) fn failure(code: String, message: String, retry_after_ms: Option<u32>) -> Failure {
    let code = if code.is_empty() || code.len() > CODE || code.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let code: String = code.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
        if code.is_empty() { "plugin.failed".to_owned() } else { prefix(&code, CODE).to_owned() }
    } else {
        code
    };
    Failure { code, message: for_people(message), retry_after_ms }
}

/// A condition's result.
pub(crate) fn verdict(holds: bool, reason: String) -> Verdict {
    Verdict { holds, reason: for_people(reason) }
}

/// An action's result.
pub(crate) fn done(json: &str, most: usize) -> Result<Outcome, Failure> {
    value("the result", json, most).map(Outcome::Done)
}

/// Why an action was skipped.
pub(crate) fn skipped(reason: String) -> Outcome {
    Outcome::Skipped(for_people(reason))
}

/// A transform's result.
pub(crate) fn send(message: Message, most: usize) -> Result<Transformed, Failure> {
    let size = message.body.len().saturating_add(size_of_pairs("the message", &message.headers)?);
    if size > most {
        return Err(too_large("the message", size, most));
    }
    if message.content_type.len() > 256 || message.content_type.chars().any(char::is_control) {
        let shown = cut(&message.content_type, 80);
        return Err(invalid(format!(
            "`{shown}` is not a valid content type: give a media type, such as application/json"
        )));
    }
    Ok(Transformed::Send(message))
}

/// Why a transform dropped the message.
pub(crate) fn dropped(reason: String) -> Transformed {
    Transformed::Drop(for_people(reason))
}

/// A source's result.
pub(crate) fn accepted(intake: Intake, output_bytes: usize) -> Result<Reception, Failure> {
    let most = output_bytes.saturating_mul(INTAKE_FACTOR);
    if intake.events.len() > EVENTS {
        return Err(invalid(format!("one request produced {} events: at most {EVENTS}", intake.events.len())));
    }
    let mut size = intake.answer.body.len().saturating_add(size_of_pairs("the answer", &intake.answer.headers)?);
    for draft in &intake.events {
        size = size.saturating_add(draft.data.len()).saturating_add(size_of_pairs("an event", &draft.attributes)?);
    }
    if size > most {
        return Err(too_large("what the source made of the request", size, most));
    }
    for (place, draft) in intake.events.iter().enumerate() {
        if let Some(refused) = event_data(place, draft)? {
            return Ok(refused);
        }
    }
    let Answer { status, .. } = intake.answer;
    if status != 0 && !(200..=599).contains(&status) {
        return Err(invalid(format!(
            "the answer has status {status}: give 200 to 599, or 0 for the host's own answer"
        )));
    }
    Ok(Reception::Accepted(intake))
}

/// The refusal of a request whose JSON is ambiguous: readers would parse it differently.
fn event_data(place: usize, draft: &SourceDraft) -> Result<Option<Reception>, Failure> {
    let Err(refused) = json::check(draft.data.as_bytes()) else { return Ok(None) };
    let code = match refused.rule {
        json::Rule::Syntax | json::Rule::Utf8 => return Err(invalid(format!("events[{place}].data {refused}"))),
        json::Rule::Depth => "body.too_deep",
        _ => "body.ambiguous",
    };
    let message = match refused.path.as_str() {
        "" => format!("the event's data {}", refused.message),
        path => format!("`{path}` in the event's data {}", refused.message),
    };
    Ok(Some(Reception::Refused { status: 400, code: code.to_owned(), message: for_people(message) }))
}

/// Why a source refused a request.
pub(crate) fn refused(status: u16, code: String, message: String) -> Result<Reception, Failure> {
    if !(400..=499).contains(&status) {
        return Err(invalid(format!("the refusal has status {status}: give 400 to 499")));
    }
    let Failure { code, message, .. } = failure(code, message, None);
    Ok(Reception::Refused { status, code, message })
}

/// Parses JSON from a plugin.
pub(crate) fn value(what: &str, json: &str, most: usize) -> Result<Value, Failure> {
    if json.len() > most {
        return Err(too_large(what, json.len(), most));
    }
    let read = json_span(json.as_bytes(), "").map_err(|mistake| mistake.to_string());
    read.and_then(|()| serde_json::from_str(json).map_err(|error| error.to_string())).map_err(|error| {
        let shown: Cow<'_, str> =
            if json.is_empty() { "nothing".into() } else { format!("`{}`", cut(json, 200)).into() };
        invalid(format!("{what} cannot be read as JSON ({error}): {shown}"))
    })
}

fn size_of_pairs(what: &str, pairs: &Pairs) -> Result<usize, Failure> {
    if pairs.len() > PAIRS {
        return Err(invalid(format!("{what} has {} header fields or attributes: at most {PAIRS}", pairs.len())));
    }
    Ok(pairs.iter().fold(0, |size, (name, value)| size.saturating_add(name.len()).saturating_add(value.len())))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_truncated_between_characters() {
        assert_eq!(prefix("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä…");
        assert!(verdict(true, "x".repeat(10_000)).reason.len() < TEXT + 4);
        let told = failure("a b\n".to_owned(), "m".repeat(10_000), Some(1));
        assert_eq!((told.code.as_str(), told.retry_after_ms), ("ab", Some(1)));
        assert_eq!(failure(String::new(), String::new(), None).code, "plugin.failed");
    }

    #[test]
    fn a_result_is_json_of_bounded_size_and_depth() {
        assert_eq!(done("{\"a\":1}", 100), Ok(Outcome::Done(json!({"a": 1}))));
        for (text, code) in [
            ("", "plugin.result_invalid"),
            ("{\"a\":", "plugin.result_invalid"),
            ("1 2", "plugin.result_invalid"),
            (&"[".repeat(200), "plugin.result_invalid"),
            (&format!("\"{}\"", "x".repeat(2000)), "plugin.output_too_large"),
        ] {
            assert_eq!(done(text, 1000).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn an_intake_is_checked_before_it_is_believed() {
        let draft = |data: &str| SourceDraft {
            id: None,
            event_type: "t".to_owned(),
            subject: None,
            time: None,
            data: data.to_owned(),
            attributes: Vec::new(),
        };
        let intake =
            |data: &str, status| Intake { events: vec![draft(data)], answer: Answer { status, ..Answer::default() } };
        assert!(accepted(intake("{}", 0), 100).is_ok());
        for data in [r#"{"a":1,"a":2}"#, r#"{"a":"\ud83d"}"#, r#"{"a":1e400}"#] {
            let Ok(Reception::Refused { status, code, message }) = accepted(intake(data, 0), 100) else {
                panic!("{data} was taken");
            };
            assert_eq!((status, code.as_str()), (400, "body.ambiguous"), "{data}");
            assert!(message.starts_with("`a` in the event's data"), "{message}");
        }
        for (intake, part) in [
            (intake("{", 0), "events[0].data"),
            (intake("{}", 100), "status 100"),
            (intake(&format!("\"{}\"", "x".repeat(500)), 0), "at most 400"),
            (Intake { events: vec![draft("1"); 1001], answer: Answer::default() }, "1001 events"),
        ] {
            assert!(accepted(intake, 100).unwrap_err().message.contains(part), "{part}");
        }
        assert!(refused(500, "c".to_owned(), "m".to_owned()).unwrap_err().message.contains("400 to 499"));
    }

    #[test]
    fn a_message_is_bounded() {
        let message = |body: &'static [u8], content_type: &str| Message {
            headers: vec![("a".to_owned(), "b".to_owned())],
            content_type: content_type.to_owned(),
            body: Bytes::from_static(body),
        };
        assert!(send(message(b"12345678", "text/plain"), 10).is_ok());
        assert_eq!(send(message(b"123456789", "text/plain"), 10).unwrap_err().code, "plugin.output_too_large");
        assert_eq!(send(message(b"", "a\r\nb"), 10).unwrap_err().code, "plugin.result_invalid");
    }
}
