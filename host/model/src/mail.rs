use serde::{Deserialize, Serialize};

use crate::{Cause, Mistake, SpaceId, Timestamp, read_address, split_addresses};

/// Maximum number of addresses of one mail.
const MAX_ADDRESSES: usize = 100;
/// Maximum length of an address with its name, in bytes.
const MAX_ADDRESS: usize = 998;
/// Maximum size of a mail with its attachments, in bytes before they are encoded.
const MAX_MAIL: usize = 10 * 1024 * 1024;
/// Header fields that a mail may set besides those that begin with `X-`.
const FIELDS: [&str; 5] = ["cc", "bcc", "reply-to", "from", "references"];

/// A requested mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// Addresses as in RFC 5322, with or without a name.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same in HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// `Cc`, `Bcc`, `Reply-To`, `From`, `References`, and fields that begin with `X-`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Its attachments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<MailAttachment>,
}

/// An attachment of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailAttachment {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its bytes, in base64.
    pub content: String,
}

/// A queued mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Counted from 1 in each space.
    pub id: u64,
    /// Its space.
    pub space: SpaceId,
    /// Its content.
    pub letter: Letter,
    /// What requested it.
    pub cause: Cause,
    /// Its state.
    pub state: MailState,
    /// Number of attempts so far.
    pub attempts: u32,
    /// When the next attempt is due, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// When the last attempt was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was requested.
    pub created_at: Timestamp,
    /// When the mail server accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// The state of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailState {
    /// It is queued.
    Queued,
    /// The mail server accepted it.
    Sent,
    /// It was refused, or its retries are exhausted.
    Failed,
    /// No mail server is configured: it is only stored.
    Kept,
}

impl Letter {
    /// Its stored size in bytes, with attachments in base64.
    pub fn size(&self) -> usize {
        let addresses = self.to.iter().map(String::len);
        let headers = self.headers.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        let files = self
            .attachments
            .iter()
            .map(|file| file.name.len().saturating_add(file.content_type.len()).saturating_add(file.content.len()));
        let text = [self.subject.len(), self.text.len(), self.html.as_ref().map_or(0, String::len)];
        addresses.chain(headers).chain(files).chain(text).fold(0, usize::saturating_add)
    }

    /// Validates its bounds and its addresses.
    pub fn check(&self) -> Result<(), Mistake> {
        if self.to.is_empty() || self.to.len() > MAX_ADDRESSES {
            return Err(Mistake::new("to", format!("has {} addresses: give it 1 to {MAX_ADDRESSES}", self.to.len())));
        }
        for (place, address) in self.to.iter().enumerate() {
            check_address(&format!("to[{place}]"), address)?;
        }
        if self.subject.len() > 998 || self.subject.chars().any(char::is_control) {
            return Err(Mistake::new("subject", "give it one line of at most 998 bytes"));
        }
        for (name, value) in &self.headers {
            let known = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
            let own = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
            let shown = crate::abridged(name);
            if !(known || own) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                let message = format!("`{shown}` cannot be set: {}, or a field that begins with X-", FIELDS.join(", "));
                return Err(Mistake::new("headers", message));
            }
            if value.len() > 2000 || value.chars().any(char::is_control) {
                return Err(Mistake::new(format!("headers.{shown}"), "give it one line of at most 2000 bytes"));
            }
            let path = format!("headers.{shown}");
            match name.to_ascii_lowercase().as_str() {
                "from" => check_address(&path, value)?,
                "cc" | "bcc" | "reply-to" => {
                    split_addresses(value).into_iter().try_for_each(|address| check_address(&path, address))?;
                }
                _ => {}
            }
        }
        let files: usize = self.attachments.iter().map(|file| file.name.len() + file.content.len() / 4 * 3).sum();
        let size = files + self.text.len() + self.html.as_ref().map_or(0, String::len);
        if self.attachments.len() > 20 || size > MAX_MAIL {
            let message =
                format!("{} attachments, {size} bytes in all: at most 20 and {MAX_MAIL}", self.attachments.len());
            return Err(Mistake::new("attachments", message));
        }
        Ok(())
    }
}

/// Fails unless a string is one address, so that a mail that cannot be sent is refused where it is requested.
fn check_address(path: &str, text: &str) -> Result<(), Mistake> {
    let why = match read_address(text) {
        Ok(_) if text.len() <= MAX_ADDRESS => return Ok(()),
        Ok(_) => "it has more than 998 bytes",
        Err(why) => why,
    };
    let shown = crate::abridged(text);
    let shown = shown.escape_debug();
    Err(Mistake::new(path, format!("`{shown}` is not one mail address ({why}): write a@example.com")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_that_cannot_be_sent_is_refused_when_it_is_requested() {
        let letter = |to: &[&str], field: Option<(&str, &str)>| Letter {
            to: to.iter().map(|to| (*to).to_owned()).collect(),
            headers: field.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
            ..Letter::default()
        };
        for good in [
            letter(&["a@b", "\"Doe, Ada\" <c@d>"], None),
            letter(&["a@b"], Some(("Cc", "\"Doe, Ada\" <c@d>, e@f"))),
            letter(&["a@b"], Some(("From", "Bot <c@d>"))),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        for (bad, path) in [
            (letter(&[], None), "to"),
            (letter(&["a@b", "c@d, e@f"], None), "to[1]"),
            (letter(&["a@b\nBcc: c@d"], None), "to[0]"),
            (letter(&["a@b"], Some(("From", "c@d, e@f"))), "headers.From"),
            (letter(&["a@b"], Some(("reply-to", "c@d, e"))), "headers.reply-to"),
        ] {
            assert_eq!(bad.check().unwrap_err().path, path, "{bad:?}");
        }
    }
}
