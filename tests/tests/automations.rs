//! Automations: made, changed, switched, checked when they are saved, and carried out step by step.

use hookwright_tests::due;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server};
use serde_json::{Value, json};

fn emit(event_type: &str) -> Value {
    json!({"action": "event-emit", "with": {"type": event_type}})
}

/// The one run of an automation for an event.
#[track_caller]
fn run(client: &Client, event: &str) -> Value {
    let story = scene::story(client, event);
    assert_eq!(story["runs"].as_array().map(Vec::len), Some(1), "{story:#}");
    story["runs"][0].clone()
}

#[test]
fn an_automation_is_created_read_updated_disabled_and_deleted() {
    let server = Server::shared();
    let client = server.space("crud");
    let input = json!({
        "name": "first", "description": "what for", "on": ["a.*"],
        "when": {"not": {"condition": "match", "with": {"path": "event.data.x", "exists": true}}},
        "then": [emit("b")], "enabled": true,
    });
    let answer = client.post("/v1/automations", &input);
    let made = answer.expect(201);
    let path = format!("/v1/automations/{}", text(&made["id"]));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    for (field, value) in input.as_object().unwrap() {
        let shown = &made[field];
        assert!(shown == value || field == "then", "{field}: {shown}");
    }
    assert_eq!((&made["revision"], &made["then"][0]["on_error"]), (&json!(1), &json!("continue")));
    assert_eq!(client.get(&path).expect(200), made);
    assert_eq!(client.get("/v1/automations").expect(200)["data"], json!([made]));

    let changed = client.patch(&path, &json!({"name": "second", "when": null})).expect(200);
    assert_eq!(
        (&changed["name"], &changed["revision"], &changed["on"]),
        (&json!("second"), &json!(2), &json!(["a.*"]))
    );
    assert_eq!((changed.get("when"), &changed["description"]), (None, &json!("what for")));
    assert_eq!(client.get(&path).expect(200), changed);

    // A change that is wrong changes nothing.
    assert_eq!(client.patch(&path, &json!({"name": "third", "on": []})).paths(), ["on"]);
    assert_eq!(client.get(&path).expect(200), changed);

    let off = client.post(&format!("{path}/disable"), &json!({})).expect(200);
    assert_eq!(off["enabled"], false);
    let event = scene::send(&client, "a.b", &json!({}));
    let story = scene::story(&client, &event);
    assert_eq!(story["runs"], json!([]));
    let reason = story["not_considered"][0]["reason"].as_str().unwrap();
    let switched = &off["switched"];
    assert!(
        reason.starts_with(&format!("it has been disabled since {}", switched["at"].as_str().unwrap())),
        "{reason}"
    );
    assert!(reason.ends_with(switched["by"].as_str().unwrap()) && reason.contains("key "), "{reason}");
    assert_eq!(client.post(&format!("{path}/enable"), &json!({})).expect(200)["enabled"], true);
    assert_eq!(run(&client, &scene::send(&client, "a.b", &json!({})))["state"], "done");

    client.delete(&path).expect(204);
    client.get(&path).problem(404, "automation.not_found");
    client.delete(&path).problem(404, "automation.not_found");
    client.patch(&path, &json!({"name": "x"})).problem(404, "automation.not_found");
    let event = scene::send(&client, "a.b", &json!({}));
    assert_eq!(scene::story(&client, &event)["runs"], json!([]));
}

#[test]
fn lists_are_paginated() {
    let server = Server::shared();
    let client = server.space("pages");
    let made: Vec<String> = (0..5)
        .map(|n| scene::automation(&client, &json!({"name": format!("{n}"), "on": ["never"], "then": [emit("x")]})))
        .collect();
    let mut seen = Vec::new();
    let mut path = "/v1/automations?limit=2".to_owned();
    loop {
        let page = client.get(&path).expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| text(&one["id"])));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/automations?limit=2&cursor={next}");
    }
    seen.reverse();
    assert_eq!(seen, made, "newest first, each once");
}

#[test]
fn event_type_patterns_match_by_words() {
    let server = Server::shared();
    let client = server.space("wildcards");
    let patterns = ["jira.ticket.closed", "jira.*", "*.ticket.*", "jira.*.closed", "*"];
    for pattern in patterns {
        scene::automation(
            &client,
            &json!({"name": pattern, "on": [pattern, "never.this"], "then": [
            {"transform": "jq", "with": {"filter": "."}}]}),
        );
    }
    for (event_type, wanted) in [
        ("jira.ticket.closed", &patterns[..]),
        ("jira.ticket.opened", &["jira.*", "*.ticket.*", "*"]),
        ("jira.ticket.part.closed", &["jira.*", "*.ticket.*", "*"]),
        ("zen.ticket.closed", &["*.ticket.*", "*"]),
        ("jira", &["*"]),
        ("jirax.ticket", &["*"]),
    ] {
        let story = scene::story(&client, &scene::send(&client, event_type, &json!({})));
        let mut names: Vec<String> =
            story["runs"].as_array().unwrap().iter().map(|run| text(&run["automation_name"])).collect();
        let mut wanted: Vec<&str> = wanted.to_vec();
        names.sort();
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{event_type}");
        let left_out = story["not_considered"].as_array().map_or(0, Vec::len);
        assert_eq!(names.len() + left_out, patterns.len(), "the others are told of as well");
    }
}

#[test]
fn conditions_are_combined_by_all_any_and_not() {
    let server = Server::shared();
    let client = server.space("combined");
    let is =
        |field: &str| json!({"condition": "match", "with": {"path": format!("event.data.{field}"), "equals": true}});
    // A condition that cannot be asked shows that the one before it already gave the answer.
    let odd = || json!({"condition": "match", "with": {"path": "event.data.a", "equals": "{{event.data.absent}}"}});
    for (when, data, fired, asked) in [
        (json!({"all": [is("a"), is("b")]}), json!({"a": true, "b": true}), true, &["when.all[0]", "when.all[1]"][..]),
        (json!({"all": [is("a"), odd()]}), json!({"a": false}), false, &["when.all[0]"]),
        (json!({"any": [is("a"), odd()]}), json!({"a": true}), true, &["when.any[0]"]),
        (json!({"any": [is("a"), is("b")]}), json!({"b": true}), true, &["when.any[0]", "when.any[1]"]),
        (json!({"not": is("a")}), json!({}), true, &["when.not"]),
        (json!({"not": {"not": is("a")}}), json!({}), false, &["when.not.not"]),
        (json!({"all": []}), json!({}), true, &[]),
        (json!({"any": []}), json!({}), false, &[]),
        (
            json!({"any": [{"all": [is("a"), {"not": is("b")}]}, is("c")]}),
            json!({"a": true, "b": true, "c": true}),
            true,
            &["when.any[0].all[0]", "when.any[0].all[1].not", "when.any[1]"],
        ),
    ] {
        let automation = json!({"name": "combined", "on": ["combine"], "when": when, "then": [emit("x")]});
        let id = scene::automation(&client, &automation);
        let run = run(&client, &scene::send(&client, "combine", &data));
        let paths: Vec<&str> =
            run["decision"]["conditions"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert_eq!((run["decision"]["fired"] == true, paths.as_slice()), (fired, asked), "{when}: {run:#}");
        client.delete(&format!("/v1/automations/{id}")).expect(204);
    }
    // Nobody knows what a condition that cannot be asked would have said: nothing is done, and it shows.
    scene::automation(&client, &json!({"name": "odd", "on": ["odd"], "when": odd(), "then": [emit("x")]}));
    let run = run(&client, &scene::send(&client, "odd", &json!({"a": 1})));
    assert_eq!((&run["state"], &run["decision"]["fired"]), (&json!("failed"), &json!(false)));
    assert!(text(&run["decision"]["reason"]).contains("variable.missing"), "{run:#}");
}

#[test]
fn every_error_in_an_automation_is_reported_with_its_path() {
    let server = Server::shared();
    let client = server.space("mistakes");
    let one = |then: Value| json!({"name": "x", "on": ["x"], "then": then});
    let when = |when: Value| json!({"name": "x", "on": ["x"], "when": when, "then": [emit("x")]});
    let rows: Vec<(Value, &[&str], &str)> = vec![
        (json!({}), &["name", "on", "then"], "missing"),
        (json!({"name": " ", "on": [], "then": []}), &["name", "on", "then"], "1 to"),
        (json!({"name": "x", "on": ["a", "b*"], "then": [emit("x")]}), &["on[1]"], "whole word"),
        (json!({"name": "x", "on": "a", "then": [emit("x")]}), &["on"], "expected a list"),
        (one(json!([{"action": "no-such"}])), &["then[0].action"], "note-add"),
        (one(json!([{"action": "jq"}])), &["then[0].action"], "does not export `action`"),
        (one(json!([{"transform": "no-such"}])), &["then[0].transform"], "template"),
        (one(json!([{"action": "event-emit", "transform": "jq"}])), &["then[0]"], "exactly one"),
        (one(json!([{"with": {}}])), &["then[0]"], "exactly one"),
        (
            one(json!([{"action": "event-emit", "with": {"type": "x"}, "input": 1}])),
            &["then[0]"],
            "belongs to a transform",
        ),
        (one(json!([emit("x"), {"action": "event-emit", "wiht": {}}])), &["then[1].wiht"], "unknown field"),
        (
            one(json!([{"action": "event-emit", "with": {"typo": 1}}])),
            &["then[0].with.typo", "then[0].with.type"],
            "the parameters are type, subject, data",
        ),
        (one(json!([{"action": "event-emit", "with": {"type": 7}}])), &["then[0].with.type"], "7"),
        (one(json!([{"action": "note-add", "with": {"id": true, "text": "x"}}])), &["then[0].with.id"], "true"),
        (
            one(json!([{"action": "note-add", "with": {"id": "{{evnt.id}}", "text": "x"}}])),
            &["then[0].with.id"],
            "begins with",
        ),
        (
            one(json!([{"action": "note-add", "with": {"id": 1, "text": "{{event.id"}}])),
            &["then[0].with.text"],
            "not closed",
        ),
        (
            one(json!([{"action": "note-add", "with": {"id": 1, "text": "{{}}"}}])),
            &["then[0].with.text"],
            "not a variable",
        ),
        (
            one(json!([{"action": "event-emit", "with": {"type": "x", "data": {"a": ["{{steps.later.result}}"]}}}])),
            &["then[0].with.data.a[0]"],
            "no earlier step",
        ),
        (
            one(json!([{"transform": "jq", "with": {"filter": "."}, "input": "{{steps.x.result}}"}])),
            &["then[0].input"],
            "earlier",
        ),
        (
            one(
                json!([{"name": "a", "action": "event-emit", "with": {"type": "x"}}, {"name": "a", "action": "event-emit", "with": {"type": "x"}}]),
            ),
            &["then[1].name"],
            "taken",
        ),
        (
            one(json!([{"action": "event-emit", "with": {"type": "x"}, "on_error": "panic"}])),
            &["then[0].on_error"],
            "stop",
        ),
        (when(json!({"condition": "no-such"})), &["when.condition"], "match"),
        (when(json!({"condition": "note-add"})), &["when.condition"], "does not export `condition`"),
        (
            when(json!({"all": [{"any": [{"condition": "match", "with": {"equals": 1}}]}]})),
            &["when.all[0].any[0].with"],
            "give one of `path`, `value`",
        ),
        (when(json!({"condition": "match", "with": {"path": "a", "equals": 1, "gt": 2}})), &["when.with"], ""),
        (when(json!({"not": {"condition": "match", "with": {"path": 7, "equals": 1}}})), &["when.not.with.path"], "7"),
        (
            when(json!({"condition": "match", "with": {"path": "a", "equals": "{{steps.a.result}}"}})),
            &["when.with.equals"],
            "there is none",
        ),
        (when(json!({"all": [], "any": []})), &["when"], "exactly one"),
    ];
    for (automation, paths, part) in rows {
        let answer = client.post("/v1/automations", &automation);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), paths, "{answer}");
        assert!(answer.text().contains(part), "{part}: {answer}");
    }
    assert_eq!(client.get("/v1/automations").expect(200)["data"], json!([]));
}

#[test]
fn a_failed_step_stops_the_run_only_if_configured() {
    let server = Server::shared();
    let client = server.space("errors");
    for (on_error, states) in [("continue", &["done", "failed", "done"][..]), ("stop", &["done", "failed"])] {
        let ticket = scene::ticket(&client, on_error);
        let note = |text: &str| json!({"action": "note-add", "with": {"id": ticket, "text": text}});
        scene::automation(
            &client,
            &json!({"name": on_error, "on": [format!("fail.{on_error}")], "then": [
                note("before"),
                {"action": "note-add", "with": {"id": 404, "text": "nowhere"}, "on_error": on_error},
                note("after"),
            ]}),
        );
        let run = run(&client, &scene::send(&client, &format!("fail.{on_error}"), &json!({})));
        let steps = run["steps"].as_array().unwrap();
        let kinds: Vec<&str> = steps.iter().map(|step| step["outcome"]["kind"].as_str().unwrap()).collect();
        assert_eq!((&run["state"], kinds.as_slice()), (&json!("failed"), states));
        assert_eq!(steps[1]["outcome"]["code"], "ticket.not_found");
        assert!(text(&steps[1]["outcome"]["message"]).contains("404"));
        let wanted: &[&str] = if on_error == "continue" { &["before", "after"] } else { &["before"] };
        assert_eq!(scene::notes(&client, ticket), wanted);
    }
}

#[test]
fn later_steps_can_use_earlier_results() {
    let server = Server::shared();
    let client = server.space("feeding");
    let ticket = scene::ticket(&client, "Fed");
    let receiver = Receiver::with_replies(&[Reply::status(200)
        .header("content-type", "application/json")
        .body(r#"{"priority": "high", "score": 7}"#)]);
    scene::automation(
        &client,
        &json!({"name": "feed", "on": ["order.paid"], "then": [
            {"name": "sum", "transform": "jq", "with": {"filter": "{total: (.items | map(.price) | add), who: .customer.name}"}},
            {"name": "line", "transform": "template", "input": "{{steps.sum.result}}",
             "with": {"template": "{{ message.who }} paid {{ message.total }} for {{ data['items'] | length }} things", "content_type": "text/plain"}},
            {"name": "ask", "action": "webhook-call", "with": {"url": receiver.url(), "body": {"sum": "{{steps.sum.result}}", "text": "a {{steps.line.result}} z"}}},
            {"action": "ticket-update", "with": {"id": ticket, "urgency": "{{steps.ask.result.body.priority}}", "sla_solution_time": "{{steps.ask.result.body.score}}"}},
            {"action": "note-add", "with": {"id": ticket, "text": "{{steps.line.result}}; {{ steps.ask.result.status }} {{steps.ticket-update.outcome}} in {{space}}"}},
            {"name": "dropped", "transform": "jq", "with": {"filter": "select(.never)"}},
        ]}),
    );
    let data = json!({"customer": {"name": "Åse"}, "items": [{"price": 2}, {"price": 3.5}]});
    let run = run(&client, &scene::send(&client, "order.paid", &data));
    assert_eq!(run["state"], "done", "{run:#}");
    assert_eq!(run["steps"][0]["outcome"]["result"], json!({"total": 5.5, "who": "Åse"}));
    assert_eq!(run["steps"][5]["outcome"]["kind"], "skipped", "{run:#}");
    let sent = receiver.wait_for(1).remove(0).json();
    assert_eq!(sent, json!({"sum": {"total": 5.5, "who": "Åse"}, "text": "a Åse paid 5.5 for 2 things z"}));
    let found = client.get(&format!("/v1/tickets/{ticket}")).expect(200);
    assert_eq!((&found["urgency"], &found["sla_solution_time"]), (&json!("high"), &json!(7)), "types are kept");
    assert_eq!(scene::notes(&client, ticket), ["Åse paid 5.5 for 2 things; 200 done in feeding"]);
}

#[test]
fn an_automation_on_a_ticket_event_can_name_the_ticket() {
    let server = Server::shared();
    let client = server.space("about");
    scene::automation(
        &client,
        &json!({"name": "welcome", "on": ["ticket.created"], "then": [
            {"action": "note-add", "with": {"id": "{{ticket.id}}", "text": "{{record.subject}} is {{ticket.status}}", "public": true}}]}),
    );
    let ticket = scene::ticket(&client, "Broken lamp");
    hookwright_tests::eventually(|| {
        let notes = scene::notes(&client, ticket);
        if notes == ["Broken lamp is open"] { Ok(()) } else { Err(format!("{notes:?}")) }
    });
}

#[test]
fn chained_automations_run_and_a_loop_is_stopped() {
    let server = Server::shared();
    let client = server.space("chains");
    for (on, then) in [("one", "two"), ("two", "three"), ("loop", "loop")] {
        scene::automation(
            &client,
            &json!({"name": on, "on": [on], "then": [{"action": "event-emit", "with": {
            "type": then, "data": {"from": "{{event.type}}", "was": "{{event.data.n}}", "n": "{{event.data.n}}"}}}]}),
        );
    }
    let first = scene::send(&client, "one", &json!({"n": 1}));
    let second = text(&run(&client, &first)["steps"][0]["outcome"]["result"]["event"]);
    let third = text(&run(&client, &second)["steps"][0]["outcome"]["result"]["event"]);
    let story = scene::story(&client, &third);
    assert_eq!((&story["event"]["type"], &story["event"]["data"]["from"]), (&json!("three"), &json!("two")));
    assert_eq!((&story["cause"]["event"], &story["cause"]["depth"]), (&json!(second), &json!(2)));

    scene::send(&client, "loop", &json!({"n": 2}));
    scene::settled(&client);
    let loops = scene::all(&client, "/v1/events?type=loop");
    assert_eq!(loops.len(), 18, "the first, sixteen of one another, and the one at which the chain was cut");
    let last = scene::story(&client, loops[0]["id"].as_str().unwrap());
    assert_eq!((&last["runs"], &last["state"]), (&json!([]), &json!("done")));
    let reason = text(&last["not_considered"][0]["reason"]);
    assert!(reason.contains("chain") && reason.contains("16"), "{last:#}");
}

#[test]
fn a_temporarily_failed_step_is_retried_with_the_same_key_across_a_restart() {
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_STEP_RETRY_DELAYS", "600,600").clock());
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(503), Reply::status(500), Reply::status(200)]);
    let ticket = scene::ticket(&client, "Told once");
    let note = |text: &str| json!({"action": "note-add", "with": {"id": ticket, "text": text}});
    scene::automation(
        &client,
        &json!({"name": "persist", "on": ["persist"], "then": [
            note("before"), {"action": "webhook-call", "with": {"url": receiver.url()}}, note("after")]}),
    );
    let event = scene::send(&client, "persist", &json!({}));
    let story = scene::story_when(&client, &event, |story| story["runs"][0]["state"] == "waiting");
    assert_eq!(story["runs"][0]["steps"][1]["outcome"]["retrying"], true, "{story:#}");
    assert!(story["runs"][0]["retry_at"].is_string() && story["state"] == "pending", "{story:#}");

    server.restart();
    let client = server.client();
    due::advance_over(&server, &story["runs"][0]["retry_at"], &receiver);
    let failed_again =
        |story: &Value| story["runs"][0]["state"] == "waiting" && story["runs"][0]["steps"][1]["attempts"] == 2;
    let story = scene::story_when(&client, &event, failed_again);
    due::advance_over(&server, &story["runs"][0]["retry_at"], &receiver);
    let run = run(&client, &event);
    assert_eq!((&run["state"], &run["steps"][1]["attempts"]), (&json!("done"), &json!(3)), "{run:#}");
    assert_eq!(scene::notes(&client, ticket), ["before", "after"]);
    let keys: Vec<String> =
        receiver.received().iter().map(|request| request.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys.len(), 3);
    assert!(!keys[0].is_empty() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[test]
fn a_step_with_a_value_of_the_wrong_type_is_rejected_with_field_value_and_remedy() {
    let server = Server::shared();
    let client = server.space("steps-of-another-shape");
    for (step, path, parts) in [
        (json!({"wait": 5}), "then[0].wait", ["`5` is not a valid wait", r#"such as {"seconds": 5}"#]),
        (json!({"wait": [5]}), "then[0].wait", ["`[5]` is not a valid wait", "`seconds` or `until`"]),
        (json!({"wait": "2100-01-01T00:00:00Z"}), "then[0].wait", ["2100", r#"{"until": "2100-01-01T00:00:00Z"}"#]),
        (json!("note-add"), "then[0]", [r#"the string "note-add""#, "`action`, `transform` or `wait`"]),
        (json!({"action": 5}), "then[0].action", ["the number `5`", "expected a string"]),
        (json!({"transform": {}}), "then[0].transform", ["an object", "expected a string"]),
        (json!({"action": "a", "with": 5}), "then[0].with", ["the number `5`", "expected an object"]),
        (json!({"action": "a", "if": ["c"]}), "then[0].if", ["a list", r#"such as {"condition""#]),
        (json!({"action": "a", "retry": 5}), "then[0].retry", ["the number `5`", r#"such as {"delays_seconds""#]),
        (json!({"action": "a", "on_error": 5}), "then[0].on_error", ["the number `5`", "`continue`, `stop`, `retry`"]),
    ] {
        let answer = client.post("/v1/automations", &json!({"name": "a", "on": ["x"], "then": [step]}));
        let told = answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{told}");
        let message = text(&told["errors"][0]["message"]);
        assert!(parts.iter().all(|part| message.contains(part)), "{step}: {message}");
        assert!(!message.contains(" at line "), "{message}");
    }
    let concurrency = json!({"name": "a", "on": ["x"], "then": [emit("y")], "concurrency": 1});
    let told = client.post("/v1/automations", &concurrency).problem(422, "input.invalid");
    assert!(text(&told["errors"][0]["message"]).contains(r#"such as {"key""#), "{told}");
}
