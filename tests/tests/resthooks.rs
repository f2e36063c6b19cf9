//! Webhooks as Capsule's REST hooks: the article's own requests, answers and messages.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// Subscribes as the article does; returns the hook's id.
#[track_caller]
fn subscribe(client: &Client, url: &str, event: &str) -> u64 {
    let hook = json!({"restHook": {"targetUrl": url, "event": event, "description": "An epic webhook that will change the world"}});
    client.post("/api/v2/resthooks", &hook).expect(201)["restHook"]["id"].as_u64().unwrap()
}

#[test]
fn the_articles_requests_subscribe_list_read_and_unsubscribe() {
    let server = Server::shared();
    let client = server.space("resthooks-crud");
    let body = r#"{
"restHook": {
"targetUrl": "https://some.url.com",
"event": "party/created",
"description": "An epic webhook that will change the world"
}
}"#;
    let answer = client.send("POST", "/api/v2/resthooks", &[("content-type", "application/json")], body.as_bytes());
    let made = answer.expect(201);
    let hook = &made["restHook"];
    let id = hook["id"].as_u64().unwrap();
    let path = format!("/api/v2/resthooks/{id}");
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(
        (&hook["targetUrl"], &hook["event"], &hook["description"]),
        (&json!("https://some.url.com"), &json!("party/created"), &json!("An epic webhook that will change the world"))
    );
    assert_eq!((&hook["embed"], &hook["batched"]), (&Value::Null, &json!(false)));
    let at = text(&hook["createdAt"]);
    assert!(at.len() == "2015-09-15T10:43:23Z".len() && at.ends_with('Z'), "{at}");
    assert!(hook["updatedAt"].is_string());

    assert_eq!(client.get(&path).expect(200), made);
    assert_eq!(client.get("/api/v2/resthooks").expect(200), json!({"restHooks": [hook]}));
    let answer = client.delete(&path);
    answer.expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(client.get("/api/v2/resthooks").expect(200), json!({"restHooks": []}));
    for gone in [client.get(&path), client.delete(&path), client.get("/api/v2/resthooks/x")] {
        let told = gone.expect(404);
        assert!(text(&told["message"]).contains("there is no webhook"), "{gone}");
        assert_eq!(
            (&told["code"], gone.header("content-type")),
            (&json!("webhook.not_found"), Some("application/json; charset=utf-8"))
        );
    }
}

#[test]
fn every_combination_of_the_article_and_no_other_can_be_subscribed_to() {
    let server = Server::shared();
    let client = server.space("resthooks-events");
    let valid: Vec<String> = [
        ("party", vec!["created", "updated", "deleted"]),
        ("kase", vec!["created", "updated", "deleted", "closed", "moved"]),
        ("opportunity", vec!["created", "updated", "deleted", "closed", "moved"]),
        ("task", vec!["created", "updated", "completed"]),
        ("user", vec!["created", "updated", "deleted"]),
    ]
    .iter()
    .flat_map(|(entity, operations)| operations.iter().map(move |operation| format!("{entity}/{operation}")))
    .collect();
    for entity in ["party", "kase", "opportunity", "task", "user", "ticket"] {
        for operation in ["created", "updated", "deleted", "closed", "moved", "completed", "eaten"] {
            let event = format!("{entity}/{operation}");
            let hook = json!({"restHook": {"targetUrl": "https://some.url.com", "event": event}});
            let answer = client.post("/api/v2/resthooks", &hook);
            if valid.contains(&event) {
                assert_eq!(answer.expect(201)["restHook"]["event"], event);
                continue;
            }
            let told = answer.expect(422);
            assert_eq!(told["message"], "Validation Failed", "{answer}");
            let error = &told["errors"][0];
            assert_eq!((&error["resource"], &error["field"]), (&json!("restHook"), &json!("event")), "{answer}");
            for name in &valid {
                assert!(text(&error["message"]).contains(name.as_str()), "{name}: {answer}");
            }
        }
    }
    let all = client.get("/api/v2/resthooks?perPage=100").expect(200)["restHooks"].clone();
    assert_eq!(all.as_array().unwrap().len(), valid.len());
    let page = client.get("/api/v2/resthooks?perPage=10&page=2");
    assert_eq!(page.expect(200)["restHooks"].as_array().unwrap().len(), valid.len() - 10);
    let first = client.url("/api/v2/resthooks?page=1&perPage=10");
    let links = format!("<{first}>; rel=\"first\", <{first}>; rel=\"prev\"");
    assert_eq!(page.header("link"), Some(links.as_str()));
}

#[test]
fn a_dead_hook_is_unsubscribed_and_can_be_enabled_again_by_its_owner() {
    let server = Server::shared();
    let client = server.space("resthooks-dead");
    let receiver = Receiver::with_replies(&[Reply::status(500)]);
    let input = json!({
        "profile": "capsule", "event": "party/created", "url": receiver.url(),
        "retry": {"schedule": "none"}, "signing": {"kind": "none"},
    });
    let made = client.post("/v1/webhooks", &input).expect(201);
    let (id, path) = (text(&made["id"]), format!("/api/v2/resthooks/{}", made["number"]));
    assert_eq!(client.get("/api/v2/resthooks").expect(200)["restHooks"].as_array().unwrap().len(), 1);
    scene::send(&client, "party.created", &json!({"id": 1}));
    let dead = eventually(|| {
        let shown = client.get(&format!("/v1/webhooks/{id}")).expect(200);
        if shown["state"] == "dead" { Ok(shown) } else { Err(shown.to_string()) }
    });
    assert!(text(&dead["state_reason"]).contains("500"), "{dead:#}");
    assert_eq!(client.get("/api/v2/resthooks").expect(200)["restHooks"], json!([]));
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(client.delete(&path).status, 404);
    client.post(&format!("/v1/webhooks/{id}/enable"), &json!({})).expect(200);
    assert_eq!(client.get(&path).expect(200)["restHook"]["event"], "party/created");
}

#[test]
fn errors_have_capsules_format() {
    let server = Server::shared();
    let client = server.space("resthooks-wrong");
    let hook = |field: &str, value: Value| {
        let mut hook = json!({"targetUrl": "https://some.url.com", "event": "party/created"});
        hook[field] = value;
        json!({"restHook": hook})
    };
    for (body, field) in [
        (hook("targetUrl", json!("no url")), "targetUrl"),
        (hook("targetUrl", json!("http://10.0.0.1/")), "targetUrl"),
        (hook("targetUrl", Value::Null), "targetUrl"),
        (hook("event", Value::Null), "event"),
        (hook("event", json!(7)), "event"),
        (hook("description", json!("x".repeat(65_537))), "description"),
        (hook("batched", json!("yes")), "batched"),
        (hook("embed", json!("tags,everything")), "embed"),
        (hook("event", json!("PARTY/CREATED")), "event"),
        (hook("event", json!("party/created ")), "event"),
        (hook("extra", json!(1)), "extra"),
    ] {
        let answer = client.post("/api/v2/resthooks", &body);
        let told = answer.expect(422);
        assert_eq!(told["message"], "Validation Failed");
        assert_eq!(told["errors"][0]["field"], field, "{answer}");
    }
    let nothing = client.send("POST", "/api/v2/resthooks", &[("content-type", "application/json")], b"{");
    assert_eq!(nothing.expect(400)["code"], "body.not_json");
    let editor = client.post("/v1/keys", &json!({"name": "e", "role": "editor"})).expect(201);
    let editor = client.with_key(editor["key"].as_str().unwrap());
    for answer in [editor.get("/api/v2/resthooks"), editor.post("/api/v2/resthooks", &hook("embed", json!("tags")))] {
        assert_eq!(answer.expect(403)["code"], "auth.forbidden", "administrators only");
    }
    assert_eq!(client.send("PUT", "/api/v2/resthooks", &[], b"").expect(405)["code"], "method.not_allowed");
    assert_eq!(client.without_key().get("/api/v2/resthooks").expect(401)["code"], "auth.missing");
    assert_eq!(client.get("/api/v2/resthooks").expect(200)["restHooks"], json!([]));
}

/// The record of the article, as a record of the kind `party`.
fn scott() -> Value {
    json!({"type": "person", "firstName": "Scott", "lastName": "Spacey", "jobTitle": "Creative Director",
        "addresses": [{"id": 12135, "type": null, "city": "Chicago", "country": "United States",
            "street": "847 North Rush Street", "state": "IL", "zip": "65629"}],
        "emailAddresses": [{"id": 12134, "type": "Work", "address": "scott@homestyleshop.co"}]})
}

#[test]
fn a_created_party_is_delivered_in_the_articles_format() {
    let server = Server::shared();
    let client = server.space("resthooks-message");
    let receiver = Receiver::start();
    subscribe(&client, &receiver.url(), "party/created");
    let record = client.post("/v1/records/party", &scott()).expect(201);
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.method, "POST");
    let message = request.json();
    let mut expected = record.clone();
    for name in ["createdAt", "updatedAt"] {
        let at = text(&record[name]);
        expected[name] = format!("{}Z", at.split('.').next().unwrap().trim_end_matches('Z')).into();
    }
    for name in ["about", "title", "organisation", "lastContactedAt", "pictureURL"] {
        expected[name] = Value::Null;
    }
    assert_eq!(message, json!({"event": "party/created", "payload": [expected]}));
    assert_eq!(message["payload"][0]["addresses"][0]["street"], "847 North Rush Street");
    assert_eq!(request.header("webhook-signature"), "", "Capsule signs nothing");
}

#[test]
fn moved_is_sent_only_when_the_stage_or_milestone_changes() {
    let server = Server::shared();
    let client = server.space("resthooks-moved");
    let receiver = Receiver::start();
    subscribe(&client, &receiver.url(), "opportunity/moved");
    let made = client.post("/v1/records/opportunity", &json!({"name": "o", "milestone": {"name": "Lead"}})).expect(201);
    let path = format!("/v1/records/opportunity/{}", made["id"]);
    client.patch(&path, &json!({"name": "another"})).expect(200);
    client.patch(&path, &json!({"milestone": {"name": "Bid", "id": 14}})).expect(200);
    // Renamed, and still the same.
    client.patch(&path, &json!({"milestone": {"name": "Offer", "id": 14}})).expect(200);
    scene::settled(&client);
    let told: Vec<Value> = receiver.received().iter().map(|one| one.json()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "opportunity/moved");
    assert_eq!(told[0]["payload"][0]["milestone"]["name"], "Bid");
}

#[test]
fn a_batched_hook_gets_several_records_in_one_message() {
    let server = Server::shared();
    let client = server.space("resthooks-batched");
    let receiver = Receiver::start();
    let hook = json!({"restHook": {"targetUrl": receiver.url(), "event": "party/created", "batched": true, "embed": "fields,tags,owner"}});
    let made = client.post("/api/v2/resthooks", &hook).expect(201);
    assert_eq!((&made["restHook"]["batched"], &made["restHook"]["embed"]), (&json!(true), &json!("fields,tags,owner")));
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"][0]["embed"], "fields,tags,owner");
    for n in 0..5 {
        client.post("/v1/records/party", &json!({"firstName": format!("{n}")})).expect(201);
    }
    scene::settled(&client);
    let messages: Vec<Value> = receiver.received().iter().map(|one| one.json()).collect();
    let count: usize = messages.iter().map(|one| one["payload"].as_array().unwrap().len()).sum();
    assert_eq!(count, 5, "{messages:?}");
    assert!(messages.len() < 5, "some of them together: {messages:?}");
}

#[test]
fn a_410_response_deletes_the_hook_at_once() {
    let server = Server::shared();
    let client = server.space("resthooks-gone");
    let receiver = Receiver::with_replies(&[Reply::status(410)]);
    let id = subscribe(&client, &receiver.url(), "party/created");
    client.post("/v1/records/party", &scott()).expect(201);
    eventually(|| {
        let answer = client.get(&format!("/api/v2/resthooks/{id}"));
        if answer.status == 404 { Ok(()) } else { Err(answer.to_string()) }
    });
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"], json!([]));
    client.post("/v1/records/party", &scott()).expect(201);
    scene::settled(&client);
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn every_api_shows_the_same_webhooks_in_its_own_format() {
    let server = Server::shared();
    let client = server.space("doors");
    let receiver = Receiver::start();
    let capsule = subscribe(&client, &receiver.url(), "party/created");
    let xurrent = client.post("/webhooks", &json!({"event": "request.create", "uri": receiver.url()})).expect(200);
    let native =
        client.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["*"], "name": "all"})).expect(201);
    let ids = [&native["number"], &xurrent["id"], &json!(capsule)].map(|id| id.as_u64().unwrap());

    let hooks = client.get("/api/v2/resthooks").expect(200)["restHooks"].clone();
    let hooks: Vec<(u64, String)> =
        hooks.as_array().unwrap().iter().map(|one| (one["id"].as_u64().unwrap(), text(&one["event"]))).collect();
    let seen = |names: [&str; 3]| ids.iter().copied().zip(names.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(hooks, seen(["*", "request.created", "party/created"]));

    let webhooks = client.get("/webhooks").expect(200);
    let webhooks: Vec<(u64, String)> =
        webhooks.as_array().unwrap().iter().map(|one| (one["id"].as_u64().unwrap(), text(&one["event"]))).collect();
    assert_eq!(webhooks, seen(["*", "request.create", "party.created"]));

    let all = client.get("/v1/webhooks").expect(200)["data"].clone();
    let profiles: Vec<(u64, String)> =
        all.as_array().unwrap().iter().map(|one| (one["number"].as_u64().unwrap(), text(&one["profile"]))).collect();
    assert_eq!(profiles, seen(["standard", "xurrent", "capsule"]));

    // What one door takes away is gone for all.
    client.delete(&format!("/webhooks/{capsule}")).expect(204);
    client.delete(&format!("/api/v2/resthooks/{}", ids[0])).expect(204);
    assert_eq!(client.get("/v1/webhooks").expect(200)["data"].as_array().unwrap().len(), 1);
}
