//! Records of a golden store with their notes and histories, the values of plugins, mails, recordings, the logs of
//! sources, and idempotency keys.

use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{
    API_REQUESTS, Author, Cause, Effects, HistoryEntry, IdempotencyKey, KeyedRequest, KvKey, KvWrite, Letter, Made,
    Mail, MailAttachment, MailState, Merge, NewEvent, NoteDraft, Plan, RecordAddition, RecordKey, RecordRemoval,
    RecordWrite, RequestEntry, RequestNote, SourceId, SpaceId, StateView as _, StoredNote, Told,
};
use hookwright_store::{Committed, KeyWindow, Keyed, NewRecording, Store, Vault};
use serde_json::{Map, Value, json};

use crate::configuration::PLUGIN;
use crate::{at, journal, other};

/// The idempotency keys, each with the fingerprint of its request.
pub(crate) const IDEMPOTENCY_KEYS: [(&str, &str); 3] =
    [("key-of-events", "f-events"), ("key-of-record", "f-record"), ("key-of-note", "f-note")];

/// The window in which those keys are valid.
pub(crate) fn window() -> KeyWindow {
    KeyWindow::new(at(60), Duration::from_secs(86_400))
}

/// The request with the key at this place of [`IDEMPOTENCY_KEYS`].
pub(crate) fn request(place: usize) -> KeyedRequest {
    let (key, fingerprint) = IDEMPOTENCY_KEYS[place];
    KeyedRequest { key: IdempotencyKey::parse(key.as_bytes()).unwrap(), fingerprint: fingerprint.to_owned() }
}

pub(crate) async fn fill(store: &Store, vault: &Vault) {
    let main = SpaceId::main();
    let ticket = make(store, &main, "ticket", json!({"subject": "größer", "status": "open", "urgency": "high"})).await;
    make(store, &main, "ticket", json!({"subject": "Second", "sla_solution_time": 240})).await;
    amend(store, &main, &ticket, json!({"status": "pending", "stage": "in_progress"})).await;
    note(store, &ticket, None).await;
    for _ in 0..2 {
        make(store, &main, "lead", json!({"title": "Lead", "kanban_stage_id": 2, "owner": {"id": 7}})).await;
    }
    remove(store, &RecordKey { kind: "lead".to_owned(), id: 2 }).await;
    make(store, &other(), "ticket", json!({"subject": "Of the other space"})).await;
    keyed(store, &ticket).await;
    values(store).await;
    mails(store).await;
    recordings(store, vault).await;
    requests(store).await;
}

async fn commit(store: &Store, space: &SpaceId, effects: Effects, keyed: Option<Keyed>) {
    assert_eq!(store.records.commit_keyed(space, effects, keyed).await, Ok(Committed::Done));
}

fn history(version: u64, seconds: i64, change: &str, changes: Value) -> HistoryEntry {
    let by = Author { key: Some("key_admin".to_owned()), key_name: Some("Admin".to_owned()), ..Author::default() };
    let changes: Map<String, Value> = crate::typed(&changes);
    HistoryEntry { version, at: at(seconds), change: change.to_owned(), by, changes, notes: vec![] }
}

/// A new record.
fn creation(store: &Store, space: &SpaceId, kind: &str, fields: Value) -> (RecordKey, Effects) {
    let kind = store.kind(space, kind).unwrap().unwrap();
    let key = RecordKey { kind: kind.name().to_owned(), id: store.next_id(space, kind.name()).unwrap() };
    let value = kind.make(key.id, crate::typed(&fields), at(5)).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let index = kind.index_of(&value);
    let history = history(1, 5, "created", json!({}));
    let write = RecordWrite { key: key.clone(), value, unindex: vec![], index, history };
    (key, Effects { records: vec![write], ..Effects::default() })
}

async fn make(store: &Store, space: &SpaceId, kind: &str, fields: Value) -> RecordKey {
    let (key, effects) = creation(store, space, kind, fields);
    commit(store, space, effects, None).await;
    key
}

async fn amend(store: &Store, space: &SpaceId, key: &RecordKey, changes: Value) {
    let kind = store.kind(space, &key.kind).unwrap().unwrap();
    let former = store.record(space, key).unwrap().unwrap();
    let changed = kind.change(&former.value, crate::typed(&changes), Merge::Patch, at(6));
    let value = changed.unwrap_or_else(|wrong| panic!("{wrong:?}")).unwrap();
    let (unindex, index) = (kind.index_of(&former.value), kind.index_of(&value));
    let history = history(former.version + 1, 6, "updated", json!({"status": {"from": "open", "to": "pending"}}));
    let write = RecordWrite { key: key.clone(), value, unindex, index, history };
    let reads = vec![(key.clone(), Some(former.version))];
    commit(store, space, Effects { reads, records: vec![write], ..Effects::default() }, None).await;
}

async fn remove(store: &Store, key: &RecordKey) {
    let main = SpaceId::main();
    let kind = store.kind(&main, &key.kind).unwrap().unwrap();
    let former = store.record(&main, key).unwrap().unwrap();
    let history = history(former.version + 1, 8, "deleted", json!({"title": {"from": "Lead", "to": null}}));
    let gone = RecordRemoval { key: key.clone(), unindex: kind.index_of(&former.value), history };
    commit(store, &main, Effects { removed: vec![gone], ..Effects::default() }, None).await;
}

/// Adds a note to a ticket, for a request with a key if one is given.
async fn note(store: &Store, key: &RecordKey, request: Option<KeyedRequest>) {
    let main = SpaceId::main();
    let kind = store.kind(&main, &key.kind).unwrap().unwrap();
    let id = store.next_id(&main, "note").unwrap();
    let value = json!({"id": id, "text": "größer \"\u{1}", "author": {"name": "Ada"}, "created_at": at(7)});
    let stored = StoredNote::from(&value);
    let mut history = history(0, 7, "note-added", json!({}));
    history.notes = vec![id];
    let keyed = request.map(|request| Keyed {
        request,
        made: Made::Note { kind: key.kind.clone(), id: key.id, note: id },
        window: window(),
    });
    let effects = Effects {
        additions: vec![RecordAddition { key: key.clone(), kind, at: at(7), history }],
        notes: vec![NoteDraft { on: key.clone(), id, value, stored }],
        ..Effects::default()
    };
    commit(store, &main, effects, keyed).await;
}

/// Requests with idempotency keys, that created events, a record of a declared kind, and a note.
async fn keyed(store: &Store, ticket: &RecordKey) {
    let main = SpaceId::main();
    let event =
        |id: &str| NewEvent { event: journal::event(&main, id, "order.paid", 60, b"{}"), plan: Plan::default() };
    let events = vec![event("evt-keyed-1"), event("evt-keyed-2")];
    let appended = store.idempotency.append_keyed(&main, events, &request(0), window()).await.unwrap();
    assert_eq!(appended.map(|appended| appended.len()), Ok(2));
    let (key, effects) = creation(store, &main, "order", json!({"state": "paid", "total": 12.50, "due_at": null}));
    let made = Made::Record { kind: key.kind, id: key.id };
    commit(store, &main, effects, Some(Keyed { request: request(1), made, window: window() })).await;
    note(store, ticket, Some(request(2))).await;
}

/// Values of a plugin: one that never expires, one that expires, and one that was removed.
async fn values(store: &Store) {
    let write = |key: &str, value| KvWrite { key: KvKey { plugin: PLUGIN.to_owned(), key: key.to_owned() }, value };
    let kept = vec![
        write("cursor/a", Some((Bytes::from_static(b"\0\x01\xff"), None))),
        write("cursor/b", Some((Bytes::from_static(b"expires"), Some(at(86_400))))),
        write("removed", Some((Bytes::from_static(b"x"), Some(at(60))))),
    ];
    let main = SpaceId::main();
    commit(store, &main, Effects { kept, ..Effects::default() }, None).await;
    commit(store, &main, Effects { kept: vec![write("removed", None)], ..Effects::default() }, None).await;
    let elsewhere = vec![write("cursor/a", Some((Bytes::from_static(b"other"), None)))];
    commit(store, &other(), Effects { kept: elsewhere, ..Effects::default() }, None).await;
}

/// Mails in every state.
async fn mails(store: &Store) {
    let main = SpaceId::main();
    let mut mails = Vec::new();
    for state in [MailState::Queued, MailState::Sent, MailState::Failed, MailState::Kept] {
        let attachment = MailAttachment {
            name: "order.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            content: "eA==".to_owned(),
        };
        let letter = Letter {
            to: vec!["\"Doe, Ada\" <ada@example.com>".to_owned()],
            subject: "größer".to_owned(),
            text: "text".to_owned(),
            html: Some("<p>text</p>".to_owned()),
            headers: vec![("reply-to".to_owned(), "ops@example.com".to_owned())],
            attachments: vec![attachment],
        };
        mails.push(Mail {
            id: store.next_id(&main, "mail").unwrap(),
            space: main.clone(),
            letter,
            cause: Cause::api(),
            state,
            attempts: 1,
            next_attempt_at: (state == MailState::Queued).then_some(at(120)),
            tried_at: Some(at(60)),
            last_error: (state == MailState::Failed).then(|| "550 no such user".to_owned()),
            created_at: at(30),
            sent_at: (state == MailState::Sent).then_some(at(61)),
        });
    }
    commit(store, &main, Effects { mails, ..Effects::default() }, None).await;
}

async fn recordings(store: &Store, vault: &Vault) {
    let recording = |seconds: i64, text: &str| NewRecording {
        space: SpaceId::main(),
        plugin: PLUGIN.to_owned(),
        at: at(seconds),
        sealed: vault.seal_bytes(text.as_bytes()).unwrap(),
        most: 2,
    };
    // The first is evicted.
    let recordings = vec![recording(1, "first call"), recording(2, "second call"), recording(3, "third call")];
    store.recordings.put_recordings(recordings).await.unwrap();
}

/// Requests at a source's URL and to the API, accepted and refused.
async fn requests(store: &Store) {
    let note = |source: &str, told: Told| {
        let headers = [("user-agent".to_owned(), "shop".to_owned()), ("authorization".to_owned(), "x".to_owned())];
        let from = "192.0.2.1".to_owned();
        let entry = RequestEntry::new(at(3), "POST", "/in/x", "a=1&token=x", &headers, b"{\"n\": 1}", from, &["sig"]);
        (
            SpaceId::main(),
            RequestNote { source: SourceId::from(source), entry: RequestEntry { told, ..entry }, most: 2 },
        )
    };
    let accepted = || Told::taken(202, ["evt-source".to_owned()]);
    let notes = vec![
        note("src_shop", accepted()),
        note("src_shop", accepted()),
        note("src_shop", Told::refused(401, "source.refused", "the signature is wrong")),
        note(API_REQUESTS, accepted()),
    ];
    store.requests.note_requests(notes).await.unwrap();
}
