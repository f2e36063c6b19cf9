//! What a show needs: requests that are told, expectations that are checked, and where to look afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{Answer, Client};
use super::receiver::Receiver;
use super::server::Server;
use crate::checkout::Checkout;
use crate::stop::Stop;

/// How long anything may take to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The show.
pub(crate) struct Show<'a> {
    /// Where webhooks arrive.
    pub(crate) receiver: &'a Receiver,
    /// Where components stand.
    pub(crate) checkout: &'a Checkout,
    client: Client,
    base: String,
    key: String,
    held: usize,
    acts: usize,
    places: Vec<(String, &'static str)>,
    stopping: Arc<AtomicBool>,
}

impl<'a> Show<'a> {
    /// A show with nothing shown yet; it ends early when `stopping` becomes true.
    pub(crate) fn new(
        server: &Server,
        receiver: &'a Receiver,
        checkout: &'a Checkout,
        stopping: Arc<AtomicBool>,
    ) -> Self {
        let (base, key) = (server.base().to_owned(), server.key().to_owned());
        Self { receiver, checkout, client: Client::new(), base, key, held: 0, acts: 0, places: Vec::new(), stopping }
    }

    /// Opens the next act.
    pub(crate) fn act(&mut self, title: &str) -> Result<(), Stop> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Stop::new("stopped"));
        }
        self.acts = self.acts.saturating_add(1);
        println!("\n{}. {title}", self.acts);
        Ok(())
    }

    /// Says something.
    pub(crate) fn say(&self, line: &str) {
        println!("   {line}");
    }

    /// Sends JSON as the administrator, tells it, and expects a status.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &Value, status: u16) -> Result<Answer, Stop> {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let key = format!("Bearer {}", self.key);
        let headers =
            [("authorization", key.as_str()), ("content-type", "application/json"), ("x-hookwright-id", "main")];
        let url = format!("{}{path}", self.base);
        let answer = self.client.send(method, &url, &headers, bytes)?;
        let what =
            if body.is_null() { format!("{method} {path}") } else { format!("{method} {path} {}", readable(body)) };
        self.checked(&what, answer, status)
    }

    /// The same with bytes as the body.
    pub(crate) fn put(&mut self, path: &str, body: Vec<u8>, status: u16) -> Result<Answer, Stop> {
        let what = format!("PUT {path} ({} bytes)", body.len());
        let answer = self.elsewhere()?.put(path, body)?;
        self.checked(&what, answer, status)
    }

    /// Sends a provider's request to a URL of its own, without a key.
    pub(crate) fn provide(
        &mut self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        status: u16,
    ) -> Result<Answer, Stop> {
        let answer = self.client.send("POST", url, headers, body.to_vec())?;
        self.checked(&format!("POST {url} ({} bytes)", body.len()), answer, status)
    }

    fn checked(&mut self, what: &str, answer: Answer, status: u16) -> Result<Answer, Stop> {
        println!("   {what}  ->  {}", answer.status);
        if answer.status == status {
            self.held = self.held.saturating_add(1);
            return Ok(answer);
        }
        Err(Stop::new(format!(
            "{what} should have answered with {status}, but answered with {}: {}",
            answer.status,
            cut(&answer.body)
        )))
    }

    /// Checks an expectation; what came instead is told if it does not hold.
    pub(crate) fn expect(&mut self, what: &str, holds: bool, instead: &dyn std::fmt::Display) -> Result<(), Stop> {
        if !holds {
            return Err(Stop::new(format!("expected: {what}; found: {}", cut(instead))));
        }
        self.held = self.held.saturating_add(1);
        println!("   + {what}");
        Ok(())
    }

    /// Waits until everything that an event set in motion is done and delivered, and answers its story.
    pub(crate) fn story(&mut self, id: &str) -> Result<Answer, Stop> {
        let path = format!("/v1/events/{id}");
        let began = Instant::now();
        loop {
            let answer = self.elsewhere()?.get(&path)?;
            let lines: Vec<&str> = answer.list("/summary").iter().filter_map(Value::as_str).collect();
            // What its effects led to is told too, but has states of its own.
            let under_way = lines.iter().any(|line| {
                line.contains("is pending for")
                    || line.contains("not decided yet")
                    || line.contains("not been evaluated yet")
            });
            if answer.status == 200 && answer.text("/state") == "done" && !under_way {
                println!("   GET {path}  ->  200");
                for line in lines {
                    println!("     > {line}");
                }
                return Ok(answer);
            }
            if began.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(Stop::new(format!(
                    "event {id} was not processed within {seconds} s: {} {}",
                    answer.status,
                    cut(&answer.body)
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A caller that tells nothing, for another thread.
    pub(crate) fn elsewhere(&self) -> Result<Quiet, Stop> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Stop::new("stopped"));
        }
        Ok(Quiet { client: self.client.clone(), base: self.base.clone(), key: format!("Bearer {}", self.key) })
    }

    /// Remembers a path to look at afterwards.
    pub(crate) fn remember(&mut self, path: String, what: &'static str) {
        self.places.push((path, what));
    }

    /// The paths to look at, with what is there.
    pub(crate) fn places(&self) -> &[(String, &'static str)] {
        &self.places
    }

    /// How many expectations held.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}

/// The maximum length of a body that is shown in one line.
const MAX_LINE_LENGTH: usize = 160;

/// A body on one line if it is short, else over several under the request.
fn readable(body: &Value) -> String {
    let line = body.to_string();
    if line.len() <= MAX_LINE_LENGTH { line } else { format!("{body:#}").replace('\n', "\n   ") }
}

/// The beginning of something long.
fn cut(text: &dyn std::fmt::Display) -> String {
    let text = text.to_string();
    let mut kept: String = text.chars().take(2000).collect();
    if kept.len() < text.len() {
        kept.push_str(" ...");
    }
    kept
}

/// Sends requests as the administrator without a word.
#[derive(Debug, Clone)]
pub(crate) struct Quiet {
    client: Client,
    base: String,
    key: String,
}

impl Quiet {
    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Stop> {
        self.send("GET", path, Vec::new())
    }

    /// Sends JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, Stop> {
        self.send("POST", path, body.to_string().into_bytes())
    }

    /// Puts bytes.
    pub(crate) fn put(&self, path: &str, body: Vec<u8>) -> Result<Answer, Stop> {
        self.send("PUT", path, body)
    }

    fn send(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer, Stop> {
        let headers = [("authorization", self.key.as_str()), ("x-hookwright-id", "main")];
        self.client.send(method, &format!("{}{path}", self.base), &headers, body)
    }
}
