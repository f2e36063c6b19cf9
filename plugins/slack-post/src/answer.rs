//! Converts Slack's response to the step's result, or to a failure with the remedy.

use hookwright_sdk::http::Response;
use hookwright_sdk::{Failure, outbound, shorten};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::Way;

/// Bytes of an error's name that are shown.
const LONGEST_ERROR: usize = 60;

/// What `chat.postMessage` answers, with status 200 for errors too.
#[derive(Deserialize)]
struct Posted {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    needed: Option<String>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

/// The step's result.
///
/// # Errors
/// Slack refuses the message, or fails temporarily.
pub(crate) fn result(response: &Response, way: Way) -> Result<Value, Failure> {
    let text = String::from_utf8_lossy(&response.body);
    if way == Way::Webhook {
        return match response.status {
            200..=299 => Ok(json!({"sent": true})),
            _ => Err(refused(response, text.trim(), "")),
        };
    }
    let Ok(posted) = serde_json::from_str::<Posted>(&text) else {
        if (200..300).contains(&response.status) {
            let shown = shorten(text.trim(), 200);
            let message =
                format!("chat.postMessage was answered with what is not Slack's: {shown}; correct `api_base`");
            return Err(Failure::permanent("slack.answer_invalid", message));
        }
        return Err(outbound::failure("POST", "chat.postMessage", response));
    };
    if posted.ok {
        return Ok(json!({"channel": posted.channel, "ts": posted.ts}));
    }
    let details = posted.response_metadata.map(|metadata| metadata.messages.join("; ")).unwrap_or_default();
    let details = match posted.needed {
        Some(scope) => format!("needed: {}", shorten(&scope, 100)),
        None => shorten(&details, 300),
    };
    Err(refused(response, &posted.error.unwrap_or_default(), &details))
}

/// The failure for one of Slack's errors, `slack.ERROR`.
fn refused(response: &Response, error: &str, details: &str) -> Failure {
    let is_error = !error.is_empty()
        && error.len() <= LONGEST_ERROR
        && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_error {
        return outbound::failure("POST", "the message for Slack", response);
    }
    let details = if details.is_empty() { String::new() } else { format!(" ({details})") };
    let message = format!("Slack does not take the message: {error}{details}: {}", remedy(error));
    let failure = Failure::permanent(format!("slack.{error}"), message);
    let passes = outbound::passes(response.status)
        || matches!(
            error,
            "ratelimited"
                | "rate_limited"
                | "service_unavailable"
                | "internal_error"
                | "fatal_error"
                | "request_timeout"
                | "rollup_error"
        );
    if passes { failure.retry_after(outbound::retry_after_ms(response)) } else { failure }
}

/// What to do about an error, in the words of Slack's settings.
fn remedy(error: &str) -> &'static str {
    match error {
        "channel_not_found" => "correct `channel`, and invite the bot if the channel is private",
        "not_in_channel" => "invite the bot to the channel, or give it the scope chat:write.public",
        "channel_is_archived" | "is_archived" => "the channel is archived: choose another",
        "invalid_auth" | "not_authed" | "invalid_token" | "no_service" | "no_service_id" | "no_team" => {
            "Slack does not know the stored secret: store the token (xoxb-..), or what follows /services/ in the \
             webhook's URL"
        }
        "token_revoked" | "token_expired" | "account_inactive" | "user_not_found" => {
            "the token or webhook is no longer valid: make a new one and store it"
        }
        "missing_scope" | "no_permission" | "not_allowed_token_type" => {
            "give the app the scope chat:write, install it again and store the new token"
        }
        "restricted_action"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "team_access_not_granted"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel" => {
            "the workspace's administrators do not allow this post: ask them, or choose another channel"
        }
        "msg_too_long" | "msg_blocks_too_long" => "make the message shorter: Slack takes 40,000 characters",
        "no_text" => "give `text` or `blocks`",
        "invalid_blocks" | "invalid_blocks_format" | "invalid_payload" | "invalid_arguments" => {
            "correct `blocks`: Slack's Block Kit Builder shows what is wrong with them"
        }
        "cannot_reply_to_message" | "thread_not_found" | "message_not_found" | "invalid_thread_ts" => {
            "correct `thread_ts`: it must be the ts of a message in that channel"
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => "post less often: about one message a second",
        "service_unavailable" | "internal_error" | "fatal_error" | "request_timeout" | "rollup_error" => {
            "Slack has a temporary problem"
        }
        _ => "Slack's documentation of chat.postMessage explains it",
    }
}
