//! The log of requests to webhooks: found again by what is asked for, exported, and sent once more.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// A webhook to a receiver whose answers are told, one attempt each.
fn hook(client: &Client, url: &str, events: &[&str]) -> String {
    let input = json!({"url": url, "events": events, "retry": {"delays_seconds": []}});
    text(&client.post("/v1/webhooks", &input).expect(201)["id"])
}

#[track_caller]
fn log(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("/v1/attempts?{query}")).expect(200)["data"].as_array().unwrap().clone()
}

/// Waits until there are so many.
#[track_caller]
fn log_of(client: &Client, query: &str, count: usize) -> Vec<Value> {
    eventually(|| {
        let found = log(client, query);
        if found.len() == count { Ok(found) } else { Err(format!("{} attempts of {query}", found.len())) }
    })
}

/// A redelivery once it has ended.
#[track_caller]
fn done(client: &Client, path: &str) -> Value {
    eventually(|| {
        let progress = client.get(path).expect(200);
        if progress["state"] == "done" { Ok(progress) } else { Err(progress.to_string()) }
    })
}

#[test]
fn the_log_is_filtered_by_date_ticket_webhook_type_status_and_error() {
    let server = Server::shared();
    let client = server.space("attempt-log");
    let good = Receiver::start();
    let bad = Receiver::with_replies(&[Reply::status(422).body("the field Urgency is not known")]);
    let taking = hook(&client, &good.url(), &["ticket.*", "go"]);
    let refusing = hook(&client, &bad.url(), &["ticket.created"]);
    let (one, other) = (scene::ticket(&client, "one"), scene::ticket(&client, "other"));
    scene::send(&client, "go", &json!(1));
    let all = log_of(&client, "limit=100", 5);
    assert!(all.windows(2).all(|pair| text(&pair[0]["started_at"]) >= text(&pair[1]["started_at"])), "newest first");

    assert_eq!(log(&client, &format!("webhook={refusing}")).len(), 2);
    assert_eq!(log(&client, &format!("webhook={taking}")).len(), 3);
    assert_eq!(log(&client, &format!("ticket={one}")).len(), 2);
    assert_eq!(log(&client, &format!("ticket={other}&webhook={refusing}")).len(), 1);
    assert_eq!(log(&client, "event_type=go").len(), 1);
    assert_eq!(log(&client, "status=422").len(), 2);
    assert_eq!(log(&client, "succeeded=true").len(), 3);
    let refused = log(&client, "error=Urgency");
    assert_eq!(refused.len(), 2, "the receiver's own words are found");
    assert_eq!(refused[0]["outcome"]["body"], "the field Urgency is not known");
    assert_eq!((&refused[0]["succeeded"], &refused[0]["webhook"]), (&json!(false), &json!(refusing)));
    assert!(refused[0]["timing"]["first_byte_us"].is_u64(), "{:#}", refused[0]);
    assert_eq!(log(&client, "error=Nothing").len(), 0);
    let middle = text(&all[2]["started_at"]);
    let (from, until) = (log(&client, &format!("from={middle}")), log(&client, &format!("until={middle}")));
    assert_eq!(from.len() + until.len(), 5, "a date parts them");
    assert!(from.iter().all(|one| text(&one["started_at"]) >= middle));
    client.get("/v1/attempts?from=yesterday").problem(400, "query.invalid");
    client.get("/v1/attempts?webhook=whk_none").problem(404, "webhook.not_found");
    assert_eq!(server.space("attempt-log-elsewhere").get("/v1/attempts").expect(200)["data"], json!([]));

    let first = client.get("/v1/attempts?limit=3").expect(200);
    let rest = client.get(&format!("/v1/attempts?limit=3&cursor={}", text(&first["next"]))).expect(200);
    let paged: Vec<&Value> = [&first, &rest].into_iter().flat_map(|page| page["data"].as_array().unwrap()).collect();
    assert_eq!(paged, all.iter().collect::<Vec<_>>(), "pages have each once");
    assert_eq!(rest["next"], Value::Null);

    let exported = client.get("/v1/attempts/export?status=422");
    assert_eq!(exported.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = exported.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, log(&client, "status=422"));
}

#[test]
fn a_redelivery_and_its_original_refer_to_each_other() {
    let server = Server::shared();
    let client = server.space("redeliver");
    let receiver = Receiver::with_replies(&[Reply::status(500), Reply::status(200)]);
    hook(&client, &receiver.url(), &["go"]);
    let event = scene::send(&client, "go", &json!(1));
    let first = log_of(&client, "limit=10", 1).remove(0);
    let id = text(&first["delivery"]);
    let answer = client.post(&format!("/v1/deliveries/{id}/redeliver"), &json!({}));
    let again = text(&answer.expect(202)["id"]);
    assert_eq!(answer.header("location"), Some(format!("/v1/deliveries/{again}").as_str()));
    let log = log_of(&client, "limit=10", 2);
    assert_eq!((text(&log[0]["delivery"]), text(&log[0]["redelivery_of"])), (again.clone(), id.clone()));
    assert_eq!(text(&log[1]["redelivered_by"]), again);
    assert_eq!((&log[0]["purpose"], &log[0]["succeeded"]), (&json!("redelivery"), &json!(true)));
    let received = receiver.received();
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"), "the receiver can tell");
    assert_eq!(scene::story(&client, &event)["deliveries"].as_array().unwrap().len(), 2);
    client.post("/v1/deliveries/1-99/redeliver", &json!({})).problem(404, "delivery.not_found");
}

#[test]
fn failed_deliveries_of_a_webhook_are_redelivered_with_progress() {
    let server = Server::shared();
    let client = server.space("recover");
    let receiver =
        Receiver::with_replies(&[Reply::status(400), Reply::status(400), Reply::status(400), Reply::status(200)]);
    let id = hook(&client, &receiver.url(), &["go"]);
    for place in 0..3 {
        scene::send(&client, "go", &json!(place));
        log_of(&client, "limit=10", place + 1);
    }
    let answer = client.post(&format!("/v1/webhooks/{id}/recover"), &json!({"from": "2020-01-01T00:00:00Z"}));
    let path = format!("/v1/redeliveries/{}", text(&answer.expect(202)["id"]));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let ended = done(&client, &path);
    assert_eq!((&ended["seen"], &ended["queued"]), (&json!(3), &json!(3)));
    log_of(&client, "succeeded=true", 3);
    assert_eq!(client.get("/v1/redeliveries").expect(200)["data"].as_array().unwrap().len(), 1);
    let nothing = client.post("/v1/redeliveries", &json!({"webhook": id, "until": "2020-01-01T00:00:00Z"})).expect(202);
    let path = format!("/v1/redeliveries/{}", text(&nothing["id"]));
    assert_eq!(done(&client, &path)["queued"], 0);
    client.post("/v1/redeliveries", &json!({"webhook": "whk_none"})).problem(404, "webhook.not_found");
    client.post("/v1/redeliveries", &json!({"state": "lost"})).problem(422, "input.invalid");
    client.post("/v1/redeliveries", &json!({"state": "pending", "webhook": id})).problem(422, "input.invalid");
    client.get("/v1/redeliveries/rdl_none").problem(404, "redelivery.not_found");
}

#[test]
fn redelivering_everything_must_be_explicit_and_a_preview_counts_first() {
    let server = Server::shared();
    let client = server.space("redeliver-all");
    let receiver = Receiver::with_replies(&[Reply::status(400), Reply::status(400), Reply::status(200)]);
    let id = hook(&client, &receiver.url(), &["go"]);
    for place in 0..2 {
        scene::send(&client, "go", &json!(place));
        log_of(&client, "limit=10", place + 1);
    }
    for body in [json!({}), json!({"state": "dead"}), json!({"missed": true})] {
        let answer = client.post("/v1/redeliveries", &body);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths()[0], "all", "{answer}");
    }
    assert_eq!(client.post("/v1/redeliveries", &json!({"missed": true, "all": true})).paths(), ["webhook"]);
    let preview = client.post("/v1/redeliveries", &json!({"preview": true})).expect(200);
    assert_eq!(preview["deliveries"], 2);
    assert_eq!((&preview["preview"], &preview["webhooks"][id.as_str()]), (&json!(true), &json!(2)), "{preview}");
    assert_eq!(
        client.post(&format!("/v1/webhooks/{id}/recover"), &json!({"preview": true})).expect(200)["deliveries"],
        2
    );
    assert_eq!(receiver.received().len(), 2, "a preview sends nothing");
    let begun = client.post("/v1/redeliveries", &json!({"all": true})).expect(202);
    let ended = done(&client, &format!("/v1/redeliveries/{}", text(&begun["id"])));
    assert_eq!((&ended["queued"], &ended["skipped"]), (&json!(2), &json!(0)));
    log_of(&client, "succeeded=true", 2);
}

#[test]
fn events_missed_by_a_disabled_webhook_are_shown_and_redelivered() {
    let server = Server::shared();
    let client = server.space("missed");
    let receiver = Receiver::start();
    let id = hook(&client, &receiver.url(), &["go", "other.*"]);
    let path = format!("/v1/webhooks/{id}");
    scene::send(&client, "go", &json!("before"));
    receiver.wait_for(1);
    // It is recorded that it was received.
    scene::settled(&client);
    let off = client.post(&format!("{path}/disable"), &json!({})).expect(200);
    let missed: Vec<String> = (0..3).map(|place| scene::send(&client, "go", &json!(place))).collect();
    let near = scene::send(&client, "og", &json!(1));
    let story = scene::story(&client, &missed[0]);
    let not_sent = &story["not_sent"][0];
    let since = format!("it is disabled since {} by key ", text(&off["state_at"]));
    assert_eq!(not_sent["webhook"], json!(id));
    assert!(text(&not_sent["reason"]).starts_with(&since), "{story:#}");
    assert!(story["summary"].to_string().contains(&since), "{story:#}");
    let explained = client.get(&format!("/v1/events/{}/explain", missed[0])).expect(200);
    assert_eq!(explained["webhooks"][0]["verdict"], "not_sent");
    assert!(text(&explained["webhooks"][0]["explanation"]).contains(&since), "{explained:#}");
    let explained = client.get(&format!("/v1/events/{near}/explain")).expect(200);
    assert_eq!(explained["webhooks"][0].get("near"), None, "two letters are too few to be close: {explained:#}");
    let odd = scene::send(&client, "othre.thing", &json!(1));
    let explained = client.get(&format!("/v1/events/{odd}/explain")).expect(200);
    assert_eq!(explained["webhooks"][0]["near"], true, "{explained:#}");
    assert!(text(&explained["webhooks"][0]["explanation"]).contains("the webhook takes go, other.*"), "{explained:#}");

    client.post(&format!("{path}/recover"), &json!({})).problem(409, "webhook.not_active");
    client.post(&format!("{path}/enable"), &json!({})).expect(200);
    scene::send(&client, "go", &json!("after"));
    receiver.wait_for(2);
    scene::settled(&client);
    let preview = client.post(&format!("{path}/recover"), &json!({"preview": true})).expect(200);
    assert_eq!((&preview["deliveries"], &preview["missed"]), (&json!(0), &json!(3)), "{preview}");
    let nothing = client.post(&format!("{path}/recover"), &json!({"preview": true, "missed": false})).expect(200);
    assert_eq!(nothing["missed"], 0);
    let begun = client.post(&format!("{path}/recover"), &json!({})).expect(202);
    let ended = done(&client, &format!("/v1/redeliveries/{}", text(&begun["id"])));
    assert_eq!((&ended["missed"], &ended["queued"]), (&json!(3), &json!(0)), "{ended}");
    let received = receiver.wait_for(5);
    let mut late: Vec<String> = received[2..].iter().map(|request| request.json()["data"].to_string()).collect();
    late.sort();
    assert_eq!(late, ["0", "1", "2"]);
    let story = scene::story(&client, &missed[0]);
    assert_eq!((&story["deliveries"][0]["state"], &story["not_sent"]), (&json!("delivered"), &json!([])), "{story:#}");
    let again = client.post(&format!("{path}/recover"), &json!({})).expect(202);
    let ended = done(&client, &format!("/v1/redeliveries/{}", text(&again["id"])));
    assert_eq!(ended["missed"], 0, "each once");
}

#[test]
fn a_test_returns_its_result() {
    let server = Server::shared();
    let client = server.space("test-answer");
    let receiver = Receiver::with_replies(&[Reply::status(422).body("no such hook"), Reply::status(204)]);
    let id = hook(&client, &receiver.url(), &["go"]);
    let failed = client.post(&format!("/v1/webhooks/{id}/test"), &json!({})).expect(202);
    assert_eq!((&failed["state"], &failed["log"][0]["outcome"]["status"]), (&json!("dead"), &json!(422)), "{failed:#}");
    assert_eq!(failed["log"][0]["outcome"]["body"], "no such hook");
    let well = client.post(&format!("/v1/webhooks/{id}/test"), &json!({})).expect(202);
    assert_eq!((&well["state"], &well["last_error"]), (&json!("delivered"), &Value::Null), "{well:#}");
    let story = scene::story(&client, &text(&well["event"]));
    assert_eq!(story["deliveries"][0]["id"], well["delivery"]);
}

#[test]
fn a_secret_echoed_by_the_receiver_is_not_logged() {
    let server = Server::shared();
    let client = server.space("echoes");
    const TOKEN: &str = "t0ken/with<odd>&signs";
    let receiver = Receiver::with(|request| {
        let value = request.header("x-token").to_owned();
        let hex = hex::encode(&value);
        let base64 = STANDARD.encode(format!("you sent {value}!"));
        let percent = |byte: u8| {
            if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        let percent: String = value.bytes().map(percent).collect();
        let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let all = [value.clone(), hex, base64, percent, html, request.header("authorization").to_owned()];
        Reply::status(400).header("x-echo", value).body(all.join("\n"))
    });
    client.put_json("/v1/secrets/token", &json!({"value": TOKEN})).expect(200);
    let headers = json!([
        {"name": "X-Token", "value": "{{secrets.token}}"},
        {"name": "Authorization", "value": "Bearer a-literal-credential"},
    ]);
    let input = json!({"url": receiver.url(), "events": ["go"], "headers": headers, "retry": {"schedule": "none"}});
    client.post("/v1/webhooks", &input).expect(201);
    scene::send(&client, "go", &json!(1));
    let log = log_of(&client, "limit=10", 1).remove(0);
    let whole = receiver.received()[0].header("x-token").to_owned();
    assert_eq!(whole, TOKEN, "the receiver gets it");
    let body = text(&log["outcome"]["body"]);
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(
        (lines[0], lines[1], lines[3], lines[4], lines[5]),
        ("***", "***", "***", "***", "Bearer ***"),
        "{body}"
    );
    assert!(lines[2].contains("***") && !lines[2].contains(&STANDARD.encode(TOKEN)[2..12]), "{body}");
    assert!(log["outcome"]["headers"].to_string().contains(r#"["x-echo","***"]"#), "{log:#}");
    let export = client.get("/v1/attempts/export").text();
    assert!(!export.contains(TOKEN) && !export.contains("a-literal-credential"), "{export}");
}
