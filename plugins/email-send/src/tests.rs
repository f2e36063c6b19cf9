//! Which letter is sent for which parameters.

use hookwright_sdk::testing::{self, Host, run};
use hookwright_sdk::{Failure, Outcome, first};
use serde_json::{Value, json};

use crate::EmailSend;

fn outcome(parameters: Value) -> Result<Outcome, Failure> {
    Host::default().install();
    run::<EmailSend>(&testing::event("x", json!(null)), parameters)
}

#[test]
fn a_mail_has_all_requested_fields() {
    let done = outcome(json!({
        "to": ["Ada <ada@example.com>", " bob@example.com "], "cc": "c@example.com", "bcc": ["d@example.com", "e@example.com"],
        "reply_to": "help@example.com", "from": "Bot <bot@example.com>", "subject": "Größe\r\nBcc: x@example.com",
        "text": "Hi", "html": "<p>Hi</p>",
        "attachments": [
            {"name": "a.txt", "text": 7},
            {"name": "b.json", "json": {"n": [1, null]}},
            {"name": "null.json", "json": null},
            {"name": "ü.png", "content_type": "image/png", "base64": "/wA="},
        ],
    }));
    assert_eq!(done, Ok(Outcome::Done(r#"{"mail":"mail_1"}"#.into())));
    let letter = testing::mails().remove(0);
    assert_eq!(letter.to, ["Ada <ada@example.com>", "bob@example.com"]);
    assert_eq!(letter.subject, "Größe Bcc: x@example.com");
    assert_eq!((letter.text.as_str(), letter.html.as_deref()), ("Hi", Some("<p>Hi</p>")));
    for (name, value) in [
        ("cc", "c@example.com"),
        ("bcc", "d@example.com, e@example.com"),
        ("reply-to", "help@example.com"),
        ("from", "Bot <bot@example.com>"),
    ] {
        assert_eq!(first(&letter.headers, name), Some(value));
    }
    let files: Vec<(&str, &str, &[u8])> = letter
        .attachments
        .iter()
        .map(|file| (file.name.as_str(), file.content_type.as_str(), file.content.as_slice()))
        .collect();
    assert_eq!(
        files,
        [
            ("a.txt", "text/plain; charset=utf-8", b"7".as_slice()),
            ("b.json", "application/json", br#"{"n":[1,null]}"#),
            ("null.json", "application/json", b"null"),
            ("ü.png", "image/png", b"\xff\x00"),
        ]
    );
}

#[test]
fn a_string_with_commas_is_a_list_of_addresses() {
    outcome(json!({
        "to": "a@b, \"Doe, Ada\" <ada@example.com>", "cc": ["c@d, e@f", "Größe <g@h>"], "bcc": "i@j,k@l,",
        "reply_to": "\"Help, Inc.\" <help@example.com>, m@n", "from": "\"Bot, Inc.\" <bot@example.com>",
        "subject": "s", "text": "t",
    }))
    .unwrap();
    let letter = testing::mails().remove(0);
    assert_eq!(letter.to, ["a@b", "\"Doe, Ada\" <ada@example.com>"]);
    for (name, value) in [
        ("cc", "c@d, e@f, Größe <g@h>"),
        ("bcc", "i@j, k@l"),
        ("reply-to", "\"Help, Inc.\" <help@example.com>, m@n"),
        ("from", "\"Bot, Inc.\" <bot@example.com>"),
    ] {
        assert_eq!(first(&letter.headers, name), Some(value));
    }
}

#[test]
fn html_alone_is_enough_and_empty_lists_add_no_header() {
    outcome(json!({"to": "a@b", "subject": "", "html": "<p>x</p>", "cc": [], "bcc": null})).unwrap();
    let letter = testing::mails().remove(0);
    assert_eq!((letter.text.as_str(), letter.html.as_deref(), letter.headers.len()), ("", Some("<p>x</p>"), 0));
}

#[test]
fn an_empty_string_is_no_address_except_in_to() {
    let schema = testing::schema::<EmailSend>().unwrap();
    assert_eq!(schema["$defs"]["addresses"]["type"], json!(["string", "array", "null"]));
    assert_eq!(schema["properties"]["to"]["type"], json!(["string", "array"]));
    outcome(json!({"to": "a@b", "subject": "s", "text": "t", "cc": "", "bcc": ["", "c@d", " "], "reply_to": " "}))
        .unwrap();
    let headers = testing::mails().remove(0).headers;
    assert_eq!((first(&headers, "bcc"), headers.len()), (Some("c@d"), 1));
    let failure = outcome(json!({"to": "", "subject": "s", "text": "t"})).unwrap_err();
    assert_eq!(failure.code, "parameters.invalid");
    for part in ["`to`", "it is empty", "give ada@example.com"] {
        assert!(failure.message.contains(part), "{}", failure.message);
    }
}

#[test]
fn a_long_subject_is_cut_to_a_line() {
    outcome(json!({"to": "a@b", "subject": "ü".repeat(5000), "text": "x"})).unwrap();
    let subject = testing::mails().remove(0).subject;
    assert!(subject.len() <= 998 && subject.ends_with('…'), "{}", subject.len());
}

#[test]
fn invalid_parameters_are_refused_and_nothing_is_sent() {
    let with = |changes: Value| {
        let mut all = json!({"to": "a@b", "subject": "s", "text": "t"});
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        all
    };
    for (parameters, said) in [
        (json!({"subject": "s", "text": "t"}), "`to`"),
        (json!({"to": "a@b", "text": "t"}), "`subject`"),
        (json!({"to": "a@b", "subject": "s"}), "the mail is empty"),
        (with(json!({"text": " ", "html": ""})), "the mail is empty"),
        (with(json!({"to": []})), "`to` has no address"),
        (with(json!({"to": "nobody"})), "`to` has `nobody`"),
        (with(json!({"to": ["a@b", ""]})), "`to` has ``"),
        (with(json!({"cc": "a@b\r\nX-Evil: 1"})), r"`cc` has `a@b\r\nX-Evil: 1`"),
        (with(json!({"from": "me"})), "`from` has `me`"),
        (with(json!({"from": "a@b, c@d"})), "`from` has 2 addresses, `a@b, c@d`"),
        (with(json!({"from": ","})), "`from` has `,`"),
        (with(json!({"to": " , "})), "`to` has ` , `"),
        (with(json!({"to": "a@b; c@d"})), "`to` has `a@b; c@d`"),
        (with(json!({"to": "a@b c@d"})), "`to` has `a@b c@d`"),
        (with(json!({"bcc": "Doe, Ada <ada@example.com>"})), "`bcc` has `Doe`"),
        (with(json!({"reply_to": ["a@b", "c@d, e"]})), "`reply_to` has `e`"),
        (with(json!({"attachments": [{"name": "a"}]})), "`attachments[0]` must have one of"),
        (with(json!({"attachments": [{"name": "a", "text": "x", "base64": ""}]})), "must have one of"),
        (
            with(json!({"attachments": [{"name": "a", "text": "x"}, {"name": "b", "base64": "!"}]})),
            "`attachments[1].base64`",
        ),
        (with(json!({"attachments": [{"name": "a\nb", "text": "x"}]})), "`attachments[0].name`"),
        (
            with(json!({"attachments": [{"name": "a", "text": "x", "content_type": " "}]})),
            "`attachments[0].content_type`",
        ),
        (with(json!({"body": "x"})), "`body`"),
    ] {
        let failure = outcome(parameters).unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
        assert!(failure.message.contains(said), "{}", failure.message);
        assert!(testing::mails().is_empty());
    }
}
