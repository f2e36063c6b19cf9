//! Times that a wrong clock set too far ahead are corrected once the clock is right.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use std::time::Duration;

use hookwright_model::{
    AutomationId, Cause, Delivery, EventDraft, Letter, Mail, MailState, NewDelivery, NewEvent, OpenStep, Plan, Purpose,
    Run, RunId, RunState, SpaceId, Timestamp, WebhookId,
};
use hookwright_store::{PulledBack, Store, StoreOptions};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn ahead() -> Timestamp {
    NOW.after(Duration::from_secs(400 * 86_400))
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
        run.state = RunState::Waiting;
        change(&mut run);
        self.store.runs.decide(&SpaceId::main(), seq, vec![run]).await.unwrap();
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
            (run.retry_at, run.wait_until) = (Some(ahead().after(60 * SECOND)), Some(ahead().after(60 * SECOND)));
            run.waiting_since = Some(ahead());
        })
        .await;
    let (retried, _) = scene
        .event(ahead(), |run| {
            let retry_at = Some(ahead().after(10 * SECOND));
            run.open_steps = vec![OpenStep { step: 0, item: None, tries: 1, retry_at, since: ahead() }];
            run.retry_at = retry_at;
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
    let after = |seconds: u32| Some(NOW.after(seconds * SECOND));
    let waits = scene.run(waits.id);
    assert_eq!((waits.retry_at, waits.wait_until, waits.waiting_since), (after(60), after(60), Some(NOW)));
    let retried = scene.run(retried.id);
    assert_eq!((retried.retry_at, retried.open_steps[0].retry_at), (after(10), after(10)));
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
    let late = Some(ahead().after(60 * SECOND));
    let (long, _) = scene.event(NOW, |run| (run.retry_at, run.waiting_since) = (late, Some(NOW))).await;
    let (named, _) = scene.event(NOW, |run| (run.retry_at, run.wait_until) = (late, late)).await;
    assert_eq!(scene.store.timetable.pull_back(NOW).await.unwrap(), PulledBack::default());
    assert_eq!((scene.run(long.id).retry_at, scene.run(named.id).wait_until), (late, late));
}

#[tokio::test]
async fn many_items_are_pulled_back_in_batches() {
    let scene = Scene::new().await;
    for _ in 0..1100 {
        let late = |run: &mut Run| (run.retry_at, run.waiting_since) = (Some(ahead().after(SECOND)), Some(ahead()));
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
