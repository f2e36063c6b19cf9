//! Everything that can be read from a store, as JSON. What is random (the instance, nonces, versions of kept values) is
//! left out or opened, so that two stores with the same contents read the same.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_model::{
    API_REQUESTS, Delivery, Event, KeyedRequest, KvKey, Query, RecordKey, Run, SourceId, SpaceId, StateView as _,
    builtin_kinds,
};
use hookwright_store::{AttemptQuery, DueItem, EventLookup, Known, Page, Store, Vault};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::configuration::PLUGIN;
use crate::{END, records};

/// What sealed strings begin with.
const SEALED: &str = "v1:";
/// The maximum number of entries of a list, which no golden store has.
const ALL: usize = 1000;
/// The sections of a space that are unchanged while events are processed.
pub(crate) const LASTING: [&str; 18] = [
    "automations",
    "revisions",
    "workflows",
    "versions",
    "sources",
    "pollings",
    "requests",
    "policies",
    "event_types",
    "kinds",
    "plugins",
    "recordings",
    "keys",
    "secrets",
    "records",
    "queries",
    "kept",
    "idempotency_keys",
];

/// A field, and a value of it by which records are looked up in the index.
const QUERIES: [(&str, &str, &str); 6] = [
    ("ticket", "status", "open"),
    ("ticket", "status", "pending"),
    ("ticket", "stage", "in_progress"),
    ("lead", "owner", "7"),
    ("lead", "kanban_stage_id", "2"),
    ("order", "state", "paid"),
];

fn value(thing: impl Serialize) -> Value {
    serde_json::to_value(thing).unwrap()
}

fn newest<C>() -> Page<C> {
    Page { before: None, limit: ALL }
}

/// Everything in the store, with sealed values opened.
pub(crate) async fn everything(store: &Store, vault: &Vault) -> Value {
    let spaces: Map<String, Value> =
        store.spaces().iter().map(|space| (space.to_string(), of_space(store, vault, space))).collect();
    let interrupted = store.backlog.interrupted().await.unwrap();
    let interrupted: BTreeMap<String, u32> =
        interrupted.into_iter().map(|(seq, times)| (seq.to_string(), times)).collect();
    let mut all = json!({
        "spaces": spaces,
        "work": work(store),
        "backlog": store.backlog.count(),
        "interrupted": interrupted,
        "due": due(store),
        "latest_time": store.timetable.latest_time().unwrap(),
        "queues": queues(store),
        "parked": parked(store),
        "attempt_count": store.attempts.attempt_count().unwrap(),
        "idempotency_key_count": store.idempotency.idempotency_key_count().unwrap(),
    });
    open_sealed(vault, &mut all);
    // As it is read from a file, where a number is its digits.
    serde_json::from_str(&all.to_string()).unwrap()
}

/// Replaces sealed strings by what they contain.
fn open_sealed(vault: &Vault, within: &mut Value) {
    match within {
        Value::String(text) if text.starts_with(SEALED) => {
            let plain = vault.open_sealed(text).unwrap();
            let shown = String::from_utf8(plain).unwrap_or_else(|key| key.as_bytes().escape_ascii().to_string());
            *text = format!("opened: {shown}");
        }
        Value::Array(values) => values.iter_mut().for_each(|value| open_sealed(vault, value)),
        Value::Object(members) => members.values_mut().for_each(|value| open_sealed(vault, value)),
        _ => {}
    }
}

fn work(store: &Store) -> Vec<Value> {
    let work = store.backlog.work(0, ALL).unwrap().into_iter();
    work.map(|work| json!({"seq": work.seq, "space": work.space, "automations": work.automations, "lanes": work.lanes}))
        .collect()
}

fn due(store: &Store) -> Vec<Value> {
    let due = store.timetable.due(END, ALL).unwrap().into_iter();
    due.map(|due| {
        let item = match due.item {
            DueItem::Run(id) => id.to_string(),
            DueItem::Mail(id) => format!("mail {id}"),
            DueItem::Schedule(id) => id.to_string(),
            DueItem::Poll(number) => format!("polling {number}"),
        };
        json!({"at": due.at, "space": due.space, "item": item})
    })
    .collect()
}

/// Each queue, with the deliveries that may be sent, and the number of all that wait.
fn queues(store: &Store) -> Vec<Value> {
    let queues = store.queues.queues().unwrap().into_iter();
    queues
        .map(|(space, number, at)| {
            let queued = store.queues.queued(&space, number, END, ALL).unwrap();
            let length = store.queues.queue_length(&space, number, ALL).unwrap();
            json!({"space": space, "number": number, "next_at": at, "queued": queued, "length": length})
        })
        .collect()
}

fn parked(store: &Store) -> Vec<Value> {
    let awaited = store.runs.waited_for().unwrap().into_iter();
    awaited
        .map(|(space, plugin)| {
            json!({"space": space, "plugin": plugin, "runs": store.runs.parked(&space, &plugin, ALL).unwrap()})
        })
        .collect()
}

fn of_space(store: &Store, vault: &Vault, space: &SpaceId) -> Value {
    let mut events: Vec<(u64, Event)> = Vec::new();
    let mut visit = |seq: u64, event: &Event| events.push((seq, event.clone()));
    assert_eq!(store.events.visit_events(space, 0, u64::MAX, ALL, &mut visit), Ok(None));
    let seqs = || events.iter().map(|(seq, _)| *seq);
    let runs: Vec<Run> = seqs().flat_map(|seq| store.runs.runs_of(space, seq).unwrap()).collect();
    let deliveries: Vec<Delivery> =
        seqs().flat_map(|seq| store.deliveries.deliveries_of(space, seq).unwrap()).collect();
    let mut sections = set_up(store, space, &runs);
    let mut add = |name: &str, section: Value| {
        assert!(sections.insert(name.to_owned(), section).is_none(), "{name} is there twice");
    };
    add("events", events.iter().map(|(seq, event)| of_event(store, space, *seq, event)).collect());
    add("newest_runs", value(newest_runs(store, space)));
    add("items", runs.iter().flat_map(|run| items(store, space, run)).collect());
    add("runs", value(&runs));
    add("attempts", deliveries.iter().flat_map(|delivery| attempts(store, space, delivery)).collect());
    add("attempt_log", attempt_log(store, space));
    add("deliveries", value(&deliveries));
    add("mails", value(store.mails.mails(space, newest()).unwrap().items));
    add("records", of_kinds(store, space));
    add("queries", queries(store, space));
    add("kept", kept(store, space));
    add("recordings", recordings(store, vault, space));
    add("requests", requests(store, space));
    add("idempotency_keys", idempotency_keys(store, space));
    Value::Object(sections)
}

fn of_event(store: &Store, space: &SpaceId, seq: u64, event: &Event) -> Value {
    let EventLookup::One(found, _) = store.events.event(space, &event.id, Some(&event.source)).unwrap() else {
        panic!("{} is not found by its id", event.id)
    };
    assert_eq!(found, seq, "{}", event.id);
    json!({
        "seq": seq, "space": event.space, "envelope": event, "payload": STANDARD.encode(&event.payload),
        "data": event.data_value(), "descendants": store.events.descendants(space, &event.id).unwrap()
    })
}

fn newest_runs(store: &Store, space: &SpaceId) -> Vec<String> {
    let runs = store.runs.runs(space, newest(), &|_| true).unwrap().items;
    runs.iter().map(|run| run.id.to_string()).collect()
}

fn items(store: &Store, space: &SpaceId, run: &Run) -> Vec<Value> {
    let items = store.runs.items(space, run.id).unwrap().into_iter();
    items.map(|(step, item)| json!({"run": run.id, "step": step, "item": item})).collect()
}

fn attempts(store: &Store, space: &SpaceId, delivery: &Delivery) -> Vec<Value> {
    let attempts = store.attempts.attempts(space, delivery.id).unwrap().into_iter();
    attempts.map(|attempt| json!({"delivery": delivery.id, "attempt": attempt})).collect()
}

/// The log of attempts, whole and filtered by each of the columns of its summaries.
fn attempt_log(store: &Store, space: &SpaceId) -> Value {
    let all = AttemptQuery { from: None, until: None, queue: None, succeeded: None, status: None, keep: &|_, _| true };
    let log = |query: AttemptQuery<'_>| -> Vec<String> {
        let listing = store.attempts.attempt_log(space, &query, newest()).unwrap();
        listing.items.iter().map(|(delivery, attempt)| format!("{}/{}", delivery.id, attempt.number)).collect()
    };
    json!({
        "all": log(all),
        "succeeded": log(AttemptQuery { succeeded: Some(true), ..all }),
        "status_503": log(AttemptQuery { status: Some(503), ..all }),
        "queue_2": log(AttemptQuery { queue: Some(2), ..all }),
    })
}

/// Records of every kind with their notes, and the histories of these and of deleted ones.
fn of_kinds(store: &Store, space: &SpaceId) -> Value {
    let own = store.kinds.own_kinds(space).unwrap();
    let names: BTreeSet<&str> =
        builtin_kinds().map(|kind| kind.name()).chain(own.iter().map(|kind| kind.name())).collect();
    let mut kinds = Map::new();
    for name in names {
        let (found, next) = store.records.records(space, name, None, ALL, &|_| true).unwrap();
        assert_eq!(next, None);
        let records: Vec<Value> =
            found.iter().map(|record| json!({"version": record.version, "value": record.value})).collect();
        let (mut notes, mut histories) = (Map::new(), Map::new());
        for id in 1..=10 {
            let key = RecordKey { kind: name.to_owned(), id };
            let history = store.records.history(space, &key, None, ALL).unwrap();
            if !history.is_empty() {
                notes.insert(id.to_string(), value(store.records.all_notes(space, &key, None, ALL).unwrap()));
                histories.insert(id.to_string(), value(history));
            }
        }
        if !histories.is_empty() {
            kinds.insert(name.to_owned(), json!({"records": records, "notes": notes, "histories": histories}));
        }
    }
    Value::Object(kinds)
}

/// The ids of records that are found through the index.
fn queries(store: &Store, space: &SpaceId) -> Value {
    let mut queries = Map::new();
    for (name, field, wanted) in QUERIES {
        let Some(kind) = store.kind(space, name).unwrap() else { continue };
        let query = Query::parse(&kind, [(field, wanted)].into_iter()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let found = store.records.query_records(space, &kind, &query, None, ALL).unwrap().unwrap();
        let ids: Vec<u64> = found.records.iter().map(|(id, _)| *id).collect();
        queries.insert(format!("{name}?{field}={wanted}"), value(ids));
    }
    Value::Object(queries)
}

fn kept(store: &Store, space: &SpaceId) -> Value {
    let keys = store.kept_keys(space, PLUGIN, "", ALL).unwrap().into_iter();
    let values: Vec<Value> = keys
        .map(|(key, expires_at)| {
            let kept = store.kept(space, &KvKey { plugin: PLUGIN.to_owned(), key: key.clone() }).unwrap().unwrap();
            assert_eq!(kept.expires_at, expires_at);
            json!({"key": key, "expires_at": expires_at, "value": STANDARD.encode(kept.value)})
        })
        .collect();
    let size = store.kv.kept_by(space, PLUGIN).unwrap();
    json!({"values": values, "bytes": size.bytes, "keys": size.keys})
}

fn recordings(store: &Store, vault: &Vault, space: &SpaceId) -> Value {
    let found = store.recordings.recordings(space, PLUGIN, None, ALL).unwrap().into_iter();
    let found: Vec<Value> = found
        .map(|recording| {
            let plain = String::from_utf8(vault.open_bytes(&recording.sealed).unwrap()).unwrap();
            json!({"number": recording.number, "at": recording.at, "opened": plain})
        })
        .collect();
    json!({"recordings": found, "size": store.recordings.recorded(space, PLUGIN).unwrap()})
}

fn requests(store: &Store, space: &SpaceId) -> Value {
    let sources = store.sources.sources(space).unwrap().into_iter().map(|source| source.id);
    let logs = sources.chain([SourceId::from(API_REQUESTS)]).map(|source| {
        let entries = store.requests.requests(space, &source, None, ALL).unwrap();
        (source.to_string(), value(entries))
    });
    Value::Object(logs.collect())
}

/// What the store knows of each idempotency key, and how it answers another request with the same key.
fn idempotency_keys(store: &Store, space: &SpaceId) -> Value {
    let mut keys = Map::new();
    for (place, (key, _)) in records::IDEMPOTENCY_KEYS.iter().enumerate() {
        let same = records::request(place);
        let another = KeyedRequest { fingerprint: "another".to_owned(), ..same.clone() };
        let known = [same, another].map(|request| {
            match store.idempotency.known_request(space, &request, records::window()).unwrap() {
                None => Value::Null,
                Some(Known::Retry(made)) => value(made),
                Some(Known::Reused) => "reused".into(),
            }
        });
        keys.insert((*key).to_owned(), value(known));
    }
    Value::Object(keys)
}

/// What users set up.
fn set_up(store: &Store, space: &SpaceId, runs: &[Run]) -> Map<String, Value> {
    let automations = store.automations.automations(space).unwrap();
    let executed = runs.iter().filter(|run| run.workflow().is_none()).map(|run| &run.automation);
    let ids = automations.iter().map(|one| &one.id).chain(executed).map(ToString::to_string);
    // Its revision is stored although it was deleted.
    let ids: BTreeSet<String> = ids.chain(["aut_gone".to_owned()]).collect();
    let revisions: Vec<Value> = ids
        .iter()
        .flat_map(|id| {
            (1..=5).filter_map(move |revision| store.automations.automation_revision(space, id, revision).unwrap())
        })
        .map(value)
        .collect();
    let workflows = store.workflows.workflows(space).unwrap();
    let versions: Vec<Value> = workflows
        .iter()
        .flat_map(|workflow| store.workflows.workflow_versions(space, &workflow.name, u32::MAX, ALL).unwrap())
        .map(value)
        .collect();
    let plugins = store.plugins.plugins(space).unwrap();
    let components: BTreeMap<String, String> = plugins
        .iter()
        .flat_map(|plugin| &plugin.versions)
        .map(|version| {
            let component = store.plugins.component(&version.digest).unwrap().unwrap();
            (version.digest.clone(), STANDARD.encode(component))
        })
        .collect();
    let sections = json!({
        "automations": automations,
        "revisions": revisions,
        "workflows": workflows,
        "versions": versions,
        "schedules": store.schedules.schedules(space).unwrap(),
        "sources": store.sources.sources(space).unwrap(),
        "pollings": store.pollings.pollings(space).unwrap(),
        "webhooks": store.webhooks.webhooks(space).unwrap(),
        "webhook_policies": store.webhooks.webhook_policies(space).unwrap(),
        "event_types": store.event_types.event_types(space).unwrap(),
        "kinds": store.kinds.own_kinds(space).unwrap(),
        "plugins": {"records": plugins, "components": components},
        "policies": store.plugins.policies(space).unwrap(),
        "keys": store.keys.keys(space).unwrap(),
        "secrets": store.secrets.secrets(space).unwrap(),
    });
    match sections {
        Value::Object(sections) => sections,
        other => panic!("{other}"),
    }
}
