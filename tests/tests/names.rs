//! Names that people give to things: one line, shown as it is written.

use hookwright_tests::Server;
use serde_json::{Value, json};

#[test]
fn names_with_line_breaks_direction_overrides_or_no_visible_characters_are_rejected_everywhere() {
    let server = Server::shared();
    let client = server.space("names");
    let notes = json!([{"action": "note-add", "with": {"id": 1, "text": "t"}}]);
    let with_name = |input: &Value, name: &str| {
        let mut input = input.clone();
        input["name"] = json!(name);
        input
    };
    let things = [
        ("/v1/keys", json!({"role": "viewer"})),
        ("/v1/webhooks", json!({"url": "http://127.0.0.1:9/", "events": ["go"]})),
        ("/v1/webhook-policies", json!({"signing": {"kind": "standard"}})),
        ("/v1/automations", json!({"on": ["go"], "then": notes})),
        ("/v1/schedules", json!({"every_seconds": 3600, "type": "go"})),
        ("/v1/sources", json!({"kind": "github"})),
    ];
    for (route, input) in &things {
        for (name, shown) in [
            ("a\u{2028}b", "U+2028"),
            ("a\u{2029}b", "U+2029"),
            ("a\u{85}b", "U+0085"),
            ("a\u{202e}b", "U+202E"),
            ("a\u{2066}b", "U+2066"),
            ("a\nb", "U+000A"),
            ("\u{200b}", "U+200B"),
            ("\u{feff}\u{2060}", "U+FEFF"),
            ("\u{3164} \u{fe0f}", "U+3164"),
        ] {
            let answer = client.post(route, &with_name(input, name));
            answer.problem(422, "input.invalid");
            assert_eq!(answer.paths(), ["name"], "{answer}");
            assert!(answer.text().contains(shown), "{shown}: {answer}");
        }
        client.post(route, &with_name(input, "Zoë 👩\u{200d}💻 שלום")).expect(201);
    }
    let hidden = json!([{"action": "note-add", "name": "\u{2060}", "with": {"id": 1, "text": "t"}}]);
    let answer = client.post("/v1/automations", &json!({"name": "a", "on": ["go"], "then": hidden}));
    assert_eq!(answer.paths(), ["then[0].name"], "{answer}");
    let user = json!({"name": "k", "role": "viewer", "user": {"id": 1, "name": "Ada\u{2028}"}});
    assert_eq!(client.post("/v1/keys", &user).paths(), ["user.name"]);
    let keys = json!({"configuration": {"keys": [{"name": "a\u{202e}b", "role": "viewer"}]}});
    assert_eq!(client.post("/v1/configuration/plan", &keys).paths(), ["keys[0].name"]);
}
