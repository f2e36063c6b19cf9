//! Mails on their way out: each is tried until the mail server takes it. Without a mail server they are kept to be looked
//! at, which is what a development server wants.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_model::{Letter, Mail, MailState, RetrySchedule, SpaceId, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::{Pipeline, PipelineError};

/// How mails leave.
#[derive(Clone)]
pub struct SmtpSettings {
    /// `smtps://user:password@mail.example.com`, or `smtp://mail.example.com:587?tls=required`.
    pub url: String,
    /// The sender's address, unless a letter has its own.
    pub from: String,
}

impl std::fmt::Debug for SmtpSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("SmtpSettings").field("from", &self.from).finish_non_exhaustive()
    }
}

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Hands mails to the mail server.
pub(crate) struct Mailer {
    transport: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
}

/// Why a mail was not taken.
struct Refused {
    message: String,
    may_pass: bool,
}

impl Mailer {
    pub(crate) fn new(settings: Option<SmtpSettings>) -> Result<Self, PipelineError> {
        let Some(SmtpSettings { url, from }) = settings else { return Ok(Self { transport: None }) };
        let wrong = |what: &str, error: String| PipelineError::Settings(format!("{what}: {error}"));
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)
            .map_err(|error| wrong("smtp_url", error.to_string()))?
            .timeout(Some(TIMEOUT))
            .build();
        let from = from.parse().map_err(|error| wrong("mail_from", format!("`{from}` is no address: {error}")))?;
        Ok(Self { transport: Some((transport, from)) })
    }

    async fn send(&self, mail: &Mail) -> Result<bool, Refused> {
        let Some((transport, from)) = &self.transport else { return Ok(false) };
        let message = compose(mail, from).map_err(|message| Refused { message, may_pass: false })?;
        match tokio::time::timeout(TIMEOUT, transport.send(message)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => Err(Refused { may_pass: !error.is_permanent(), message: error.to_string() }),
            Err(_) => Err(Refused { message: format!("no answer within {} s", TIMEOUT.as_secs()), may_pass: true }),
        }
    }
}

fn compose(mail: &Mail, from: &Mailbox) -> Result<Message, String> {
    let Letter { to, subject, text, html, headers, attachments } = &mail.letter;
    let address = |text: &str| text.parse::<Mailbox>().map_err(|error| format!("`{text}` is no address: {error}"));
    let mut builder = Message::builder().subject(subject.clone());
    // The same for every try, so that the receiver can drop a mail that it got twice.
    builder = builder.message_id(Some(format!("<{}.{}@hookwright>", mail.id, mail.created_at.millis())));
    let mut sender = from.clone();
    for receiver in to {
        builder = builder.to(address(receiver)?);
    }
    for (name, value) in headers {
        let addresses = || value.split(',').map(|part| address(part.trim())).collect::<Result<Vec<_>, _>>();
        match name.to_ascii_lowercase().as_str() {
            "from" => sender = address(value)?,
            "cc" => builder = addresses()?.into_iter().fold(builder, |builder, mailbox| builder.cc(mailbox)),
            "bcc" => builder = addresses()?.into_iter().fold(builder, |builder, mailbox| builder.bcc(mailbox)),
            "reply-to" => builder = builder.reply_to(address(value)?),
            "references" => builder = builder.references(value.clone()),
            _ => {
                let name = HeaderName::new_from_ascii(name.clone()).map_err(|error| format!("`{name}`: {error}"))?;
                builder = builder.raw_header(HeaderValue::new(name, value.clone()));
            }
        }
    }
    builder = builder.from(sender);
    let plain = || SinglePart::plain(text.clone());
    let content = match html {
        None => Content::Single(plain()),
        Some(html) if text.is_empty() => Content::Single(SinglePart::html(html.clone())),
        Some(html) => {
            let html = SinglePart::html(html.clone());
            Content::Both(MultiPart::alternative().singlepart(plain()).singlepart(html))
        }
    };
    let composed = match (content, attachments.is_empty()) {
        (Content::Single(part), true) => builder.singlepart(part),
        (Content::Both(parts), true) => builder.multipart(parts),
        (content, false) => {
            let mut parts = match content {
                Content::Single(part) => MultiPart::mixed().singlepart(part),
                Content::Both(parts) => MultiPart::mixed().multipart(parts),
            };
            for file in attachments {
                let wrong = |error: String| format!("the attachment `{}`: {error}", file.name);
                let bytes = STANDARD.decode(&file.content).map_err(|error| wrong(error.to_string()))?;
                let kind = ContentType::parse(&file.content_type).map_err(|error| wrong(error.to_string()))?;
                parts = parts.singlepart(Attachment::new(file.name.clone()).body(bytes, kind));
            }
            builder.multipart(parts)
        }
    };
    composed.map_err(|error| error.to_string())
}

/// What a letter says, before its attachments.
enum Content {
    /// As text, or as HTML.
    Single(SinglePart),
    /// As both; the reader's program chooses.
    Both(MultiPart),
}

/// When a mail that was not taken is tried again: for half a day.
fn schedule() -> RetrySchedule {
    RetrySchedule { delays_seconds: vec![10, 60, 300, 900, 3600, 14_400, 21_600], jitter: 0.2 }
}

impl Pipeline {
    /// Tries to send a mail that is due.
    pub(crate) async fn send_due(&self, space: &SpaceId, id: u64, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut mail) = self.store.mail(space, id)? else { return Ok(()) };
        if mail.state == MailState::Queued {
            let sent = self.mailer.send(&mail).await;
            let now = self.now();
            mail.next_attempt_at = None;
            match sent {
                Ok(true) => {
                    mail.attempts = mail.attempts.saturating_add(1);
                    mail.state = MailState::Sent;
                    mail.sent_at = Some(now);
                    mail.last_error = None;
                }
                Ok(false) => mail.state = MailState::Kept,
                Err(Refused { message, may_pass }) => {
                    mail.attempts = mail.attempts.saturating_add(1);
                    let delay = schedule().delay(mail.attempts, rand::random()).filter(|_| may_pass);
                    match delay {
                        Some(delay) => mail.next_attempt_at = Some(now.after(delay)),
                        None => mail.state = MailState::Failed,
                    }
                    tracing::warn!(mail = mail.id, attempts = mail.attempts, error = %message, "a mail was not taken");
                    mail.last_error = Some(message);
                }
            }
        }
        Ok(self.store.record_mail(mail, due).await?)
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::{Cause, MailAttachment};

    use super::*;

    fn mail(letter: Letter) -> Mail {
        Mail {
            id: 7,
            space: SpaceId::main(),
            letter,
            cause: Cause::api(),
            state: MailState::Queued,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            created_at: Timestamp::from_millis(0),
            sent_at: None,
        }
    }

    #[test]
    fn a_letter_becomes_a_message_with_all_its_parts() {
        let letter = Letter {
            to: vec!["Ada <ada@example.com>".into()],
            subject: "Grüße".into(),
            text: "text".into(),
            html: Some("<b>html</b>".into()),
            headers: vec![("Cc".into(), "b@example.com, c@example.com".into()), ("X-Ticket".into(), "42".into())],
            attachments: vec![MailAttachment {
                name: "a.txt".into(),
                content_type: "text/plain".into(),
                content: STANDARD.encode("file"),
            }],
        };
        let message = compose(&mail(letter), &"hookwright@example.com".parse().unwrap()).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        for part in ["To: Ada <ada@example.com>", "Cc: ", "c@example.com", "X-Ticket: 42", "From: hookwright@", "a.txt"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_letter_has_only_the_parts_that_say_something() {
        let letter = |text: &str, html: Option<&str>| Letter {
            to: vec!["a@example.com".into()],
            text: text.into(),
            html: html.map(str::to_owned),
            ..Letter::default()
        };
        for (letter, plain, html) in [
            (letter("words", None), true, false),
            (letter("", None), true, false),
            (letter("", Some("<b>words</b>")), false, true),
            (letter("words", Some("<b>words</b>")), true, true),
        ] {
            let message = compose(&mail(letter), &"a@example.com".parse().unwrap()).unwrap();
            let text = String::from_utf8(message.formatted()).unwrap();
            assert_eq!((text.contains("text/plain"), text.contains("text/html")), (plain, html), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let wrong = Letter { to: vec!["nobody".into()], ..Letter::default() };
        let error = compose(&mail(wrong), &"a@example.com".parse().unwrap()).unwrap_err();
        assert!(error.contains("`nobody` is no address"), "{error}");
    }
}
