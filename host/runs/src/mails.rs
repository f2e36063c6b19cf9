//! Outbound mails: each is retried until the mail server accepts it. Without a mail server they are only stored, to be read
//! through the API, as a development server needs it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::SmtpSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Letter, Mail, MailState, RetrySchedule, SpaceId, Timestamp, read_address, split_addresses};
use hookwright_store::Store;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Mailboxes, MultiPart, SinglePart, header};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Host;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The memory that mails in flight may take, in bytes.
const MAX_BYTES_IN_FLIGHT: usize = 128 * 1024 * 1024;

/// The unit in which memory is counted.
const BYTES_PER_PERMIT: usize = 1024;

/// How many copies of a mail are in memory while it is in flight: read, composed, encoded, written again.
const COPIES_IN_MEMORY: usize = 4;

/// Hands mails to the mail server.
pub(crate) struct Mailer {
    transport: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
    /// Permits for the memory of mails in flight, of [`BYTES_PER_PERMIT`] each.
    memory: Arc<Semaphore>,
}

/// Why a mail was not accepted.
struct Refused {
    message: String,
    may_pass: bool,
}

impl Mailer {
    pub(crate) fn new(settings: Option<SmtpSettings>) -> Result<Self, PipelineError> {
        let memory = Arc::new(Semaphore::new(MAX_BYTES_IN_FLIGHT / BYTES_PER_PERMIT));
        let Some(SmtpSettings { url, from }) = settings else { return Ok(Self { transport: None, memory }) };
        let wrong = |what: &str, error: String| PipelineError::Settings(format!("{what}: {error}"));
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)
            .map_err(|error| wrong("smtp_url", error.to_string()))?
            .timeout(Some(TIMEOUT))
            .build();
        let sender = from
            .parse::<Mailbox>()
            .map_err(|error| error.to_string())
            .and_then(|Mailbox { name, email }| Ok(Mailbox::new(name, address(email.user(), email.domain())?)))
            .map_err(|error| wrong("mail_from", format!("`{from}` is not a valid address: {error}")))?;
        Ok(Self { transport: Some((transport, sender)), memory })
    }

    /// Waits until there is memory for a mail of so many bytes, which is reserved until the permit is dropped.
    async fn memory(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = (bytes.saturating_mul(COPIES_IN_MEMORY) / BYTES_PER_PERMIT)
            .saturating_add(1)
            .min(MAX_BYTES_IN_FLIGHT / BYTES_PER_PERMIT);
        // The semaphore is never closed.
        Arc::clone(&self.memory).acquire_many_owned(u32::try_from(permits).unwrap_or(u32::MAX)).await.ok()
    }

    async fn send(&self, mail: &Mail) -> Result<bool, Refused> {
        let Some((transport, from)) = &self.transport else { return Ok(false) };
        let message = compose(mail, from).map_err(|message| Refused { message, may_pass: false })?;
        let envelope = message.envelope();
        let international = envelope.to().iter().chain(envelope.from()).any(|address| !address.user().is_ascii());
        match tokio::time::timeout(TIMEOUT, transport.send(message)).await {
            Ok(Ok(_)) => Ok(true),
            // The library sends no such address to a server that does not offer SMTPUTF8 (RFC 6531).
            Ok(Err(error)) if international && error.is_client() => {
                let message = format!("the part of an address before the `@` is not ASCII: {error}");
                Err(Refused { may_pass: false, message })
            }
            Ok(Err(error)) => Err(Refused { may_pass: !error.is_permanent(), message: error.to_string() }),
            Err(_) => Err(Refused { message: format!("no answer within {} s", TIMEOUT.as_secs()), may_pass: true }),
        }
    }
}

fn compose(mail: &Mail, from: &Mailbox) -> Result<Message, String> {
    let Letter { to, subject, text, html, headers, attachments } = &mail.letter;
    let mut builder = Message::builder().subject(subject.clone());
    // The same for every attempt, so that the receiver can drop a duplicate.
    builder = builder.message_id(Some(format!("<{}.{}@hookwright>", mail.id, mail.created_at.millis())));
    let mut sender = from.clone();
    let receivers = to.iter().map(|receiver| mailbox(receiver)).collect::<Result<Vec<_>, _>>()?;
    let (mut copies, mut hidden, mut replies) = (Vec::<Mailbox>::new(), Vec::<Mailbox>::new(), Vec::<Mailbox>::new());
    for (name, value) in headers {
        match name.to_ascii_lowercase().as_str() {
            "from" => sender = mailbox(value)?,
            "cc" => copies.extend(mailboxes(value)?),
            "bcc" => hidden.extend(mailboxes(value)?),
            "reply-to" => replies.extend(mailboxes(value)?),
            "references" => builder = builder.references(value.clone()),
            _ => {
                let name = HeaderName::new_from_ascii(name.clone()).map_err(|error| format!("`{name}`: {error}"))?;
                builder = builder.raw_header(HeaderValue::new(name, value.clone()));
            }
        }
    }
    // The library would parse the receivers from the header fields, and lose those that it cannot parse. So the envelope is set
    // explicitly, and each field is set once, with all of its addresses.
    let everyone = receivers.iter().chain(&copies).chain(&hidden).map(|receiver| receiver.email.clone()).collect();
    let envelope = Envelope::new(Some(sender.email.clone()), everyone).map_err(|error| error.to_string())?;
    builder = builder.envelope(envelope).header(header::To::from(Mailboxes::from(receivers)));
    if !copies.is_empty() {
        builder = builder.header(header::Cc::from(Mailboxes::from(copies)));
    }
    if !replies.is_empty() {
        builder = builder.header(header::ReplyTo::from(Mailboxes::from(replies)));
    }
    builder = builder.from(from.clone());
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
    let mut message = composed.map_err(|error| error.to_string())?;
    // Set last, because the library fails if it cannot parse this field.
    message.headers_mut().set(header::From::from(Mailboxes::from(sender)));
    Ok(message)
}

/// The addresses of a list.
fn mailboxes(list: &str) -> Result<Vec<Mailbox>, String> {
    split_addresses(list).into_iter().map(mailbox).collect()
}

/// Checks that a string is one address without a name, to which a mail can be sent.
pub fn check_receiver(text: &str) -> Result<(), String> {
    if read_address(text)?.address != text {
        return Err("give the address alone, such as ada@example.com".to_owned());
    }
    mailbox(text).map(drop)
}

/// An address in the type of the mail library. Parsed here, so that the addresses that are accepted when a mail is requested
/// are those that it can be sent to.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let read = read_address(text).map_err(|why| format!("`{text}` is not a valid address: {why}"))?;
    let (user, domain) = read.address.rsplit_once('@').unwrap_or_default();
    let address = address(user, domain).map_err(|why| format!("`{text}` is not a valid address: {why}"))?;
    Ok(Mailbox::new(read.name, address))
}

/// An address with its domain in ASCII (RFC 5891), which every mail server accepts.
fn address(user: &str, domain: &str) -> Result<Address, String> {
    let domain = if domain.is_ascii() {
        domain.to_owned()
    } else {
        match Host::parse(domain) {
            Ok(Host::Domain(ascii)) => ascii,
            Ok(_) => return Err(format!("`{domain}` is not a domain")),
            Err(error) => return Err(format!("the domain `{domain}`: {error}")),
        }
    };
    Address::new(user, domain).map_err(|error| error.to_string())
}

/// The text of a mail, without its attachments.
enum Content {
    /// As text, or as HTML.
    Single(SinglePart),
    /// As both; the receiver's mail program chooses.
    Both(MultiPart),
}

/// The retry schedule of mails: half a day.
fn schedule() -> RetrySchedule {
    RetrySchedule { delays_seconds: vec![10, 60, 300, 900, 3600, 14_400, 21_600], jitter: 0.2 }
}

/// Sends mails that are due.
pub struct Mails {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) mailer: Arc<Mailer>,
    pub(crate) store: Store,
}

impl Mails {
    /// Tries to send a mail that is due.
    pub async fn send_due(&self, space: &SpaceId, id: u64, due: Timestamp) -> Result<(), PipelineError> {
        let _memory = self.mailer.memory(self.store.mails.mail_bytes(space, id)?).await;
        let Some(mut mail) = self.store.mails.mail(space, id)? else { return Ok(()) };
        if mail.state == MailState::Queued {
            let sent = self.mailer.send(&mail).await;
            let now = self.clock.now();
            (mail.next_attempt_at, mail.tried_at) = (None, Some(now));
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
                    tracing::warn!(mail = mail.id, attempts = mail.attempts, error = %message, "a mail could not be sent");
                    mail.last_error = Some(message);
                }
            }
        }
        Ok(self.store.mails.record_mail(mail, due).await?)
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
            tried_at: None,
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
    fn a_comma_in_a_quoted_name_separates_nothing() {
        let letter = Letter {
            to: vec!["\"Doe, Ada\" <ada@example.com>".into()],
            text: "text".into(),
            headers: vec![("Cc".into(), "\"Roe, Bob\" <bob@example.com>, c@example.com".into())],
            ..Letter::default()
        };
        let message = compose(&mail(letter), &"a@example.com".parse().unwrap()).unwrap();
        let to: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["ada@example.com", "bob@example.com", "c@example.com"]);
        let text = String::from_utf8(message.formatted()).unwrap();
        // Names with a comma are sent as encoded words (RFC 2047).
        assert!(text.contains("To: =?utf-8?b?RG9lLCBBZGE=?= <ada@example.com>"), "{text}");
        assert!(text.contains("Cc: =?utf-8?b?Um9lLCBCb2I=?= <bob@example.com>, c@example.com"), "{text}");
    }

    #[test]
    fn each_address_that_is_accepted_is_a_receiver() {
        let odd = [
            "\"john smith\"@example.com",
            "ops@[192.0.2.1]",
            "ops@[IPv6:2001:db8::1]",
            "Größe 😀 <a@example.com>",
            "\"Doe, \\\"Ada\\\"\" <b@example.com>",
            "Dr. Ada (Sales) <c@example.com>",
            "d@localhost",
            "e@1-2.example",
            "o'hara+x=y/z@example.com",
            "ü@example.com",
            "\"a,b\"@example.com",
        ];
        let sent: Vec<&str> = odd.iter().map(|text| read_address(text).unwrap().address).collect();
        let list = odd.join(", ");
        let plain: Mailbox = "bot@example.com".parse().unwrap();
        for field in ["Cc", "Bcc"] {
            let letter = Letter {
                to: vec!["ok@example.com".into()],
                headers: vec![(field.into(), format!("first@example.com, {list}, last@example.com"))],
                ..Letter::default()
            };
            assert_eq!(letter.check(), Ok(()));
            let message = compose(&mail(letter), &plain).unwrap();
            let to: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
            let all = ["ok@example.com", "first@example.com"].iter().chain(&sent).chain(&["last@example.com"]);
            assert_eq!(to, all.copied().collect::<Vec<_>>(), "{field}");
            let text = String::from_utf8(message.formatted()).unwrap();
            assert_eq!(text.contains("first@example.com"), field == "Cc", "{text}");
            assert!(!text.contains("Bcc:"), "{text}");
        }
        let letter = Letter {
            to: odd.map(str::to_owned).to_vec(),
            headers: vec![("Reply-To".into(), list), ("From".into(), "\"john smith\"@example.com".into())],
            ..Letter::default()
        };
        let message = compose(&mail(letter), &plain).unwrap();
        let to: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, sent);
        assert_eq!(message.envelope().from().unwrap().to_string(), "\"john smith\"@example.com");
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains("From: \"john smith\"@example.com") && !text.contains("bot@example.com"), "{text}");
    }

    #[test]
    fn a_receiver_of_exceptions_is_one_address_that_mails_can_be_sent_to() {
        for good in ["ada@example.com", "\"john smith\"@example.com", "ops@[192.0.2.1]", "a@bücher.de"] {
            assert_eq!(check_receiver(good), Ok(()), "{good}");
        }
        // The first two were taken, and no mail could be made for them.
        for bad in ["\"a\\\"b\"@example.com", "a@b_c", "nobody", " a@b", "<a@b>", "Ada <a@b>", "a@b, c@d", "a@b\r\n"] {
            assert!(check_receiver(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_sent_in_ascii() {
        let letter = Letter {
            to: vec!["Ada <a@bücher.de>".into()],
            headers: vec![("Bcc".into(), "ü@例え.jp".into()), ("From".into(), "me@Bücher.de".into())],
            ..Letter::default()
        };
        let message = compose(&mail(letter), &"bot@example.com".parse().unwrap()).unwrap();
        let to: Vec<String> = message.envelope().to().iter().map(ToString::to_string).collect();
        assert_eq!(to, ["a@xn--bcher-kva.de", "ü@xn--r8jz45g.jp"]);
        assert_eq!(message.envelope().from().unwrap().to_string(), "me@xn--bcher-kva.de");
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(text.contains("To: Ada <a@xn--bcher-kva.de>"), "{text}");
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let wrong = Letter { to: vec!["nobody".into()], ..Letter::default() };
        let error = compose(&mail(wrong), &"a@example.com".parse().unwrap()).unwrap_err();
        assert!(error.contains("`nobody` is not a valid address"), "{error}");
    }
}
