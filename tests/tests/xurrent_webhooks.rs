//! Webhooks as Xurrent's: the article's own requests, answers and fields.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Reply, Server, eventually, programs};
use serde_json::{Value, json};

/// Makes a webhook as the article does and follows the link that its receiver is sent; returns its id.
#[track_caller]
fn confirmed(client: &Client, receiver: &Receiver, event: &str) -> u64 {
    let before = receiver.received().len();
    let made = client.post("/webhooks", &json!({"event": event, "uri": receiver.url()})).expect(200);
    let request = receiver.wait_for(before + 1).remove(before);
    let question = request.json();
    assert_eq!(question["event"], "webhook.verify", "{question}");
    let callback = text(&question["payload"]["callback"]);
    assert_eq!(client.without_key().get(&callback).expect(200)["confirmed"], true);
    made["id"].as_u64().unwrap()
}

#[test]
fn the_articles_requests_create_list_read_update_and_delete() {
    let server = Server::shared();
    let client = server.space("xurrent-crud");
    let body = r#"{
"event": "problem.update",
"uri": "https://myserver.example.com/mywebhook"
}"#;
    let send = |method: &str, path: &str, body: &str| {
        client.send(method, path, &[("content-type", "application/json")], body.as_bytes())
    };
    let made = send("POST", "/webhooks", body).expect(200);
    let id = made["id"].as_u64().unwrap();
    assert_eq!(
        (&made["name"], &made["event"], &made["uri"]),
        (&json!("problem.update"), &json!("problem.update"), &json!("https://myserver.example.com/mywebhook")),
        "the name is the event's"
    );
    assert!(made["created_at"].is_string() && made["updated_at"] == made["created_at"], "{made}");
    assert_eq!((made.get("disabled"), &made["attachments"]), (None, &json!([])));
    let path = format!("/webhooks/{id}");
    assert_eq!(client.get(&path).expect(200), made);

    let description = "Update requests related to the problem by adding a note.";
    let change = json!({"name": "Problem Update", "description": description,
        "mail_exceptions_to": "john.doe@example.com,jane.doe@example.com", "source": "ours", "sourceID": "x-7"});
    let changed = client.patch(&path, &change).expect(200);
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{changed}");
    }
    // What was read can be sent back.
    assert_eq!(client.patch(&path, &changed).expect(200)["description"], description);
    assert_eq!(send("PATCH", &path, body).expect(200)["name"], "Problem Update");

    let other = json!({"event": "request.team-changed", "uri": "http://127.0.0.1:9/axbxd3", "name": "Request Team Changed", "disabled": true});
    let other = client.post("/webhooks", &other).expect(200);
    assert_eq!(other["disabled"], "true", "as the article has it");
    let ids = |path: &str| -> Vec<u64> {
        client.get(path).expect(200).as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
    };
    let second = other["id"].as_u64().unwrap();
    assert_eq!(ids("/webhooks"), [second, id], "newest first");
    assert_eq!((ids("/webhooks/enabled"), ids("/webhooks/disabled")), (vec![id], vec![second]));
    let listed = client.get("/webhooks/enabled").expect(200)[0].clone();
    assert_eq!((listed.get("description"), listed.get("mail_exceptions_to")), (None, None), "{listed}");
    client.patch(&format!("/webhooks/{second}"), &json!({"disabled": "false"})).expect(200);
    assert_eq!(ids("/webhooks/disabled"), Vec::<u64>::new());

    let answer = client.delete(&path);
    answer.expect(204);
    assert!(answer.body.is_empty());
    for gone in [client.get(&path), client.delete(&path), client.patch(&path, &json!({})), client.get("/webhooks/x")] {
        let told = gone.expect(404);
        assert!(text(&told["message"]).contains("there is no webhook"), "{gone}");
        assert_eq!(gone.header("content-type"), Some("application/json; charset=utf-8"));
    }
}

#[test]
fn lists_are_paginated_with_links() {
    let server = Server::shared();
    let client = server.space("xurrent-pages");
    for _ in 0..5 {
        client
            .post("/webhooks", &json!({"event": "ci.update", "uri": "https://example.com/", "disabled": true}))
            .expect(200);
    }
    let page = client.get("/webhooks?page=2&per_page=2");
    assert_eq!(page.expect(200).as_array().unwrap().len(), 2);
    let link = page.header("link").unwrap();
    for (number, relation) in [(1, "prev"), (3, "next")] {
        let address = client.url(&format!("/webhooks?page={number}&per_page=2"));
        assert!(link.contains(&format!("<{address}>; rel=\"{relation}\"")), "{link}");
    }
    for (name, value) in [("per-page", "2"), ("current-page", "2"), ("total-pages", "3"), ("total-entries", "5")] {
        assert_eq!(page.header(&format!("x-pagination-{name}")), Some(value), "{name}");
    }
    assert_eq!(client.get("/webhooks?per_page=101").expect(400)["code"], "query.invalid");
}

#[test]
fn every_event_of_the_article_and_no_other_can_be_subscribed_to() {
    let server = Server::shared();
    let client = server.space("xurrent-events");
    let words = client.get("/v1/vocabularies").expect(200)["data"][2]["events"].clone();
    for event in words.as_array().unwrap() {
        let made = json!({"event": event["name"], "uri": "https://example.com/", "disabled": true});
        assert_eq!(client.post("/webhooks", &made).expect(200)["event"], event["name"]);
    }
    for wrong in ["request.delete", "problem.created", "x.y", ""] {
        let answer = client.post("/webhooks", &json!({"event": wrong, "uri": "https://example.com/"}));
        let told = answer.expect(422);
        assert!(text(&told["message"]).contains("problem.update"), "{answer}");
    }
}

#[test]
fn errors_have_the_articles_field_names() {
    let server = Server::shared();
    let client = server.space("xurrent-wrong");
    let with = |field: &str, value: Value| {
        let mut input = json!({"event": "problem.update", "uri": "https://example.com/"});
        input[field] = value;
        input
    };
    for (input, field) in [
        (with("uri", json!("x")), "uri"),
        (with("uri", Value::Null), "uri"),
        (with("event", Value::Null), "event"),
        (with("description", json!("x".repeat(65_537))), "description"),
        (with("source", json!("x".repeat(31))), "source"),
        (with("source", json!("\u{f6}".repeat(31))), "source"),
        (with("sourceID", json!("x".repeat(129))), "sourceID"),
        (with("sourceID", json!("\u{f6}".repeat(129))), "sourceID"),
        (with("mail_exceptions_to", json!("nobody")), "mail_exceptions_to"),
        (with("webhook_policy", json!({"id": 99})), "webhook_policy"),
        (with("disabled", json!("maybe")), "disabled"),
        (with("description_attachments", json!([{"key": "x"}])), "description_attachments"),
        (with("extra", json!(1)), "extra"),
    ] {
        let answer = client.post("/webhooks", &input);
        let told = answer.expect(422);
        assert!(text(&told["errors"][0]).starts_with(field), "{field}: {answer}");
        assert!(text(&told["message"]).contains(field), "{field}: {answer}");
    }
    // Characters are counted, not bytes.
    client.post("/webhooks", &with("source", json!("\u{f6}".repeat(30)))).expect(200);
    client.post("/webhooks", &with("sourceID", json!("\u{f6}".repeat(128)))).expect(200);
    for (field, most) in [("description", 65_536), ("source", 30), ("sourceID", 128)] {
        client.post("/webhooks", &with(field, json!("x".repeat(most)))).expect(200);
    }
    let editor = client.post("/v1/keys", &json!({"name": "e", "role": "editor"})).expect(201);
    let editor = client.with_key(editor["key"].as_str().unwrap());
    assert_eq!(editor.get("/webhooks").expect(403)["code"], "auth.forbidden", "administrators only");
    assert_eq!(client.without_key().get("/webhooks").expect(401)["code"], "auth.missing");
}

#[test]
fn nothing_is_sent_before_the_callback_of_webhook_verify_was_called() {
    let server = Server::shared();
    let client = server.space("xurrent-verify");
    let receiver = Receiver::start();
    let made = client.post("/webhooks", &json!({"event": "request.create", "uri": receiver.url()})).expect(200);
    let question = receiver.wait_for(1).remove(0).json();
    assert_eq!((&question["event"], &question["webhook_id"]), (&json!("webhook.verify"), &made["id"]), "{question}");
    scene::ticket(&client, "before");
    scene::settled(&client);
    assert_eq!(receiver.received().len(), 1, "nothing but the question");

    let callback = text(&question["payload"]["callback"]);
    let stranger = client.without_key();
    assert_eq!(stranger.get(&callback).expect(200)["confirmed"], true);
    stranger.get(&callback).problem(410, "confirmation.gone");
    let ticket = scene::ticket(&client, "after");
    let message = receiver.wait_for(2).remove(1).json();
    assert_eq!(
        (&message["event"], &message["object_id"], &message["webhook_id"]),
        (&json!("request.create"), &json!(ticket), &made["id"]),
        "{message}"
    );
    scene::settled(&client);
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn a_disabled_webhook_can_be_tested_and_the_object_is_12345() {
    let server = Server::shared();
    let client = server.space("xurrent-test");
    let receiver = Receiver::start();
    let id = confirmed(&client, &receiver, "problem.update");
    client.patch(&format!("/webhooks/{id}"), &json!({"disabled": true})).expect(200);
    let answer = client.post(&format!("/webhooks/{id}/test"), &json!({}));
    answer.expect(204);
    let message = receiver.wait_for(2).remove(1).json();
    assert_eq!((&message["event"], &message["object_id"]), (&json!("problem.update"), &json!(12345)), "{message}");
    assert_eq!(client.get(&format!("/webhooks/{id}")).expect(200)["disabled"], "true");
    assert_eq!(client.post("/webhooks/999/test", &json!({})).status, 404);
}

#[test]
fn failures_are_mailed_and_shown_as_the_last_error() {
    let server = Server::shared();
    let client = server.space("xurrent-mails");
    let mut asked = false;
    let receiver = Receiver::with(move |_| {
        // The question is taken, everything else is not.
        let reply = if asked { Reply::status(404).body("nowhere") } else { Reply::status(204) };
        asked = true;
        reply
    });
    let id = confirmed(&client, &receiver, "request.create");
    let path = format!("/webhooks/{id}");
    let addresses = "john.doe@example.com, jane.doe@example.com";
    let changed = client.patch(&path, &json!({"mail_exceptions_to": addresses, "name": "Ours"})).expect(200);
    assert_eq!(changed["mail_exceptions_to"], "john.doe@example.com,jane.doe@example.com");
    scene::ticket(&client, "fails");
    let mail = eventually(|| {
        let mails = client.get("/v1/mails").expect(200)["data"].clone();
        mails.get(0).cloned().ok_or_else(|| mails.to_string())
    });
    let shown = mail.to_string();
    // Who wants to know, which webhook, where it went, what it was about, and what the receiver answered.
    for part in [
        "john.doe@example.com",
        "jane.doe@example.com",
        "Webhook failed: Ours",
        &receiver.url(),
        "ticket.created evt_",
        "404 nowhere",
    ] {
        assert!(shown.contains(part), "{part}: {mail:#}");
    }
    eventually(|| {
        let error = client.get(&path).expect(200)["last_error"].clone();
        if error == "404 Not Found" { Ok(()) } else { Err(error.to_string()) }
    });
    let message = receiver.wait_for(2).remove(1);
    let body = message.json();
    assert_eq!((&body["account_id"], &body["account"]), (&json!("xurrent-mails"), &json!(client.url(""))));
    let me = client.get("/v1/keys").expect(200)["data"][0].clone();
    assert_eq!((&body["person_id"], &body["person_name"]), (&me["id"], &me["name"]), "who did it: {body}");
    assert!(body["person_nodeID"].is_string(), "{body}");
    let link = message.header("link");
    let record = format!("<{}/v1/records/ticket/{}>; rel=\"resource\"", client.url(""), body["object_id"]);
    assert!(link.contains(&record), "{link}");
    let canonical = format!("<{}/requests/{}>; rel=\"canonical\"", client.url(""), body["object_id"]);
    assert!(link.contains(&canonical), "{link}");
}

#[test]
fn messages_are_signed_by_the_webhooks_policy() {
    let server = Server::shared();
    let client = server.space("xurrent-policy");
    let signing =
        json!({"kind": "jwt", "algorithm": "ES256", "audience": "https://receiver.example", "expires_in_seconds": 120});
    let answer = client.post("/v1/webhook-policies", &json!({"name": "ours", "signing": signing}));
    let policy = answer.expect(201);
    let path = format!("/v1/webhook-policies/{}", policy["id"]);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let pem = text(&policy["public"]["pem"]);
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----") && policy.get("secret").is_none(), "{policy}");
    assert!(!policy.to_string().contains("PRIVATE") && policy["public"]["jwk"].get("d").is_none(), "{policy}");
    let file = client.get(&format!("{path}/public-key"));
    assert_eq!((file.status, file.text()), (200, pem.clone()));
    assert!(file.header("content-disposition").is_some_and(|value| value.starts_with("attachment")));
    let read = client.get(&path).expect(200);
    assert_eq!(client.get("/v1/webhook-policies").expect(200)["data"], json!([read]));

    let receiver = Receiver::start();
    let uri = receiver.url();
    let input =
        json!({"event": "request.create", "uri": uri, "webhook_policy": {"id": policy["id"]}, "disabled": true});
    let made = client.post("/webhooks", &input).expect(200);
    assert_eq!(made["webhook_policy"], json!({"id": policy["id"], "name": "ours"}));
    // The question is signed too; what it asks to be called stands in the token's middle part.
    let question = receiver.wait_for(1).remove(0).json();
    let claims = text(&question["jwt"]).split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert!(text(&claims["data"]["payload"]["callback"]).contains("/confirm/"), "{claims}");
    client.post(&format!("/webhooks/{}/test", made["id"]), &json!({})).expect(204);
    let mut verified = None;
    for request in receiver.wait_for(2) {
        let key = client.get("/v1/webhooks").expect(200)["data"][0]["id"].clone();
        let set = client.get(&format!("/v1/webhooks/{}/keys", text(&key))).expect(200);
        let jwk = &set["keys"][0];
        assert_eq!((&jwk["kty"], &jwk["crv"], jwk.get("d")), (&json!("EC"), &json!("P-256"), None), "{set}");
        let body = String::from_utf8(request.body.clone()).unwrap();
        let headers: Value = request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let mut keys = json!({});
        keys[text(&jwk["kid"])] = json!({"pem": pem, "jwk": jwk});
        let line = json!({"scheme": "jwt", "method": "POST", "url": uri, "headers": headers, "body": body, "keys": keys,
            "algorithm": "ES256", "audience": "https://receiver.example"});
        let said = programs::lines(&mut programs::python("verify.py"), &format!("{line}\n"));
        assert_eq!(said[0]["verified"], true, "{said:?}");
        verified = Some(said);
    }
    assert!(verified.is_some());

    client.delete(&path).problem(409, "webhook_policy.in_use");
    let rotated = client.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 60})).expect(200);
    assert_ne!(rotated["public"]["pem"], json!(pem));
    assert_eq!(
        rotated["keys"].as_array().unwrap().len(),
        2,
        "the old one is valid during an overlap, or is still verified with"
    );
    client.delete(&format!("/webhooks/{}", made["id"])).expect(204);
    client.delete(&path).expect(204);
    client.get(&path).problem(404, "webhook_policy.not_found");

    let shared = json!({"name": "hs", "signing": {"kind": "jwt", "algorithm": "HS256"}});
    let shared = client.post("/v1/webhook-policies", &shared).expect(201);
    let secret = text(&shared["secret"]);
    let path = format!("/v1/webhook-policies/{}", shared["id"]);
    assert!(!client.get(&path).text().contains(&secret), "shown once");
    client.get(&format!("{path}/public-key")).problem(404, "public_key.not_found");
    client.post("/v1/webhook-policies", &json!({"name": "x"})).problem(422, "input.invalid");
}

#[test]
fn an_action_calls_the_webhooks_subscribed_to_automation_rule() {
    let server = Server::shared();
    let client = server.space("xurrent-automation");
    let receiver = Receiver::start();
    let id = confirmed(&client, &receiver, "automation_rule");
    scene::automation(
        &client,
        &json!({"name": "Log Note Dispatcher Integration", "on": ["ticket.created"], "then": [
            {"action": "event-emit", "with": {"type": "automation.called", "subject": "{{event.subject}}", "data": {
                "automation": {"id": "log-note", "name": "Log Note Dispatcher Integration"},
                "payload": {"ticket": "{{event.data.id}}", "text": "You are too sure!"}}}}]}),
    );
    let ticket = scene::ticket(&client, "called");
    let message = receiver.wait_for(2).remove(1).json();
    assert_eq!((&message["event"], &message["webhook_id"]), (&json!("automation_rule"), &json!(id)), "{message}");
    assert_eq!(message["payload"], json!({"ticket": ticket, "text": "You are too sure!"}));
}
