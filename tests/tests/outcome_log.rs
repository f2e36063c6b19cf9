//! What an operator may have to act on has one line in the server's log: with ids and a code, without data.

use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Options, Server, eventually};
use serde_json::json;

/// In every event and record of these tests, and in no line of the log.
const DATA: &str = "confidential-4711";

/// The lines with all of these parts, once there are any.
#[track_caller]
fn lines(server: &Server, parts: &[&str]) -> Vec<String> {
    eventually(|| {
        let log = server.log();
        let found: Vec<String> =
            log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned).collect();
        if found.is_empty() { Err(format!("no line has {parts:?}:\n{log}")) } else { Ok(found) }
    })
}

/// The line with all of these parts.
#[track_caller]
fn line(server: &Server, parts: &[&str]) -> String {
    let mut found = lines(server, parts);
    assert_eq!(found.len(), 1, "{parts:?}: {found:#?}");
    found.remove(0)
}

#[test]
fn a_dead_lettered_delivery_and_its_dead_webhook_are_logged() {
    let server = Server::start(Options::default());
    let client = server.client();
    // Nothing listens on port 9. A port that was just released may be used by another program by now.
    let url = format!("http://127.0.0.1:9/{DATA}");
    let hook = json!({"url": url, "events": ["go"], "retry": {"schedule": "none"}, "on_exhausted": "die"});
    let hook = text(&client.post("/v1/webhooks", &hook).expect(201)["id"]);
    let delivery = scene::delivered(&client, &json!({"note": DATA}));
    assert_eq!(delivery["state"], "dead", "{delivery:#}");
    let dead = line(&server, &["delivery dead-lettered", &hook, &text(&delivery["id"])]);
    for part in ["WARN", "hookwright::delivery", "space=main", "code=\"connect.refused\"", "attempts=1", "event="] {
        assert!(dead.contains(part), "{part}: {dead}");
    }
    let ended = line(&server, &["webhook no longer receives deliveries", &hook]);
    assert!(ended.contains("WARN hookwright::webhook") && ended.contains("state=\"dead\""), "{ended}");
    assert!(!server.log().contains(DATA), "{}", server.log());
}

#[test]
fn a_failed_run_is_logged_with_the_step_and_the_code() {
    let server = Server::start(Options::default());
    let client = server.client();
    let step = json!({"name": "annotate", "action": "note-add", "with": {"id": 99, "text": DATA}});
    let automation = scene::automation(&client, &json!({"name": DATA, "on": ["go"], "then": [step]}));
    let story = scene::story(&client, &scene::send(&client, "go", &json!({"note": DATA})));
    let run = &story["runs"][0];
    assert_eq!(run["state"], "failed", "{story:#}");
    let failed = line(&server, &["run failed", &format!("run={}", text(&run["id"]))]);
    let code = text(&run["steps"][0]["outcome"]["code"]);
    let parts = [
        "WARN hookwright::run",
        "space=main",
        &format!("automation={automation}"),
        "step=\"annotate\"",
        "plugin=\"note-add\"",
        &format!("code=\"{code}\""),
    ];
    for part in parts {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert!(!server.log().contains(DATA), "{}", server.log());
}

#[test]
fn a_failed_schedule_is_logged_with_its_id_and_the_code() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let step = json!({"action": "event-emit", "with": {"type": "made"}});
    client.post("/v1/workflows", &json!({"name": DATA, "steps": [step], "enabled": false})).expect(201);
    let schedule = json!({"name": DATA, "every_seconds": 3600, "workflow": DATA, "input": {"note": DATA}});
    let schedule = text(&client.post("/v1/schedules", &schedule).expect(201)["id"]);
    server.advance(Duration::from_secs(3600));
    let failed = lines(&server, &["schedule failed", &format!("schedule={schedule}")]).remove(0);
    for part in ["WARN hookwright::schedule", "space=main", "due=", "code=\"workflow.disabled\""] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert!(!server.log().contains(DATA), "{}", server.log());
}

#[test]
fn a_wrong_key_is_logged_without_the_key_and_a_flood_is_bounded() {
    let server = Server::start(Options::default());
    let client = server.client();
    let key = format!("hw_wrongk{}", "y".repeat(37));
    client.with_key(&key).get("/v1/tickets").problem(401, "auth.invalid");
    let refused = line(&server, &["authentication failed", "auth.invalid"]);
    for part in ["INFO hookwright::auth", "remote=127.0.0.1", "path=\"/v1/tickets\"", "key=\"hw_wrongk\""] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    client.without_key().get("/v1/tickets").problem(401, "auth.missing");
    line(&server, &["authentication failed", "auth.missing", "key=\"none\""]);
    for n in 0..200 {
        client.with_key(&format!("{DATA}-{n}")).get("/v1/tickets").problem(401, "auth.invalid");
    }
    let flood = lines(&server, &["authentication failed"]).len();
    assert!(flood < 60, "{flood} lines");
    let log = server.log();
    assert!(!log.contains(&key) && !log.contains(DATA), "{log}");
}

#[test]
fn the_start_line_counts_every_plugin_that_can_be_called() {
    let server = Server::start(Options::default());
    let plugins = scene::all(&server.client(), "/v1/plugins");
    let live = plugins.iter().filter(|plugin| plugin["state"] == "live").count();
    assert!(live > 30, "{live}");
    let start = line(&server, &["serving", "address="]);
    assert!(start.contains(&format!(" plugins={live} ")), "{live} plugins: {start}");
}
