//! The log of requests to webhooks: found again by what is asked for, exported, and sent once more.

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
fn a_delivery_is_sent_again_and_both_know_of_each_other() {
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
fn what_a_webhook_did_not_take_is_recovered_with_progress() {
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
    client.get("/v1/redeliveries/rdl_none").problem(404, "redelivery.not_found");
}
