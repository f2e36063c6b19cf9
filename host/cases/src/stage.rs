//! The mock of a space in which a plugin is called.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use hookwright_model::{
    Cause, Data, Event, EventDraft, Grants, InstancePolicy, Kept, Kind, KvKey, Limits, MemoryView, Mistake, Mistakes,
    SecretGrant, SpaceId, TICKET, Timestamp, Workbench, check_ticket, is_kind,
};
use hookwright_plugin::{Access, Call, Message, Plugin, Secrets, SourceRequest};
use serde_json::{Map, Value};

use crate::body::{GivenBody, compact, is_json};
use crate::case::{Case, GivenEvent, GivenMessage, GivenRequest, within};
use crate::exchange::{Outside, Script};
use crate::outcome::{self, Ended};

/// The instant of a case that names none: 2026-01-02T03:04:05Z.
const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_000);
/// The prefix of `Idempotency-Key` in a case.
const IDEMPOTENCY_KEY: &str = "case";

/// The context of a case's calls: the event, the stored state, the grants. Each call begins with the same context.
pub struct Stage {
    kind: Kind,
    event: Event,
    parameters: Value,
    message: Message,
    request: SourceRequest,
    now: Timestamp,
    view: Arc<MemoryView>,
    access: Arc<Access>,
    script: Script,
    refused: Option<Mistake>,
}

impl Stage {
    /// Sets up the context that `case` describes for `plugin`. Everything in the case is granted.
    ///
    /// # Errors
    /// The errors in the case, each with its path.
    pub fn new(plugin: &Plugin, case: &Case, limits: Limits) -> Result<Self, Mistakes> {
        let now = case.now.unwrap_or(NOW);
        let name = plugin.manifest().name.as_str();
        let event = event(&case.event, now).map_err(|mistake| within("event", &mistake))?;
        let parameters = case.parameters();
        Ok(Self {
            kind: kind(plugin, case),
            message: message(case.message.as_ref(), &event).map_err(|mistake| within("message", &mistake))?,
            request: request(case.request.as_ref()).map_err(|mistake| within("request", &mistake))?,
            view: Arc::new(view(case, name, now)?),
            access: Arc::new(access(name, case, limits)),
            script: Script::new(&case.http)?,
            refused: plugin.check_parameters(&parameters).into_iter().next(),
            event,
            parameters,
            now,
        })
    }

    /// The same with warm or fresh instances, whatever the plugin itself suggests.
    #[must_use]
    pub fn with_instances(mut self, policy: InstancePolicy) -> Self {
        let Access { plugin, trusted, grants, limits, secrets, config, .. } = &*self.access;
        self.access = Arc::new(Access {
            trusted: *trusted,
            grants: grants.clone(),
            instance: Some(policy),
            secrets: secrets.clone(),
            config: Arc::clone(config),
            ..Access::new(plugin, *limits)
        });
        self
    }

    /// The usage of the calls so far, compared with the limits.
    pub fn report(&self) -> Value {
        self.access.meter.report(&self.access.limits)
    }

    /// The kind as which the plugin is called.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Calls the plugin.
    pub async fn call(&self, plugin: &Plugin) -> Ended {
        self.call_with(plugin, Arc::new(Outside::new(self.script.clone()))).await
    }

    pub(crate) fn outside(&self) -> Arc<Outside> {
        Arc::new(Outside::new(self.script.clone()))
    }

    pub(crate) async fn call_with(&self, plugin: &Plugin, outside: Arc<Outside>) -> Ended {
        if let Some(mistake) = &self.refused {
            return Ended::refused(mistake);
        }
        let (event, parameters) = (&self.event, &self.parameters);
        let space = SpaceId::main();
        let mut call = Call::new(space.clone(), self.now, Arc::clone(&self.access));
        call.outbound = Some(outside);
        call.idempotency_key = Some(IDEMPOTENCY_KEY.to_owned());
        if matches!(self.kind, Kind::Action | Kind::Source) {
            let view = Arc::<MemoryView>::clone(&self.view);
            call.workbench = Some(Workbench::new(view, space, self.now, &self.access.plugin, Cause::api()));
        }
        match self.kind {
            Kind::Condition => {
                let parameters = self.handed_over(plugin);
                Ended::of(plugin.evaluate(call, event, &parameters).await, outcome::verdict)
            }
            Kind::Action => Ended::of(plugin.run(call, event, parameters).await, outcome::outcome),
            Kind::Transform => {
                let message = self.message.clone();
                Ended::of(plugin.apply(call, event, message, parameters).await, outcome::transformed)
            }
            Kind::Source => Ended::of(plugin.receive(call, self.request.clone(), parameters).await, outcome::reception),
        }
    }

    /// The parameters of a condition, with the values of its paths in the case's records.
    fn handed_over(&self, plugin: &Plugin) -> Value {
        let mut parameters = self.parameters.clone();
        let view = Arc::<MemoryView>::clone(&self.view);
        let mut workbench = Workbench::new(view, SpaceId::main(), self.now, &self.access.plugin, Cause::api());
        for (name, filled) in plugin.paths() {
            let path = self.parameters.get(name).and_then(Value::as_str);
            // A mock of a space can always be read.
            let found = path.and_then(|path| {
                workbench.related(plugin.record_of(&self.parameters, &self.event), path).ok().flatten()
            });
            if let (Some(found), Some(parameters)) = (found, parameters.as_object_mut()) {
                parameters.insert(filled.clone(), found.handed_over());
            }
        }
        parameters
    }
}

/// The kind as which the plugin is called: that of the case's expected result, if the plugin exports it, else its first
/// kind.
fn kind(plugin: &Plugin, case: &Case) -> Kind {
    let meant = match case.expected_result() {
        Some("verdict") => Some(Kind::Condition),
        Some("done" | "skipped") => Some(Kind::Action),
        Some("message" | "dropped") => Some(Kind::Transform),
        Some("accepted" | "refused") => Some(Kind::Source),
        _ if case.request.is_some() => Some(Kind::Source),
        _ if case.message.is_some() => Some(Kind::Transform),
        _ => None,
    };
    let kinds = plugin.kinds();
    meant.filter(|kind| kinds.contains(kind)).or_else(|| kinds.first().copied()).unwrap_or(Kind::Condition)
}

fn event(given: &GivenEvent, now: Timestamp) -> Result<Event, Mistake> {
    let payload = Bytes::from(given.data.as_ref().map_or_else(|| "{}".to_owned(), |data| compact(data.get())));
    let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    // Plugins see it among the attributes; the event stores it separately.
    let mut attributes = given.attributes.clone();
    let content_type = attributes.remove("content-type").unwrap_or_else(|| "application/json".to_owned());
    EventDraft {
        id: Some(or(&given.id, "evt-1")),
        event_type: or(&given.event_type, "case"),
        source: or(&given.source, "case"),
        subject: given.subject.clone(),
        time: given.time.clone(),
        content_type: Some(content_type),
        attributes: pairs(&attributes),
        data: Some(Data::Span(0, payload.len())),
        payload,
        ingress: None,
        cause: None,
        starts: None,
    }
    .accept(&SpaceId::main(), now)
}

fn message(given: Option<&GivenMessage>, event: &Event) -> Result<Message, Mistake> {
    let Some(given) = given else {
        let body = outcome::body_of(event);
        return Ok(Message { headers: Vec::new(), content_type: "application/json".to_owned(), body });
    };
    let content_type = given.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
    let body = match &given.body {
        None => Bytes::new(),
        Some(body) if is_json(&content_type) => Bytes::from(compact(body.get())),
        Some(body) => {
            let body: GivenBody = serde_json::from_str(body.get()).map_err(|error| {
                let message =
                    format!("`{content_type}` is not JSON: give {{\"text\": ..}} or {{\"base64\": ..}} ({error})");
                Mistake::new("body", message)
            })?;
            body.bytes("body")?
        }
    };
    Ok(Message { headers: pairs(&given.headers), content_type, body })
}

fn request(given: Option<&GivenRequest>) -> Result<SourceRequest, Mistake> {
    let Some(given) = given else { return Ok(SourceRequest { method: "POST".to_owned(), ..SourceRequest::default() }) };
    let small = |(name, value): (&String, &String)| (name.to_ascii_lowercase(), value.clone());
    Ok(SourceRequest {
        method: given.method.clone().unwrap_or_else(|| "POST".to_owned()),
        path: given.path.clone(),
        query: given.query.clone(),
        headers: given.headers.iter().map(small).collect(),
        body: given.body.bytes("body")?,
        decoded_bytes: 0,
        remote_address: given.remote_address.clone().unwrap_or_else(|| "203.0.113.9".to_owned()),
    })
}

fn view(case: &Case, plugin: &str, now: Timestamp) -> Result<MemoryView, Mistake> {
    let mut view = MemoryView::default();
    for (place, ticket) in case.tickets.iter().enumerate() {
        add(&mut view, TICKET, &format!("tickets[{place}]"), ticket, now)?;
    }
    for (kind, records) in &case.records {
        if !is_kind(kind) {
            let message = format!("`{kind}` is not a valid kind of record: give 1 to 64 of a-z, 0-9 and -");
            return Err(Mistake::new("records", message));
        }
        for (place, record) in records.iter().enumerate() {
            add(&mut view, kind, &format!("records.{kind}[{place}]"), record, now)?;
        }
    }
    for (key, value) in &case.kv {
        let key = KvKey { plugin: plugin.to_owned(), key: key.clone() };
        view.kept.insert(key, Kept { version: 1, expires_at: None, value: Bytes::from(value.clone()) });
    }
    Ok(view)
}

/// Adds a record with the fields that the server would set.
fn add(
    view: &mut MemoryView,
    kind: &str,
    path: &str,
    fields: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), Mistake> {
    let mut record = fields.clone();
    let mut or = |name: &str, value: Value| {
        record.entry(name).or_insert(value);
    };
    or("created_at", now.to_string().into());
    or("updated_at", now.to_string().into());
    let mut notes = None;
    if kind == TICKET {
        or("status", "open".into());
        notes = record.shift_remove("notes");
        check_ticket(&record).map_err(|mistakes| Mistake::new(path, format!("is not a valid ticket: {mistakes}")))?;
    }
    let key = view
        .add(kind, Value::Object(record))
        .ok_or_else(|| Mistake::new(format!("{path}.id"), "must be an integer of 0 or more: give the record its id"))?;
    match notes {
        None => {}
        Some(Value::Array(notes)) => {
            view.notes.insert(key, notes);
        }
        Some(_) => return Err(Mistake::new(format!("{path}.notes"), "is not a list: give `[..]`")),
    }
    Ok(())
}

/// The plugin's access: everything, with the case's secrets at every host.
fn access(name: &str, case: &Case, limits: Limits) -> Access {
    let grant = |name: &String| SecretGrant { name: name.clone(), hosts: vec!["*".to_owned()] };
    let bytes = |(name, value): (&String, &String)| (name.clone(), value.as_bytes().to_vec());
    let config: HashMap<String, String> = case.config.clone().into_iter().collect();
    Access {
        trusted: true,
        grants: Grants { secrets: case.secrets.keys().map(grant).collect(), ..Grants::default() },
        secrets: case.secrets.iter().map(bytes).collect::<Secrets>(),
        config: Arc::new(config),
        ..Access::new(name, limits)
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}
