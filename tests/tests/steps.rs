//! Steps: asked `if`, carried out for each item, tried again, let time pass; and runs that wait for their turn.

use std::time::{Duration, Instant};

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

fn emit(event_type: &str) -> Value {
    json!({"action": "event-emit", "with": {"type": event_type}})
}

fn with(mut step: Value, more: Value) -> Value {
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

#[track_caller]
fn run(story: &Value) -> &Value {
    assert_eq!(story["runs"].as_array().map(Vec::len), Some(1), "{story:#}");
    &story["runs"][0]
}

#[track_caller]
fn live(client: &Client, event: &str, state: &str) -> Value {
    let story = scene::story_when(client, event, |story| story["runs"][0]["state"] == state);
    story["runs"][0].clone()
}

#[test]
fn a_step_is_carried_out_only_if_its_conditions_hold() {
    let server = Server::shared();
    let client = server.space("step-if");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["order.*"], "then": [
            {"transform": "jq", "name": "total", "with": {"filter": "[.items[].price] | add"}},
            with(emit("large.order"), json!({"if": {"condition": "match",
                "with": {"value": "{{steps.total.result}}", "gt": 100}}})),
            with(emit("any.order"), json!({"if": {"not": {"condition": "match",
                "with": {"path": "data.test", "exists": true}}}})),
        ]}),
    );
    for (data, outcomes) in [
        (json!({"items": [{"price": 60}, {"price": 70}]}), ["done", "done"]),
        (json!({"items": [{"price": 60}]}), ["skipped", "done"]),
        (json!({"items": [{"price": 160}], "test": true}), ["done", "skipped"]),
    ] {
        let story = scene::story(&client, &scene::send(&client, "order.paid", &data));
        let steps = &run(&story)["steps"];
        assert_eq!([&steps[1]["outcome"]["kind"], &steps[2]["outcome"]["kind"]], outcomes, "{data}: {steps:#}");
        assert_eq!(run(&story)["state"], "done");
    }
    let story = scene::story(&client, &scene::send(&client, "order.paid", &json!({"items": [{"price": 60}]})));
    let reason = text(&run(&story)["steps"][1]["outcome"]["reason"]);
    assert!(reason.contains("then[1].if") && reason.contains("gt 100") && reason.contains("it is 60"), "{reason}");
}

#[test]
fn a_step_runs_for_each_item_and_each_outcome_is_told() {
    let server = Server::shared();
    let client = server.space("for-each");
    let ticket = scene::ticket(&client, "one");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["order.paid"], "then": [
            {"action": "note-add", "name": "notes", "for_each": "{{event.data.items}}",
             "if": {"condition": "match", "with": {"value": "{{item.skip}}", "not_equals": true}},
             "with": {"id": "{{event.data.ticket}}", "text": "{{index}}: {{item.name}}"}},
            {"transform": "jq", "name": "count", "with": {"filter": "length"}, "input": "{{steps.notes.result}}"},
        ]}),
    );
    let items: Vec<Value> = (0..20).map(|n| json!({"name": format!("item {n}"), "skip": n % 5 == 4})).collect();
    let event = scene::send(&client, "order.paid", &json!({"ticket": ticket, "items": items}));
    let story = scene::story(&client, &event);
    let steps = &run(&story)["steps"];
    let told = steps[0]["items"].as_array().unwrap();
    assert_eq!(told.len(), 20, "{steps:#}");
    for (place, item) in told.iter().enumerate() {
        assert_eq!(item["index"], place);
        assert_eq!(item["outcome"]["kind"], if place % 5 == 4 { "skipped" } else { "done" });
    }
    assert_eq!(steps[1]["outcome"]["result"], 20, "a later step sees the list of results");
    let notes: Vec<String> = (0..20).filter(|n| n % 5 != 4).map(|n| format!("{n}: item {n}")).collect();
    assert_eq!(scene::notes(&client, ticket), notes, "in order, each once");
    // The run alone shows them as well.
    let shown = client.get(&format!("/v1/runs/{}", text(&run(&story)["id"]))).expect(200);
    assert_eq!(shown["steps"][0]["items"], steps[0]["items"]);
}

#[test]
fn items_that_fail_are_counted_and_the_others_go_on_unless_the_step_says_stop() {
    let server = Server::shared();
    let client = server.space("for-each-fails");
    for on_error in ["continue", "stop"] {
        scene::automation(
            &client,
            &json!({"name": on_error, "on": [format!("try.{on_error}")], "then": [
                {"action": "event-emit", "for_each": [1, {"no": "type"}, 3], "on_error": on_error,
                 "with": {"type": "made.{{item}}", "data": "{{item.no}}"}},
                emit("after"),
            ]}),
        );
    }
    let story = scene::story(&client, &scene::send(&client, "try.continue", &json!({})));
    let steps = run(&story)["steps"].as_array().unwrap().clone();
    assert_eq!(steps.len(), 2);
    assert_eq!(
        (&steps[0]["outcome"]["kind"], &steps[0]["outcome"]["code"]),
        (&json!("failed"), &json!("items.failed"))
    );
    let message = text(&steps[0]["outcome"]["message"]);
    assert!(message.starts_with("2 of 3 items failed, first item 0, variable.missing"), "{message}");
    assert_eq!((steps[0]["items"].as_array().map(Vec::len), &run(&story)["state"]), (Some(3), &json!("failed")));

    let story = scene::story(&client, &scene::send(&client, "try.stop", &json!({})));
    let steps = run(&story)["steps"].as_array().unwrap().clone();
    assert_eq!((steps.len(), steps[0]["items"].as_array().map(Vec::len)), (1, Some(1)), "{steps:#?}");
}

#[test]
fn a_list_that_is_none_or_too_long_is_a_failure_of_the_step() {
    let server = Server::shared();
    let client = server.space("for-each-bounds");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [with(emit("x"), json!({"for_each": "{{event.data.items}}"}))]}),
    );
    let long: Vec<u32> = (0..1001).collect();
    for (data, code) in [
        (json!({"items": "none"}), "items.invalid"),
        (json!({"items": long}), "items.too_many"),
        (json!({}), "variable.missing"),
    ] {
        let story = scene::story(&client, &scene::send(&client, "try", &data));
        assert_eq!(run(&story)["steps"][0]["outcome"]["code"], code);
    }
    let story = scene::story(&client, &scene::send(&client, "try", &json!({"items": []})));
    assert_eq!(run(&story)["steps"][0]["outcome"], json!({"kind": "done", "result": []}));
}

#[test]
fn a_step_is_tried_again_by_its_own_schedule() {
    let server = Server::shared();
    let client = server.space("step-retry");
    let tries = [("passing", 503, "continue"), ("lasting", 400, "retry"), ("given-up", 400, "stop")];
    let receivers: Vec<Receiver> = tries
        .iter()
        .map(|(name, status, on_error)| {
            let status = *status;
            let receiver = Receiver::with(move |_| Reply::status(status));
            scene::automation(
                &client,
                &json!({"name": name, "on": [name], "then": [
                    {"action": "webhook-call", "with": {"url": receiver.url()},
                     "on_error": on_error, "retry": {"delays_seconds": [0, 0], "jitter": 0.0}},
                    emit("after"),
                ]}),
            );
            receiver
        })
        .collect();
    for ((name, attempts, steps), receiver) in
        [("passing", 3, 2), ("lasting", 3, 2), ("given-up", 1, 1)].into_iter().zip(&receivers)
    {
        let story = scene::story(&client, &scene::send(&client, name, &json!({})));
        let done = run(&story)["steps"].as_array().unwrap();
        assert_eq!((done.len(), &done[0]["attempts"]), (steps, &json!(attempts)), "{name}: {done:#?}");
        assert_eq!(receiver.received().len(), attempts, "{name}");
        assert_eq!(run(&story)["state"], "failed");
    }
}

#[test]
fn a_step_ends_after_its_timeout() {
    let server = Server::shared();
    let client = server.space("step-timeout");
    let receiver = Receiver::with(|_| Reply::status(200).after(Duration::from_secs(5)));
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["slow"], "then": [
            {"action": "webhook-call", "with": {"url": receiver.url()}, "timeout_ms": 300,
             "retry": {"delays_seconds": [], "jitter": 0.0}}]}),
    );
    let began = Instant::now();
    let story = scene::story(&client, &scene::send(&client, "slow", &json!({})));
    let outcome = &run(&story)["steps"][0]["outcome"];
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("failed"), &json!("plugin.timeout")), "{outcome}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn a_wait_survives_the_server_being_cut_off() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [
            emit("before"), {"wait": {"seconds": 3}, "name": "pause"},
            {"wait": {"until": "{{event.data.past}}"}}, emit("after")]}),
    );
    let event = scene::send(&client, "try", &json!({"past": "2020-01-01T00:00:00Z"}));
    let waiting = live(&client, &event, "waiting");
    assert_eq!(waiting["steps"].as_array().map(Vec::len), Some(1));
    let until = text(&waiting["wait_until"]);
    assert_eq!(text(&waiting["retry_at"]), until);
    let story = client.get(&format!("/v1/events/{event}")).expect(200);
    assert_eq!(story["state"], "pending");
    assert!(story["summary"].to_string().contains(&format!("step 2 waits until {until}")), "{}", story["summary"]);
    server.kill();
    server.restart();
    let client = server.client();
    let story = scene::story(&client, &event);
    let steps = run(&story)["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4, "{steps:#?}");
    assert_eq!(steps[1]["outcome"]["result"]["until"], until.as_str());
    assert_eq!(steps[2]["outcome"]["result"]["until"], "2020-01-01T00:00:00.000Z");
    assert!(text(&steps[3]["started_at"]) >= until, "{} is before {until}", steps[3]["started_at"]);
    let before = client.get("/v1/events?type=before").expect(200);
    assert_eq!(before["data"].as_array().map(Vec::len), Some(1), "a step that was done is not done again");
}

#[test]
fn a_wait_that_cannot_be_meant_fails_its_step() {
    let server = Server::shared();
    let client = server.space("wait-wrong");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [{"wait": {"until": "{{event.data.due}}"}}, emit("after")]}),
    );
    for (data, code) in [
        (json!({"due": "soon"}), "wait.invalid"),
        (json!({"due": "2999-01-01T00:00:00Z"}), "wait.invalid"),
        (json!({}), "variable.missing"),
    ] {
        let story = scene::story(&client, &scene::send(&client, "try", &data));
        assert_eq!(run(&story)["steps"][0]["outcome"]["code"], code, "{data}");
        assert_eq!(run(&story)["steps"].as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn a_run_that_waits_can_be_cancelled_and_does_nothing_more() {
    let server = Server::shared();
    let client = server.space("cancel");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [{"wait": {"seconds": 3600}}, emit("after")]}),
    );
    let event = scene::send(&client, "try", &json!({}));
    let path = format!("/v1/runs/{}/cancel", text(&live(&client, &event, "waiting")["id"]));
    let cancelled = client.post(&path, &json!({})).expect(200);
    assert_eq!((&cancelled["state"], cancelled.get("retry_at")), (&json!("cancelled"), None));
    let story = scene::story(&client, &event);
    assert!(story["summary"].to_string().contains("was cancelled"), "{}", story["summary"]);
    client.post(&path, &json!({})).problem(409, "run.ended");
    client.post("/v1/runs/run_999999_0/cancel", &json!({})).problem(404, "run.not_found");
    assert_eq!(client.get("/v1/runs?state=cancelled").expect(200)["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn runs_of_one_key_take_their_turn_in_the_order_of_the_journal() {
    let server = Server::shared();
    let client = server.space("turns");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["job"], "concurrency": {"key": "{{event.subject}}"}, "then": [
            {"wait": {"seconds": "{{event.data.seconds}}"}},
            {"action": "event-emit", "with": {"type": "job.done", "subject": "{{event.subject}}", "data": "{{event.data.n}}"}},
        ]}),
    );
    let job = |subject: &str, n: u32, seconds: f64| {
        let body = json!({"type": "job", "subject": subject, "data": {"n": n, "seconds": seconds}});
        text(&client.post("/v1/events", &body).expect(202)["id"])
    };
    let first = job("a", 1, 1.5);
    live(&client, &first, "waiting");
    let (second, third) = (job("a", 2, 0.2), job("a", 3, 0.0));
    let other = job("b", 4, 0.0);
    assert_eq!(run(&scene::story(&client, &other))["state"], "done", "another key does not wait");
    for event in [&second, &third] {
        let queued = live(&client, event, "queued");
        assert_eq!(queued["lane"], json!({"key": "a", "most": 1}));
        let story = client.get(&format!("/v1/events/{event}")).expect(200);
        assert!(story["summary"].to_string().contains("waits until earlier runs with the key `a`"), "{story:#}");
    }
    for event in [&first, &second, &third] {
        assert_eq!(run(&scene::story(&client, event))["state"], "done");
    }
    let mut done = client.get("/v1/events?type=job.done&subject=a").expect(200)["data"].as_array().unwrap().clone();
    done.reverse();
    let order: Vec<Value> = done
        .iter()
        .map(|event| client.get(&format!("/v1/events/{}", text(&event["id"]))).expect(200)["event"]["data"].clone())
        .collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn a_run_that_is_cancelled_lets_the_next_of_its_key_go_on() {
    let server = Server::shared();
    let client = server.space("turn-cancelled");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["job"], "concurrency": {"key": "all", "most": 1}, "then": [
            {"wait": {"seconds": "{{event.data}}"}}]}),
    );
    let first = scene::send(&client, "job", &json!(3600));
    let run_id = text(&live(&client, &first, "waiting")["id"]);
    let second = scene::send(&client, "job", &json!(0));
    live(&client, &second, "queued");
    client.post(&format!("/v1/runs/{run_id}/cancel"), &json!({})).expect(200);
    assert_eq!(run(&scene::story(&client, &second))["state"], "done");
}

#[test]
fn for_each_goes_on_after_the_server_was_cut_off_and_repeats_no_item() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let ticket = scene::ticket(&client, "one");
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [
            {"action": "note-add", "for_each": "{{event.data}}", "with": {"id": ticket, "text": "{{item}}"}}]}),
    );
    let names: Vec<String> = (0..1000).map(|n| format!("note {n}")).collect();
    let event = scene::send(&client, "try", &json!(names));
    eventually(|| {
        let shown = client.get(&format!("/v1/events/{event}")).expect(200);
        let item = shown["runs"][0]["progress"]["item"].as_u64().unwrap_or(0);
        if item > 20 || shown["state"] == "done" { Ok(()) } else { Err(format!("at item {item}")) }
    });
    server.kill();
    server.restart();
    let client = server.client();
    let story = scene::story(&client, &event);
    assert_eq!(run(&story)["state"], "done");
    assert_eq!(scene::notes(&client, ticket), names, "each item once, in order");
}

#[test]
fn what_is_wrong_with_a_step_is_said_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("steps-wrong");
    let refused = |automation: Value| client.post("/v1/automations", &automation).paths();
    let step = |more: Value| json!({"name": "a", "on": ["x"], "then": [with(emit("y"), more)]});
    assert_eq!(refused(step(json!({"timeout_ms": 1}))), ["then[0].timeout_ms"]);
    assert_eq!(refused(step(json!({"for_each": 7}))), ["then[0].for_each"]);
    assert_eq!(refused(step(json!({"if": {"condition": "none"}}))), ["then[0].if.condition"]);
    assert_eq!(refused(step(json!({"retry": {"delays_seconds": [99_999_999]}}))), ["then[0].retry"]);
    let concurrency =
        json!({"name": "a", "on": ["x"], "then": [emit("y")], "concurrency": {"key": "{{ticket.id}}", "most": 0}});
    assert_eq!(refused(concurrency), ["concurrency.key", "concurrency.most"]);
}
