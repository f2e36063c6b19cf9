//! API keys: shown once, listed, rotated and revoked; and the users that they stand for, who are named wherever a change
//! that was made with the key is told.

use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually};
use serde_json::{Value, json};

/// How large a body may be by default, in bytes.
const BODY: usize = 1 << 20;

/// A client whose key stands for this user, or for none.
#[track_caller]
fn keyed(admin: &Client, name: &str, role: &str, user: &Value) -> (Client, Value) {
    let made = admin.post("/v1/keys", &json!({"name": name, "role": role, "user": user})).expect(201);
    assert_eq!(made["user"], *user, "{made}");
    (admin.with_key(made["key"].as_str().unwrap()), made)
}

fn ada() -> Value {
    json!({"id": 9, "name": "Ada Lovelace", "email": "ada@example.com"})
}

/// A webhook of a profile, whose receiver is not asked and whose messages are not signed.
#[track_caller]
fn plain(client: &Client, url: &str, profile: &str, events: &[&str]) -> String {
    let input = json!({"url": url, "profile": profile, "events": events, "handshake": "none", "signing": {"kind": "none"},
        "retry": {"delays_seconds": [600, 600], "jitter": 0}});
    text(&client.post("/v1/webhooks", &input).expect(201)["id"])
}

/// Waits until so many deliveries have failed `attempts` times, and no other waits.
#[track_caller]
fn failed(client: &Client, deliveries: usize, attempts: usize) {
    eventually(|| {
        let pending = scene::all(client, "/v1/deliveries?state=pending");
        let failed = pending.len() == deliveries && pending.iter().all(|one| one["attempts"] == attempts);
        if failed { Ok(()) } else { Err(format!("{pending:#?}")) }
    });
}

/// The messages that a receiver has, once there are so many.
#[track_caller]
fn messages(receiver: &Receiver, count: usize) -> Vec<Value> {
    receiver.wait_for(count).iter().map(hookwright_tests::receiver::Received::json).collect()
}

/// `by` of the newest change of a record.
#[track_caller]
fn last_by(client: &Client, record: &str) -> Value {
    client.get(&format!("/v1/records/{record}/history")).expect(200)["data"][0]["by"].clone()
}

#[test]
fn keys_are_shown_once_listed_rotated_and_revoked() {
    let server = Server::shared();
    let admin = server.space("keys");
    let made = admin.post("/v1/keys", &json!({"name": "Zapier", "role": "editor"})).expect(201);
    assert_eq!((&made["space"], &made["name"], &made["role"]), (&json!("keys"), &json!("Zapier"), &json!("editor")));
    let (id, key) = (text(&made["id"]), text(&made["key"]));
    let path = format!("/v1/keys/{id}");
    let client = admin.with_key(&key);
    client.get("/v1/tickets").expect(200);

    let read = admin.get(&path).expect(200);
    assert_eq!(read["prefix"], key[..9]);
    assert!(read["last_used_at"].is_string(), "{read}");
    assert!(!admin.get("/v1/keys").text().contains(&key) && !read.to_string().contains(&key), "a key is shown once");

    let rotated = admin.post(&format!("{path}/rotate"), &json!({})).expect(201);
    assert_eq!((&rotated["name"], &rotated["role"]), (&json!("Zapier"), &json!("editor")));
    client.get("/v1/tickets").problem(401, "auth.invalid");
    let client = admin.with_key(rotated["key"].as_str().unwrap());
    client.get("/v1/tickets").expect(200);
    admin.get(&path).problem(404, "key.not_found");

    admin.delete(&format!("/v1/keys/{}", text(&rotated["id"]))).expect(204);
    client.get("/v1/tickets").problem(401, "auth.invalid");

    let own = admin.get("/v1/keys").expect(200);
    let own = format!("/v1/keys/{}", text(&own["data"][0]["id"]));
    admin.delete(&own).problem(409, "key.in_use");
    server.client().delete("/v1/keys/key_environment").problem(409, "key.fixed");
    server.client().post("/v1/keys/key_environment/rotate", &json!({})).problem(409, "key.fixed");
    for (wrong, path) in [
        (json!({"name": "", "role": "admin"}), "name"),
        (json!({"name": "x", "role": "owner"}), "role"),
        (json!({"name": "x", "role": "admin", "space": "No Space"}), "space"),
    ] {
        assert_eq!(admin.post("/v1/keys", &wrong).paths(), [path]);
    }
    // Only administrators of `main` reach into other spaces, and only to let somebody in.
    let foreign = json!({"name": "x", "role": "admin", "space": "main"});
    admin.post("/v1/keys", &foreign).problem(403, "space.forbidden");
    let editor = server.client().post("/v1/keys", &json!({"name": "x", "role": "editor"})).expect(201);
    let editor = admin.with_key(editor["key"].as_str().unwrap());
    editor.post("/v1/keys", &json!({"name": "x", "role": "admin", "space": "keys"})).problem(403, "auth.forbidden");
}

#[test]
fn a_replaced_key_is_revoked_with_its_successor_but_cannot_revoke_it() {
    let server = Server::shared();
    let first = server.space("key-overlaps");
    let id = |made: &Value| format!("/v1/keys/{}", text(&made["id"]));
    let rotate = |path: &str, seconds: u64| {
        first.post(&format!("{path}/rotate"), &json!({"overlap_seconds": seconds})).expect(201)
    };
    let own = id(&first.get("/v1/keys").expect(200)["data"][0]);
    let second = rotate(&own, 3600);
    let third = rotate(&id(&second), 3600);
    for path in [&own, &id(&second), &id(&third)] {
        first.delete(path).problem(409, "key.in_use");
    }
    first.with_key(&text(&second["key"])).delete(&id(&third)).problem(409, "key.in_use");

    let other = server.space("key-overlaps");
    other.delete(&id(&third)).expect(204);
    for key in [first.clone(), first.with_key(&text(&second["key"])), first.with_key(&text(&third["key"]))] {
        key.get("/v1/tickets").problem(401, "auth.invalid");
    }
    assert_eq!(scene::all(&other, "/v1/keys").len(), 1);

    // A rotation without an overlap ends all that came before.
    let made = other.post("/v1/keys", &json!({"name": "x", "role": "viewer"})).expect(201);
    let rotate = |path: &str, seconds: u64| {
        other.post(&format!("{path}/rotate"), &json!({"overlap_seconds": seconds})).expect(201)
    };
    let next = rotate(&id(&made), 3600);
    let last = rotate(&id(&next), 0);
    other.get(&id(&made)).problem(404, "key.not_found");
    other.get(&id(&next)).problem(404, "key.not_found");
    other.get(&id(&last)).expect(200);
}

#[test]
fn a_keys_user_persists_until_changed_and_survives_rotation() {
    let server = Server::shared();
    let admin = server.space("key-users");
    let (_, made) = keyed(&admin, "Ada's", "editor", &ada());
    let path = format!("/v1/keys/{}", text(&made["id"]));
    assert_eq!(admin.get(&path).expect(200)["user"], ada());
    let listed = admin.get("/v1/keys").expect(200);
    let users: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|key| &key["user"]).collect();
    assert_eq!(users, [&ada(), &Value::Null], "{listed}");
    assert_eq!(admin.patch(&path, &json!({})).expect(200)["user"], ada(), "what is not given stays");

    let grace = json!({"id": "usr_7", "name": "Grace Hopper"});
    let changed = admin.patch(&path, &json!({"user": grace})).expect(200);
    assert_eq!((&changed["user"], &changed["role"], changed.get("key")), (&grace, &json!("editor"), None));
    let rotated = admin.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 60})).expect(201);
    assert_eq!((&rotated["user"], &admin.get(&path).expect(200)["user"]), (&grace, &grace));
    let path = format!("/v1/keys/{}", text(&rotated["id"]));
    assert_eq!(admin.patch(&path, &json!({"user": null})).expect(200)["user"], Value::Null);
    let rotated = admin.send("POST", &format!("{path}/rotate"), &[], b"").expect(201);
    assert_eq!(rotated["user"], Value::Null);
    admin.patch(&path, &json!({"user": ada()})).problem(404, "key.not_found");
    server.client().patch("/v1/keys/key_environment", &json!({"user": ada()})).problem(409, "key.fixed");
}

#[test]
fn an_invalid_user_is_rejected_with_the_field() {
    let server = Server::shared();
    let admin = server.space("key-user-bounds");
    let (_, made) = keyed(&admin, "of nobody", "viewer", &Value::Null);
    let path = format!("/v1/keys/{}", text(&made["id"]));
    let long = "n".repeat(BODY - 1024);
    for (user, fields) in [
        (json!({"id": 1, "name": "Ada\r\nX-Evil: 1"}), vec!["user.name"]),
        (json!({"id": 1, "name": long}), vec!["user.name"]),
        (json!({"id": 1, "name": ""}), vec!["user.name"]),
        (json!({"id": 1, "name": 5}), vec!["user.name"]),
        (json!({"id": long, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": "a\u{0}", "name": "Ada"}), vec!["user.id"]),
        (json!({"id": 0, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": -1, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": 1.5, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": 9_007_199_254_740_992_u64, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": {"id": 1}, "name": "Ada"}), vec!["user.id"]),
        (json!({"id": 1, "name": "Ada", "email": "ada"}), vec!["user.email"]),
        (json!({"id": 1, "name": "Ada", "email": "a@b.example\r\nBcc: c@d.example"}), vec!["user.email"]),
        (json!({"id": "", "name": " ", "email": "@"}), vec!["user.id", "user.name", "user.email"]),
        (json!({"id": 1, "name": "Ada", "phone": "1"}), vec!["user.phone"]),
        (json!("Ada"), vec!["user"]),
        (json!([1, "Ada"]), vec!["user"]),
    ] {
        let key = json!({"name": "x", "role": "viewer", "user": user});
        for answer in [admin.post("/v1/keys", &key), admin.patch(&path, &json!({"user": user}))] {
            answer.problem(422, "input.invalid");
            assert_eq!(answer.paths(), fields, "{answer}");
            assert!(answer.body.len() < 2000, "the answer does not repeat what was sent: {} bytes", answer.body.len());
        }
    }
    let too_long = json!({"user": {"id": 1, "name": "n".repeat(BODY)}});
    assert_eq!(admin.patch(&path, &too_long).status, 413, "more than a body may have");
    assert_eq!(admin.patch(&path, &json!({"role": "admin"})).paths(), ["role"], "the role stays");
    assert_eq!(admin.get("/v1/keys").expect(200)["data"].as_array().unwrap().len(), 2, "nothing was made");
    assert_eq!(admin.get(&path).expect(200)["user"], Value::Null);
}

#[test]
fn messages_of_every_system_name_the_keys_user_across_retry_and_restart() {
    let mut server = Server::start(Options::default().clock());
    let receivers: Vec<[Receiver; 2]> = (0..2)
        .map(|_| {
            let twice = || Receiver::with_replies(&[Reply::status(503), Reply::status(503), Reply::status(204)]);
            [twice(), twice()]
        })
        .collect();
    let mut keys = Vec::new();
    // A name is a value, not a template.
    let users = [ada(), json!({"id": "usr_7", "name": "{{secrets.grace}} \"Hopper\""})];
    for (n, [xurrent, uspacy]) in receivers.iter().enumerate() {
        let space = json!({"name": "admin", "role": "admin", "space": format!("key-users-{n}")});
        let space = server.client().post("/v1/keys", &space).expect(201);
        let admin = server.client().with_key(space["key"].as_str().unwrap());
        let (client, key) = keyed(&admin, "CRM", "editor", &users[n]);
        plain(&admin, &xurrent.url(), "xurrent", &["lead.created"]);
        plain(&admin, &uspacy.url(), "uspacy", &["lead.created"]);
        // What the record says of users is content.
        let lead = json!({"title": "Lead", "created_by": 3, "changed_by": "4", "user_id": 5, "person": {"id": 6}});
        client.post("/v1/records/lead", &lead).expect(201);
        messages(xurrent, 1);
        messages(uspacy, 1);
        failed(&admin, 2, 1);
        // Whom the key stands for afterwards does not change what was done.
        let other = json!({"id": 77, "name": "Somebody else"});
        admin.patch(&format!("/v1/keys/{}", text(&key["id"])), &json!({"user": other})).expect(200);
        keys.push((space, key));
    }
    server.restart();
    for attempts in [1, 2] {
        for (space, _) in &keys {
            failed(&server.client().with_key(space["key"].as_str().unwrap()), 2, attempts);
        }
        server.advance(Duration::from_secs(600));
    }
    for (n, [xurrent, uspacy]) in receivers.iter().enumerate() {
        let (space, key) = &keys[n];
        let [admin, client] = [space, key].map(|made| server.client().with_key(made["key"].as_str().unwrap()));
        let user = &users[n];
        for message in messages(xurrent, 3) {
            let told = json!([message["person_id"], message["person_name"]]);
            assert_eq!(told, json!([user["id"], user["name"]]), "{message}");
        }
        for message in messages(uspacy, 3) {
            assert_eq!(message["data"]["user_id"], user["id"], "{message}");
        }
        scene::settled(&admin);
        let by = json!({"key": key["id"], "key_name": "CRM", "user": user});
        assert_eq!(last_by(&admin, "lead/1"), by, "as it was then");
        let event = scene::all(&admin, "/v1/events?type=lead.created").remove(0);
        let story = admin.get(&format!("/v1/events/{}", text(&event["id"]))).expect(200);
        assert_eq!(story["cause"]["by"], by, "{story:#}");

        client.post("/v1/records/lead", &json!({"title": "After the restart"})).expect(201);
        let last = messages(xurrent, 4).remove(3);
        assert_eq!(json!([last["person_id"], last["person_name"]]), json!([77, "Somebody else"]), "{last}");
        assert_eq!(messages(uspacy, 4).remove(3)["data"]["user_id"], 77);
    }
}

#[test]
fn challenges_tests_notes_and_completed_tasks_name_the_user() {
    let server = Server::shared();
    let admin = server.space("key-users-shapes");
    let (client, _) = keyed(&admin, "Ada's", "admin", &ada());
    let receiver = Receiver::start();
    let made = client.post("/webhooks", &json!({"event": "request.note-added", "uri": receiver.url()})).expect(200);
    let question = messages(&receiver, 1).remove(0);
    let person = |message: &Value| json!([message["person_id"], message["person_name"]]);
    assert_eq!((&question["event"], person(&question)), (&json!("webhook.verify"), json!([9, "Ada Lovelace"])));
    client.without_key().get(&text(&question["payload"]["callback"])).expect(200);
    client.post(&format!("/webhooks/{}/test", made["id"]), &json!({})).expect(204);
    let test = messages(&receiver, 2).remove(1);
    assert_eq!((&test["object_id"], person(&test)), (&json!(12345), json!([9, "Ada Lovelace"])), "{test}");

    // The support service's packet has the user with each attachment.
    let packets = Receiver::start();
    plain(&admin, &packets.url(), "support-service", &["ticket.note-added"]);
    let ticket = scene::ticket(&client, "T");
    let file = json!({"file_name": "a.pdf", "path": "/a.pdf"});
    let notes = format!("/v1/tickets/{ticket}/notes");
    let note = client.post(&notes, &json!({"text": "n", "attachments": [file]})).expect(201);
    assert_eq!(json!([note["author"], note["author_id"]]), json!(["Ada Lovelace", 9]), "{note}");
    let packet = messages(&packets, 1).remove(0);
    let creator = json!({"Id": "9", "PersonType": 1, "ProfileType": 1, "BusinessName": "Ada Lovelace",
        "Email": "ada@example.com", "Phone": null});
    assert_eq!(packet["Actions"][0]["Attachments"][0]["CreatedBy"], creator, "{packet:#}");
    // Who names an author speaks for somebody else.
    let other = client.post(&notes, &json!({"text": "n", "author": "Bob", "attachments": [file]})).expect(201);
    assert_eq!(json!([other["author"], other.get("author_id")]), json!(["Bob", null]), "{other}");
    assert_eq!(other["attachments"][0]["created_by"], Value::Null);
    let message = messages(&receiver, 3).remove(2);
    assert_eq!((&message["event"], person(&message)), (&json!("request.note-added"), json!([9, "Ada Lovelace"])));

    let comments = Receiver::start();
    plain(&admin, &comments.url(), "uspacy", &["task.note-added"]);
    let hooks = Receiver::start();
    let hook = json!({"restHook": {"targetUrl": hooks.url(), "event": "task/completed"}});
    client.post("/api/v2/resthooks", &hook).expect(201);
    client.post("/v1/records/task", &json!({"title": "Call"})).expect(201);
    client.post("/v1/records/task/1/notes", &json!({"text": "called"})).expect(201);
    client.patch("/v1/records/task/1", &json!({"status": "done"})).expect(200);
    let comment = messages(&comments, 1).remove(0)["data"].clone();
    assert_eq!(json!([comment["user_id"], comment["entity"]["author_id"]]), json!([9, 9]), "{comment}");
    let task = messages(&hooks, 1).remove(0)["payload"][0].clone();
    assert_eq!(task["completedBy"], json!({"id": 9, "name": "Ada Lovelace"}), "{task}");
}

#[test]
fn events_about_a_changed_webhook_and_a_started_workflow_name_the_user() {
    let server = Server::shared();
    let admin = server.space("key-users-webhooks");
    let (client, key) = keyed(&admin, "Ada's", "admin", &ada());
    let by = json!({"key": key["id"], "key_name": "Ada's", "user": ada()});
    let newest_by = |event_type: &str, count: usize| {
        let events = scene::all(&admin, &format!("/v1/events?type={event_type}"));
        assert_eq!(events.len(), count, "{event_type}: {events:?}");
        admin.get(&format!("/v1/events/{}", text(&events[0]["id"]))).expect(200)["cause"]["by"].clone()
    };
    let path = format!("/v1/webhooks/{}", plain(&client, "http://127.0.0.1:9/", "standard", &["x"]));
    client.post(&format!("{path}/disable"), &json!({})).expect(200);
    assert_eq!(newest_by("webhook.disabled", 1), by);
    client.post(&format!("{path}/enable"), &json!({})).expect(200);
    assert_eq!(newest_by("webhook.enabled", 1), by);
    client.patch(&path, &json!({"enabled": false})).expect(200);
    assert_eq!(newest_by("webhook.disabled", 2), by);
    // A key that stands for nobody.
    admin.patch(&path, &json!({"enabled": true})).expect(200);
    let nobody = newest_by("webhook.enabled", 2);
    assert!(nobody["key"].is_string() && nobody.get("user").is_none(), "{nobody}");

    let apply = |enabled: bool| {
        let webhook = json!({"name": "w", "url": "http://127.0.0.1:9/w", "events": ["x"], "handshake": "none",
            "enabled": enabled});
        client.post("/v1/configuration/apply", &json!({"configuration": {"webhooks": [webhook]}})).expect(200)
    };
    apply(true);
    apply(false);
    assert_eq!(newest_by("webhook.disabled", 3), by);

    let steps = json!([{"action": "event-emit", "with": {"type": "started"}}]);
    client.post("/v1/workflows", &json!({"name": "w", "steps": steps})).expect(201);
    client.post("/v1/workflows/w/start", &json!({})).expect(202);
    assert_eq!(newest_by("workflow.started", 1), by);
}

#[test]
fn automations_keys_without_a_user_and_external_events_have_no_user() {
    let server = Server::shared();
    let admin = server.space("key-users-nobody");
    let (client, _) = keyed(&admin, "Ada's", "editor", &ada());
    let [xurrent, uspacy] = [Receiver::start(), Receiver::start()];
    plain(&admin, &xurrent.url(), "xurrent", &["lead.*"]);
    plain(&admin, &uspacy.url(), "uspacy", &["lead.*"]);
    let automation = scene::automation(
        &client,
        &json!({"name": "answers", "on": ["lead.created"], "then": [{"action": "record-update", "with": {
            "kind": "lead", "id": "{{event.data.id}}", "changes": {"comments": "seen"}}}]}),
    );
    client.post("/v1/records/lead", &json!({"title": "L", "changed_by": 9})).expect(201);
    let of_type = |receiver: &Receiver, count: usize, action: &str| {
        let all = messages(receiver, count);
        let fits = |one: &&Value| one["event"] == action || one["data"]["action"] == action;
        all.iter().find(fits).cloned().unwrap_or_else(|| panic!("no {action} in {all:#?}"))
    };
    assert_eq!(of_type(&uspacy, 2, "create")["data"]["user_id"], 9);
    assert_eq!(of_type(&uspacy, 2, "update")["data"]["user_id"], Value::Null, "an automation is not a user");
    let message = of_type(&xurrent, 2, "lead.update");
    assert_eq!(json!([message["person_id"], message["person_name"]]), json!([automation, "answers"]), "{message}");
    scene::settled(&admin);
    let by = last_by(&admin, "lead/1");
    assert_eq!((&by["automation"], by.get("user")), (&json!(automation), None), "{by}");

    // A key that stands for nobody.
    admin.delete("/v1/records/lead/1").expect(204);
    let message = of_type(&xurrent, 3, "lead.delete");
    assert!(text(&message["person_id"]).starts_with("key_"), "{message}");
    assert_eq!(last_by(&admin, "lead/1").get("user"), None);

    messages(&uspacy, 3);

    // Whoever sends an event chooses its data and attributes, not who made it.
    let (outsider, _) = keyed(&admin, "outsider", "ingest", &Value::Null);
    let forged = json!({"by": {"user": ada()}, "user": ada()});
    let event = json!({"type": "lead.closed", "cause": forged, "by": forged, "user": ada(), "data": {"id": 1,
        "cause": forged, "by": {"user": ada()}, "user": ada()}});
    outsider.post("/v1/events", &event).problem(422, "input.invalid");
    let event = json!({"type": "lead.closed", "data": event["data"]});
    outsider.post("/v1/events", &event).expect(202);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "lead.closed"),
        ("ce-user", "9"),
        ("ce-cause", "{}"),
        ("ce-by", "9"),
        ("content-type", "application/json"),
    ];
    outsider.send("POST", "/v1/events", &headers, event["data"].to_string().as_bytes()).expect(202);
    for message in messages(&uspacy, 5).split_off(3) {
        assert_eq!(message["data"]["user_id"], Value::Null, "{message}");
    }
    for message in messages(&xurrent, 5).split_off(3) {
        assert_eq!(json!([message["person_id"], message["person_name"]]), json!([null, null]), "{message}");
    }
    eventually(|| {
        let events = scene::all(&admin, "/v1/events?type=lead.closed");
        if events.len() == 2 { Ok(()) } else { Err(format!("{events:?}")) }
    });
}
