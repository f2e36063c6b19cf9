//! Plugins are replaced in the middle of 5,000 events at full speed: nothing is lost, nothing fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use hookwright_tests::components::other_version;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

const EVENTS: u64 = 5000;
const SENDERS: usize = 16;
/// What is swapped for a version that calls itself 0.2.0, and after how many accepted events.
const SWAPS: [(&str, u64); 2] = [("match", 1500), ("event-emit", 2500)];
/// So many events are sent only after the last swap, however long it takes.
const HELD_BACK: u64 = 500;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn swapping_a_plugin_during_five_thousand_events_drops_none() {
    let server = Server::start(Options::default());
    let client = server.client();
    scene::automation(
        &client,
        &json!({
            "name": "echo",
            "on": ["swap.in"],
            "when": {"condition": "match", "with": {"path": "event.data.n", "gte": 0}},
            "then": [{"action": "event-emit", "with": {"type": "swap.out", "subject": "{{event.data.n}}"}}],
        }),
    );

    let sent = Sending::default();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| sent.send(&server.client()));
        }
        for (name, after) in SWAPS {
            sent.wait_for(after);
            let answer = client.put(&format!("/v1/plugins/{name}"), &other_version(name, "0.2.0")).expect(200);
            assert_eq!((&answer["version"], &answer["origin"]), (&json!("0.2.0"), &json!("uploaded")));
        }
        sent.let_go();
    });
    assert_eq!(sent.accepted.load(Ordering::SeqCst), EVENTS);

    eventually(|| {
        let backlog = client.get("/healthz").expect(200)["backlog"].clone();
        if backlog == 0 { Ok(()) } else { Err(format!("{backlog} events wait")) }
    });
    every_event_was_handled_once_and_by_both_versions(&client);
}

fn every_event_was_handled_once_and_by_both_versions(client: &Client) {
    let emitted = scene::all(client, "/v1/events?type=swap.out");
    let emitted: Vec<u64> = emitted.iter().map(|event| text(&event["subject"]).parse().unwrap()).collect();
    assert_eq!(emitted.len() as u64, EVENTS, "one event for each");
    assert_eq!(emitted.iter().copied().collect::<BTreeSet<_>>(), (0..EVENTS).collect(), "and each of its own");

    let runs = scene::all(client, "/v1/runs");
    assert_eq!(runs.len() as u64, EVENTS);
    let mut versions: BTreeMap<(&str, String), u64> = BTreeMap::new();
    for run in &runs {
        assert_eq!((&run["state"], &run["tries"]), (&json!("done"), &json!(0)), "{run:#}");
        let (condition, step) = (&run["decision"]["conditions"][0], &run["steps"][0]);
        assert_eq!((&step["outcome"]["kind"], &step["attempts"]), (&json!("done"), &json!(1)), "{run:#}");
        for (name, by) in [("match", condition), ("event-emit", step)] {
            *versions.entry((name, version(by))).or_default() += 1;
        }
    }
    let seen: Vec<(&str, &str)> = versions.keys().map(|(name, version)| (*name, version.as_str())).collect();
    let wanted = [("event-emit", "0.1.0"), ("event-emit", "0.2.0"), ("match", "0.1.0"), ("match", "0.2.0")];
    assert_eq!(seen, wanted, "{versions:?}");
}

fn version(by: &Value) -> String {
    text(&by["version"])
}

/// Threads that send numbered events, and how far they have come.
#[derive(Default)]
struct Sending {
    next: AtomicU64,
    accepted: AtomicU64,
    swapped: Mutex<bool>,
    changed: Condvar,
}

impl Sending {
    fn send(&self, client: &Client) {
        loop {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            if n >= EVENTS {
                return;
            }
            if n >= EVENTS - HELD_BACK {
                let waited =
                    self.changed.wait_timeout_while(self.swapped.lock().unwrap(), PATIENCE, |swapped| !*swapped);
                assert!(*waited.unwrap().0, "the swaps take too long");
            }
            scene::send(client, "swap.in", &json!({"n": n}));
            self.accepted.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn wait_for(&self, count: u64) {
        eventually(|| {
            let accepted = self.accepted.load(Ordering::SeqCst);
            if accepted >= count { Ok(()) } else { Err(format!("{accepted} of {count} events accepted")) }
        });
    }

    fn let_go(&self) {
        *self.swapped.lock().unwrap() = true;
        self.changed.notify_all();
    }
}
