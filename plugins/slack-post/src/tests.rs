//! The requests for parameters, and the results of responses.

use hookwright_sdk::http::Response;
use hookwright_sdk::testing::{self, Host, run};
use hookwright_sdk::{Failure, Outcome, first};
use serde_json::{Value, json};

use crate::SlackPost;

fn post(parameters: Value, status: u16, retry_after: Option<&str>, body: &str) -> Result<Outcome, Failure> {
    let headers = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned()));
    let (headers, body): (Vec<_>, Vec<u8>) = (headers.into_iter().collect(), body.into());
    Host::default()
        .with_secret("hook", b"T0/B0/x")
        .with_secret("bot", b"xoxb-1")
        .with_answer(move |_| Ok(Response { status, headers: headers.clone(), body: body.clone() }))
        .install();
    run::<SlackPost>(&testing::event("x", json!(null)), parameters)
}

#[test]
fn a_webhook_posts_where_it_was_made_for() {
    let outcome =
        post(json!({"webhook_secret": "hook", "text": "Größe <@U1>", "unfurl_links": false}), 200, None, "ok");
    assert_eq!(outcome, Ok(Outcome::Done(r#"{"sent":true}"#.into())));
    let request = testing::sent().remove(0);
    assert_eq!(request.url, "https://hooks.slack.com/services/placeholder-of-hook");
    assert_eq!(first(&request.headers, "authorization"), None);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, json!({"text": "Größe <@U1>", "unfurl_links": false}));
}

#[test]
fn a_bot_posts_to_the_configured_channel() {
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": "*hi*"}}]);
    let parameters = json!({"token_secret": "bot", "channel": " #ops ", "blocks": blocks, "thread_ts": "1.2", "reply_broadcast": true});
    let outcome = post(parameters, 200, None, r#"{"ok":true,"channel":"C1","ts":"1503435956.000247","message":{}}"#);
    assert_eq!(outcome, Ok(Outcome::Done(r#"{"channel":"C1","ts":"1503435956.000247"}"#.into())));
    let request = testing::sent().remove(0);
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://slack.com/api/chat.postMessage"));
    assert_eq!(first(&request.headers, "authorization"), Some("Bearer placeholder-of-bot"));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, json!({"channel": "#ops", "blocks": blocks, "thread_ts": "1.2", "reply_broadcast": true}));
}

#[test]
fn errors_of_slack_are_explained() {
    let bot = json!({"token_secret": "bot", "channel": "C1", "text": "x"});
    let hook = json!({"webhook_secret": "hook", "text": "x"});
    for (parameters, status, retry_after, body, code, said, wait) in [
        (&bot, 200, None, r#"{"ok":false,"error":"channel_not_found"}"#, "slack.channel_not_found", "`channel`", None),
        (
            &bot,
            200,
            None,
            r#"{"ok":false,"error":"missing_scope","needed":"chat:write"}"#,
            "slack.missing_scope",
            "needed: chat:write",
            None,
        ),
        (
            &bot,
            200,
            None,
            r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] no more than 50 items"]}}"#,
            "slack.invalid_blocks",
            "no more than 50 items",
            None,
        ),
        (
            &bot,
            429,
            Some("30"),
            r#"{"ok":false,"error":"ratelimited"}"#,
            "slack.ratelimited",
            "less often",
            Some(30_000),
        ),
        (&bot, 200, None, r#"{"ok":false,"error":"internal_error"}"#, "slack.internal_error", "temporary", Some(0)),
        (&bot, 200, None, r#"{"ok":false,"error":"brand_new"}"#, "slack.brand_new", "chat.postMessage", None),
        (&bot, 200, None, r#"{"ok":false}"#, "http.status_200", "", None),
        (&bot, 200, None, "<html>", "slack.answer_invalid", "`api_base`", None),
        (&bot, 502, None, "<html>", "http.status_502", "502", Some(0)),
        (&hook, 404, None, "no_service", "slack.no_service", "/services/", None),
        (&hook, 410, None, "channel_is_archived", "slack.channel_is_archived", "archived", None),
        (&hook, 400, None, "Not Even A Name", "http.status_400", "Not Even A Name", None),
        (&hook, 429, Some("1"), "rate_limited", "slack.rate_limited", "less often", Some(1000)),
        (&hook, 500, None, "rollup_error", "slack.rollup_error", "temporary", Some(0)),
        (&hook, 302, None, "", "http.status_302", "302", None),
    ] {
        let failure = post(parameters.clone(), status, retry_after, body).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), (code, wait), "{}", failure.message);
        assert!(failure.message.contains(said), "{}", failure.message);
    }
}

#[test]
fn invalid_parameters_are_refused_and_nothing_is_sent() {
    for (parameters, code, said) in [
        (json!({"text": "x"}), "parameters.invalid", "either `webhook_secret` or `token_secret`"),
        (
            json!({"text": "x", "webhook_secret": "hook", "token_secret": "bot", "channel": "c"}),
            "parameters.invalid",
            "`channel`",
        ),
        (json!({"webhook_secret": "hook"}), "parameters.invalid", "the message is empty"),
        (json!({"webhook_secret": "hook", "text": " ", "blocks": []}), "parameters.invalid", "the message is empty"),
        (json!({"webhook_secret": "hook", "text": "x", "channel": "#a"}), "parameters.invalid", "does not go with"),
        (json!({"token_secret": "bot", "text": "x"}), "parameters.invalid", "`channel` is missing"),
        (
            json!({"token_secret": "bot", "text": "x", "channel": "c", "api_base": "slack"}),
            "parameters.invalid",
            "`api_base`",
        ),
        (json!({"webhook_secret": "hook", "text": "x", "colour": 1}), "parameters.invalid", "`colour`"),
        (json!({"webhook_secret": "other", "text": "x"}), "secret.unknown", "`other`"),
    ] {
        let failure = post(parameters, 200, None, "ok").unwrap_err();
        assert_eq!(failure.code, code);
        assert!(failure.message.contains(said), "{}", failure.message);
        assert!(testing::sent().is_empty());
    }
}
