//! From the parameters to the request.

use hookwright_sdk::{Failure, Pairs, Text, http, secrets, shorten};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    webhook_secret: Option<String>,
    #[serde(default)]
    token_secret: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    text: Option<Text>,
    #[serde(default)]
    blocks: Option<Vec<Value>>,
    #[serde(default)]
    thread_ts: Option<String>,
    #[serde(default)]
    reply_broadcast: Option<bool>,
    #[serde(default)]
    unfurl_links: Option<bool>,
    #[serde(default = "api")]
    api_base: String,
    #[serde(default = "webhooks")]
    webhook_base: String,
}

fn api() -> String {
    "https://slack.com/api/".into()
}

fn webhooks() -> String {
    "https://hooks.slack.com/services/".into()
}

/// How the message is sent to Slack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// An incoming webhook.
    Webhook,
    /// The method `chat.postMessage`.
    Bot,
}

fn invalid(message: &str) -> Failure {
    Failure::permanent("parameters.invalid", message)
}

impl Parameters {
    /// The request to send, with a placeholder where the secret belongs.
    ///
    /// # Errors
    /// Parameters that are not valid; a secret that does not exist or was not granted.
    pub(crate) fn request(&self) -> Result<(http::Request, Way), Failure> {
        let message = self.message()?;
        for (name, base) in [("api_base", &self.api_base), ("webhook_base", &self.webhook_base)] {
            if !base.starts_with("http") || !base.ends_with('/') {
                let shown = shorten(base, 200);
                return Err(invalid(&format!("parameter `{name}` is `{shown}`: give an address that ends with /")));
            }
        }
        let mut headers: Pairs = vec![("content-type".into(), "application/json; charset=utf-8".into())];
        let (url, way) = match (&self.webhook_secret, &self.token_secret) {
            (Some(secret), None) => (format!("{}{}", self.webhook_base, secrets::placeholder(secret)?), Way::Webhook),
            (None, Some(secret)) => {
                headers.push(("authorization".into(), format!("Bearer {}", secrets::placeholder(secret)?)));
                (format!("{}chat.postMessage", self.api_base), Way::Bot)
            }
            _ => {
                return Err(invalid(
                    "give either `webhook_secret` or `token_secret`: the secret that lets the message in",
                ));
            }
        };
        let body = Value::from(message).to_string().into_bytes();
        Ok((http::Request { method: "POST".into(), url, headers, body, timeout_ms: None }, way))
    }

    fn message(&self) -> Result<Map<String, Value>, Failure> {
        let text = self.text.as_ref().map(Text::as_str).filter(|text| !text.trim().is_empty());
        let blocks = self.blocks.as_ref().filter(|blocks| !blocks.is_empty());
        if text.is_none() && blocks.is_none() {
            return Err(invalid("the message is empty: give `text`, `blocks` or both"));
        }
        let channel = self.channel.as_deref().map(str::trim).filter(|channel| !channel.is_empty());
        if self.token_secret.is_some() && channel.is_none() {
            return Err(invalid(
                "parameter `channel` is missing: a bot needs the channel to post to, such as \"#ops\"",
            ));
        }
        if self.webhook_secret.is_some() && channel.is_some() {
            return Err(invalid(
                "parameter `channel` does not go with `webhook_secret`: a webhook posts where it was made for",
            ));
        }
        let parts = [
            ("channel", channel.map(Value::from)),
            ("text", text.map(Value::from)),
            ("blocks", blocks.map(|blocks| Value::from(blocks.clone()))),
            ("thread_ts", self.thread_ts.as_deref().map(Value::from)),
            ("reply_broadcast", self.reply_broadcast.map(Value::from)),
            ("unfurl_links", self.unfurl_links.map(Value::from)),
        ];
        Ok(parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}
