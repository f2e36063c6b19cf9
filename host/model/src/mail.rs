use serde::{Deserialize, Serialize};

use crate::{Cause, Mistake, SpaceId, Timestamp};

/// How many addresses one mail may go to.
const MAX_ADDRESSES: usize = 100;
/// How large a mail may be with its attachments, in bytes before they are encoded.
const MAX_MAIL: usize = 10 * 1024 * 1024;
/// Header fields that a letter may set besides those that begin with `X-`.
const FIELDS: [&str; 5] = ["cc", "bcc", "reply-to", "from", "references"];

/// A mail as somebody asks for it.
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
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<MailAttachment>,
}

/// A file that goes with a mail.
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

/// A mail on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Counted from 1 in each space.
    pub id: u64,
    /// Whose it is.
    pub space: SpaceId,
    /// What is sent.
    pub letter: Letter,
    /// What asked for it.
    pub cause: Cause,
    /// Where it stands.
    pub state: MailState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the mail server took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

/// Where a mail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailState {
    /// It is to be sent.
    Queued,
    /// The mail server took it.
    Sent,
    /// It was refused, or tried too often.
    Failed,
    /// There is no mail server: it is kept to be looked at.
    Kept,
}

impl Letter {
    /// Checks its bounds. Addresses are checked when it is made ready for the mail server.
    pub fn check(&self) -> Result<(), Mistake> {
        if self.to.is_empty() || self.to.len() > MAX_ADDRESSES {
            return Err(Mistake::new("to", format!("has {} addresses: give it 1 to {MAX_ADDRESSES}", self.to.len())));
        }
        for (place, address) in self.to.iter().enumerate() {
            let fits = address.contains('@') && address.len() <= 998 && !address.chars().any(char::is_control);
            if !fits {
                let shown: String = address.chars().take(80).collect();
                return Err(Mistake::new(
                    format!("to[{place}]"),
                    format!("`{shown}` is no address: write a@example.com"),
                ));
            }
        }
        if self.subject.len() > 998 || self.subject.chars().any(char::is_control) {
            return Err(Mistake::new("subject", "give it one line of at most 998 bytes"));
        }
        for (name, value) in &self.headers {
            let known = FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
            let own = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
            let shown: String = name.chars().take(80).collect();
            if !(known || own) || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                let message = format!("`{shown}` cannot be set: {}, or a field that begins with X-", FIELDS.join(", "));
                return Err(Mistake::new("headers", message));
            }
            if value.len() > 2000 || value.chars().any(char::is_control) {
                return Err(Mistake::new(format!("headers.{shown}"), "give it one line of at most 2000 bytes"));
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
