//! Every list is read in pages: `limit` bounds them, `cursor` goes on where the page before ended, and together they are the
//! whole list.

use std::collections::BTreeSet;

use hookwright_tests::components::other_version;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Server, eventually, routes};
use serde_json::{Value, json};

/// Each route that lists, and the path at which [`fill`] makes at least three items for it.
const LISTS: [(&str, &str); 28] = [
    ("/v1/refused-requests", ""),
    ("/v1/events", ""),
    ("/v1/automations", ""),
    ("/v1/workflows", ""),
    ("/v1/workflows/{name}/versions", "/v1/workflows/flow-0/versions"),
    ("/v1/schedules", ""),
    ("/v1/plugins", ""),
    ("/v1/plugins/{name}/versions", "/v1/plugins/tool/versions"),
    ("/v1/comparisons", ""),
    ("/v1/secrets", ""),
    ("/v1/records/{kind}", "/v1/records/company"),
    ("/v1/records/{kind}/{id}/history", "/v1/records/company/1/history"),
    ("/v1/records/{kind}/{id}/notes", "/v1/records/company/1/notes"),
    ("/v1/kinds", ""),
    ("/v1/mails", ""),
    ("/v1/tickets", ""),
    ("/v1/tickets/{id}/notes", "/v1/tickets/1/notes"),
    ("/v1/webhooks", ""),
    ("/v1/webhook-policies", ""),
    ("/v1/event-types", ""),
    ("/v1/vocabularies", ""),
    ("/v1/runs", ""),
    ("/v1/deliveries", ""),
    ("/v1/attempts", ""),
    ("/v1/redeliveries", ""),
    ("/v1/sources", ""),
    ("/v1/sources/{id}/requests", "/v1/sources/SOURCE/requests"),
    ("/v1/keys", ""),
];

/// Makes three of everything; returns the id of a source that was called three times.
fn fill(client: &Client, receiver: &Receiver) -> String {
    let emit = json!([{"action": "event-emit", "with": {"type": "never"}}]);
    let mail = json!([{"action": "email-send", "with": {"to": "a@example.com", "subject": "s", "text": "t"}}]);
    let mut sources = Vec::new();
    for n in 0..3 {
        client.post("/v1/redeliveries", &json!({"all": true})).expect(202);
        client.put_json(&format!("/v1/secrets/s{n}"), &json!({"value": "x"})).expect(200);
        client.post("/v1/keys", &json!({"name": format!("k{n}"), "role": "viewer"})).expect(201);
        let then = if n == 0 { &mail } else { &emit };
        let on = if n == 0 { "go" } else { "nothing" };
        scene::automation(client, &json!({"name": format!("a{n}"), "on": [on], "then": then}));
        scene::webhook(client, &receiver.url(), &[on]);
        client.post("/v1/workflows", &json!({"name": format!("flow-{n}"), "steps": emit})).expect(201);
        let schedule = json!({"name": format!("s{n}"), "every_seconds": 86_400, "type": "never"});
        client.post("/v1/schedules", &schedule).expect(201);
        let policy = json!({"name": format!("p{n}"), "signing": {"kind": "standard"}});
        client.post("/v1/webhook-policies", &policy).expect(201);
        client.post("/v1/records/company", &json!({"title": format!("c{n}")})).expect(201);
        scene::ticket(client, &format!("t{n}"));
        let source = json!({"name": format!("i{n}"), "kind": "inbox", "with": {}});
        sources.push(client.post("/v1/sources", &source).expect(201));
        client.post("/v1/events", &json!({"data": n})).problem(422, "input.invalid");
    }
    for n in 0..3 {
        client.patch("/v1/workflows/flow-0", &json!({"description": format!("{n}")})).expect(200);
        client.patch("/v1/records/company/1", &json!({"title": format!("changed {n}")})).expect(200);
        for path in ["/v1/records/company/1/notes", "/v1/tickets/1/notes"] {
            client.post(path, &json!({"text": format!("n{n}")})).expect(201);
        }
        client.without_key().post(&text(&sources[0]["url"]), &json!({"n": n})).expect(202);
        scene::send(client, "go", &json!(n));
    }
    // The same components as in other tests, so that they are compiled once.
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        client.put("/v1/plugins/tool", &other_version("note-add", version)).expect(200);
    }
    for _ in 0..3 {
        let begun = client.post("/v1/plugins/tool/compare", &json!({"version": "1.0.0"})).expect(202);
        eventually(|| {
            let shown = client.get(&format!("/v1/comparisons/{}", text(&begun["id"]))).expect(200);
            if shown["state"] == "running" { Err(shown.to_string()) } else { Ok(()) }
        });
    }
    scene::settled(client);
    text(&sources[0]["id"])
}

/// What tells an item of a list from the others.
fn identity(item: &Value) -> String {
    ["id", "name", "kind", "version", "digest", "origin", "delivery", "number"]
        .iter()
        .map(|field| format!("{} ", item[*field]))
        .collect()
}

fn identities(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(identity).collect()
}

/// A cursor as a part of a query.
fn encoded(cursor: &str) -> String {
    cursor.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_list_follows_limit_and_cursor() {
    let server = Server::shared();
    let client = server.space("paging").in_space("paging");
    let receiver = Receiver::start();
    let source = fill(&client, &receiver);
    for (route, path) in LISTS {
        let path = if path.is_empty() { route.to_owned() } else { path.replace("SOURCE", &source) };
        let whole = client.get(&format!("{path}?limit=500")).expect(200);
        assert_eq!(whole["next"], Value::Null, "{path}: {whole:#}");
        let whole = identities(&whole);
        assert!(whole.len() >= 3, "{path} has too few items to be read in pages: {whole:?}");
        let distinct: BTreeSet<&String> = whole.iter().collect();
        assert_eq!(distinct.len(), whole.len(), "{path}: {whole:?}");
        // One by one, and long lists in four pages.
        let limit = if whole.len() <= 12 { 1 } else { whole.len().div_ceil(4) };
        let (mut walked, mut next, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = client.get(&format!("{path}?limit={limit}{next}")).expect(200);
            let items = identities(&page);
            assert!((1..=limit).contains(&items.len()), "{path}?limit={limit}: {items:?}");
            walked.extend(items);
            pages += 1;
            let Some(cursor) = page["next"].as_str() else { break };
            assert!(pages <= whole.len(), "{path} has no end: {walked:?}");
            next = format!("&cursor={}", encoded(cursor));
        }
        assert_eq!(
            walked, whole,
            "{path}?limit={limit}: nothing is left out, nothing comes twice, the order is the same"
        );
        assert!(pages >= 3, "{path}: {pages} pages");
        // Without a limit the page has a length of its own, and begins as the list does.
        let default = identities(&client.get(&path).expect(200));
        assert!(default.len() >= whole.len().min(50) && whole.starts_with(&default), "{path}: {default:?}");
        for limit in ["0", "501", "x"] {
            client.get(&format!("{path}?limit={limit}")).problem(400, "query.invalid");
        }
    }
}

#[test]
fn the_table_contains_every_list() {
    let server = Server::shared();
    let client = server.space("lists").in_space("lists");
    let mut found = BTreeSet::new();
    for route in routes::table().into_iter().filter(|route| route.method == "GET" && route.path.starts_with("/v1/")) {
        let answer = client.get(&format!("{}?cursor=x", route.path.replace(['{', '}'], "")));
        // Query parameters are looked at before anything else, and a route that is not a list has no cursor.
        if answer.status != 400 || !answer.text().contains("unknown query parameter `cursor`") {
            found.insert(route.path);
        }
    }
    let tested: BTreeSet<String> = LISTS.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(found, tested);
}
