//! Schedules: events and workflows at certain times, once each, whatever happens to the server meanwhile.

use std::time::Duration;

use hookwright_tests::clock::{between, millis};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

#[track_caller]
fn make(client: &Client, schedule: &Value) -> String {
    text(&client.post("/v1/schedules", schedule).expect(201)["id"])
}

#[track_caller]
fn until(client: &Client, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(|| {
        let shown = client.get(&format!("/v1/schedules/{id}")).expect(200);
        if is_so(&shown["status"]) { Ok(shown) } else { Err(format!("{shown:#}")) }
    })
}

/// Moves the clock to the next time of each schedule, and waits until what is due by then is done.
#[track_caller]
fn next_time(server: &Server, ids: &[&str]) {
    let client = server.client();
    let next = |id: &str| client.get(&format!("/v1/schedules/{id}")).expect(200)["status"]["next_at"].clone();
    let times: Vec<Value> = ids.iter().map(|id| next(id)).collect();
    for time in &times {
        server.advance_to(time);
    }
    for (id, time) in ids.iter().zip(&times) {
        until(&client, id, |status| status["next_at"] != *time);
    }
}

#[test]
fn a_schedule_is_created_updated_and_deleted() {
    let server = Server::shared();
    let client = server.space("schedule-crud");
    let input = json!({"name": "nightly", "cron": "0 3 * * *", "timezone": "Europe/Berlin", "type": "night"});
    let answer = client.post("/v1/schedules", &input);
    let made = answer.expect(201);
    let path = format!("/v1/schedules/{}", text(&made["id"]));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!((&made["missed"], &made["overlap"], &made["enabled"]), (&json!("once"), &json!(false), &json!(true)));
    let next = text(&made["status"]["next_at"]);
    assert!(next.contains("T01:00:00") || next.contains("T02:00:00"), "three o'clock in Berlin is not {next}");
    assert_eq!(client.get(&path).expect(200), made);
    assert_eq!(client.get("/v1/schedules").expect(200)["data"], json!([made]));
    let changed = client.patch(&path, &json!({"every_seconds": 3600, "name": "hourly"})).expect(200);
    assert_eq!((changed.get("cron"), &changed["every_seconds"], &changed["revision"]), (None, &json!(3600), &json!(2)));
    let off = client.patch(&path, &json!({"enabled": false})).expect(200);
    assert_eq!(off["status"]["next_at"], json!(null));
    client.delete(&path).expect(204);
    client.get(&path).problem(404, "schedule.not_found");
    client.delete(&path).problem(404, "schedule.not_found");
}

#[test]
fn a_schedule_is_updated_and_deleted_only_at_the_expected_revision() {
    let server = Server::shared();
    let client = server.space("schedule-tags");
    let made = client.post("/v1/schedules", &json!({"name": "first", "every_seconds": 3600, "type": "x"}));
    let path = format!("/v1/schedules/{}", text(&made.expect(201)["id"]));
    let tag = made.header("etag").expect("a schedule has an entity tag");
    assert_eq!(client.get(&path).header("etag"), Some(tag));
    let send = |method: &str, tag: &str, body: &str| client.send(method, &path, &[("if-match", tag)], body.as_bytes());
    let changed = send("PATCH", tag, r#"{"name": "second"}"#);
    changed.expect(200);
    assert_ne!(changed.header("etag"), Some(tag));
    for (method, body) in [("PATCH", r#"{"name": "third"}"#), ("DELETE", "")] {
        let detail = text(&send(method, tag, body).problem(412, "schedule.precondition_failed")["detail"]);
        assert!(detail.contains(changed.header("etag").unwrap()), "{detail}");
    }
    assert_eq!(client.get(&path).expect(200)["name"], "second");
    send("PATCH", "*", r#"{"name": "third"}"#).expect(200);
    let last = client.get(&path).header("etag").map(str::to_owned).unwrap();
    send("DELETE", &last, "").expect(204);
    client.get(&path).problem(404, "schedule.not_found");
    send("DELETE", "*", "").problem(404, "schedule.not_found");
}

#[test]
fn an_invalid_schedule_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("schedule-wrong");
    for (schedule, paths) in [
        (json!({}), &["name", "cron", "type"][..]),
        (json!({"name": "a", "cron": "every day", "type": "x"}), &["cron"]),
        (json!({"name": "a", "cron": "0 0 30 2 *", "type": "x"}), &["cron"]),
        (json!({"name": "a", "cron": "0 0 0 1 1 * 2099", "type": "x"}), &["cron"]),
        (json!({"name": "a", "cron": "* * * * *", "every_seconds": 5, "type": "x"}), &["every_seconds"]),
        (json!({"name": "a", "every_seconds": 0, "type": "x"}), &["every_seconds"]),
        (json!({"name": "a", "every_seconds": 5, "timezone": "Mars", "type": "x"}), &["timezone"]),
        (json!({"name": "a", "every_seconds": 5, "type": "x", "workflow": "y"}), &["workflow"]),
        (json!({"name": "a", "every_seconds": 5, "workflow": "none"}), &["workflow"]),
        (json!({"name": "a", "every_seconds": 5, "type": "x", "for_each": {"kind": "A b"}}), &["for_each.kind"]),
    ] {
        assert_eq!(client.post("/v1/schedules", &schedule).paths(), paths, "{schedule}");
    }
}

#[test]
fn a_schedule_emits_an_event_at_each_time_and_triggers_automations() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["tick"], "then": [
            {"action": "event-emit", "with": {"type": "tock", "data": "{{event.data.n}}"}}]}),
    );
    let id = make(&client, &json!({"name": "s", "every_seconds": 3600, "type": "tick", "data": {"n": 7}}));
    next_time(&server, &[&id]);
    // A time is left out while what the last one has set in motion is under way.
    scene::settled(&client);
    next_time(&server, &[&id]);
    let shown = until(&client, &id, |status| status["events"] == 2);
    let event = text(&shown["status"]["last_event"]);
    let story = scene::story(&client, &event);
    assert_eq!(story["event"]["source"], format!("hookwright/schedules/{id}"));
    // The same instant; how many zeros end its fraction is left open by RFC 3339.
    let meant = millis(&shown["status"]["last_at"]);
    assert_eq!(millis(&story["event"]["time"]), meant, "its time is the one that was meant");
    assert_eq!((&story["event"]["data"], &story["runs"][0]["state"]), (&json!({"n": 7}), &json!("done")));
    assert_eq!(story["caused"][0]["type"], "tock");
    let times: Vec<Value> =
        scene::all(&client, "/v1/events?type=tick").iter().map(|event| event["time"].clone()).collect();
    assert_eq!((times.len(), between(&times[1], &times[0])), (2, HOUR), "each time once: {times:?}");
}

#[test]
fn a_schedule_starts_a_workflow_unless_the_last_run_is_in_progress() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let steps = json!([{"wait": {"seconds": "{{input.seconds}}"}}]);
    client.post("/v1/workflows", &json!({"name": "slow", "steps": steps})).expect(201);
    let id =
        make(&client, &json!({"name": "s", "every_seconds": 3600, "workflow": "slow", "input": {"seconds": 864_000}}));
    for _ in 0..3 {
        next_time(&server, &[&id]);
    }
    let shown = client.get(&format!("/v1/schedules/{id}")).expect(200);
    assert_eq!((&shown["status"]["events"], &shown["status"]["left_out"]), (&json!(1), &json!(2)), "{shown:#}");
    assert!(text(&shown["status"]["last_left_out"]).contains("still in progress"), "{shown:#}");
    let runs = client.get("/v1/runs?workflow=slow").expect(200)["data"].as_array().unwrap().clone();
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("waiting")));
    // Once it has ended, the schedule goes on.
    client.post(&format!("/v1/runs/{}/cancel", text(&runs[0]["id"])), &json!({})).expect(200);
    scene::settled(&client);
    next_time(&server, &[&id]);
    until(&client, &id, |status| status["events"] == 2);
    client.patch(&format!("/v1/schedules/{id}"), &json!({"overlap": true})).expect(200);
    next_time(&server, &[&id]);
    next_time(&server, &[&id]);
    until(&client, &id, |status| status["events"] == 4);
}

#[test]
fn missed_times_are_caught_up_as_the_schedule_configures() {
    let mut server = Server::start(Options::default().clock());
    let client = server.client();
    let schedule = |missed: &str| json!({"name": missed, "every_seconds": 3600, "type": format!("missed.{missed}"), "missed": missed, "overlap": true});
    let ids: Vec<String> = ["once", "all"].iter().map(|missed| make(&client, &schedule(missed))).collect();
    server.advance(HOUR);
    for id in &ids {
        until(&client, id, |status| status["events"] == 1);
    }
    server.kill();
    server.advance(3 * HOUR + HOUR / 2);
    server.restart();
    let client = server.client();
    let made = |id: &str, events: u64| until(&client, id, |status| status["events"] == events)["status"].clone();
    assert_eq!(made(&ids[0], 2)["left_out"], 2);
    made(&ids[1], 4);
    server.advance(HOUR);
    assert_eq!(made(&ids[0], 3)["left_out"], 2);
    made(&ids[1], 5);
    let steps = |missed: &str| {
        let mut events = scene::all(&client, &format!("/v1/events?type=missed.{missed}"));
        events.reverse();
        events.windows(2).map(|pair| between(&pair[0]["time"], &pair[1]["time"])).collect::<Vec<_>>()
    };
    assert_eq!(steps("all"), [HOUR; 4], "none is missing");
    assert_eq!(steps("once"), [3 * HOUR, HOUR], "those missed became one");
}

#[test]
fn a_schedule_emits_one_event_per_matching_ticket() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (open, _closed) = (scene::ticket(&client, "open"), {
        let id = scene::ticket(&client, "closed");
        client.patch(&format!("/v1/tickets/{id}"), &json!({"status": "closed"})).expect(200);
        id
    });
    client.patch(&format!("/v1/tickets/{open}"), &json!({"sla_solution_time": 0})).expect(200);
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["ticket.sla-breached"], "then": [
            {"action": "note-add", "with": {"id": "{{ticket.id}}", "text": "late: {{event.data.ticket.subject}}"}}]}),
    );
    let each = make(
        &client,
        &json!({"name": "each", "every_seconds": 3600, "type": "ticket.interval",
            "for_each": {"kind": "ticket", "where": {"status": "open"}}}),
    );
    let sla = make(
        &client,
        &json!({"name": "sla", "every_seconds": 3600, "type": "ticket.sla-breached",
            "for_each": {"kind": "ticket", "where": {"status": "open"}, "once": true,
                "past": {"field": "created_at", "plus_minutes": "sla_solution_time"}}}),
    );
    for _ in 0..3 {
        next_time(&server, &[&each, &sla]);
        scene::settled(&client);
    }
    let shown = until(&client, &sla, |status| status["events"] == 1);
    let events = scene::all(&client, "/v1/events?type=ticket.interval");
    assert!(events.len() == 3 && events.iter().all(|event| event["subject"] == format!("ticket/{open}")), "{events:?}");
    scene::story(&client, &text(&shown["status"]["last_event"]));
    assert_eq!(scene::notes(&client, open), ["late: open"], "once and never again");
    assert_eq!(scene::all(&client, "/v1/events?type=ticket.sla-breached").len(), 1);
}

#[test]
fn a_rejected_event_of_one_record_does_not_block_the_others() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (first, wrong, last) =
        (scene::ticket(&client, "a"), scene::ticket(&client, "wrong"), scene::ticket(&client, "b"));
    client
        .post(
            "/v1/event-types",
            &json!({"name": "ticket.looked-at", "summary": "A ticket was looked at.", "strict": true,
                "schema": {"type": "object", "properties": {"ticket": {"type": "object", "properties": {
                    "subject": {"type": "string", "maxLength": 1}}}}}}),
        )
        .expect(201);
    let each =
        json!({"name": "each", "every_seconds": 3600, "type": "ticket.looked-at", "for_each": {"kind": "ticket"}});
    let id = make(&client, &each);
    next_time(&server, &[&id]);
    let shown = until(&client, &id, |status| status["last_error"].is_string() && status["events"] == 2);
    let error = text(&shown["status"]["last_error"]);
    assert!(error.contains(&format!("record ticket/{wrong}:")), "{error}");
    let events = scene::all(&client, "/v1/events?type=ticket.looked-at");
    let about = |id: u64| events.iter().any(|event| event["subject"] == format!("ticket/{id}"));
    assert!(about(first) && about(last) && !about(wrong), "{events:?}");
}
