//! Steps that change the same things at the same time: every change is made, requests leave once, and re-runs are counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually, workspace};
use serde_json::{Value, json};

/// A receiver that takes its time, so that many steps are in flight at once: the first so many are, on any machine,
/// because they are answered together.
fn slow_receiver(together: usize) -> Receiver {
    let (mut requests, open) = (0, Arc::new(AtomicBool::new(false)));
    Receiver::with(move |_| {
        requests += 1;
        if requests == together {
            open.store(true, Ordering::SeqCst);
        }
        Reply::status(200).after(Duration::from_millis(50)).once(&open)
    })
}

/// A receiver that answers once the test says so: until then steps are in the middle of their requests, however slow
/// the machine is.
fn held_receiver() -> (Receiver, Arc<AtomicBool>) {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    (Receiver::with(move |_| Reply::status(200).once(&gate)), open)
}

/// Waits until several steps, and not all, are in the middle of their requests.
#[track_caller]
fn some_have_sent(receiver: &Receiver, of: usize) {
    assert!(receiver.wait_for(8).len() < of, "a plugin has at most 32 calls at a time, and none has ended");
}

/// Sends events from several connections at once; returns their ids.
fn flood(client: &Client, count: u64, data: impl Fn(u64) -> Value + Sync) -> Vec<String> {
    let (data, workers) = (&data, 8);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (0..count).filter(|n| n % workers == worker);
                    mine.map(|n| scene::send(client, "go", &data(n))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// The step of each event's only run, once all of them have ended.
#[track_caller]
fn steps(client: &Client, events: &[String]) -> Vec<Value> {
    let step = |event: &String| {
        let story = scene::story(client, event);
        let step = story["runs"][0]["steps"][0].clone();
        assert_eq!((&step["outcome"]["kind"], &step["attempts"]), (&json!("done"), &json!(1)), "{story:#}");
        step
    };
    events.iter().map(step).collect()
}

/// How often steps re-ran, by their records.
fn reruns(steps: &[Value]) -> u64 {
    steps.iter().map(|step| step["reruns"].as_u64().unwrap_or(0)).sum()
}

/// An automation of the plugin that counts in a value of its own and sends requests.
#[track_caller]
fn counting(client: &Client, receiver: &Receiver, what: &str) {
    put(client, receiver);
    let with = json!({"do": what, "url": receiver.url(), "name": "counter"});
    scene::automation(client, &json!({"name": "a", "on": ["go"], "then": [{"action": "hostile", "with": with}]}));
}

/// Uploads that plugin, and grants it the receiver.
#[track_caller]
fn put(client: &Client, receiver: &Receiver) {
    client.put("/v1/plugins/hostile", &workspace::example("hostile")).expect(200);
    let policy = json!({"grants": {"http": [{"host": "127.0.0.1", "port": receiver.port()}]}});
    client.put_json("/v1/plugins/hostile/policy", &policy).expect(200);
}

/// Waits until nothing is being done for the events, each of which has one run: it has ended, or waits for a plugin.
#[track_caller]
fn at_rest(client: &Client, events: usize) {
    eventually(|| {
        let runs = scene::all(client, "/v1/runs");
        let rests = |run: &Value| ["done", "parked"].map(Value::from).contains(&run["state"]);
        let rest = runs.iter().filter(|run| rests(run)).count();
        if rest == events { Ok(()) } else { Err(format!("{rest} of {} runs are at rest", runs.len())) }
    });
}

/// The counts that the steps came to, in order.
fn counts(steps: &[Value]) -> Vec<u64> {
    let mut counts: Vec<u64> = steps.iter().map(|step| step["outcome"]["result"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    counts
}

#[test]
fn a_request_is_sent_once_however_often_its_step_conflicts() {
    let server = Server::shared();
    let client = server.space("requests-once");
    let receiver = slow_receiver(8);
    counting(&client, &receiver, "send-and-count");
    let events = flood(&client, 100, |n| json!({"n": n}));
    let steps = steps(&client, &events);
    assert_eq!(counts(&steps), (1..=100).collect::<Vec<u64>>(), "each step counted what the others had left");
    let mut expected = events.clone();
    expected.sort_unstable();
    assert_eq!(requested(&receiver), expected, "one request for each event");
    let mut keys: Vec<String> =
        receiver.received().iter().map(|request| request.header("idempotency-key").to_owned()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 100);
    // They were in flight together, so there were conflicts, which the stories and the usage tell.
    let reruns = reruns(&steps);
    assert!(reruns > 0, "{steps:#?}");
    let usage = client.get("/v1/plugins/hostile").expect(200)["usage"].clone();
    assert_eq!((&usage["reruns"], &usage["requests"]), (&json!(reruns), &json!(100)), "{usage:#}");
    assert_eq!(usage["calls"], json!(100 + reruns), "{usage:#}");
}

/// The events of requests, in order.
fn requested(receiver: &Receiver) -> Vec<String> {
    let bodies = receiver.received().into_iter().map(|request| String::from_utf8(request.body).unwrap());
    let mut sent: Vec<String> = bodies.map(|body| body.split(' ').next().unwrap_or_default().to_owned()).collect();
    sent.sort_unstable();
    sent
}

#[test]
fn a_rerun_waits_for_a_busy_plugin_and_resends_nothing() {
    let server = Server::shared();
    let client = server.space("requests-busy");
    let receiver = slow_receiver(4);
    counting(&client, &receiver, "send-and-count");
    let grants = json!({"http": [{"host": "127.0.0.1", "port": receiver.port()}]});
    client.put_json("/v1/plugins/hostile/policy", &json!({"grants": grants, "limits": {"concurrency": 4}})).expect(200);
    let mut events = flood(&client, 60, |n| json!({"n": n}));
    let steps = steps(&client, &events);
    assert!(reruns(&steps) > 0, "{steps:#?}");
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn a_plugin_deleted_during_conflicts_resends_nothing() {
    // What a plugin was granted goes with it.
    let server = Server::start(Options::default().set("HOOKWRIGHT_ALLOW_HOSTS", "127.0.0.1"));
    let client = server.space("requests-deleted");
    let (receiver, open) = held_receiver();
    counting(&client, &receiver, "send-and-count");
    let mut events = flood(&client, 60, |n| json!({"n": n}));
    some_have_sent(&receiver, 60);
    client.delete("/v1/plugins/hostile?force=true").expect(204);
    open.store(true, Ordering::SeqCst);
    // What was in the middle of it ends, what had not begun waits.
    at_rest(&client, 60);
    assert!(receiver.received().len() < 60, "nothing waits for the plugin");
    put(&client, &receiver);
    steps(&client, &events);
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn a_step_that_has_sent_a_request_does_not_reevaluate_its_condition() {
    let server = Server::shared();
    let client = server.space("requests-and-conditions");
    let (receiver, open) = held_receiver();
    put(&client, &receiver);
    client.put("/v1/plugins/own-match", &workspace::plugin("match")).expect(200);
    let condition = json!({"condition": "own-match", "with": {"path": "event.data.n", "gte": 0}});
    let with = json!({"do": "send-and-count", "url": receiver.url(), "name": "counter"});
    let step = json!({"action": "hostile", "with": with, "if": condition});
    scene::automation(&client, &json!({"name": "a", "on": ["go"], "then": [step]}));
    let mut events = flood(&client, 60, |n| json!({"n": n}));
    some_have_sent(&receiver, 60);
    client.delete("/v1/plugins/own-match?force=true").expect(204);
    open.store(true, Ordering::SeqCst);
    at_rest(&client, 60);
    client.put("/v1/plugins/own-match", &workspace::plugin("match")).expect(200);
    steps(&client, &events);
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn the_conflicting_step_is_rerun_even_if_another_is_due() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (receiver, open) = held_receiver();
    put(&client, &receiver);
    // The first request of each run fails.
    let mut seen = HashSet::new();
    let failing = Receiver::with(move |request| {
        let is_new = seen.insert(request.header("idempotency-key").to_owned());
        Reply::status(if is_new { 503 } else { 200 })
    });
    let earlier = json!({"action": "webhook-call", "name": "earlier", "with": {"url": failing.url()},
        "retry": {"delays_seconds": [60], "jitter": 0.0}});
    let with = json!({"do": "send-and-count", "url": receiver.url(), "name": "counter"});
    let later = json!({"action": "hostile", "name": "later", "with": with});
    scene::automation(&client, &json!({"name": "a", "on": ["go"], "then": [earlier, later]}));
    let mut events = flood(&client, 8, |n| json!({"n": n}));
    receiver.wait_for(8);
    // While all of the later steps are in the middle of their requests, the earlier ones become due, before a run that
    // waits since then.
    scene::automation(&client, &json!({"name": "last", "on": ["last"], "then": [{"wait": {"seconds": 60}}]}));
    let last = scene::send(&client, "last", &json!({}));
    let waiting = scene::story_when(&client, &last, |story| story["runs"][0]["wait_until"].is_string());
    server.advance_to(&waiting["runs"][0]["wait_until"]);
    scene::story(&client, &last);
    open.store(true, Ordering::SeqCst);
    let mut reruns = 0;
    for event in &events {
        let story = scene::story(&client, event);
        let (earlier, later) = (&story["runs"][0]["steps"][0], &story["runs"][0]["steps"][1]);
        assert_eq!((&earlier["plugin"], &earlier["attempts"]), (&json!("webhook-call"), &json!(2)), "{story:#}");
        assert_eq!((&later["plugin"], &later["attempts"]), (&json!("hostile"), &json!(1)), "{story:#}");
        assert_eq!((&earlier["outcome"]["kind"], &later["outcome"]["kind"]), (&json!("done"), &json!("done")));
        reruns += later["reruns"].as_u64().unwrap_or(0);
    }
    assert!(reruns > 0, "nothing conflicted");
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn a_rerun_has_the_time_of_the_first_run() {
    let server = Server::shared();
    let client = server.space("requests-and-now");
    let (receiver, open) = held_receiver();
    put(&client, &receiver);
    let url = format!("{}?at={{{{now}}}}", receiver.url());
    let with = json!({"do": "send-and-count", "url": url, "name": "counter"});
    scene::automation(&client, &json!({"name": "a", "on": ["go"], "then": [{"action": "hostile", "with": with}]}));
    let mut events = flood(&client, 8, |n| json!({"n": n}));
    receiver.wait_for(8);
    open.store(true, Ordering::SeqCst);
    assert!(reruns(&steps(&client, &events)) > 0, "nothing conflicted");
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn a_graceful_shutdown_during_conflicts_resends_nothing() {
    let mut server = Server::start(Options::default());
    let (receiver, open) = held_receiver();
    let client = server.client();
    counting(&client, &receiver, "send-and-count");
    let mut events = flood(&client, 60, |n| json!({"n": n}));
    some_have_sent(&receiver, 60);
    server.ask_to_stop();
    eventually(|| if server.log().contains("shutting down:") { Ok(()) } else { Err("not yet".to_owned()) });
    open.store(true, Ordering::SeqCst);
    assert!(server.wait().success(), "{}", server.log());
    server.restart();
    let client = server.client();
    steps(&client, &events);
    events.sort_unstable();
    assert_eq!(requested(&receiver), events, "one request for each event");
}

#[test]
fn a_rerun_that_makes_another_request_sends_it_and_then_runs_first() {
    let server = Server::shared();
    let client = server.space("requests-changed");
    let receiver = slow_receiver(8);
    counting(&client, &receiver, "send-the-count");
    let mut events = flood(&client, 40, |n| json!({"n": n}));
    steps(&client, &events);
    let first = receiver.received().len();
    assert!(first <= 120, "{first} requests for 40 events");
    // From now on it waits for its turn before it reads: what is sent is what is kept.
    let later = flood(&client, 20, |n| json!({"n": n}));
    let later_steps = steps(&client, &later);
    let mut sent: HashMap<String, Vec<String>> = HashMap::new();
    for request in receiver.received() {
        let body = String::from_utf8(request.body).unwrap();
        let (event, count) = body.split_once(' ').unwrap();
        sent.entry(event.to_owned()).or_default().push(count.to_owned());
    }
    for (event, step) in later.iter().zip(&later_steps) {
        let before = step["outcome"]["result"].as_u64().unwrap() - 1;
        assert_eq!(sent[event], [before.to_string()], "{step:#}");
    }
    events.extend(later);
    assert_eq!(counts(&steps(&client, &events)), (1..=60).collect::<Vec<u64>>());
}

#[test]
fn notes_of_many_steps_on_one_ticket_do_not_conflict() {
    let server = Server::shared();
    let client = server.space("notes-of-many");
    let ticket = scene::ticket(&client, "hot");
    let with = json!({"id": ticket, "text": "{{event.data.n}}"});
    scene::automation(&client, &json!({"name": "a", "on": ["go"], "then": [{"action": "note-add", "with": with}]}));
    let events = flood(&client, 200, |n| json!({"n": n.to_string()}));
    let steps = steps(&client, &events);
    assert_eq!(reruns(&steps), 0);
    let mut notes: Vec<u64> = scene::notes(&client, ticket).iter().map(|note| note.parse().unwrap()).collect();
    notes.sort_unstable();
    assert_eq!(notes, (0..200).collect::<Vec<u64>>());
    // Each is a version of the ticket, in its history, and an event.
    let record = client.get(&format!("/v1/records/ticket/{ticket}"));
    assert_eq!(record.header("etag"), Some("\"201\""));
    let history = scene::all(&client, &format!("/v1/records/ticket/{ticket}/history"));
    let versions: Vec<u64> = history.iter().map(|entry| entry["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, (102..=201).rev().collect::<Vec<u64>>(), "the last hundred");
    assert!(
        history.iter().all(|entry| entry["change"] == "note-added" && entry["notes"].as_array().unwrap().len() == 1)
    );
    let told = scene::all(&client, "/v1/events?type=ticket.note-added");
    assert_eq!(told.len(), 200);
}

#[test]
fn steps_that_change_one_ticket_queue_instead_of_racing() {
    let server = Server::shared();
    let client = server.space("one-ticket");
    let ticket = scene::ticket(&client, "0");
    // What it writes depends on what it reads.
    let with = json!({"id": ticket, "subject": "{{ticket.subject}}+"});
    let event = json!({"subject": format!("ticket/{ticket}"), "type": "go", "data": {}});
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [{"action": "ticket-update", "with": with}]}),
    );
    let events: Vec<String> = std::thread::scope(|scope| {
        let send = || (0..25).map(|_| text(&client.post("/v1/events", &event).expect(202)["id"])).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let steps = steps(&client, &events);
    let subject = text(&client.get(&format!("/v1/tickets/{ticket}")).expect(200)["subject"]);
    assert_eq!(subject, format!("0{}", "+".repeat(100)), "no change is lost");
    let reruns = reruns(&steps);
    assert!(reruns <= 300, "{reruns} re-runs of 100 steps");
}
