//! A clock that was wrong for a while: what it had put far ahead comes in time once it is right.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright_model::{DeliveryState, Run, RunState, ScheduleInput, Timestamp, parse_json};
use hookwright_store::Page;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::stage::{Stage, seconds};

const DAYS: Duration = Duration::from_secs(86_400);

async fn schedule(stage: &Stage, input: Value) -> String {
    let input: ScheduleInput = parse_json(input.to_string().as_bytes()).unwrap();
    stage.pipeline.resources.schedules.create_schedule(&stage.space, input).await.unwrap().id.to_string()
}

async fn waiting(stage: &Stage, wait: Value) {
    let input = json!({"name": wait.to_string(), "on": ["go.wait"], "then": [{"wait": wait}]});
    let input = parse_json(input.to_string().as_bytes()).unwrap();
    stage.pipeline.resources.automations.create_automation(&stage.space, input, "a test").await.unwrap();
}

/// When each run goes on.
fn retries(stage: &Stage) -> Vec<Option<Timestamp>> {
    let page = Page { before: None, limit: 10 };
    let waits = |run: &Run| matches!(run.state, RunState::Waiting { .. });
    let runs = stage.store.runs.runs(&stage.space, page, &waits).unwrap().items;
    let mut times: Vec<Option<Timestamp>> = runs.iter().map(Run::due_at).collect();
    times.sort();
    times
}

/// The time that was saved last.
fn saved(stage: &Stage) -> Option<Timestamp> {
    stage.store.timetable.latest_time().unwrap()
}

/// What is logged on this thread, which is all that a test's runtime has.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Logs to it until the guard is dropped.
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(lines))
    }

    /// The lines with this part, in order.
    fn lines(&self, part: &str) -> Vec<String> {
        let bytes = self.0.lock().unwrap();
        let lines = std::str::from_utf8(&bytes).unwrap().lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parts of the lines that warn about the clock.
const PUT_BACK: &str = "the clock shows an earlier time than before";
const PULLED_BACK: &str = "pulled back to the time that the clock shows now";

#[tokio::test]
async fn setting_the_clock_back_is_logged_once_with_both_times_and_the_corrections() {
    let (log, _logging) = Log::start();
    let stage = Stage::open().await;
    let right = stage.pipeline.now();
    let ahead = right.after(400 * DAYS);
    stage.clock.set(ahead);
    stage.pipeline.clock_moved();
    schedule(&stage, json!({"name": "hourly", "every_seconds": 3600, "type": "go.tick"})).await;
    waiting(&stage, json!({"seconds": 60})).await;
    stage.send("go.wait", None, &json!({})).await;
    stage.until("the run waits", || retries(&stage).len() == 1).await;
    assert!(log.lines("the clock").is_empty(), "nobody can tell yet that it is wrong: {:#?}", log.lines(""));

    let now = right.after(seconds(5));
    stage.clock.set(now);
    stage.pipeline.clock_moved();
    stage.until("it is reported", || !log.lines(PULLED_BACK).is_empty()).await;
    // A minute later the time is saved once more, by who compares it.
    stage.advance(seconds(60));
    stage.until("it is compared again", || saved(&stage) == Some(now.after(seconds(60)))).await;
    assert_eq!((log.lines(PULLED_BACK).len(), log.lines(PUT_BACK).len()), (1, 1), "it is reported once");
    let (put_back, pulled_back) = (log.lines(PUT_BACK).remove(0), log.lines(PULLED_BACK).remove(0));
    let behind = 400 * 86_400 - 5;
    for part in [" WARN ", &format!("now={now}"), &format!("latest={ahead}"), &format!("behind_seconds={behind}")] {
        assert!(put_back.contains(part), "{part}: {put_back}");
    }
    for part in [" WARN ", "runs=1 ", "mails=0 ", "deliveries=0 ", "schedules=1 ", "polls=0"] {
        assert!(pulled_back.contains(part), "{part}: {pulled_back}");
    }
}

#[tokio::test]
async fn times_set_by_a_clock_that_was_ahead_are_corrected_when_it_is_set_back() {
    let stage = Stage::open().await;
    let right = stage.pipeline.now();
    let ahead = right.after(400 * DAYS);
    stage.clock.set(ahead);
    stage.pipeline.clock_moved();

    let hourly = schedule(&stage, json!({"name": "hourly", "every_seconds": 3600, "type": "go.tick"})).await;
    let daily = schedule(&stage, json!({"name": "daily", "cron": "0 3 * * *", "type": "go.tick"})).await;
    let named = ahead.after(DAYS);
    waiting(&stage, json!({"seconds": 60})).await;
    waiting(&stage, json!({"until": named.to_string()})).await;
    // Nobody listens there, so the first attempt fails and the second is 10 s later.
    stage.hook("http://127.0.0.1:9/", json!({})).await;
    stage.send("go.wait", None, &json!({})).await;
    stage.until("the runs wait", || retries(&stage).len() == 2).await;
    let due = |stage: &Stage| stage.deliveries()[0].next_attempt_at;
    stage.until("the first attempt failed", || due(&stage) == Some(ahead.after(seconds(10)))).await;

    let now = right.after(seconds(5));
    stage.clock.set(now);
    stage.pipeline.clock_moved();
    // Ten seconds after the end of the attempt, which took real time: the clock of the test stood still meanwhile.
    let in_time = |at: Timestamp| at > now && at <= now.after(seconds(10));
    stage.until("the delivery is pulled back", || due(&stage).is_some_and(in_time)).await;
    let next = |id: &str| stage.pipeline.resources.schedules.schedule(&stage.space, id).unwrap().status.next_at;
    stage.until("the hourly schedule is pulled back", || next(&hourly) == Some(now.after(seconds(3600)))).await;
    stage.until("the daily one is", || next(&daily) == Timestamp::parse("2026-01-01T03:00:00Z")).await;
    let expected = [Some(now.after(seconds(60))), Some(named)];
    stage.until("the wait is, and a time that was named stays", || retries(&stage) == expected).await;

    stage.advance(seconds(61));
    stage.until("the wait is over", || retries(&stage) == [Some(named)]).await;
    stage.until("the delivery was attempted again", || stage.attempts(&stage.deliveries()[0]).len() == 2).await;
    stage.advance(seconds(3600));
    stage.until("the hourly schedule fires", || stage.events().contains(&"go.tick".to_owned())).await;
    assert_eq!(stage.count(DeliveryState::Delivered), 0);
}

#[tokio::test]
async fn a_clock_that_advances_changes_no_due_times() {
    let (log, _logging) = Log::start();
    let stage = Stage::open().await;
    let daily = schedule(&stage, json!({"name": "daily", "cron": "0 3 * * *", "type": "go.tick"})).await;
    waiting(&stage, json!({"seconds": 3600})).await;
    stage.send("go.wait", None, &json!({})).await;
    stage.until("the run waits", || retries(&stage).len() == 1).await;
    let (before, at) =
        (stage.pipeline.resources.schedules.schedule(&stage.space, &daily).unwrap().status.next_at, retries(&stage));
    for _ in 0..3 {
        stage.clock.advance(seconds(600));
        // A correction of a few seconds is nothing to speak of.
        let corrected = Timestamp::from_millis(stage.pipeline.now().millis() - 2000);
        stage.clock.set(corrected);
        stage.pipeline.clock_moved();
        stage.until("the time is compared, and saved", || saved(&stage) == Some(corrected)).await;
        assert_eq!(retries(&stage), at, "nothing is pulled back");
    }
    assert_eq!(stage.pipeline.resources.schedules.schedule(&stage.space, &daily).unwrap().status.next_at, before);
    assert!(log.lines("the clock").is_empty(), "{:#?}", log.lines(""));
}
