//! Times that a wrong clock set too far ahead are corrected once the clock is right.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::time::Duration;

use hookwright_model::{
    AutomationId, Cause, Delivery, EventDraft, Letter, Mail, MailState, NewDelivery, NewEvent, OpenStep, Plan, Purpose,
    Run, RunId, RunState, SpaceId, StepWait, Timestamp, WebhookId,
};
use hookwright_store::{PulledBack, Store, StoreOptions};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn ahead() -> Timestamp {
    NOW.after(Duration::from_secs(400 * 86_400))
}

fn waiting(until: Timestamp, since: Option<Timestamp>) -> RunState {
    RunState::Waiting { until, since, plugin: None }
}

struct Scene {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreOptions::new(dir.path().join("store.redb"))).unwrap();
        store.ensure_space(&SpaceId::main()).await.unwrap();
        Self { _dir: dir, store }
    }

    /// An event at this time with a run, modified by `change`, and a delivery.
    async fn event(&self, at: Timestamp, change: impl FnOnce(&mut Run)) -> (Run, Delivery) {
        let event = EventDraft::json("a.b", "test", None, &json!({}), None).accept(&SpaceId::main(), at).unwrap();
        let delivery = NewDelivery {
            webhook: WebhookId::from("whk_1"),
            queue: 7,
            message_id: "msg".into(),
            key: None,
            purpose: Purpose::Event,
            wait_ms: 2000,
        };
        let plan = Plan { automations: vec![AutomationId::from("aut_1")], deliveries: vec![delivery], lanes: vec![] };
        let seq = self.store.events.append(vec![NewEvent { event: event.clone(), plan }]).await.unwrap()[0].seq;
        let id = RunId { seq, ordinal: 0 };
        let mut run = Run::undecided_for(&event, id, AutomationId::from("aut_1"), "n".to_owned());
        run.decision.fired = true;
        change(&mut run);
        self.store.runs.decide(&SpaceId::main(), seq, vec![run.into()]).await.unwrap();
        (self.run(id), self.store.deliveries.deliveries_of(&SpaceId::main(), seq).unwrap().remove(0))
    }

    fn run(&self, id: RunId) -> Run {
        self.store.runs.run(&SpaceId::main(), id).unwrap().unwrap()
    }

    fn due(&self, at: Timestamp) -> usize {
        self.store.timetable.due(at, 100).unwrap().len()
    }
}

#[tokio::test]
async fn a_correction_preserves_the_remaining_delay() {
    let scene = Scene::new().await;
    let (waits, delivery) = scene
        .event(ahead(), |run| {
            let until = ahead().after(60 * SECOND);
            run.wait = Some(StepWait { until, since: Some(ahead()) });
            run.state = waiting(until, None);
        })
        .await;
    let (retried, _) = scene
        .event(ahead(), |run| {
            let until = ahead().after(10 * SECOND);
            run.open_steps = vec![OpenStep { step: 0, item: None, tries: 1, retry_at: Some(until), since: ahead() }];
            run.state = waiting(until, None);
        })
        .await;
    let mail = Mail {
        id: 1,
        space: SpaceId::main(),
        letter: Letter::default(),
        cause: Cause::api(),
        state: MailState::Queued,
        attempts: 1,
        next_attempt_at: Some(ahead().after(30 * SECOND)),
        tried_at: Some(ahead()),
        last_error: None,
        created_at: NOW,
        sent_at: None,
    };
    scene.store.mails.record_mail(mail, NOW).await.unwrap();
    assert_eq!(scene.due(NOW.after(86_400 * SECOND)), 0);

    let pulled = scene.store.timetable.pull_back(NOW).await.unwrap();
    assert_eq!(pulled, PulledBack { runs: 2, mails: 1, deliveries: 2 });
    let at = |seconds: u32| NOW.after(seconds * SECOND);
    let after = |seconds: u32| Some(at(seconds));
    let waits = scene.run(waits.id);
    assert_eq!(waits.state, waiting(at(60), None));
    assert_eq!(waits.wait, Some(StepWait { until: at(60), since: Some(NOW) }));
    let retried = scene.run(retried.id);
    assert_eq!((retried.state, retried.open_steps[0].retry_at), (waiting(at(10), None), after(10)));
    let mail = scene.store.mails.mail(&SpaceId::main(), 1).unwrap().unwrap();
    assert_eq!(mail.next_attempt_at, after(30));
    let delivery = scene.store.deliveries.delivery(&SpaceId::main(), delivery.id).unwrap().unwrap();
    assert_eq!(delivery.next_attempt_at, after(2));
    assert_eq!([scene.due(NOW.after(9 * SECOND)), scene.due(NOW.after(61 * SECOND))], [0, 3]);
    assert_eq!(scene.store.timetable.pull_back(NOW).await.unwrap(), PulledBack::default(), "once is enough");
}

#[tokio::test]
async fn times_of_a_correct_clock_and_explicit_times_are_unchanged() {
    let scene = Scene::new().await;
    let late = ahead().after(60 * SECOND);
    let (long, _) = scene.event(NOW, |run| run.state = waiting(late, Some(NOW))).await;
    let named_time = StepWait { until: late, since: None };
    let (named, _) = scene.event(NOW, |run| (run.state, run.wait) = (waiting(late, None), Some(named_time))).await;
    assert_eq!(scene.store.timetable.pull_back(NOW).await.unwrap(), PulledBack::default());
    assert_eq!(scene.run(long.id).state, waiting(late, Some(NOW)));
    assert_eq!(scene.run(named.id).wait, Some(named_time));
}

#[tokio::test]
async fn many_items_are_pulled_back_in_batches() {
    let scene = Scene::new().await;
    for _ in 0..1100 {
        let late = |run: &mut Run| run.state = waiting(ahead().after(SECOND), Some(ahead()));
        scene.event(ahead(), late).await;
    }
    let pulled = scene.store.timetable.pull_back(NOW).await.unwrap();
    assert_eq!((pulled.runs, pulled.deliveries), (1100, 1100));
    assert_eq!(scene.store.timetable.due(NOW.after(SECOND), 2000).unwrap().len(), 1100);
}

#[tokio::test]
async fn the_latest_time_is_persisted() {
    let scene = Scene::new().await;
    assert_eq!(scene.store.timetable.latest_time().unwrap(), None);
    scene.store.timetable.note_time(NOW).await.unwrap();
    assert_eq!(scene.store.timetable.latest_time().unwrap(), Some(NOW));
}
