//! Jira's own webhook, signed as Jira signs it, as it stands in the cases of the plugin.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Server, eventually, workspace};
use serde_json::{Value, json};

#[test]
fn an_issue_that_jira_says_is_closed_closes_the_ticket_it_names() {
    let server = Server::shared();
    let client = server.space("jira-source");
    let case = workspace::root().join("plugins/jira/cases/accepts-a-change-of-status.json");
    let case: Value = serde_json::from_slice(&std::fs::read(case).unwrap()).unwrap();
    let secret = text(&case["secrets"]["signing-secret"]);
    let source = client.post("/v1/sources", &json!({"name": "jira", "kind": "jira", "secret": secret})).expect(201);
    // Tickets say which issue they are about.
    let ticket = scene::ticket(&client, "Printer on fire");
    scene::automation(
        &client,
        &json!({
            "name": "Close what Jira closes", "on": ["jira.issue.updated"],
            "when": {"all": [
                {"condition": "match", "with": {"path": "event.jira-status-to", "equals": "Closed"}},
                {"condition": "match", "with": {"path": "data.issue.fields.project.key", "equals": "OPS"}},
                {"condition": "match", "with": {"path": "data.changelog.items", "any": {"path": "field", "equals": "status"}}},
            ]},
            "then": [
                {"action": "ticket-update", "with": {"id": ticket, "status": "closed",
                    "justification": "{{event.data.issue.key}} was closed by {{event.data.user.displayName}}"}},
                {"action": "note-add", "with": {"id": ticket, "text": "Jira: {{event.data.issue.fields.summary}}"}},
            ],
        }),
    );
    let request = &case["request"];
    let headers: Vec<(String, String)> =
        request["headers"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = text(&request["body"]["text"]);
    let anyone = client.without_key();
    for _ in 0..2 {
        // Jira sends again what it is not sure of.
        let answer = anyone.send("POST", &text(&source["url"]), &headers, body.as_bytes());
        assert!((200..300).contains(&answer.status), "{answer}");
    }
    let closed = eventually(|| {
        let found = client.get(&format!("/v1/tickets/{ticket}")).expect(200);
        if found["status"] == "closed" { Ok(found) } else { Err(format!("{found:#}")) }
    });
    assert_eq!(closed["justification"], "OPS-7 was closed by Ada");
    scene::settled(&client);
    assert_eq!(scene::notes(&client, ticket), ["Jira: Größe"], "once, however often Jira sends it");
    let expected = &case["expect"]["accepted"]["events"][0];
    let story = scene::story(&client, &text(&expected["id"]));
    assert_eq!(
        (&story["event"]["type"], &story["event"]["subject"], &story["event"]["data"]),
        (&expected["type"], &expected["subject"], &expected["data"])
    );
}
