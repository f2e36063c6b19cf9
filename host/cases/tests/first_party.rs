//! Every case of every first-party plugin, run against its component.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hookwright_cases::{CaseFile, FOLDER, Report, read, read_one, run};
use hookwright_model::Limits;
use hookwright_plugin::{Engine, EngineOptions, Plugin, Registry};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The component of a plugin in `plugins/`.
fn component(name: &str) -> Bytes {
    let folder = std::env::var_os("HOOKWRIGHT_PLUGINS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    let path = folder.join(format!("{name}.wasm"));
    let bytes = std::fs::read(&path);
    Bytes::from(
        bytes.unwrap_or_else(|error| panic!("{}: {error}: build it with `cargo xtask plugins`", path.display())),
    )
}

fn registry() -> Registry {
    let options = EngineOptions { instances: 8, instances_per_plugin: 8, ..EngineOptions::default() };
    Registry::new(Engine::new(&options).unwrap())
}

/// The message about a failed report.
fn failure_message(plugin: &str, report: &Report) -> String {
    let mut text = format!("{plugin}/{}: {}\n", report.name, report.description);
    if let Some(error) = &report.error {
        let _ = writeln!(text, "  {error}");
    }
    for mismatch in &report.mismatches {
        let _ =
            writeln!(text, "  {}\n    expected {}\n    actual   {}", mismatch.path, mismatch.expected, mismatch.actual);
    }
    for line in &report.log {
        let _ = writeln!(text, "  log: {line}");
    }
    text
}

#[tokio::test]
async fn every_first_party_plugin_loads_and_passes_all_of_its_cases() {
    let registry = registry();
    let mut complaints = String::new();
    let mut count = 0;
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(root().join("plugins")).unwrap().flatten().map(|e| e.path()).collect();
    folders.sort();
    for folder in folders {
        let cases = folder.join(FOLDER);
        if !cases.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // Loading checks the manifest and the schema of the parameters.
        let plugin = registry.prepare(component(&name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let manifest = plugin.manifest();
        assert_eq!(manifest.name, name);
        assert!(!manifest.summary.is_empty(), "{name} has no summary");
        for file in read(&cases).unwrap_or_else(|error| panic!("{error}")) {
            count += 1;
            let report = run(&plugin, &file, Limits::default()).await;
            if !report.passed() {
                complaints.push_str(&failure_message(&name, &report));
            }
        }
    }
    assert!(complaints.is_empty(), "of {count} cases these failed:\n{complaints}");
}

/// A case as a file.
fn case(folder: &Path, text: &str) -> CaseFile {
    let path = folder.join("case.json");
    std::fs::write(&path, text).unwrap();
    read_one(&path)
}

async fn paths(plugin: &Plugin, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let report = run(plugin, &case(folder.path(), text), Limits::default()).await;
    let error = report.error.iter().map(ToString::to_string);
    error.chain(report.mismatches.iter().map(|mismatch| mismatch.path.clone())).collect()
}

#[tokio::test]
async fn a_condition_a_transform_and_a_source_are_called_with_the_input_of_the_case() {
    let registry = registry();
    for (name, text, wrong) in [
        (
            "match",
            r#"{"event": {"type": "jira.closed", "data": {"n": 7}}, "parameters": {"path": "data.n", "equals": 7},
                "expect": {"verdict": {"holds": true, "reason": {"contains": "7"}}, "effects": [], "requests": []}}"#,
            &[][..],
        ),
        (
            "match",
            r#"{"parameters": {"path": "data.n", "equals": 7}, "expect": {"verdict": {"holds": true}}}"#,
            &["verdict.holds"],
        ),
        (
            "match",
            r#"{"parameters": {"path": "data.n"}, "expect": {"parameters_invalid": {"message": {"contains": "equals"}}}}"#,
            &[],
        ),
        ("match", r#"{"parameters": {"path": "data.n"}, "expect": {"verdict": {"holds": true}}}"#, &["verdict"]),
        (
            "jq",
            r#"{"message": {"headers": {"X-A": "1"}, "body": {"id": 7}}, "parameters": {"filter": "{n: .id}"},
                "expect": {"message": {"content_type": "application/json", "headers": {"X-a": "1"}, "body": {"n": 7}}}}"#,
            &[],
        ),
        (
            "jq",
            r#"{"parameters": {"filter": "empty"}, "expect": {"dropped": {"any": true}, "log": [{"contains": "x"}]}}"#,
            &["log"],
        ),
        (
            "jq",
            r#"{"event": {"attributes": {"content-type": "text/csv", "x-a": "1"}}, "parameters": {"filter": "$event.attributes"},
                "expect": {"message": {"body": {"content-type": "text/csv", "x-a": "1"}}}}"#,
            &[],
        ),
        (
            "template",
            r#"{"event": {"data": {"id": 7}}, "message": {"content_type": "text/plain", "body": {"text": "ä"}},
                "parameters": {"template": "{{ data.id }}"}, "expect": {"message": {"body": {"contains": "7"}}}}"#,
            &[],
        ),
        (
            "github",
            r#"{"request": {"headers": {"X-GitHub-Event": "push"}, "body": {"json": {}}},
                "secrets": {"signing-secret": "s3cret"}, "expect": {"refused": {"status": 401}}}"#,
            &[],
        ),
    ] {
        let plugin = registry.prepare(component(name)).await.unwrap();
        assert_eq!(paths(&plugin, text).await, wrong, "{name} {text}");
    }
}

#[tokio::test]
async fn an_action_finds_its_tickets_and_leaves_its_effects() {
    let plugin = registry().prepare(component("note-add")).await.unwrap();
    let with = |rest: &str| {
        format!(
            r#"{{"tickets": [{{"id": 7, "subject": "Printer", "notes": []}}], "parameters": {{"id": 7, "text": "Hello"}},
               "now": "2026-01-02T03:04:05Z", "expect": {{{rest}}}}}"#
        )
    };
    for (rest, wrong) in [
        (r#""done": {"note": "1"}"#, &[][..]),
        (
            r#""effects": [{"kind": "ticket.note-added", "subject": "ticket/7", "detail": {"text": "Hello", "created_at": "2026-01-02T03:04:05.000Z"}}]"#,
            &[],
        ),
        (r#""effects": []"#, &["effects"]),
        (r#""effects": [{"subject": "ticket/8"}]"#, &["effects[0].subject"]),
        (r#""failure": {"code": "ticket.not_found"}"#, &["failure"]),
    ] {
        assert_eq!(paths(&plugin, &with(rest)).await, wrong, "{rest}");
    }
    let missing = r#"{"parameters": {"id": 8, "text": "x"}, "expect": {"effects": []}}"#;
    assert_eq!(paths(&plugin, missing).await, ["failure"], "a failure that is not expected is told");
    let emit = registry().prepare(component("event-emit")).await.unwrap();
    let emitted = r#"{"parameters": {"type": "a.b", "data": {"n": 1}},
        "expect": {"effects": [{"kind": "event.emitted", "subject": {"matches": "^evt_"}, "detail": {"type": "a.b", "data": {"n": 1}}}]}}"#;
    assert_eq!(paths(&emit, emitted).await, Vec::<String>::new());
}

#[tokio::test]
async fn requests_are_answered_from_the_list_in_order_and_compared_with_it() {
    let plugin = registry().prepare(component("webhook-call")).await.unwrap();
    let with = |http: &str, expect: &str| {
        format!(
            r#"{{"parameters": {{"url": "https://api.example.com/x", "body": {{"n": 1}}}}, "http": {http}, "expect": {expect}}}"#
        )
    };
    let ok = r#"[{"request": {"method": "POST", "url": "https://api.example.com/x", "headers": {"Idempotency-Key": "case"}},
                 "response": {"status": 201, "headers": {"Content-Type": "application/json"}, "body": {"json": {"ok": true}}}}]"#;
    for (http, expect, wrong) in [
        (ok, r#"{"done": {"status": 201}, "requests": [{"body": {"json": {"n": 1}}}]}"#, &[][..]),
        (ok, r#"{"requests": [{"body": {"text": "{\"n\":1}"}, "headers": {"IDEMPOTENCY-KEY": "case"}}]}"#, &[]),
        (ok, r#"{"requests": []}"#, &["requests"]),
        (
            r#"[{"failure": {"code": "connect.failed", "message": "no", "retry_after_ms": 0}}]"#,
            r#"{"failure": {"code": "connect.failed", "retry_after_ms": {"any": true}}}"#,
            &[],
        ),
        (r#"[{"request": {"method": "GET"}, "response": {}}]"#, r#"{"done": {}}"#, &["http[0].request.method"]),
        ("[]", r#"{"failure": {"code": {"any": true}}}"#, &["http[0]"]),
    ] {
        assert_eq!(paths(&plugin, &with(http, expect)).await, wrong, "{http} {expect}");
    }
    let twice = with(&format!("[{},{}]", &ok[1..ok.len() - 1], &ok[1..ok.len() - 1]), r#"{"done": {}}"#);
    assert_eq!(paths(&plugin, &twice).await, ["http[1].request"]);
}

#[tokio::test]
async fn an_error_in_the_setup_of_a_case_has_its_path() {
    let plugin = registry().prepare(component("note-add")).await.unwrap();
    for (text, part) in [
        (r#"{"tickets": [{"subject": "x"}], "expect": {"done": 1}}"#, "tickets[0].id: must be an integer of 0 or more"),
        (r#"{"tickets": [{"id": 1}], "expect": {"done": 1}}"#, "tickets[0]: is not a valid ticket: "),
        (
            r#"{"tickets": [{"id": 1, "subject": "x", "notes": 5}], "expect": {"done": 1}}"#,
            "tickets[0].notes: is not a list",
        ),
        (r#"{"records": {"Lead": []}, "expect": {"done": 1}}"#, "`Lead`"),
        (r#"{"records": {"lead": [{"name": "x"}]}, "expect": {"done": 1}}"#, "records.lead[0].id"),
        (r#"{"event": {"type": ""}, "expect": {"done": 1}}"#, "event.type"),
        (r#"{"http": [{"response": {"status": 7}}], "expect": {"done": 1}}"#, "http[0].response.status"),
        (r#"{"message": {"content_type": "text/plain", "body": "x"}, "expect": {"done": 1}}"#, "message.body"),
        (r#"{"request": {"body": {"base64": "?"}}, "expect": {"done": 1}}"#, "request.body.base64"),
    ] {
        let found = paths(&plugin, text).await;
        assert!(found.len() == 1 && found[0].contains("case.invalid") && found[0].contains(part), "{part}: {found:?}");
    }
}
