//! Events of a golden store, the runs of automations for them, and the deliveries to webhooks.

use bytes::Bytes;
use hookwright_model::{
    Attempt, AttemptOutcome, Author, AutomationId, Cause, Change, ConditionRecord, Data, Decision, Delivery,
    DeliveryState, Effects, EmittedEvent, Event, EventDraft, Found, Ingress, ItemRecord, Lane, Letter, NewDelivery,
    NewEvent, NewLane, OpenStep, Plan, Progress, Purpose, Run, RunId, RunState, SourceId, SpaceId, StepKind,
    StepOutcome, StepRecord, StepWait, Timing, WebhookId, Workflow, WorkflowStart,
};
use hookwright_store::{AttemptCommit, StepCommit, StepCommitted, Store, Tried, WebhookChange};
use serde_json::json;

use crate::configuration::PLUGIN;
use crate::{at, configuration, other};

/// The plugin that parked runs wait for.
pub(crate) const AWAITED: &str = "gone";
const AUTOMATION: &str = "aut_escalate";

/// Fills the journal, and returns the position of an event in progress.
pub(crate) async fn fill(store: &Store) -> u64 {
    events(store).await;
    let in_progress = runs(store).await;
    deliveries(store).await;
    in_progress
}

/// An event of the source `shop`, accepted this number of seconds after the golden store's time.
pub(crate) fn event(space: &SpaceId, id: &str, event_type: &str, seconds: i64, payload: &[u8]) -> Event {
    let draft = EventDraft {
        id: Some(id.to_owned()),
        event_type: event_type.to_owned(),
        source: "shop".to_owned(),
        subject: Some("order/1".to_owned()),
        time: Some("2026-01-31T13:00:00.123456+02:00".to_owned()),
        content_type: Some("application/json".to_owned()),
        attributes: vec![("region".to_owned(), "eu".to_owned())],
        payload: Bytes::copy_from_slice(payload),
        ..EventDraft::default()
    };
    draft.accept(space, at(seconds)).unwrap()
}

async fn append(store: &Store, event: Event, plan: Plan) -> u64 {
    let appended = store.events.append(vec![NewEvent { event, plan }]).await.unwrap();
    assert!(!appended[0].repeat, "{appended:?}");
    appended[0].seq
}

/// A plan with this automation.
fn considered(automation: AutomationId) -> Plan {
    Plan { automations: vec![automation], ..Plan::default() }
}

/// Events with every form of data, ingress and cause; two of them wait to be processed.
async fn events(store: &Store) {
    let main = SpaceId::main();
    let paid = br#"{"total": 12.50, "big": 12345678901234567890123, "items": ["a", "b"], "name": "gr\u00f6\u00dfer"}"#;
    let first = event(&main, "evt-plain", "order.paid", 1, paid);
    append(store, first.clone(), Plan::default()).await;
    let bytes: Vec<u8> = (0..=255).collect();
    let binary = Event {
        content_type: Some("application/octet-stream".to_owned()),
        payload: Bytes::from(bytes),
        data: Data::Binary,
        ..event(&main, "evt-binary", "file.received", 2, b"{}")
    };
    append(store, binary, Plan::default()).await;
    let text = Event {
        content_type: None,
        subject: None,
        attributes: vec![],
        data: Data::Text,
        payload: Bytes::from_static("größer".as_bytes()),
        ingress: Some(Ingress::Source(SourceId::from("src_shop"))),
        cause: Some(Cause::source("src_shop").after_hops(2)),
        ..event(&main, "evt-source", "text.received", 3, b"{}")
    };
    append(store, text, Plan::default()).await;
    let replay = json!({"event": "evt-plain", "seq": 1, "revision": 1, "plugins": {PLUGIN: "digest"}});
    let author = Author { key: Some("key_admin".to_owned()), ..Author::default() };
    let mut cause = Cause::of(&first, RunId { seq: 1, ordinal: 0 }).by(&author);
    cause.replays = Some(crate::typed(&replay));
    let caused = Event {
        ingress: Some(Ingress::Internal),
        cause: Some(cause),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        payload: Bytes::from_static(b"derived=true"),
        data: Data::Json("{\"derived\": true}".to_owned()),
        ..event(&main, "evt-caused", "order.replayed", 4, b"{}")
    };
    append(store, caused, considered(AutomationId::from(AUTOMATION))).await;
    let elsewhere = event(&other(), "evt-plain", "order.paid", 5, b"[1, 2]");
    append(store, elsewhere, considered(AutomationId::from(AUTOMATION))).await;
}

fn decision(fired: bool) -> Decision {
    let condition = |path: &str, holds, found| ConditionRecord {
        path: path.to_owned(),
        condition: "match".to_owned(),
        version: Some("1.0.0".to_owned()),
        holds,
        reason: "12.5 was compared with 100".to_owned(),
        found,
        duration_us: 42,
    };
    let conditions = vec![
        condition("when.all[0]", Some(fired), Some(Found::Value(json!({"total": 12.5})))),
        condition("when.all[1].not", None, Some(Found::Missing("it has `total`".to_owned()))),
        condition("when.all[2]", Some(false), Some(Found::NoRecord("the event is about no record".to_owned()))),
    ];
    Decision { fired, reason: "all conditions hold".to_owned(), conditions }
}

fn record(name: &str, kind: StepKind, outcome: StepOutcome) -> StepRecord {
    StepRecord {
        name: name.to_owned(),
        plugin: PLUGIN.to_owned(),
        kind,
        version: Some("1.0.0".to_owned()),
        outcome,
        effects: vec![Change {
            kind: "record".to_owned(),
            subject: "order/1".to_owned(),
            detail: json!({"tag": "vip"}),
        }],
        events: vec![EmittedEvent {
            id: "evt-emitted".to_owned(),
            event_type: "order.updated".to_owned(),
            source: "hookwright".to_owned(),
        }],
        log: vec!["info: tagged".to_owned()],
        items: vec![],
        attempts: 2,
        reruns: 1,
        started_at: at(10),
        duration_us: 1234,
    }
}

fn done(name: &str) -> StepRecord {
    record(name, StepKind::Action, StepOutcome::Done { result: json!({"tagged": 1}) })
}

/// Accepts an event and decides its run, which fires; a key names the run's concurrency group.
async fn decide(store: &Store, id: &str, key: Option<&str>) -> Run {
    decide_as(store, id, key, |run| run).await
}

async fn decide_as(store: &Store, id: &str, key: Option<&str>, change: impl FnOnce(Run) -> Run) -> Run {
    let main = SpaceId::main();
    let event = event(&main, id, "order.paid", 10, b"{\"total\": 12.5}");
    let lanes = key.map(|key| NewLane { ordinal: 0, key: key.to_owned() }).into_iter().collect();
    let plan = Plan { lanes, ..considered(AutomationId::from(AUTOMATION)) };
    let seq = append(store, event.clone(), plan).await;
    let automation = AutomationId::from(AUTOMATION);
    let mut run = Run::undecided_for(&event, RunId { seq, ordinal: 0 }, automation, "Escalate".to_owned());
    run.revision = 2;
    run.decision = decision(true);
    run.lane = key.map(|key| Lane { key: key.to_owned(), most: 1 });
    store.runs.decide(&main, seq, vec![change(run).into()]).await.unwrap().remove(0).run
}

async fn step(store: &Store, run: Run, item: Option<ItemRecord>) -> Run {
    let item = item.map(|item| (0, item));
    match store.runs.complete_step(StepCommit { run, item, effects: Effects::default() }).await.unwrap() {
        StepCommitted::Done(run) => *run,
        other => panic!("{other:?}"),
    }
}

/// Runs in every state. Returns the position of the event of one that is in progress.
async fn runs(store: &Store) -> u64 {
    let running = decide(store, "evt-running", None).await;
    let in_progress = running.id.seq;
    step(store, Run { steps: vec![done("tag")], next_step: 1, tries: 1, ..running }, None).await;

    let skipped =
        |run: Run| Run { decision: decision(false), state: RunState::Skipped { at: at(10) }, revision: 1, ..run };
    decide_as(store, "evt-skipped", None, skipped).await;
    waiting(store).await;
    parked(store).await;
    // The second waits for the first, which is in progress.
    decide(store, "evt-first-of-lane", Some("order/9")).await;
    let queued = decide(store, "evt-queued", Some("order/9")).await;
    assert_eq!(queued.state, RunState::Queued);
    ended(store).await;
    started(store).await;
    in_progress
}

async fn waiting(store: &Store) {
    let run = decide(store, "evt-waiting-capacity", None).await;
    let state = RunState::Waiting { until: at(20), since: Some(at(15)), plugin: Some(PLUGIN.to_owned()) };
    step(store, Run { state, ..run }, None).await;

    let run = decide(store, "evt-waiting-step", None).await;
    let wait = Some(StepWait { until: at(3600), since: Some(at(11)) });
    let state = RunState::Waiting { until: at(3600), since: None, plugin: None };
    step(store, Run { state, wait, steps: vec![done("tag")], next_step: 1, ..run }, None).await;

    let run = decide(store, "evt-resumed", None).await;
    let state = RunState::Waiting { until: at(12), since: Some(at(11)), plugin: None };
    let run = step(store, Run { state, ..run }, None).await;
    let run = step(store, Run { state: RunState::Running, ..run }, None).await;
    assert!(run.resumed && !run.in_work());

    let run = decide(store, "evt-waiting-retry", None).await;
    let open_steps = vec![
        OpenStep { step: 0, item: Some(1), tries: 2, retry_at: Some(at(70)), since: at(10) },
        OpenStep { step: 2, item: None, tries: 0, retry_at: None, since: at(11) },
    ];
    let retrying =
        StepOutcome::Failed { code: "http.timeout".to_owned(), message: "no response".to_owned(), retrying: true };
    let steps = vec![
        record("tag", StepKind::Action, retrying),
        record("wait", StepKind::Wait, StepOutcome::Skipped { reason: "nothing to wait for".to_owned() }),
        record("to-text", StepKind::Transform, StepOutcome::Waiting { steps: vec!["tag".to_owned()] }),
    ];
    let state = RunState::Waiting { until: at(70), since: None, plugin: None };
    step(store, Run { state, open_steps, steps, next_step: 3, ..run }, None).await;
}

async fn parked(store: &Store) {
    let state = RunState::Parked { plugin: AWAITED.to_owned() };
    let run = decide(store, "evt-parked", None).await;
    step(store, Run { state: state.clone(), ..run }, None).await;

    let run = decide(store, "evt-parked-retry", None).await;
    let open_steps = vec![OpenStep { step: 0, item: None, tries: 1, retry_at: Some(at(90)), since: at(10) }];
    step(store, Run { state, open_steps, next_step: 1, ..run }, None).await;
}

async fn ended(store: &Store) {
    let mut run = decide(store, "evt-done", None).await;
    for index in 0..2 {
        let outcome = match index {
            0 => StepOutcome::Done { result: json!({"tagged": "a"}) },
            _ => StepOutcome::Skipped { reason: "it has the tag".to_owned() },
        };
        let StepRecord { effects, events, log, attempts, reruns, started_at, duration_us, .. } = done("tag");
        let item = ItemRecord { index, outcome, effects, events, log, attempts, reruns, started_at, duration_us };
        run.progress = Progress { item: index + 1, items: 2, bytes: 14 };
        run = step(store, run, Some(item)).await;
    }
    let state = RunState::Done { at: at(12) };
    step(store, Run { state, steps: vec![done("tag")], next_step: 1, ..run }, None).await;

    let run = decide(store, "evt-failed", None).await;
    let failed =
        StepOutcome::Failed { code: "plugin.trap".to_owned(), message: "it trapped".to_owned(), retrying: false };
    let steps = vec![record("tag", StepKind::Action, failed)];
    step(store, Run { steps, next_step: 1, ..run }.failed(at(13)), None).await;

    let run = decide(store, "evt-cancelled", None).await;
    step(store, run.cancelled(at(14)), None).await;
}

/// The run of a workflow.
async fn started(store: &Store) {
    let main = SpaceId::main();
    let start = WorkflowStart { name: "onboard".to_owned(), version: 2, concurrency: None };
    let draft = EventDraft {
        id: Some("evt-workflow".to_owned()),
        ..EventDraft::start(start.clone(), "api", &json!({"customer": "ACME"}), Some(Cause::api()))
    };
    let event = draft.accept(&main, at(16)).unwrap();
    let plan = Plan::default().starting(Some(&start), &event);
    let seq = append(store, event.clone(), plan).await;
    let mut run = Run::undecided_for(&event, RunId { seq, ordinal: 0 }, Workflow::id("onboard"), "onboard".to_owned());
    run.decision = decision(true);
    store.runs.decide(&main, seq, vec![run.into()]).await.unwrap();
}

fn to(webhook: &str, queue: u64, key: Option<&str>, message: &str) -> NewDelivery {
    NewDelivery {
        webhook: WebhookId::from(webhook),
        queue,
        message_id: message.to_owned(),
        key: key.map(str::to_owned),
        purpose: Purpose::Event,
        wait_ms: 0,
    }
}

/// One more attempt of a delivery: its outcome, and when the next is due if it stays pending.
pub(crate) fn tried(
    delivery: &Delivery,
    seconds: i64,
    outcome: AttemptOutcome,
    state: DeliveryState,
    next: Option<i64>,
) -> Tried {
    let mut after = delivery.clone();
    after.attempts += 1;
    after.state = state;
    after.last_error = outcome.error();
    after.next_attempt_at = next.map(at);
    after.finished_at = (state != DeliveryState::Pending).then_some(at(seconds));
    let attempt = Attempt {
        number: after.attempts,
        started_at: at(seconds),
        duration_ms: 120,
        timing: Timing {
            dns_us: Some(10),
            connect_us: Some(20),
            tls_us: Some(30),
            first_byte_us: Some(40),
            reused: false,
        },
        url: "https://whk.example/hook".to_owned(),
        request_headers: vec![("webhook-id".to_owned(), delivery.message_id.clone())],
        request_body: "{\"total\": 12.5}".to_owned(),
        batch: Some(2),
        batch_first: None,
        outcome,
    };
    let (expected_attempts, due_was) = (delivery.attempts, delivery.next_attempt_at);
    Tried { delivery: after, expected_attempts, attempt: Some(attempt), due_was, release_key: false }
}

fn answered(status: u16) -> AttemptOutcome {
    let headers = vec![("retry-after".to_owned(), "5".to_owned())];
    AttemptOutcome::Answered { status, headers, body: "größer".to_owned() }
}

/// Accepts an event with these deliveries; returns them as they are stored.
async fn queue(store: &Store, space: &SpaceId, id: &str, deliveries: Vec<NewDelivery>) -> Vec<Delivery> {
    let event = event(space, id, "order.paid", 30, b"{\"total\": 12.5}");
    let seq = append(store, event, Plan { deliveries, ..Plan::default() }).await;
    store.deliveries.deliveries_of(space, seq).unwrap()
}

/// Deliveries in every state: waiting, behind others of their key, finished, repeated, and for a deleted webhook.
async fn deliveries(store: &Store) {
    let main = SpaceId::main();
    let ordered = |key: &str, message: &str| to("whk_orders", 1, Some(key), message);
    let head = queue(store, &main, "evt-head", vec![ordered("customer/7", "msg-head")]).await.remove(0);
    queue(store, &main, "evt-behind", vec![ordered("customer/7", "msg-behind")]).await;
    let passed = queue(store, &main, "evt-passed", vec![ordered("customer/8", "msg-passed")]).await.remove(0);

    let plain = |message: &str| to("whk_plain", 2, None, message);
    let later = NewDelivery { wait_ms: 500, ..plain("msg-later") };
    let confirmation = NewDelivery { purpose: Purpose::Confirmation, ..plain("msg-confirmation") };
    let test = NewDelivery { purpose: Purpose::Test, ..plain("msg-test") };
    let several = vec![plain("msg-dead"), plain("msg-parked"), plain("msg-dropped"), later, confirmation, test];
    let several = queue(store, &main, "evt-several", several).await;
    queue(store, &main, "evt-orphan", vec![to("whk_gone", 3, None, "msg-orphan")]).await;
    configuration::remove_webhook(store).await;
    queue(store, &other(), "evt-tenant", vec![to("whk_tenant", 1, None, "msg-tenant")]).await;

    let unreachable = || AttemptOutcome::Failed { code: "connect".to_owned(), message: "refused".to_owned() };
    let first = vec![
        tried(&head, 31, answered(503), DeliveryState::Pending, Some(100)),
        tried(&passed, 32, answered(204), DeliveryState::Delivered, None),
        tried(&several[0], 33, answered(500), DeliveryState::Pending, Some(40)),
        tried(&several[1], 34, answered(429), DeliveryState::Parked, None),
        Tried { attempt: None, ..tried(&several[2], 35, unreachable(), DeliveryState::Dropped, None) },
    ];
    commit(store, 36, first, None, None).await;
    let dead = store.deliveries.delivery(&main, several[0].id).unwrap().unwrap();
    let second = vec![tried(&dead, 40, unreachable(), DeliveryState::Dead, None)];
    let mut webhook = store.webhooks.webhooks(&main).unwrap().remove(0);
    webhook.last_error = Some("connect: refused".to_owned());
    let exception = event(&main, "evt-exhausted", "webhook.exhausted", 40, b"{}");
    let exception = NewEvent { event: exception, plan: Plan::default() };
    commit(store, 41, second, Some(WebhookChange::Put(Box::new(webhook))), Some(exception)).await;
    let again = store.deliveries.redeliver(&main, dead.id, at(50), Purpose::Redelivery).await.unwrap().unwrap();
    assert_eq!(again.redelivery_of, Some(dead.id));
}

async fn commit(
    store: &Store,
    seconds: i64,
    tries: Vec<Tried>,
    webhook: Option<WebhookChange>,
    exception: Option<NewEvent>,
) {
    let letter = Letter {
        to: vec!["ops@example.com".to_owned()],
        subject: "A delivery failed".to_owned(),
        text: "It is not attempted again.".to_owned(),
        ..Letter::default()
    };
    let mails = exception.iter().map(|new| (letter.clone(), Cause::after(&new.event))).collect();
    let (events, count) = (exception.into_iter().collect(), tries.len());
    let commit = AttemptCommit { space: SpaceId::main(), now: at(seconds), tries, webhook, events, mails };
    assert_eq!(store.attempts.record_attempts(commit).await, Ok(count));
}
