//! From the parameters to the letter.

use hookwright_sdk::mail::{Attachment, Letter};
use hookwright_sdk::{Failure, Pairs, Text, encoding, shorten};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a subject (RFC 5322, section 2.1.1: a line has at most 998).
const LONGEST_SUBJECT: usize = 998;

/// What the automation gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    to: Addresses,
    #[serde(default)]
    cc: Option<Addresses>,
    #[serde(default)]
    bcc: Option<Addresses>,
    #[serde(default)]
    reply_to: Option<Addresses>,
    #[serde(default)]
    from: Option<String>,
    subject: Text,
    #[serde(default)]
    text: Option<Text>,
    #[serde(default)]
    html: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
}

/// One address, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    text: Option<Text>,
    // An `Option` would take the JSON null for nothing.
    #[serde(default, deserialize_with = "given")]
    json: Option<Value>,
    #[serde(default)]
    base64: Option<String>,
}

fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn invalid(message: String) -> Failure {
    Failure::permanent("parameters.invalid", message)
}

impl Parameters {
    /// The letter to send.
    ///
    /// # Errors
    /// A parameter that no letter can be made of, by name.
    pub(crate) fn letter(self) -> Result<Letter, Failure> {
        let to = self.to.list("to")?;
        if to.is_empty() {
            return Err(invalid("parameter `to` has no address: give at least one".into()));
        }
        let text = self.text.map(Text::into_string).unwrap_or_default();
        let html = self.html.filter(|html| !html.trim().is_empty());
        if text.trim().is_empty() && html.is_none() {
            return Err(invalid("the mail is empty: give `text`, `html` or both".into()));
        }
        let mut headers = Pairs::new();
        for (name, parameter, addresses) in
            [("Cc", "cc", self.cc), ("Bcc", "bcc", self.bcc), ("Reply-To", "reply_to", self.reply_to)]
        {
            let addresses = addresses.map(|addresses| addresses.list(parameter)).transpose()?.unwrap_or_default();
            if !addresses.is_empty() {
                headers.push((name.into(), addresses.join(", ")));
            }
        }
        if let Some(from) = self.from {
            headers.push(("From".into(), address("from", &from)?));
        }
        let attachments = self.attachments.into_iter().enumerate().map(|(place, file)| file.attachment(place));
        Ok(Letter {
            to,
            subject: shorten(&one_line(self.subject.as_str()), LONGEST_SUBJECT),
            text,
            html,
            headers,
            attachments: attachments.collect::<Result<_, _>>()?,
        })
    }
}

impl Addresses {
    fn list(self, parameter: &str) -> Result<Vec<String>, Failure> {
        let all = match self {
            Self::One(address) => vec![address],
            Self::Several(addresses) => addresses,
        };
        all.iter().map(|text| address(parameter, text)).collect()
    }
}

/// An address as it stands; what it is made of is the host's to judge. Only what could start a header of its own, or what
/// is plainly none, is refused here, by the parameter's name.
fn address(parameter: &str, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.contains('@') && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    let shown = shorten(text, 100).escape_debug().to_string();
    Err(invalid(format!(
        "parameter `{parameter}` has `{shown}`, which is no address: give one such as ada@example.com"
    )))
}

/// A subject is one line; what variables put into it may be several.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

impl File {
    fn attachment(self, place: usize) -> Result<Attachment, Failure> {
        let (content, content_type) = match (self.text, self.json, self.base64) {
            (Some(text), None, None) => (text.into_string().into_bytes(), "text/plain; charset=utf-8"),
            (None, Some(json), None) => (json.to_string().into_bytes(), "application/json"),
            (None, None, Some(base64)) => {
                let bytes = encoding::base64_decode(base64.trim()).map_err(|failure| {
                    invalid(format!("parameter `attachments[{place}].base64` is no base64: {}", failure.message))
                })?;
                (bytes, "application/octet-stream")
            }
            _ => {
                return Err(invalid(format!(
                    "parameter `attachments[{place}]` must have one of `text`, `json` and `base64`"
                )));
            }
        };
        let content_type = self.content_type.unwrap_or_else(|| content_type.into());
        for (field, text) in [("name", &self.name), ("content_type", &content_type)] {
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                let shown = shorten(text, 100).escape_debug().to_string();
                return Err(invalid(format!(
                    "parameter `attachments[{place}].{field}` is `{shown}`: give one line of text"
                )));
            }
        }
        Ok(Attachment { name: self.name, content_type, content })
    }
}
