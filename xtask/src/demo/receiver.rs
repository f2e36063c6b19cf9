//! A receiver of webhooks: a few lines of HTTP on a thread, which checks each message's signature.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::signature::{self, Signed};
use crate::stop::Stop;

/// The largest message that is read, in bytes.
const MAX_BODY_BYTES: u64 = 1024 * 1024;

/// A message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// `webhook-id`.
    pub(crate) id: String,
    /// Its `type`.
    pub(crate) event_type: String,
    /// What its signature was found to be.
    pub(crate) verified: Result<(), String>,
}

/// Receives.
pub(crate) struct Receiver {
    url: String,
    secret: Arc<Mutex<String>>,
    messages: mpsc::Receiver<Message>,
}

impl Receiver {
    /// Listens on a free port until the program ends.
    pub(crate) fn start() -> Result<Self, Stop> {
        let failed = |error: std::io::Error| Stop::new(format!("the webhook receiver cannot listen: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let url = format!("http://{}/hook", listener.local_addr().map_err(failed)?);
        let secret = Arc::new(Mutex::new(String::new()));
        let (arrived, messages) = mpsc::channel();
        let known = Arc::clone(&secret);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (arrived, known) = (arrived.clone(), Arc::clone(&known));
                // A connection that breaks off has no one to tell: the message it lacked is missed by the show.
                std::thread::spawn(move || serve(&stream, &known, &arrived));
            }
        });
        Ok(Self { url, secret, messages })
    }

    /// Where webhooks are to be sent.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The secret to check signatures with, from now on.
    pub(crate) fn trust(&self, secret: &str) {
        secret.clone_into(&mut self.secret.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// One message of each of these types, in this order, as far as they arrive within `patience`. Messages of other
    /// types are passed over: a subscription to a pattern also brings the types that later versions add.
    pub(crate) fn of_types(&self, types: &[&str], patience: Duration) -> Vec<Message> {
        let end = Instant::now() + patience;
        let mut found: Vec<Option<Message>> = vec![None; types.len()];
        while found.iter().any(Option::is_none) {
            let Ok(message) = self.messages.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
            let wanted = types.iter().position(|wanted| *wanted == message.event_type);
            if let Some(slot) = wanted.and_then(|index| found.get_mut(index)) {
                slot.get_or_insert(message);
            }
        }
        found.into_iter().flatten().collect()
    }
}

fn serve(stream: &TcpStream, secret: &Mutex<String>, arrived: &mpsc::Sender<Message>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (headers, body) = request(&mut reader)?;
        let header = |name: &str| headers.get(name).map(String::as_str).unwrap_or_default();
        let signed = Signed {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let secret = secret.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let verified = signature::verify(&secret, signed, &body, now);
        let answer = if verified.is_ok() { "204 No Content" } else { "401 Unauthorized" };
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let event_type = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = Message { id: signed.id.to_owned(), event_type, verified };
        let mut writer = stream;
        write!(writer, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").ok()?;
        arrived.send(message).ok()?;
    }
}

/// The header fields, names in lower case, and the body of the next request; `None` at the end.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(HashMap<String, String>, Vec<u8>)> {
    let mut headers = HashMap::new();
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() && !first {
            break;
        }
        if let Some((name, value)) = line.split_once(':').filter(|_| !first) {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        first = false;
    }
    let length: u64 = headers.get("content-length")?.parse().ok().filter(|length| *length <= MAX_BODY_BYTES)?;
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body).ok()?;
    Some((headers, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_by_type_on_one_connection_and_unsigned_ones_fail_verification() {
        let receiver = Receiver::start().unwrap();
        receiver.trust("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let address = receiver.url().trim_start_matches("http://").trim_end_matches("/hook").to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        for kind in ["a.b", "not.wanted", "c.d"] {
            let body = format!("{{\"type\":\"{kind}\"}}");
            write!(stream, "POST /hook HTTP/1.1\r\nWebhook-Id: msg_1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .unwrap();
        }
        let got = receiver.of_types(&["c.d", "a.b"], Duration::from_secs(10));
        let types: Vec<&str> = got.iter().map(|message| message.event_type.as_str()).collect();
        assert_eq!(types, ["c.d", "a.b"], "in the order asked for, without the others");
        assert!(got.iter().all(|message| message.verified.is_err() && message.id == "msg_1"));
        assert!(receiver.of_types(&["a.b"], Duration::from_millis(10)).is_empty());
    }
}
