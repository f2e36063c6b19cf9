//! The transform `template`: makes a message's body with a Jinja template.
//!
//! `{"template": "{{ event.type }}: {{ data.subject }}", "content_type": "text/plain"}`. The template knows
//!
//! | name | is |
//! |---|---|
//! | `event` | the envelope: `id`, `type`, `source`, `subject`, `time`, `data`, `attributes` |
//! | `data` | the event's payload |
//! | `analytics_event` | the same event in other words: `service`, `trigger_event_type`, `attributes` |
//! | `message` | the body as received: a value if it is JSON, else a string |
//! | `parameters` | these parameters, so a template can be given values of its own beside it |
//!
//! Printing a value that is not there is a failure, since half a message helps nobody: `{{ data.x | default("") }}`
//! where it may be missing. Text is escaped only where the content type is HTML. Where it is JSON, the result must be JSON:
//! `{"subject": {{ data.subject | tojson }}}`, and nothing is sent if it is not. Numbers are printed with the digits that
//! they were written with.

mod tojson;
mod values;
mod writer;

use hookwright_sdk::{Event, Failure, Manifest, Message, Plugin, Transform, Transformed, json, outgoing, shorten};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value as Known};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, context};
use minijinja_contrib::pycompat;
use serde_json::{Map, Value};

use crate::values::{Digits, known};

struct Template;

impl Plugin for Template {
    const MANIFEST: Manifest = Manifest {
        name: "template",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Makes the body with a Jinja template",
        parameters: include_str!("parameters.json"),
        hints: &[("documentation", "https://jinja.palletsprojects.com/en/stable/templates/")],
    };
    type Parameters = Map<String, Value>;
}

impl Transform for Template {
    fn apply(event: &Event, message: Message, parameters: Map<String, Value>) -> Result<Transformed, Failure> {
        let source = text(&parameters, "template")?.ok_or_else(|| {
            Failure::permanent("parameters.invalid", "parameter `template` is missing: write the template of the body")
        })?;
        let given = text(&parameters, "content_type")?.map(outgoing::checked_media_type).transpose()?;
        let content_type = given.unwrap_or(&message.content_type).to_owned();
        let body = render(source, &content_type, event, &message, &parameters)?;
        if outgoing::is_json(&content_type)
            && let Err(failure) = readable(&body)
        {
            if given.is_some() || looks_like_json(&body) {
                return Err(failure);
            }
            // What came was JSON, and the template makes a string of it.
            return Ok(Transformed::Send(message.with_body("text/plain; charset=utf-8", body)));
        }
        Ok(Transformed::Send(message.with_body(content_type, body)))
    }
}

/// Whether a string was meant to be JSON: it begins as an object does, or as a list of strings, lists or objects.
fn looks_like_json(body: &str) -> bool {
    let body = body.trim_start();
    body.starts_with('{')
        || body.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', '[', '"', ']']))
}

/// Whether what is sent as JSON is JSON.
fn readable(body: &str) -> Result<(), Failure> {
    json::check(body.as_bytes()).map(|_| ()).map_err(|refused| {
        let said = shorten(&refused.to_string(), 300);
        Failure::permanent(
            "message.not_json",
            format!(
                "the content type says JSON, but what the template makes {said}. Put values into JSON with the filter \
                 tojson, which brings its own quotes: {{\"name\": {{{{ data.name | tojson }}}}}}"
            ),
        )
    })
}

/// A parameter that is a string, if it was given.
fn text<'a>(parameters: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Failure> {
    match parameters.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Failure::permanent(
            "parameters.invalid",
            format!("parameter `{name}` is {}: give a string", shorten(&other.to_string(), 200)),
        )),
    }
}

fn render(
    source: &str,
    content_type: &str,
    event: &Event,
    message: &Message,
    parameters: &Map<String, Value>,
) -> Result<String, Failure> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    // Jinja's templates call the methods of Python's texts, lists and objects: `.items()`, `.split()`.
    environment.set_unknown_method_callback(pycompat::unknown_method_callback);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| told("template.failed", &error))?);
    let is_html = is_html(content_type);
    environment.set_auto_escape_callback(move |_| if is_html { AutoEscape::Html } else { AutoEscape::None });
    let digits = Digits::default();
    let seen = digits.clone();
    environment.set_formatter(move |out, state, value| match seen.of(value) {
        Some(digits) => out.write_str(&digits).map_err(Error::from),
        None => minijinja::escape_formatter(out, state, value),
    });
    let seen = digits.clone();
    environment.add_filter("tojson", move |value: &Known, indent: Option<Known>, more: Kwargs| {
        tojson::filter(&seen, value, indent, &more)
    });
    let template = environment.template_from_str(source).map_err(|error| told("template.invalid", &error))?;
    let body = match message.json() {
        Ok(json) => json,
        Err(_) => Value::from(String::from_utf8_lossy(&message.body)),
    };
    template
        .render(context! {
            event => known(&event.envelope(), &digits),
            data => known(event.data(), &digits),
            analytics_event => known(&event.analytics_event(), &digits),
            message => known(&body, &digits),
            parameters => known(&Value::Object(parameters.clone()), &digits),
        })
        .map_err(|error| told("template.failed", &error))
}

/// Whether the media type is one whose special characters must be escaped.
fn is_html(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|html| media_type.eq_ignore_ascii_case(html))
}

/// What the template engine said, with the line of the template.
fn told(code: &str, error: &Error) -> Failure {
    let line = error.line().map(|line| format!("line {line} of the ")).unwrap_or_default();
    let detail =
        error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let remedy = if error.kind() == ErrorKind::UndefinedError {
        ". Correct the name, or give a default: {{ name | default(\"\") }}"
    } else {
        ""
    };
    Failure::permanent(code, format!("{line}template: {}{remedy}", shorten(&detail, 400)))
}

hookwright_sdk::export_transform!(Template);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, apply};
    use serde_json::json;

    fn message(body: &str) -> Message {
        Message {
            headers: vec![("x-a".into(), "1".into())],
            content_type: "application/json".into(),
            body: body.into(),
        }
    }

    fn transformed(parameters: Value) -> Result<Message, Failure> {
        let mut event =
            testing::event("ticket.closed", json!({"subject": "Printer <on fire>", "tags": ["a", "b"], "n": 2}));
        event.subject = Some("7".into());
        match apply::<Template>(&event, message(r#"{"inner": {"x": 1}}"#), parameters)? {
            Transformed::Send(message) => Ok(message),
            Transformed::Drop(reason) => panic!("dropped: {reason}"),
        }
    }

    #[test]
    fn a_template_sees_event_data_message_and_parameters() {
        for (template, body) in [
            ("{{ event.type }} {{ event.subject }} {{ event.source }}", "ticket.closed 7 test"),
            ("{{ data.subject }}", "Printer <on fire>"),
            ("{{ analytics_event.trigger_event_type }}/{{ analytics_event.attributes.n + 1 }}", "ticket.closed/3"),
            ("{{ message.inner.x }}", "1"),
            ("{{ parameters.greeting }}", "hello"),
            ("{% for tag in data.tags %}{{ loop.index }}={{ tag }};{% endfor %}", "1=a;2=b;"),
            ("{{ data.tags | join(', ') | upper }}", "A, B"),
            ("{{ data.tags | tojson }}", r#"["a", "b"]"#),
            ("{{ data.nothing | default('none') }}{% if data.nothing %}x{% endif %}", "none"),
            ("{{ 'a b' | urlencode }}", "a%20b"),
            ("line\n", "line\n"),
            ("{% for name, value in message.inner.items() %}{{ name }}={{ value }}{% endfor %}", "x=1"),
            ("{{ data.subject.split(' ')[0] }} {{ data.subject.lower().startswith('printer') }}", "Printer True"),
            ("{{ message.inner.get('y', 'none') }} {{ data.tags.count('a') }}", "none 1"),
        ] {
            let message = transformed(json!({"template": template, "greeting": "hello"})).unwrap();
            assert_eq!(message.text(), Some(body), "{template}");
            let content_type =
                if json::check(body.as_bytes()).is_ok() { "application/json" } else { "text/plain; charset=utf-8" };
            assert_eq!((message.content_type.as_str(), message.headers.len()), (content_type, 1), "{template}");
        }
    }

    #[test]
    fn a_number_is_printed_with_its_digits() {
        let written = r#"{"price": 1.10, "big": 12345678901234567890123456789, "zero": -0, "long": 0.10000000000000000000001,
            "list": [1.1, 1.10, 1E3], "huge": 123456789012345678901234567890123456789012345678901234567890, "n": 2}"#;
        let mut event = testing::event("x", json!(null));
        event.data_json = written.to_owned();
        for (template, body) in [
            (
                "{{ data.price }} {{ data.big }} {{ data.zero }} {{ data.long }}",
                "1.10 12345678901234567890123456789 -0 0.10000000000000000000001",
            ),
            ("{{ data.huge }}", "123456789012345678901234567890123456789012345678901234567890"),
            ("{% for x in data.list %}{{ x }};{% endfor %}", "1.1;1.10;1e+3;"),
            ("{{ data.list }} {{ data.list | tojson }}", "[1.1, 1.10, 1e+3] [1.1, 1.10, 1e+3]"),
            ("{{ data.price | tojson }}", "1.10"),
            (
                "{{ {'price': data.price, 'n': data.big} | tojson }}",
                r#"{"n": 12345678901234567890123456789, "price": 1.10}"#,
            ),
            (
                "{{ data.price + 1 }} {{ data.n * 2 }} {{ data.big + 1 }} {{ data.zero + 1 }}",
                "2.1 4 12345678901234567890123456790 1.0",
            ),
            ("{{ data.price > 1 }} {{ data.list | sum > 1002 }} {{ data.price is number }}", "True True True"),
            ("{{ [data] | map(attribute='price') | list | tojson(indent=1) }}", "[\n 1.10\n]"),
            ("{{ data.list | length }} {{ data | items | length }} {{ 'n' in data }}", "3 7 True"),
        ] {
            let message = Message { headers: vec![], content_type: "text/plain".into(), body: b"-".to_vec() };
            match apply::<Template>(&event, message, json!({"template": template})) {
                Ok(Transformed::Send(message)) => assert_eq!(message.text(), Some(body), "{template}"),
                other => panic!("{template}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_body_sent_as_json_is_valid_json() {
        for (template, content_type, is_sent) in [
            (r#"{"Body": "{{ data.msg }}"}"#, "", false),
            (r#"[{"Body": "{{ data.msg }}"}]"#, "", false),
            ("[{{ data.msg }}] is new", "", true),
            (r#"{"Body": "{{ data.msg }}"}"#, "application/json", false),
            ("{{ data.msg }}", "application/json", false),
            (r#"{"Body": {{ data.msg | tojson }}}"#, "application/json", true),
            (r#"{"Body": "{{ data.msg }}"}"#, "text/plain", true),
            ("", "application/vnd.x+json; charset=utf-8", false),
            (r#"{"a": 1, "a": 2}"#, "application/json", false),
            ("{{ data | tojson }}", "application/json", true),
        ] {
            let event = testing::event("x", json!({"msg": "one\ntwo \"three\""}));
            let given = (!content_type.is_empty()).then_some(content_type);
            let parameters = json!({"template": template, "content_type": given});
            match apply::<Template>(&event, message("{}"), parameters) {
                Ok(_) => assert!(is_sent, "{template}"),
                Err(failure) => {
                    assert_eq!((failure.code.as_str(), is_sent), ("message.not_json", false), "{template}");
                    assert!(failure.message.contains("| tojson }}"), "{}", failure.message);
                }
            }
        }
    }

    #[test]
    fn text_is_escaped_in_html_and_only_there() {
        for (content_type, body) in [
            ("text/html; charset=utf-8", "Printer &lt;on fire&gt;"),
            ("application/xhtml+xml", "Printer &lt;on fire&gt;"),
            ("text/plain", "Printer <on fire>"),
        ] {
            let message = transformed(json!({"template": "{{ data.subject }}", "content_type": content_type})).unwrap();
            assert_eq!((message.text(), message.content_type.as_str()), (Some(body), content_type));
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_a_string() {
        let event = testing::event("x", json!(null));
        let plain = Message { headers: vec![], content_type: "text/plain".into(), body: b"hello".to_vec() };
        let done = apply::<Template>(&event, plain.clone(), json!({"template": "{{ message }}!"})).unwrap();
        assert_eq!(done, Transformed::Send(plain.with_body("text/plain", "hello!")));
    }

    #[test]
    fn errors_are_reported_with_their_line() {
        for (template, code, said) in [
            ("ok\n{{ data.", "template.invalid", "line 2 of the template: syntax error"),
            ("{% for x in %}", "template.invalid", "line 1"),
            ("a\nb\n{{ data.nothing }}", "template.failed", "line 3 of the template: undefined value"),
            ("{{ data.nothing.more }}", "template.failed", "default("),
            ("{{ data.n | nosuch }}", "template.failed", "nosuch"),
            ("{% include 'x' %}", "template.invalid", "line 1"),
        ] {
            let failure = transformed(json!({"template": template})).unwrap_err();
            assert!(!failure.can_retry());
            assert_eq!(failure.code, code, "{template}: {}", failure.message);
            assert!(failure.message.contains(said), "{template}: {}", failure.message);
        }
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        for (parameters, said) in [
            (json!({}), "`template` is missing"),
            (json!({"template": 7}), "`template` is 7"),
            (json!({"template": "", "content_type": []}), "`content_type` is []"),
        ] {
            let failure = transformed(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
