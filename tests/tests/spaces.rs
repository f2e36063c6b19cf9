//! Two spaces never see each other, and each role may do what it may and nothing else: for every route there is.

use hookwright_tests::components::other_version;
use hookwright_tests::routes::{self, Route};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Receiver, Server, eventually};
use serde_json::{Value, json};

/// What a request with another space's ids comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The route has no space.
    Open,
    /// It reads or changes the caller's own space.
    Own,
    /// 404, as if there were no such thing anywhere.
    Absent,
}
use Seen::{Absent, Open, Own};

/// Method, path, what it needs, what somebody of another space gets.
const ROWS: &[(&str, &str, &str, Seen)] = &[
    ("GET", "/healthz", "Nothing", Open),
    ("GET", "/readyz", "Nothing", Open),
    ("POST", "/webhook", "IngestNamed", Own),
    ("ANY", "/in/{token}", "Nothing", Open),
    ("ANY", "/in/{token}/", "Nothing", Open),
    ("ANY", "/in/{token}/{*path}", "Nothing", Open),
    ("POST", "/v1/events", "Ingest", Own),
    ("GET", "/v1/events", "Read", Own),
    ("GET", "/v1/events/{id}", "Read", Absent),
    ("GET", "/v1/events/{id}/explain", "Read", Absent),
    ("POST", "/v1/events/{id}/replay", "Edit", Absent),
    ("GET", "/v1/events/{id}/payload", "Read", Absent),
    ("POST", "/v1/automations", "Edit", Own),
    ("GET", "/v1/automations", "Read", Own),
    ("GET", "/v1/automations/{id}", "Read", Absent),
    ("PATCH", "/v1/automations/{id}", "Edit", Absent),
    ("DELETE", "/v1/automations/{id}", "Edit", Absent),
    ("POST", "/v1/automations/{id}/enable", "Edit", Absent),
    ("POST", "/v1/automations/{id}/disable", "Edit", Absent),
    ("POST", "/v1/automations/{id}/test", "Edit", Absent),
    ("POST", "/v1/workflows", "Edit", Own),
    ("GET", "/v1/workflows", "Read", Own),
    ("GET", "/v1/workflows/{name}", "Read", Absent),
    ("PATCH", "/v1/workflows/{name}", "Edit", Absent),
    ("DELETE", "/v1/workflows/{name}", "Edit", Absent),
    ("GET", "/v1/workflows/{name}/versions", "Read", Absent),
    ("POST", "/v1/workflows/{name}/start", "Edit", Absent),
    ("POST", "/v1/schedules", "Edit", Own),
    ("GET", "/v1/schedules", "Read", Own),
    ("GET", "/v1/schedules/{id}", "Read", Absent),
    ("PATCH", "/v1/schedules/{id}", "Edit", Absent),
    ("DELETE", "/v1/schedules/{id}", "Edit", Absent),
    ("GET", "/v1/plugins", "Read", Own),
    ("GET", "/v1/plugins/{name}", "Read", Absent),
    ("PUT", "/v1/plugins/{name}", "Administer", Own),
    ("DELETE", "/v1/plugins/{name}", "Administer", Absent),
    ("GET", "/v1/plugins/{name}/versions", "Read", Absent),
    ("GET", "/v1/plugins/{name}/component", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/activate", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/compare", "Administer", Absent),
    ("GET", "/v1/comparisons", "Administer", Own),
    ("GET", "/v1/comparisons/{id}", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/rollout", "Administer", Absent),
    ("DELETE", "/v1/plugins/{name}/rollout", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/promote", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/rollback", "Administer", Absent),
    ("POST", "/v1/plugins/{name}/approve", "Administer", Absent),
    ("GET", "/v1/plugins/{name}/policy", "Administer", Absent),
    ("PUT", "/v1/plugins/{name}/policy", "Administer", Own),
    ("POST", "/v1/plugins/{name}/grants", "Administer", Own),
    ("GET", "/v1/plugins/{name}/logs", "Read", Own),
    ("PUT", "/v1/secrets/{name}", "Administer", Own),
    ("GET", "/v1/secrets", "Administer", Own),
    ("DELETE", "/v1/secrets/{name}", "Administer", Own),
    ("POST", "/v1/records/{kind}", "Edit", Own),
    ("GET", "/v1/records/{kind}", "Read", Own),
    ("GET", "/v1/records/{kind}/{id}", "Read", Absent),
    ("PATCH", "/v1/records/{kind}/{id}", "Edit", Absent),
    ("DELETE", "/v1/records/{kind}/{id}", "Edit", Absent),
    ("GET", "/v1/records/{kind}/{id}/history", "Read", Absent),
    ("POST", "/v1/records/{kind}/{id}/notes", "Edit", Absent),
    ("GET", "/v1/records/{kind}/{id}/notes", "Read", Absent),
    ("GET", "/v1/kinds", "Read", Own),
    ("GET", "/v1/kinds/{kind}", "Read", Absent),
    ("PUT", "/v1/kinds/{kind}", "Administer", Own),
    ("DELETE", "/v1/kinds/{kind}", "Administer", Absent),
    ("GET", "/v1/mails", "Read", Own),
    ("GET", "/v1/mails/{id}", "Read", Absent),
    ("POST", "/v1/tickets", "Edit", Own),
    ("GET", "/v1/refused-requests", "Administer", Own),
    ("GET", "/v1/refused-requests/{id}", "Administer", Absent),
    ("GET", "/v1/tickets", "Read", Own),
    ("GET", "/v1/tickets/{id}", "Read", Absent),
    ("PATCH", "/v1/tickets/{id}", "Edit", Absent),
    ("POST", "/v1/tickets/{id}/notes", "Edit", Absent),
    ("GET", "/v1/tickets/{id}/notes", "Read", Absent),
    ("POST", "/v1/webhooks", "Administer", Own),
    ("GET", "/v1/webhooks", "Read", Own),
    ("GET", "/v1/webhooks/{id}", "Read", Absent),
    ("PATCH", "/v1/webhooks/{id}", "Administer", Absent),
    ("DELETE", "/v1/webhooks/{id}", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/enable", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/disable", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/test", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/rotate", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/verify", "Administer", Absent),
    ("POST", "/v1/webhooks/{id}/recover", "Administer", Absent),
    ("GET", "/v1/webhooks/{id}/keys", "Read", Absent),
    ("POST", "/v1/webhook-policies", "Administer", Own),
    ("GET", "/v1/webhook-policies", "Read", Own),
    ("GET", "/v1/webhook-policies/{id}", "Read", Absent),
    ("PATCH", "/v1/webhook-policies/{id}", "Administer", Absent),
    ("DELETE", "/v1/webhook-policies/{id}", "Administer", Absent),
    ("POST", "/v1/webhook-policies/{id}/rotate", "Administer", Absent),
    ("GET", "/v1/webhook-policies/{id}/public-key", "Read", Absent),
    ("POST", "/api/v2/resthooks", "Administer", Own),
    ("GET", "/api/v2/resthooks", "Administer", Own),
    ("GET", "/api/v2/resthooks/{id}", "Administer", Absent),
    ("DELETE", "/api/v2/resthooks/{id}", "Administer", Absent),
    ("GET", "/webhooks", "Administer", Own),
    ("GET", "/webhooks/enabled", "Administer", Own),
    ("GET", "/webhooks/disabled", "Administer", Own),
    ("POST", "/webhooks", "Administer", Own),
    ("GET", "/webhooks/{id}", "Administer", Absent),
    ("PATCH", "/webhooks/{id}", "Administer", Absent),
    ("DELETE", "/webhooks/{id}", "Administer", Absent),
    ("POST", "/webhooks/{id}/test", "Administer", Absent),
    ("GET", "/v1/event-types", "Read", Own),
    ("POST", "/v1/event-types", "Administer", Own),
    ("GET", "/v1/event-types/{name}", "Read", Absent),
    ("PUT", "/v1/event-types/{name}", "Administer", Own),
    ("DELETE", "/v1/event-types/{name}", "Administer", Absent),
    ("GET", "/v1/vocabularies", "Read", Own),
    ("ANY", "/confirm/{token}", "Nothing", Open),
    ("GET", "/certificates/{space}/{webhook}/{file}", "Nothing", Open),
    ("GET", "/v1/runs", "Read", Own),
    ("GET", "/v1/runs/{id}", "Read", Absent),
    ("POST", "/v1/runs/{id}/cancel", "Edit", Absent),
    ("GET", "/v1/deliveries", "Read", Own),
    ("GET", "/v1/deliveries/{id}", "Read", Absent),
    ("POST", "/v1/deliveries/{id}/redeliver", "Edit", Absent),
    ("GET", "/v1/attempts", "Read", Own),
    ("GET", "/v1/attempts/export", "Read", Own),
    ("POST", "/v1/redeliveries", "Edit", Own),
    ("GET", "/v1/redeliveries", "Read", Own),
    ("GET", "/v1/redeliveries/{id}", "Read", Absent),
    ("POST", "/v1/sources", "Administer", Own),
    ("GET", "/v1/sources", "Administer", Own),
    ("GET", "/v1/sources/{id}", "Administer", Absent),
    ("PATCH", "/v1/sources/{id}", "Administer", Absent),
    ("DELETE", "/v1/sources/{id}", "Administer", Absent),
    ("POST", "/v1/sources/{id}/poll", "Administer", Absent),
    ("POST", "/v1/sources/{id}/rotate", "Administer", Absent),
    ("GET", "/v1/sources/{id}/requests", "Administer", Absent),
    ("GET", "/v1/sources/{id}/requests/{request}", "Administer", Absent),
    ("GET", "/v1/sources/{id}/requests/{request}/automation", "Administer", Absent),
    ("POST", "/v1/configuration/plan", "Administer", Own),
    ("POST", "/v1/configuration/apply", "Administer", Own),
    ("GET", "/v1/configuration/export", "Administer", Own),
    ("POST", "/v1/keys", "Administer", Own),
    ("GET", "/v1/keys", "Administer", Own),
    ("GET", "/v1/keys/{id}", "Administer", Absent),
    ("PATCH", "/v1/keys/{id}", "Administer", Absent),
    ("DELETE", "/v1/keys/{id}", "Administer", Absent),
    ("POST", "/v1/keys/{id}/rotate", "Administer", Absent),
];

/// Stands in everything that the first space holds.
const MARK: &str = "belongs-to-the-first-space";

/// Need, and the roles that meet it.
const ROLES: &[(&str, &[&str])] = &[
    ("Nothing", &["admin", "editor", "viewer", "ingest"]),
    ("IngestNamed", &["admin", "editor", "ingest"]),
    ("Ingest", &["admin", "editor", "ingest"]),
    ("Read", &["admin", "editor", "viewer"]),
    ("Edit", &["admin", "editor"]),
    ("Administer", &["admin"]),
];

#[test]
fn every_route_of_the_server_has_its_row_here() {
    let rows: Vec<Route> = ROWS
        .iter()
        .map(|(method, path, needs, _)| Route {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            needs: (*needs).to_owned(),
        })
        .collect();
    let table = routes::table();
    for route in &table {
        assert!(rows.contains(route), "{route:?} has no row in ROWS: say what others may do with it");
    }
    for row in &rows {
        assert!(table.contains(row), "{row:?} is not a route of the server");
    }
}

/// One of each thing, in one space.
struct Things {
    client: Client,
    event: String,
    automation: String,
    ticket: u64,
    webhook: String,
    run: String,
    delivery: String,
    source: String,
    token: String,
    key: String,
    redelivery: String,
    comparison: String,
    plugin: &'static str,
    _receiver: Receiver,
}

impl Things {
    #[track_caller]
    fn make(client: Client) -> Self {
        let receiver = Receiver::start();
        for n in 0..2 {
            scene::ticket(&client, &format!("filler {n}"));
        }
        let ticket = scene::ticket(&client, MARK);
        client.post(&format!("/v1/tickets/{ticket}/notes"), &json!({"text": MARK})).expect(201);
        let plugin = "first-space-plugin";
        client.put(&format!("/v1/plugins/{plugin}"), &other_version("note-add", "7.7.7")).expect(200);
        client.put_json(&format!("/v1/plugins/{plugin}/policy"), &json!({"config": {"mark": MARK}})).expect(200);
        client.put_json(&format!("/v1/secrets/{plugin}"), &json!({"value": MARK})).expect(200);
        for _ in 0..2 {
            client.post("/v1/records/lead", &json!({"name": MARK})).expect(201);
        }
        client.put_json("/v1/kinds/first-kind", &json!({"noun": MARK, "fields": {}})).expect(201);
        scene::automation(
            &client,
            &json!({"name": "mails", "on": ["first.mail"], "then": [
                {"action": "email-send", "with": {"to": ["a@example.com"], "subject": MARK, "text": MARK}}]}),
        );
        scene::send(&client, "first.mail", &json!({}));
        scene::settled(&client);
        let (webhook, _) = scene::webhook(&client, &receiver.url(), &["*"]);
        let automation = scene::automation(
            &client,
            &json!({"name": MARK, "on": ["*"], "then": [
                {"action": "event-emit", "with": {"type": "never.loops"}}], "enabled": false}),
        );
        client.post(&format!("/v1/automations/{automation}/enable"), &json!({})).expect(200);
        let event = scene::send(&client, "first.space", &json!({"secret": MARK}));
        client.post(&format!("/v1/automations/{automation}/disable"), &json!({})).expect(200);
        scene::settled(&client);
        let story = scene::story(&client, &event);
        let workflow = json!({"name": plugin, "description": MARK, "steps": [{"wait": {"seconds": 0}}]});
        client.post("/v1/workflows", &workflow).expect(201);
        for _ in 0..2 {
            let schedule = json!({"name": MARK, "every_seconds": 86_400, "type": "never"});
            client.post("/v1/schedules", &schedule).expect(201);
        }
        let made = client.post("/v1/sources", &json!({"name": MARK, "kind": "inbox"})).expect(201);
        client.without_key().post(&text(&made["url"]), &json!({"action": MARK})).expect(202);
        let key = client.post("/v1/keys", &json!({"name": MARK, "role": "viewer"})).expect(201);
        // Its number is that of the webhook, so that one path leads to both.
        let policy = json!({"name": MARK, "signing": {"kind": "standard-asymmetric"}});
        assert_eq!(client.post("/v1/webhook-policies", &policy).expect(201)["id"], 1);
        client.put_json(&format!("/v1/event-types/{plugin}"), &json!({"summary": MARK})).expect(201);
        client.post("/v1/events", &json!({"type": MARK, "wrong": MARK})).problem(422, "input.invalid");
        let redelivery = text(&client.post("/v1/redeliveries", &json!({"error": MARK})).expect(202)["id"]);
        eventually(|| {
            let found = client.get(&format!("/v1/redeliveries/{redelivery}")).expect(200);
            if found["state"] == "done" { Ok(()) } else { Err(found.to_string()) }
        });
        let comparison = json!({"version": "7.7.7"});
        let comparison = client.post(&format!("/v1/plugins/{plugin}/compare"), &comparison).expect(202);
        let comparison = text(&comparison["id"]);
        eventually(|| {
            let found = client.get(&format!("/v1/comparisons/{comparison}")).expect(200);
            if found["state"] == "done" { Ok(()) } else { Err(found.to_string()) }
        });
        // The source's event may still be on its way to the webhook.
        scene::settled(&client);
        Self {
            redelivery,
            comparison,
            automation,
            ticket,
            webhook,
            run: text(&story["runs"][0]["id"]),
            delivery: text(&story["deliveries"][0]["id"]),
            source: text(&made["id"]),
            token: text(&made["url"]).rsplit('/').next().unwrap().to_owned(),
            key: text(&key["id"]),
            plugin,
            event,
            client,
            _receiver: receiver,
        }
    }

    /// The path with this space's ids in it.
    fn path(&self, path: &str) -> String {
        if path.starts_with("/api/") || path.starts_with("/webhooks") {
            return path.replace("{id}", "1");
        }
        let id = match path.split('/').nth(2).unwrap_or_default() {
            "events" => self.event.clone(),
            "automations" => self.automation.clone(),
            "tickets" => self.ticket.to_string(),
            "webhooks" => self.webhook.clone(),
            "runs" => self.run.clone(),
            "deliveries" => self.delivery.clone(),
            "sources" => self.source.clone(),
            "keys" => self.key.clone(),
            "webhook-policies" => "1".to_owned(),
            "refused-requests" => "req_1".to_owned(),
            "redeliveries" => self.redelivery.clone(),
            "comparisons" => self.comparison.clone(),
            "records" => "2".to_owned(),
            "mails" => "1".to_owned(),
            "schedules" => "sch_2".to_owned(),
            _ => String::new(),
        };
        let kind = if path.starts_with("/v1/kinds") { "first-kind" } else { "lead" };
        let path = path.replace("{id}", &id).replace("{name}", self.plugin).replace("{kind}", kind);
        path.replace("{token}", &self.token).replace("{request}", "req_1").replace("{*path}", "below")
    }

    /// Texts of which none may reach another space.
    fn marks(&self) -> Vec<String> {
        let marks = [
            &self.event,
            &self.automation,
            &self.webhook,
            &self.run,
            &self.delivery,
            &self.source,
            &self.key,
            &self.redelivery,
            &self.comparison,
        ];
        let fixed = [MARK.to_owned(), self.token.clone()];
        marks.into_iter().cloned().chain(fixed).collect()
    }

    /// All that the space holds.
    #[track_caller]
    fn all(&self) -> Value {
        let mut all = serde_json::Map::new();
        for (method, path, _, seen) in ROWS {
            if *method == "GET" && *seen == Own && !path.contains('{') {
                let whole = in_other_words(path) || path.ends_with("/export");
                let found =
                    if whole { self.client.get(path).text().into() } else { scene::all(&self.client, path).into() };
                all.insert((*path).to_owned(), found);
            }
        }
        let ticket = format!("/v1/tickets/{}/notes", self.ticket);
        all.insert("notes".to_owned(), scene::all(&self.client, &ticket).into());
        for key in all["/v1/keys"].as_array_mut().unwrap() {
            key.as_object_mut().unwrap().remove("last_used_at");
        }
        all.into()
    }
}

/// Whether the path is one of another system's, whose clients read errors in its shape.
fn in_other_words(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/webhooks")
}

/// Checks that an answer refuses, in the shape of its path.
#[track_caller]
fn refused(answer: &Answer, path: &str, status: u16, code: &str) {
    if in_other_words(path) {
        let told = answer.expect(status);
        assert_eq!(told["code"], code, "{answer}");
        assert!(!text(&told["message"]).is_empty(), "{answer}");
    } else {
        answer.problem(status, code);
    }
}

/// A body that the route takes, so that nothing but the space can be what is wrong.
fn body(method: &str, path: &str) -> Vec<u8> {
    if path == "/v1/plugins/{name}" && method == "PUT" {
        return other_version("note-add", "8.8.8");
    }
    if !["POST", "PATCH", "PUT"].contains(&method) {
        return Vec::new();
    }
    let body = match path {
        "/webhook" => json!({"service": "other", "trigger_event_type": "other.space", "attributes": {}}),
        "/v1/events" => json!({"type": "other.space", "data": {}}),
        "/v1/automations" => {
            json!({"name": "other", "on": ["x"], "then": [{"action": "event-emit", "with": {"type": "y"}}]})
        }
        "/v1/automations/{id}/test" => json!({"event": {"type": "first.space", "data": {}}}),
        "/v1/schedules" => json!({"name": "other", "every_seconds": 86_400, "type": "never"}),
        "/v1/workflows" => json!({"name": "other", "steps": [{"wait": {"seconds": 0}}]}),
        "/v1/redeliveries" => json!({"all": true}),
        "/v1/tickets" => json!({"subject": "other"}),
        "/v1/tickets/{id}" => json!({"subject": "stolen"}),
        "/v1/tickets/{id}/notes" | "/v1/records/{kind}/{id}/notes" => json!({"text": "stolen"}),
        "/v1/kinds/{kind}" => json!({"fields": {}}),
        "/v1/webhooks" => json!({"url": "http://127.0.0.1:9/", "events": ["x"]}),
        "/v1/webhook-policies" => json!({"name": "other", "signing": {"kind": "standard"}}),
        "/api/v2/resthooks" => json!({"restHook": {"targetUrl": "http://127.0.0.1:9/", "event": "user/created"}}),
        "/webhooks" => json!({"uri": "http://127.0.0.1:9/", "event": "risk.create"}),
        "/webhooks/{id}" | "/v1/workflows/{name}" => json!({"description": "stolen"}),
        "/v1/event-types" => json!({"name": "other.type"}),
        "/v1/webhook-policies/{id}" => json!({"name": "stolen"}),
        "/v1/sources" => json!({"name": "other", "kind": "github"}),
        "/v1/keys" => json!({"name": "other", "role": "viewer"}),
        "/v1/plugins/{name}/activate" | "/v1/plugins/{name}/compare" => json!({"version": "7.7.7"}),
        "/v1/plugins/{name}/rollout" => json!({"version": "7.7.7", "mode": "shadow"}),
        "/v1/secrets/{name}" => json!({"value": "other"}),
        "/v1/webhooks/{id}" => json!({"description": "stolen"}),
        "/v1/automations/{id}" | "/v1/sources/{id}" | "/v1/schedules/{id}" => json!({"name": "stolen"}),
        _ => json!({}),
    };
    body.to_string().into_bytes()
}

fn request(client: &Client, method: &str, path: &str, body: &[u8]) -> Answer {
    client.send(method_of(method), path, &[("content-type", "application/json")], body)
}

/// The method to ask a route with that takes any.
fn method_of(method: &str) -> &str {
    if method == "ANY" { "POST" } else { method }
}

#[test]
fn no_route_shows_or_changes_anything_of_another_space() {
    let server = Server::shared();
    let first = Things::make(server.space("first"));
    let other = server.space("second").in_space("second");
    let before = first.all();

    for (method, path, ..) in ROWS.iter().filter(|(.., seen)| *seen == Absent) {
        let target = first.path(path);
        let answer = request(&other, method, &target, &body(method, path));
        assert_eq!(answer.status, 404, "{answer}");
        assert!(text(&answer.json()["code"]).ends_with(".not_found"), "{answer}");
        if *method == "GET" {
            assert_eq!(first.client.get(&target).status, 200, "its own space finds {target}");
        }
    }
    for (method, path, ..) in ROWS.iter().filter(|(.., seen)| *seen == Own) {
        let answer = request(&other, method, &first.path(path), &body(method, path));
        assert!((200..300).contains(&answer.status), "{answer}");
        let shown = answer.text();
        for mark in first.marks() {
            assert!(!shown.contains(&mark), "{mark} of another space is in what {answer}");
        }
    }
    // What waits for receivers that nobody is behind is given up.
    for webhook in scene::all(&other, "/v1/webhooks") {
        other.delete(&format!("/v1/webhooks/{}", text(&webhook["id"]))).expect(204);
    }
    scene::settled(&other);
    assert_eq!(first.all(), before, "something of the first space changed");
}

#[test]
fn events_automations_webhooks_and_plugins_stay_within_their_space() {
    let server = Server::shared();
    let (one, two) = (server.space("inside-one"), server.space("inside-two"));
    let receiver = Receiver::start();
    let automation = json!({"name": "all", "on": ["*"], "when": {"condition": "match", "with": {"path": "event.type", "equals": "say"}},
        "then": [{"action": "ticket-update", "with": {"id": 1, "status": "{{space}}"}}]});
    for client in [&one, &two] {
        assert_eq!(scene::ticket(client, "first"), 1, "each space counts its own tickets");
    }
    scene::automation(&two, &automation);
    scene::webhook(&two, &receiver.url(), &["*"]);
    one.put("/v1/plugins/only-one", &other_version("note-add", "1.1.1")).expect(200);

    let send =
        |client: &Client| client.post("/v1/events", &json!({"type": "say", "id": "same", "source": "same", "data": 1}));
    send(&one).expect(202);
    scene::settled(&one);
    assert_eq!(scene::all(&two, "/v1/runs"), Vec::<Value>::new());
    assert!(receiver.received().is_empty(), "{:?}", receiver.received());

    // The same id from the same source is another event in another space.
    assert_eq!(send(&two).expect(202), json!({"id": "same"}));
    eventually(|| {
        let status = two.get("/v1/tickets/1").expect(200)["status"].clone();
        if status == "inside-two" { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(one.get("/v1/tickets/1").expect(200)["status"], "open");
    receiver.wait_for(1);

    let uses = json!({"name": "x", "on": ["x"], "then": [{"action": "only-one", "with": {"id": 1, "text": "x"}}]});
    assert_eq!(two.post("/v1/automations", &uses).paths(), ["then[0].action"]);
    one.post("/v1/automations", &uses).expect(201);
}

#[test]
fn each_role_can_use_exactly_the_routes_it_is_permitted() {
    let server = Server::shared();
    let admin = server.space("roles");
    for role in ["admin", "editor", "viewer", "ingest"] {
        let key = admin.post("/v1/keys", &json!({"name": role, "role": role})).expect(201);
        let client = admin.with_key(key["key"].as_str().unwrap()).in_space("roles");
        for (method, path, needs, _) in ROWS {
            let (_, roles) = ROLES.iter().find(|(name, _)| name == needs).unwrap();
            let path = path
                .replace("{id}", "0")
                .replace("{name}", "none")
                .replace("{kind}", "lead")
                .replace("{token}", "x")
                .replace("{request}", "req_1")
                .replace("{*path}", "y");
            let answer = request(&client, method, &path, b"");
            if roles.contains(&role) {
                assert!(![401, 403].contains(&answer.status), "{role} may use it: {answer}");
            } else {
                refused(&answer, &path, 403, "auth.forbidden");
            }
        }
    }
}

#[test]
fn every_route_requires_a_valid_key_for_the_named_space() {
    let server = Server::shared();
    let admin = server.space("keyless");
    for (method, path, needs, _) in ROWS {
        let path = path
            .replace("{id}", "0")
            .replace("{name}", "none")
            .replace("{kind}", "lead")
            .replace("{token}", "x")
            .replace("{request}", "req_1")
            .replace("{*path}", "y");
        let bare = admin.without_key();
        if *needs == "Nothing" {
            assert!(![401, 403].contains(&request(&bare, method, &path, b"").status), "{method} {path}");
            continue;
        }
        for client in [bare.clone(), bare.in_space("keyless")] {
            let answer = request(&client, method, &path, b"");
            refused(&answer, &path, 401, "auth.missing");
            assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{answer}");
        }
        refused(&request(&admin.with_key("hw_unknown"), method, &path, b""), &path, 401, "auth.invalid");
        let basic = [("authorization", "Basic YTpi")];
        refused(&bare.send(method_of(method), &path, &basic, b""), &path, 401, "auth.malformed");
        for (header, space) in [("x-hookwright-id", "main"), ("x-capacity-id", "main"), ("x-hookwright-id", "")] {
            let key = admin.send(method_of(method), &path, &[(header, space)], b"");
            refused(&key, &path, 403, "space.mismatch");
        }
        let (own, other, own_too) =
            (("x-hookwright-id", "keyless"), ("x-capacity-id", "main"), ("x-capacity-id", "keyless"));
        let again = ("x-hookwright-id", "main");
        for headers in [[own, other], [own, again], [again, own], [again, own_too]] {
            let answer = admin.send(method_of(method), &path, &headers, b"");
            refused(&answer, &path, 400, "space.ambiguous");
            assert!(answer.text().contains("`main`") && answer.text().contains("`keyless`"), "{answer}");
        }
    }
}
