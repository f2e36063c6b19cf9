//! Sources that ask a REST service for news: only what is new, with a cursor, over failures and restarts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hookwright_tests::clock::between;
use hookwright_tests::due;
use hookwright_tests::receiver::Received;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// A service with items that are counted from 1, in pages of two, which can be told to be out of order.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    items: u64,
    broken: bool,
}

impl Service {
    fn listen(&self) -> Receiver {
        let service = self.clone();
        Receiver::with(move |request| service.answer(request))
    }

    fn put(&self, items: u64) {
        self.0.lock().unwrap().items = items;
    }

    fn break_down(&self, broken: bool) {
        self.0.lock().unwrap().broken = broken;
    }

    fn answer(&self, request: &Received) -> Reply {
        let shelf = self.0.lock().unwrap();
        if shelf.broken {
            return Reply::status(503).body("out of order");
        }
        let number = |name: &str| {
            let query = request.path.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map_or(0, |value| value.parse::<u64>().unwrap())
        };
        let (since, page) = (number("since"), number("page"));
        let first = since + page * 2;
        let items: Vec<Value> = (first + 1..=shelf.items.min(first + 2))
            .map(|id| json!({"id": id, "price": id * 100, "at": format!("2026-11-21T10:00:{:02}Z", id % 60)}))
            .collect();
        let more = first + 2 < shelf.items;
        let next = if more { json!(format!("/hook?since={since}&page={}", page + 1)) } else { json!(null) };
        Reply::status(200)
            .header("content-type", "application/json")
            .body(json!({"data": {"items": items}, "next": next}).to_string())
    }
}

fn parameters(receiver: &Receiver) -> Value {
    json!({
        "url": receiver.url(), "items": "data.items", "next": {"path": "next"},
        "cursor": {"greatest": "id", "query": "since", "start": 0},
        "event": {"type": "item.found", "id": {"path": "id", "prefix": "item-"}, "subject": {"path": "id", "prefix": "item/"},
                  "time": {"path": "at"}},
    })
}

#[track_caller]
fn source(client: &Client, with: &Value, poll: &Value) -> String {
    let input = json!({"name": "shop", "kind": "poll", "with": with, "poll": poll});
    text(&client.post("/v1/sources", &input).expect(201)["id"])
}

/// Not before the tests are over: they ask when they want to.
fn never() -> Value {
    json!({"every_seconds": 31_622_400})
}

#[track_caller]
fn ask(client: &Client, source: &str) -> usize {
    let answer = client.post(&format!("/v1/sources/{source}/poll"), &json!({})).expect(200);
    answer["ids"].as_array().unwrap().len()
}

#[track_caller]
fn until(client: &Client, source: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(|| {
        let shown = client.get(&format!("/v1/sources/{source}")).expect(200);
        if is_so(&shown["status"]) { Ok(shown) } else { Err(format!("{shown:#}")) }
    })
}

/// Asked each hour: the clock is moved to the next time, and what the source is then like is waited for.
#[track_caller]
fn next_time(server: &Server, source: &str) -> Value {
    let client = server.client();
    let next = client.get(&format!("/v1/sources/{source}")).expect(200)["status"]["next_at"].clone();
    server.advance_to(&next);
    until(&client, source, |status| status["next_at"] != next)
}

fn hourly() -> Value {
    json!({"every_seconds": 3600})
}

fn found(client: &Client) -> Vec<u64> {
    let mut events = scene::all(client, "/v1/events?type=item.found");
    events.reverse();
    let number = |event: &Value| text(&event["id"]).strip_prefix("item-").unwrap().parse().unwrap();
    events.iter().map(number).collect()
}

#[test]
fn only_new_items_become_events_and_the_cursor_is_sent_back() {
    let server = Server::shared();
    let client = server.space("poll-new");
    let service = Service::default();
    let receiver = service.listen();
    service.put(5);
    let id = source(&client, &parameters(&receiver), &never());
    assert_eq!(ask(&client, &id), 5, "three pages");
    assert_eq!(ask(&client, &id), 0);
    service.put(6);
    assert_eq!(ask(&client, &id), 1);
    let paths: Vec<String> = receiver.received().iter().map(|request| request.path.clone()).collect();
    assert_eq!(
        paths,
        ["/hook?since=0", "/hook?since=0&page=1", "/hook?since=0&page=2", "/hook?since=5", "/hook?since=5"]
    );
    assert_eq!(found(&client), [1, 2, 3, 4, 5, 6]);
    let event = client.get("/v1/events/item-2").expect(200)["event"].clone();
    assert_eq!(
        (&event["source"], &event["subject"], &event["data"]["price"]),
        (&json!("shop"), &json!("item/2"), &json!(200))
    );
    assert!(text(&event["time"]).starts_with("2026-11-21T10:00:02"), "{event}");
    let shown = client.get(&format!("/v1/sources/{id}")).expect(200);
    assert_eq!(
        (&shown["poll"]["every_seconds"], &shown["status"]["events"], &shown["status"]["last_event"]),
        (&json!(31_622_400), &json!(6), &json!("item-6"))
    );
    client.delete(&format!("/v1/sources/{id}")).expect(204);
}

#[test]
fn a_response_with_a_byte_order_mark_is_parsed() {
    let server = Server::shared();
    let client = server.space("poll-byte-order-mark");
    let receiver = Receiver::with(|_| {
        let item = json!({"id": 1, "price": 100, "at": "2026-11-21T10:00:01Z"});
        let answer = json!({"data": {"items": [item]}, "next": null});
        Reply::status(200).header("content-type", "application/json").body(format!("\u{feff}{answer}"))
    });
    let id = source(&client, &parameters(&receiver), &never());
    assert_eq!(ask(&client, &id), 1);
    assert_eq!(found(&client), [1]);
    assert_eq!(client.get("/v1/events/item-1").expect(200)["event"]["data"]["price"], 100);
}

#[test]
fn a_failing_service_is_reported_and_polled_at_its_usual_times_until_it_recovers() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let service = Service::default();
    let receiver = service.listen();
    service.put(2);
    let id = source(&client, &parameters(&receiver), &hourly());
    assert_eq!(next_time(&server, &id)["status"]["events"], 2);
    service.break_down(true);
    next_time(&server, &id);
    let shown = next_time(&server, &id);
    assert_eq!(shown["status"]["failures"], 2, "{shown:#}");
    let error = text(&shown["status"]["last_error"]);
    assert!(error.starts_with("http.status_503: ") && error.contains("out of order"), "{error}");
    assert!(shown["status"]["next_at"].is_string(), "{shown:#}");
    client.post(&format!("/v1/sources/{id}/poll"), &json!({}));
    service.put(4);
    service.break_down(false);
    let shown = next_time(&server, &id);
    assert_eq!((&shown["status"]["last_error"], &shown["status"]["failures"]), (&json!(null), &json!(0)));
    assert_eq!(found(&client), [1, 2, 3, 4]);
    // Switched off, it is asked no more.
    client.patch(&format!("/v1/sources/{id}"), &json!({"active": false})).expect(200);
    let shown = client.get(&format!("/v1/sources/{id}")).expect(200);
    assert_eq!(shown["status"]["next_at"], json!(null));
    client.post(&format!("/v1/sources/{id}/poll"), &json!({})).problem(409, "source.inactive");
}

#[test]
fn polls_of_a_source_do_not_overlap() {
    let server = Server::shared();
    let client = server.space("poll-under-way");
    let refused = Arc::new(AtomicBool::new(false));
    let empty = json!({"data": {"items": []}, "next": null}).to_string();
    let answer = Reply::status(200).header("content-type", "application/json").body(empty).once(&refused);
    let receiver = Receiver::with_replies(&[answer]);
    let path = format!("/v1/sources/{}/poll", source(&client, &parameters(&receiver), &never()));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.post(&path, &json!({})).status);
        receiver.wait_for(1);
        client.post(&path, &json!({})).problem(409, "poll.under_way");
        refused.store(true, Ordering::SeqCst);
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn retry_after_of_a_polled_service_is_respected() {
    let server = Server::start(Options::default().clock());
    let receiver = Receiver::with(|_| Reply::status(429).header("retry-after", "7200"));
    let id = source(&server.client(), &parameters(&receiver), &hourly());
    let shown = next_time(&server, &id);
    let status = &shown["status"];
    assert_eq!(status["failures"], 1, "{shown:#}");
    let seconds = between(&status["last_at"], &status["next_at"]).as_secs();
    assert!((7200..=10_800).contains(&seconds), "at the first usual time after two hours: {shown:#}");
    assert_eq!(receiver.received().len(), 1);
    due::advance_over(&server, &status["next_at"], &receiver);
    receiver.wait_for(2);
}

#[test]
fn the_poll_cursor_survives_a_restart() {
    let mut server = Server::start(Options::default().clock());
    let service = Service::default();
    let receiver = service.listen();
    service.put(3);
    let id = source(&server.client(), &parameters(&receiver), &hourly());
    assert_eq!(next_time(&server, &id)["status"]["events"], 3);
    server.kill();
    service.put(5);
    let asked = receiver.received().len();
    server.restart();
    let client = server.client();
    assert_eq!(next_time(&server, &id)["status"]["events"], 5);
    assert_eq!(receiver.received()[asked].path, "/hook?since=3");
    assert_eq!(found(&client), [1, 2, 3, 4, 5]);
}

#[test]
fn an_automation_processes_items_of_a_polled_service() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let ticket = scene::ticket(&client, "orders");
    scene::automation(
        &client,
        &json!({"name": "dear", "on": ["item.found"],
            "when": {"condition": "match", "with": {"path": "price", "gt": 200}},
            "then": [{"action": "note-add", "with": {"id": ticket, "text": "item {{event.data.id}} for {{event.data.price}}"}}]}),
    );
    let service = Service::default();
    let receiver = service.listen();
    service.put(2);
    let id = source(&client, &parameters(&receiver), &hourly());
    next_time(&server, &id);
    assert_eq!(found(&client), [1, 2]);
    service.put(4);
    next_time(&server, &id);
    eventually(|| {
        let notes = scene::notes(&client, ticket);
        if notes.len() == 2 { Ok(notes) } else { Err(format!("{notes:?}")) }
    });
    let mut notes = scene::notes(&client, ticket);
    notes.sort();
    assert_eq!(notes, ["item 3 for 300", "item 4 for 400"], "each is a run of its own");
    // The same with what there is without a source: every minute, or here every hour, a schedule's automation asks.
    scene::automation(
        &client,
        &json!({"name": "ask", "on": ["poll.due"], "then": [
            {"action": "http-request", "name": "asked", "with": {"url": receiver.url()}},
            {"action": "note-add", "for_each": "{{steps.asked.result.body.data.items}}",
             "with": {"id": ticket, "text": "asked {{item.id}}"}}]}),
    );
    let schedule = json!({"name": "minutely", "cron": "* * * * *", "type": "poll.due"});
    let made = client.post("/v1/schedules", &schedule).expect(201);
    assert!(made["status"]["next_at"].is_string());
    let path = format!("/v1/schedules/{}", text(&made["id"]));
    let hourly = client.patch(&path, &json!({"every_seconds": 3600})).expect(200);
    server.advance_to(&hourly["status"]["next_at"]);
    eventually(|| {
        let notes = scene::notes(&client, ticket);
        let asked = notes.iter().filter(|note| *note == "asked 1" || *note == "asked 2").count();
        if asked >= 2 { Ok(()) } else { Err(format!("{notes:?}")) }
    });
}

#[test]
fn an_invalid_polled_source_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("poll-wrong");
    let receiver = Receiver::start();
    let with = parameters(&receiver);
    for (poll, paths) in [
        (json!({}), &["poll.cron"][..]),
        (json!({"cron": "every day"}), &["poll.cron"]),
        (json!({"cron": "* * * * *", "every_seconds": 5}), &["poll.every_seconds"]),
        (json!({"every_seconds": 0}), &["poll.every_seconds"]),
        (json!({"every_seconds": 5, "timezone": "Mars"}), &["poll.timezone"]),
    ] {
        let input = json!({"name": "a", "kind": "poll", "with": with, "poll": poll});
        assert_eq!(client.post("/v1/sources", &input).paths(), paths, "{input}");
    }
    let github = json!({"name": "a", "kind": "github", "poll": {"every_seconds": 5}});
    assert_eq!(client.post("/v1/sources", &github).paths(), ["poll"]);
    let made = client.post("/v1/sources", &json!({"name": "a", "kind": "github"})).expect(201);
    let path = format!("/v1/sources/{}/poll", text(&made["id"]));
    assert_eq!(client.post(&path, &json!({})).paths(), ["kind"]);
    // Nobody but the server asks: not even with its method.
    let id = source(&client, &with, &never());
    let shown = client.get(&format!("/v1/sources/{id}")).expect(200);
    let token = text(&shown["url"]).rsplit('/').next().unwrap().to_owned();
    let own = [("hookwright-source", id.as_str())];
    client.send("POLL", &format!("/in/{token}"), &own, b"").problem(405, "source.method");
    client.send("POST", &format!("/in/{token}"), &own, b"").problem(405, "poll.method");
    assert!(receiver.received().is_empty());
    // Times are taken away by a null, and kept by a change that does not name them.
    let renamed = client.patch(&format!("/v1/sources/{id}"), &json!({"name": "b"})).expect(200);
    assert_eq!(renamed["poll"]["every_seconds"], 31_622_400);
    let without = client.patch(&format!("/v1/sources/{id}"), &json!({"poll": null})).expect(200);
    assert_eq!((without.get("poll"), without.get("status")), (None, None));
}

#[test]
fn a_host_that_is_not_granted_is_reported_with_the_missing_grant() {
    let server = Server::start(Options::default().without("HOOKWRIGHT_ALLOW_NETWORKS").clock());
    let client = server.client();
    let with = json!({"url": "http://127.0.0.1:9/x", "event": {"type": "a", "id": {"path": "id"}}});
    let id = source(&client, &with, &hourly());
    let shown = next_time(&server, &id);
    let error = text(&shown["status"]["last_error"]);
    assert!(error.contains("127.0.0.1"), "{error}");
}
