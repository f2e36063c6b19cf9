//! From the parameters to the letter.

use hookwright_sdk::addresses::{read_address, split_addresses};
use hookwright_sdk::mail::{Attachment, Letter};
use hookwright_sdk::{Failure, Pairs, Several, Text, encoding, present, shorten};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a subject (RFC 5322, section 2.1.1: a line has at most 998).
const LONGEST_SUBJECT: usize = 998;

/// The parameters.
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

/// One text with addresses, or several.
type Addresses = Several<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    text: Option<Text>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
    #[serde(default)]
    base64: Option<String>,
}

fn invalid(message: String) -> Failure {
    Failure::permanent("parameters.invalid", message)
}

impl Parameters {
    /// The letter to send.
    ///
    /// # Errors
    /// The name of the parameter that is not valid.
    pub(crate) fn letter(self) -> Result<Letter, Failure> {
        let to = list(&self.to, "to", false)?;
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
            let addresses =
                addresses.map(|addresses| list(&addresses, parameter, true)).transpose()?.unwrap_or_default();
            if !addresses.is_empty() {
                headers.push((name.into(), addresses.join(", ")));
            }
        }
        if let Some(from) = self.from {
            headers.push(("From".into(), sender(&from)?));
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

/// Every address of a parameter, each by itself: a string has one, or several with commas between them. With `optional` an empty
/// text, as a variable may stand for, has none.
fn list(addresses: &Addresses, parameter: &str, optional: bool) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for text in addresses.all().iter().filter(|text| !(optional && text.trim().is_empty())) {
        let members = split_addresses(text);
        if members.is_empty() {
            return Err(no_address(parameter, text, "it is empty"));
        }
        for member in members {
            all.push(address(parameter, member)?);
        }
    }
    Ok(all)
}

fn sender(from: &str) -> Result<String, Failure> {
    match split_addresses(from).as_slice() {
        [one] => address("from", one),
        [] => Err(no_address("from", from, "it is empty")),
        several => Err(invalid(format!(
            "parameter `from` has {} addresses, `{}`: a mail has one sender, give one address",
            several.len(),
            shown(from)
        ))),
    }
}

/// An address as it was written. It is checked here, by the parameter's name, because what the host sends later can fail
/// only after the step has succeeded.
fn address(parameter: &str, text: &str) -> Result<String, Failure> {
    match read_address(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(no_address(parameter, text, why)),
    }
}

fn no_address(parameter: &str, text: &str, why: &str) -> Failure {
    invalid(format!(
        "parameter `{parameter}` has `{}`, which is not a mail address ({why}): give ada@example.com or \
         Ada <ada@example.com>, separate several with commas, and put a name with a comma in double quotes",
        shown(text)
    ))
}

/// The beginning of a string for a message, in one line.
fn shown(text: &str) -> String {
    shorten(text, 100).escape_debug().to_string()
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
                    invalid(format!("parameter `attachments[{place}].base64` is not valid base64: {}", failure.message))
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
