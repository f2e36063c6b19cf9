//! A mock of the host, so that a plugin's tests run natively with `cargo test`.
//!
//! Each thread has a host of its own, and the test runner gives each test a thread. Install one at a test's start; what
//! the plugin did is then read with [`ticket`], [`record`], [`notes`], [`emitted`], [`mails`], [`started`], [`kept`],
//! [`sent`] and [`logged`]. The functions [`evaluate`], [`run`], [`apply`] and [`receive`] call a plugin the way the host
//! does, parameters as JSON.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::bindings::imports::hookwright::plugin::types;
use crate::{
    Action, Condition, Event, Failure, Message, Outcome, Pairs, Plugin, Reception, Request, Source, Transform,
    Transformed, Verdict, parameters,
};
use crate::{http, mail};

#[doc(hidden)]
pub mod platform;

/// The kind of records that tickets are.
pub(crate) const TICKET: &str = "ticket";

/// How the mock answers an HTTP request.
pub type Respond = Box<dyn Fn(&http::Request) -> Result<http::Response, Failure>>;

/// A note that was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The ticket's id.
    pub ticket: String,
    /// The note's text.
    pub text: String,
    /// Whether the requester sees it.
    pub is_public: bool,
}

/// An event that was emitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// Its type.
    pub event_type: String,
    /// Its subject.
    pub subject: Option<String>,
    /// Its data.
    pub data: Value,
}

/// A workflow that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// Its input.
    pub input: Value,
}

/// One record of the space. Tickets are those of the kind `ticket`.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) fields: Value,
}

/// A value in the plugin's own store.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) value: Vec<u8>,
    /// When it expires, in milliseconds since 1970.
    pub(crate) until: Option<f64>,
}

/// The mock, and its recorded calls.
pub struct Host {
    pub(crate) now_ms: f64,
    pub(crate) now: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, Vec<u8>>,
    /// Whether the text after `whsec_` is decoded before it keys HMACs; see the hint `secret-format`.
    pub(crate) decodes_secrets: bool,
    /// In the order in which they were made.
    pub(crate) records: Vec<Record>,
    pub(crate) kv: BTreeMap<String, Kept>,
    pub(crate) mails: Vec<mail::Letter>,
    pub(crate) started: Vec<Started>,
    pub(crate) notes: Vec<Note>,
    pub(crate) emitted: Vec<Emitted>,
    pub(crate) sent: Vec<http::Request>,
    pub(crate) logged: Vec<(String, String)>,
    pub(crate) random: u64,
    pub(crate) respond: Respond,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            now_ms: 1_767_323_045_006.0,
            now: "2026-01-02T03:04:05.006Z".into(),
            config: BTreeMap::new(),
            secrets: BTreeMap::new(),
            decodes_secrets: false,
            records: Vec::new(),
            kv: BTreeMap::new(),
            mails: Vec::new(),
            started: Vec::new(),
            notes: Vec::new(),
            emitted: Vec::new(),
            sent: Vec::new(),
            logged: Vec::new(),
            random: 0,
            respond: Box::new(|request| {
                Err(Failure::permanent("http.unreachable", format!("the test's host does not answer {}", request.url)))
            }),
        }
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

pub(crate) fn with<T>(work: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(work)
}

impl Host {
    /// Gives the plugin a setting.
    #[must_use]
    pub fn with_config(mut self, key: &str, value: &str) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// Gives the host a secret that the plugin may name.
    #[must_use]
    pub fn with_secret(mut self, name: &str, key: &[u8]) -> Self {
        self.secrets.insert(name.into(), key.into());
        self
    }

    /// Sets the clock: milliseconds since 1970, and the same instant in RFC 3339.
    #[must_use]
    pub fn with_now(mut self, ms: f64, text: &str) -> Self {
        self.now_ms = ms;
        self.now = text.into();
        self
    }

    /// Puts a ticket into the space. Its `id` is added.
    #[must_use]
    pub fn with_ticket(self, id: &str, fields: Value) -> Self {
        self.with_record(TICKET, id, fields)
    }

    /// Puts a record of any kind into the space. Its `id` is added.
    #[must_use]
    pub fn with_record(mut self, kind: &str, id: &str, mut fields: Value) -> Self {
        if let Some(fields) = fields.as_object_mut() {
            fields.entry("id").or_insert_with(|| id.into());
        }
        self.records.push(Record { kind: kind.into(), id: id.into(), fields });
        self
    }

    /// Puts a value into the plugin's own store.
    #[must_use]
    pub fn with_kept(mut self, key: &str, value: &[u8]) -> Self {
        self.kv.insert(key.into(), Kept { value: value.into(), until: None });
        self
    }

    /// Answers HTTP requests.
    #[must_use]
    pub fn with_answer(
        mut self,
        respond: impl Fn(&http::Request) -> Result<http::Response, Failure> + 'static,
    ) -> Self {
        self.respond = Box::new(respond);
        self
    }

    pub(crate) fn record(&mut self, kind: &str, id: &str) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.kind == kind && record.id == id)
    }

    /// Makes it this thread's host. Replaces a previous one.
    pub fn install(self) {
        with(|host| *host = self);
    }
}

/// The current ticket. Null if it does not exist.
#[must_use]
pub fn ticket(id: &str) -> Value {
    record(TICKET, id)
}

/// The current record. Null if it does not exist.
#[must_use]
pub fn record(kind: &str, id: &str) -> Value {
    with(|host| host.record(kind, id).map(|record| record.fields.clone()).unwrap_or_default())
}

/// The value under `key` in the plugin's key-value store.
#[must_use]
pub fn kept(key: &str) -> Option<Vec<u8>> {
    with(|host| host.kv.get(key).map(|kept| kept.value.clone()))
}

/// The mails that were sent, in order.
#[must_use]
pub fn mails() -> Vec<mail::Letter> {
    with(|host| host.mails.clone())
}

/// The workflows that were started, in order.
#[must_use]
pub fn started() -> Vec<Started> {
    with(|host| host.started.clone())
}

/// The notes that were added, in order.
#[must_use]
pub fn notes() -> Vec<Note> {
    with(|host| host.notes.clone())
}

/// The events that were emitted, in order.
#[must_use]
pub fn emitted() -> Vec<Emitted> {
    with(|host| host.emitted.clone())
}

/// The HTTP requests that were sent, in order.
#[must_use]
pub fn sent() -> Vec<http::Request> {
    with(|host| host.sent.clone())
}

/// Level and message of the lines that were logged, in order.
#[must_use]
pub fn logged() -> Vec<(String, String)> {
    with(|host| host.logged.clone())
}

/// An event of this type with this payload.
#[must_use]
pub fn event(event_type: &str, data: Value) -> Event {
    Event::from(types::Event {
        id: "evt_1".into(),
        event_type: event_type.into(),
        source: "test".into(),
        subject: None,
        time: "2026-01-02T03:04:05.006Z".into(),
        data: data.to_string(),
        attributes: Pairs::new(),
    })
}

/// Calls a condition the way the host does.
///
/// # Errors
/// The condition's own, or parameters that cannot be read.
pub fn evaluate<T: Condition>(event: &Event, parameters: Value) -> Result<Verdict, Failure> {
    T::evaluate(event, parameters::parse::<<T as Plugin>::Parameters>(&parameters.to_string())?)
}

/// Calls an action the way the host does.
///
/// # Errors
/// The action's own, or parameters that cannot be read.
pub fn run<T: Action>(event: &Event, parameters: Value) -> Result<Outcome, Failure> {
    T::run(event, parameters::parse::<<T as Plugin>::Parameters>(&parameters.to_string())?)
}

/// Calls a transform the way the host does.
///
/// # Errors
/// The transform's own, or parameters that cannot be read.
pub fn apply<T: Transform>(event: &Event, message: Message, parameters: Value) -> Result<Transformed, Failure> {
    T::apply(event, message, parameters::parse::<<T as Plugin>::Parameters>(&parameters.to_string())?)
}

/// Calls a source the way the host does.
///
/// # Errors
/// The source's own, or parameters that cannot be read.
pub fn receive<T: Source>(request: &Request, parameters: Value) -> Result<Reception, Failure> {
    with(|host| host.decodes_secrets = T::MANIFEST.hints.contains(&("secret-format", "whsec")));
    T::receive(request, parameters::parse::<<T as Plugin>::Parameters>(&parameters.to_string())?)
}

/// The parameters' schema as JSON, for a test that checks it against examples.
///
/// # Errors
/// What is wrong with the manifest: a schema that is not a JSON object, a name or version that the host would refuse.
pub fn schema<T: Plugin>() -> Result<Value, String> {
    let manifest = T::MANIFEST;
    let name = manifest.name;
    let good_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !good_name {
        return Err(format!("the name `{name}` must be lower-case letters, digits and hyphens"));
    }
    if manifest.version.split('.').count() < 3 {
        return Err(format!("the version `{}` of {name} must be a semantic version such as 1.2.3", manifest.version));
    }
    if manifest.summary.is_empty() || manifest.summary.contains('\n') {
        return Err(format!("the summary of {name} must be one line"));
    }
    let schema: Value = serde_json::from_str(manifest.parameters)
        .map_err(|error| format!("the schema of {name} is not JSON: {error}"))?;
    if schema.is_object() { Ok(schema) } else { Err(format!("the schema of {name} must be a JSON object")) }
}
