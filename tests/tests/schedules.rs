//! Schedules: events and workflows at certain times, once each, whatever happens to the server meanwhile.

use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

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

#[test]
fn a_schedule_is_made_changed_and_deleted() {
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
fn what_is_wrong_with_a_schedule_is_said_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("schedule-wrong");
    for (schedule, paths) in [
        (json!({}), &["name", "cron", "type"][..]),
        (json!({"name": "a", "cron": "every day", "type": "x"}), &["cron"]),
        (json!({"name": "a", "cron": "0 0 30 2 *", "type": "x"}), &["cron"]),
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
fn an_event_is_made_at_each_time_and_sets_automations_in_motion() {
    let server = Server::shared();
    let client = server.space("schedule-fires");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["tick"], "then": [
            {"action": "event-emit", "with": {"type": "tock", "data": "{{event.data.n}}"}}]}),
    );
    let id = make(&client, &json!({"name": "s", "every_seconds": 1, "type": "tick", "data": {"n": 7}}));
    let shown = until(&client, &id, |status| status["events"].as_u64() >= Some(2));
    client.patch(&format!("/v1/schedules/{id}"), &json!({"enabled": false})).expect(200);
    let event = text(&shown["status"]["last_event"]);
    let story = scene::story(&client, &event);
    assert_eq!(story["event"]["source"], format!("hookwright/schedules/{id}"));
    // The same instant; how many zeros end its fraction is left open by RFC 3339.
    let instant = |time: &Value| {
        let time = text(time);
        let time = time.trim_end_matches('Z');
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
        (seconds.to_owned(), fraction.trim_end_matches('0').to_owned())
    };
    let meant = instant(&shown["status"]["last_at"]);
    assert_eq!(instant(&story["event"]["time"]), meant, "its time is the one that was meant");
    assert_eq!((&story["event"]["data"], &story["runs"][0]["state"]), (&json!({"n": 7}), &json!("done")));
    assert_eq!(story["caused"][0]["type"], "tock");
    let mut times: Vec<String> =
        scene::all(&client, "/v1/events?type=tick").iter().map(|event| text(&event["time"])).collect();
    let count = times.len();
    times.dedup();
    assert_eq!(times.len(), count, "each time once: {times:?}");
}

#[test]
fn a_workflow_is_started_by_a_schedule_and_not_while_the_last_one_is_under_way() {
    let server = Server::shared();
    let client = server.space("schedule-workflow");
    let steps = json!([{"wait": {"seconds": "{{input.seconds}}"}}]);
    client.post("/v1/workflows", &json!({"name": "slow", "steps": steps})).expect(201);
    let id = make(&client, &json!({"name": "s", "every_seconds": 1, "workflow": "slow", "input": {"seconds": 3600}}));
    let shown = until(&client, &id, |status| status["left_out"].as_u64() >= Some(2));
    assert_eq!(shown["status"]["events"], 1);
    assert!(text(&shown["status"]["last_left_out"]).contains("still under way"), "{shown:#}");
    let runs = client.get("/v1/runs?workflow=slow").expect(200)["data"].as_array().unwrap().clone();
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("waiting")));
    // Once it has ended, the schedule goes on.
    client.post(&format!("/v1/runs/{}/cancel", text(&runs[0]["id"])), &json!({})).expect(200);
    until(&client, &id, |status| status["events"] == 2);
    client.patch(&format!("/v1/schedules/{id}"), &json!({"overlap": true})).expect(200);
    until(&client, &id, |status| status["events"].as_u64() >= Some(4));
    client.delete(&format!("/v1/schedules/{id}")).expect(204);
}

#[test]
fn times_that_passed_while_the_server_was_away_are_made_up_for_as_the_schedule_says() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let schedule = |missed: &str| json!({"name": missed, "every_seconds": 2, "type": format!("missed.{missed}"), "missed": missed, "overlap": true});
    let ids: Vec<String> = ["once", "all"].iter().map(|missed| make(&client, &schedule(missed))).collect();
    for id in &ids {
        until(&client, id, |status| status["events"].as_u64() >= Some(1));
    }
    server.kill();
    std::thread::sleep(Duration::from_secs(7));
    server.restart();
    let client = server.client();
    for id in &ids {
        until(&client, id, |status| status["events"].as_u64() >= Some(3));
        client.patch(&format!("/v1/schedules/{id}"), &json!({"enabled": false})).expect(200);
    }
    let times = |missed: &str| {
        let mut events = scene::all(&client, &format!("/v1/events?type=missed.{missed}"));
        events.reverse();
        events.iter().map(|event| text(&event["time"])).collect::<Vec<_>>()
    };
    let seconds = |text: &str| {
        text.get(17..19).unwrap().parse::<i64>().unwrap() + text.get(14..16).unwrap().parse::<i64>().unwrap() * 60
    };
    let steps = |times: &[String]| {
        times.windows(2).map(|pair| (seconds(&pair[1]) - seconds(&pair[0])).rem_euclid(3600)).collect::<Vec<_>>()
    };
    let all = times("all");
    assert!(steps(&all).iter().all(|step| *step == 2), "none is missing: {all:?}");
    let once = times("once");
    assert!(steps(&once).iter().filter(|step| **step > 2).count() == 1, "those missed became one: {once:?}");
    assert!(client.get(&format!("/v1/schedules/{}", ids[0])).expect(200)["status"]["left_out"].as_u64() >= Some(2));
}

#[test]
fn there_is_an_event_for_each_ticket_and_once_for_each_that_is_late() {
    let server = Server::shared();
    let client = server.space("schedule-tickets");
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
        &json!({"name": "each", "every_seconds": 1, "type": "ticket.interval",
            "for_each": {"kind": "ticket", "where": {"status": "open"}}}),
    );
    let sla = make(
        &client,
        &json!({"name": "sla", "every_seconds": 1, "type": "ticket.sla-breached",
            "for_each": {"kind": "ticket", "where": {"status": "open"}, "once": true,
                "past": {"field": "created_at", "plus_minutes": "sla_solution_time"}}}),
    );
    until(&client, &each, |status| status["events"].as_u64() >= Some(3));
    let shown = until(&client, &sla, |status| status["events"] == 1);
    let events = scene::all(&client, "/v1/events?type=ticket.interval");
    assert!(events.len() >= 3 && events.iter().all(|event| event["subject"] == format!("ticket/{open}")), "{events:?}");
    scene::story(&client, &text(&shown["status"]["last_event"]));
    assert_eq!(scene::notes(&client, open), ["late: open"], "once and never again");
    assert_eq!(scene::all(&client, "/v1/events?type=ticket.sla-breached").len(), 1);
    for id in [each, sla] {
        client.delete(&format!("/v1/schedules/{id}")).expect(204);
    }
}
