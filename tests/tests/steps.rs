//! Steps: asked `if`, carried out for each item, tried again, let time pass; and runs that wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::clock::between;
use hookwright_tests::due;
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
fn a_step_runs_only_if_its_conditions_hold() {
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
fn a_step_runs_for_each_item_and_each_outcome_is_reported() {
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
fn failed_items_are_counted_and_the_others_continue_unless_configured_to_stop() {
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
fn an_invalid_or_too_long_list_fails_the_step() {
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
fn a_step_is_retried_by_its_own_schedule() {
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
fn a_step_is_stopped_after_its_timeout() {
    let server = Server::shared();
    let client = server.space("step-timeout");
    let receiver = Receiver::with(|_| Reply::status(200).after(Duration::from_secs(60)));
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["slow"], "then": [
            {"action": "webhook-call", "with": {"url": receiver.url()}, "timeout_ms": 2000,
             "retry": {"delays_seconds": [], "jitter": 0.0}}]}),
    );
    let story = scene::story(&client, &scene::send(&client, "slow", &json!({})));
    let outcome = &run(&story)["steps"][0]["outcome"];
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("failed"), &json!("plugin.timeout")), "{outcome}");
    assert!(text(&outcome["message"]).contains("2000 ms"), "by its own timeout: {outcome}");
}

#[test]
fn a_wait_survives_a_crash() {
    let mut server = Server::start(Options::default().clock());
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["try"], "then": [
            emit("before"), {"wait": {"seconds": 3600}, "name": "pause"},
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
    server.advance_to(&waiting["wait_until"]);
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
fn an_invalid_wait_fails_its_step() {
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
fn a_waiting_run_can_be_cancelled() {
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
fn runs_of_one_concurrency_key_run_in_journal_order() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
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
    let first = job("a", 1, 3600.0);
    let waiting = live(&client, &first, "waiting");
    let (second, third) = (job("a", 2, 0.2), job("a", 3, 0.0));
    let other = job("b", 4, 0.0);
    assert_eq!(run(&scene::story(&client, &other))["state"], "done", "another key does not wait");
    for event in [&second, &third] {
        let queued = live(&client, event, "queued");
        assert_eq!(queued["lane"], json!({"key": "a", "most": 1}));
        let story = client.get(&format!("/v1/events/{event}")).expect(200);
        assert!(story["summary"].to_string().contains("waits until earlier runs with the key `a`"), "{story:#}");
    }
    server.advance_to(&waiting["wait_until"]);
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
fn cancelling_a_run_releases_the_next_of_its_key() {
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
fn for_each_continues_after_a_crash_without_repeating_items() {
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
fn an_invalid_step_is_rejected_when_it_is_saved() {
    let server = Server::shared();
    let client = server.space("steps-wrong");
    let refused = |automation: Value| client.post("/v1/automations", &automation).paths();
    let step = |more: Value| json!({"name": "a", "on": ["x"], "then": [with(emit("y"), more)]});
    assert_eq!(refused(step(json!({"timeout_ms": 1}))), ["then[0].timeout_ms"]);
    let answer = client.post("/v1/automations", &step(json!({"timeout_ms": "x"})));
    assert_eq!(answer.paths(), ["then[0].timeout_ms"], "{answer}");
    assert!(answer.text().contains("a whole number from 10 to 300000"), "{answer}");
    let answer = client.post("/v1/automations", &step(json!({"name": "a.b"})));
    assert_eq!(answer.paths(), ["then[0].name"], "{answer}");
    assert!(answer.text().contains("call it `a-b`"), "{answer}");
    for field in ["with", "input", "for_each", "retry"] {
        let wait =
            json!({"name": "a", "on": ["x"], "then": [with(json!({"wait": {"seconds": 1}}), json!({field: {}}))]});
        let answer = client.post("/v1/automations", &wait);
        answer.problem(422, "input.invalid");
        assert!(
            field == "retry" || answer.text().contains(&format!("`{field}` belongs to a step that calls")),
            "{answer}"
        );
        let workflow = json!({"name": "a", "steps": wait["then"]});
        client.post("/v1/workflows", &workflow).problem(422, "input.invalid");
    }
    assert_eq!(refused(step(json!({"for_each": 7}))), ["then[0].for_each"]);
    assert_eq!(refused(step(json!({"if": {"condition": "none"}}))), ["then[0].if.condition"]);
    assert_eq!(refused(step(json!({"retry": {"delays_seconds": [99_999_999]}}))), ["then[0].retry"]);
    let concurrency =
        json!({"name": "a", "on": ["x"], "then": [emit("y")], "concurrency": {"key": "{{ticket.id}}", "most": 0}});
    assert_eq!(refused(concurrency), ["concurrency.key", "concurrency.most"]);
}

/// Answers 500 to the first request of each path, and 200 from then on once the test says so.
fn failing_at_first() -> (Receiver, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&mended);
    let receiver = Receiver::with(move |request| {
        let fails = request.path.contains("/bad") && !shared.load(Ordering::SeqCst);
        Reply::status(if fails { 500 } else { 200 }).header("content-type", "text/plain").body(request.path.clone())
    });
    (receiver, mended)
}

/// Not before the test moves the clock by [`LATER`].
fn later() -> Value {
    json!([3600])
}

const LATER: Duration = Duration::from_secs(3600);

fn call(receiver: &Receiver, path: &str, name: &str, retry: &Value) -> Value {
    json!({"action": "webhook-call", "name": name, "with": {"url": format!("{}/{path}", receiver.url())},
        "retry": {"delays_seconds": retry, "jitter": 0.0}})
}

#[test]
fn a_step_is_not_retried_before_retry_after() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(503).header("retry-after", "600"), Reply::status(200)]);
    let step = call(&receiver, "a", "first", &json!([0]));
    scene::automation(&client, &json!({"name": "a", "on": ["go"], "then": [step]}));
    let event = scene::send(&client, "go", &json!(1));
    let is_retried = |story: &Value| story["runs"][0]["steps"][0]["outcome"]["retrying"] == true;
    let shown = run(&scene::story_when(&client, &event, is_retried)).clone();
    // The schedule alone would try it again at once.
    let seconds = between(&shown["steps"][0]["started_at"], &shown["retry_at"]).as_secs();
    assert!((600..900).contains(&seconds), "{shown:#}");
    due::advance_over(&server, &shown["retry_at"], &receiver);
    live(&client, &event, "done");
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn a_retried_step_delays_only_steps_that_use_its_result() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (receiver, mended) = failing_at_first();
    let noted = |what: &str| json!({"action": "event-emit", "with": {"type": "noted", "subject": what}});
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [
            call(&receiver, "bad", "first", &later()),
            call(&receiver, "good", "second", &json!([])),
            with(noted("{{steps.first.result.body}}"), json!({"name": "third"})),
            noted("independent"),
            with(noted("after {{steps.third.result}}"), json!({"name": "fifth"})),
            noted("last"),
        ]}),
    );
    let event = scene::send(&client, "go", &json!({}));
    let shown = live(&client, &event, "waiting");
    let outcome = |run: &Value, step: usize| run["steps"][step]["outcome"].clone();
    assert_eq!(outcome(&shown, 0)["retrying"], true, "{shown:#}");
    for step in [1, 3, 5] {
        assert_eq!(outcome(&shown, step)["kind"], "done", "step {step}: {shown:#}");
    }
    assert_eq!(outcome(&shown, 2), json!({"kind": "waiting", "steps": ["first"]}));
    assert_eq!(outcome(&shown, 4), json!({"kind": "waiting", "steps": ["third"]}));
    let open: Vec<&Value> = shown["open_steps"].as_array().unwrap().iter().map(|open| &open["step"]).collect();
    assert_eq!(open, [&json!(0), &json!(2), &json!(4)]);
    assert_eq!(shown["retry_at"], shown["open_steps"][0]["retry_at"]);
    let subjects = |client: &Client| -> Vec<String> {
        scene::all(client, "/v1/events?type=noted").iter().rev().map(|event| text(&event["subject"])).collect()
    };
    assert_eq!(subjects(&client), ["independent", "last"]);
    // Not while it is being tried again.
    scene::story_when(&client, &event, |story| {
        let summary = story["summary"].to_string();
        summary.contains("step 1 failed and is retried at")
            && summary.contains("step 3 waits for the result of an earlier one")
    });

    mended.store(true, Ordering::SeqCst);
    server.advance(LATER);
    let story = scene::story(&client, &event);
    let run = run(&story);
    assert_eq!((&run["state"], run.get("open_steps")), (&json!("done"), None), "{run:#}");
    assert!(run["steps"][0]["attempts"].as_u64() >= Some(2), "{run:#}");
    let subjects = subjects(&client);
    assert_eq!(subjects.len(), 4, "each once: {subjects:?}");
    assert_eq!(subjects[..3], ["independent", "last", "/hook/bad"]);
    assert!(subjects[3].starts_with("after "), "{subjects:?}");
    let keys: Vec<String> = receiver
        .received()
        .iter()
        .filter(|request| request.path == "/hook/bad")
        .map(|request| request.header("idempotency-key").to_owned())
        .collect();
    assert!(keys.len() >= 2 && keys.iter().all(|key| *key == keys[0]), "one key for all tries: {keys:?}");
}

#[test]
fn an_exhausted_step_releases_the_steps_that_waited_for_it() {
    let server = Server::shared();
    let client = server.space("step-exhausted");
    let (receiver, _mended) = failing_at_first();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [
            call(&receiver, "bad", "first", &json!([0])),
            {"action": "event-emit", "with": {"type": "told", "data": {"outcome": "{{steps.first.outcome}}"}}},
        ]}),
    );
    let story = scene::story(&client, &scene::send(&client, "go", &json!({})));
    assert_eq!((&run(&story)["state"], receiver.received().len()), (&json!("failed"), 2), "{story:#}");
    assert_eq!(story["caused"][0]["type"], "told");
    let told = scene::all(&client, "/v1/events?type=told");
    let told = scene::story(&client, &scene::text(&told[0]["id"]));
    assert_eq!(told["event"]["data"], json!({"outcome": "failed"}));
}

#[test]
fn a_retried_step_that_can_stop_the_run_delays_all_following_steps() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (receiver, mended) = failing_at_first();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [
            call(&receiver, "bad/beside", "beside", &later()),
            with(call(&receiver, "bad/stops", "stops", &later()), json!({"on_error": "stop"})),
            emit("after"),
        ]}),
    );
    let event = scene::send(&client, "go", &json!({}));
    let shown = live(&client, &event, "waiting");
    assert_eq!((&shown["next_step"], shown["open_steps"].as_array().map(Vec::len)), (&json!(1), Some(2)), "{shown:#}");
    assert!(scene::all(&client, "/v1/events?type=after").is_empty());
    mended.store(true, Ordering::SeqCst);
    server.advance(LATER);
    let story = scene::story(&client, &event);
    assert_eq!(run(&story)["state"], "done", "{story:#}");
    assert_eq!(scene::all(&client, "/v1/events?type=after").len(), 1);
}

#[test]
fn a_retried_item_delays_neither_other_items_nor_later_steps() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (receiver, mended) = failing_at_first();
    scene::automation(
        &client,
        &json!({"name": "a", "on": ["go"], "then": [
            with(call(&receiver, "{{item}}", "calls", &later()), json!({"for_each": ["a", "bad", "c"]})),
            emit("independent"),
            {"action": "event-emit", "with": {"type": "all", "data": {"results": "{{steps.calls.result}}"}}},
        ]}),
    );
    let event = scene::send(&client, "go", &json!({}));
    let shown = live(&client, &event, "waiting");
    let items = client.get(&format!("/v1/runs/{}", text(&shown["id"]))).expect(200)["steps"][0]["items"].clone();
    let kinds: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["outcome"]["kind"]).collect();
    assert_eq!(kinds, ["done", "failed", "done"], "{items:#}");
    assert_eq!((&items[1]["outcome"]["retrying"], &shown["open_steps"][0]["item"]), (&json!(true), &json!(1)));
    assert_eq!(shown["steps"][0]["outcome"]["retrying"], true, "{shown:#}");
    assert_eq!(scene::all(&client, "/v1/events?type=independent").len(), 1);
    assert!(scene::all(&client, "/v1/events?type=all").is_empty());
    mended.store(true, Ordering::SeqCst);
    server.advance(LATER);
    let story = scene::story(&client, &event);
    assert_eq!(run(&story)["state"], "done", "{story:#}");
    let all = scene::all(&client, "/v1/events?type=all");
    let bodies: Vec<Value> = scene::story(&client, &scene::text(&all[0]["id"]))["event"]["data"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["body"].clone())
        .collect();
    assert_eq!(bodies, ["/hook/a", "/hook/bad", "/hook/c"]);
}

#[test]
fn the_story_lists_failed_steps_up_to_a_limit() {
    let server = Server::shared();
    let client = server.space("step-failures");
    let bad = |name: &str| json!({"action": "note-add", "name": name, "with": {"id": 99, "text": "x"}});
    let steps = |count: usize| (0..count).map(|place| bad(&format!("s{place}"))).collect::<Vec<_>>();
    scene::automation(&client, &json!({"name": "a", "on": ["two"], "then": steps(2)}));
    scene::automation(&client, &json!({"name": "b", "on": ["many"], "then": steps(7)}));
    for (event_type, named, more) in [("two", 2, ""), ("many", 5, "; 2 more failed")] {
        let event = scene::send(&client, event_type, &json!({}));
        let story = scene::story(&client, &event);
        assert_eq!(run(&story)["state"], "failed", "{story:#}");
        let explained = client.get(&format!("/v1/events/{event}/explain")).expect(200);
        for told in [&story["summary"][0], &explained["automations"][0]["explanation"]] {
            let told = text(told);
            assert_eq!(told.matches(" failed, ").count(), named, "{told}");
            assert!(told.contains("step `s0` failed, ") && told.contains("; step `s1` failed, "), "{told}");
            assert!(told.ends_with(more), "{told}");
        }
    }
}
