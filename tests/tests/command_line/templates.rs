//! Plugins begun from templates: a source takes what its language's own library signs, and what a plugin does wrong is told
//! with the line where it did.

use std::process::Command;

use hookwright_tests::components::renamed;
use hookwright_tests::scene;
use serde_json::{Value, json};

use super::{Desk, has, hmac, tools};
use hookwright_tests::{programs, workspace};

/// What a sender in the template's language puts into the header.
fn signature(language: &str, secret: &str, body: &str) -> String {
    let script = |name: &str| workspace::root().join("tests/clients").join(name);
    let mut command = match language {
        "rust" => return format!("sha256={}", hmac(secret.as_bytes(), body.as_bytes())),
        "python" => {
            let mut python = Command::new(tools().join("python/bin/python"));
            python.arg(script("sign.py"));
            python
        }
        "go" => {
            let own = tools().join("python/bin/go");
            let mut go = Command::new(if own.is_file() { own } else { "go".into() });
            go.env("GOCACHE", tools().join("go")).env("GOTOOLCHAIN", "local").arg("run").arg(script("sign.go"));
            go
        }
        _ => programs::node("sign.mjs"),
    };
    let output = command.args([secret, body]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The template of a source, from nothing to an event of a signed request.
fn take_a_signed_request(language: &str) {
    let desk = Desk::new();
    let name = format!("in-{language}");
    desk.run(&format!("plugin new {name} --kind source --lang {language}")).ok();
    has(&desk.run(&format!("plugin push {name}")).ok(), &[&format!("{name} 0.1.0")]);
    let client = desk.server.client();
    let made = client.post("/v1/sources", &json!({"name": "partner", "kind": name})).expect(201);
    let (url, secret) = (scene::text(&made["url"]), scene::text(&made["secret"]));
    let body = r#"{"level":"ärgerlich"}"#;
    let right = signature(language, &secret, body);
    let sent = |signature: &str| {
        let headers = [("content-type", "application/json"), ("x-signature", signature)];
        client.without_key().send("POST", &url, &headers, body.as_bytes())
    };
    let taken = sent(&right).expect(202);
    let story = scene::story(&client, taken["id"].as_str().unwrap());
    assert_eq!(story["event"]["type"], format!("{name}.received"), "{story:#}");
    assert_eq!(story["event"]["data"], json!({"level": "ärgerlich"}), "{story:#}");
    let wrong = signature(language, "another secret", body);
    for signature in [wrong.as_str(), "", "sha256=", "sha256=zz", &right[..right.len() - 2]] {
        sent(signature).problem(401, "signature.wrong");
    }
}

#[test]
fn a_rust_source_accepts_rust_signatures() {
    take_a_signed_request("rust");
}

#[test]
fn a_javascript_source_accepts_node_signatures() {
    take_a_signed_request("javascript");
}

#[test]
fn a_typescript_source_accepts_node_signatures() {
    take_a_signed_request("typescript");
}

#[test]
fn a_python_source_accepts_python_signatures() {
    take_a_signed_request("python");
}

#[test]
fn a_go_source_accepts_go_signatures() {
    take_a_signed_request("go");
}

#[test]
fn the_cause_of_a_source_plugins_failure_is_not_shown_to_callers() {
    let desk = Desk::new();
    desk.file("hub.wasm", renamed("github", "signing-secret", "granted-secret"));
    desk.run("plugin push hub.wasm").ok();
    let client = desk.server.client();
    let made = client.post("/v1/sources", &json!({"name": "hub", "kind": "hub"})).expect(201);
    let headers = [
        ("content-type", "application/json"),
        ("x-github-delivery", "d-1"),
        ("x-github-event", "ping"),
        ("x-hub-signature-256", "sha256=00"),
    ];
    let answer = client.without_key().send("POST", made["url"].as_str().unwrap(), &headers, b"{}");
    let problem = answer.problem(502, "source.failed").to_string();
    assert!(!problem.contains("secret") && !problem.contains("grant"), "{problem}");
    let log = client.get(&format!("/v1/sources/{}/requests", made["id"].as_str().unwrap())).expect(200);
    has(&log.to_string(), &["secret.unknown", "granted-secret", "\"status\":502"]);
}

/// A plugin of a template with parts of its source replaced.
#[track_caller]
fn begun(desk: &Desk, language: &str, file: &str, changes: &[(&str, &str)]) -> String {
    let name = format!("p-{language}");
    desk.run(&format!("plugin new {name} --kind action --lang {language}")).ok();
    std::fs::remove_dir_all(desk.path(&format!("{name}/cases"))).unwrap();
    let path = desk.path(&format!("{name}/{file}"));
    let mut source = std::fs::read_to_string(&path).unwrap();
    for (from, to) in changes {
        assert!(source.contains(from), "{from} is not in:\n{source}");
        source = source.replacen(from, to, 1);
    }
    std::fs::write(path, source).unwrap();
    desk.run(&format!("plugin push {name}")).ok();
    name
}

/// What the action of a plugin comes to for an event: the step, once it has ended.
#[track_caller]
fn step(desk: &Desk, name: &str, ticket: u64, event_type: &str) -> Value {
    let client = desk.server.client();
    let when = json!({"name": event_type, "on": [event_type], "then": [{"action": name, "with": {"ticket": ticket}}]});
    scene::automation(&client, &when);
    let event = scene::send(&client, event_type, &json!({}));
    scene::story(&client, &event)["runs"][0]["steps"][0].clone()
}

/// What a plugin does wrong is told in the story and in its log.
#[track_caller]
fn assert_reported(language: &str, file: &str, changes: &[(&str, &str)], parts: &[&str]) {
    let desk = Desk::new();
    let name = begun(&desk, language, file, changes);
    let ticket = scene::ticket(&desk.server.client(), "Printer");
    let step = step(&desk, &name, ticket, "go.wrong");
    has(&step.to_string(), parts);
    has(&desk.run(&format!("plugin logs {name}")).ok(), parts);
}

#[test]
fn a_panic_in_rust_is_reported_with_its_line() {
    let change =
        ("let note = ", "let none: Option<u8> = None;\n        none.expect(\"no luck\");\n        let note = ");
    assert_reported("rust", "src/lib.rs", &[change], &["panicked at src/lib.rs:", "no luck"]);
}

#[test]
fn an_exception_in_javascript_is_reported_with_its_line() {
    let change = ("const note = ", "const none = undefined;\n    none.nothing();\n    const note = ");
    assert_reported(
        "javascript",
        "src/plugin.js",
        &[change],
        &["cannot read property 'nothing' of undefined", "plugin.js:2"],
    );
}

#[test]
fn a_result_and_an_argument_of_the_wrong_type_are_reported_in_javascript() {
    let answer = ("JSON.stringify({ note })", "5");
    assert_reported(
        "javascript",
        "src/plugin.js",
        &[answer],
        &["plugin.result_invalid", "the answer.val is 5 (number): a string expected"],
    );
    let argument = ("String(ticket)", "ticket");
    assert_reported(
        "javascript",
        "src/plugin.js",
        &[argument],
        &["tickets.addNote: id is 1 (number): a string expected"],
    );
    let promise = ("run: (event", "run: async (event");
    assert_reported(
        "javascript",
        "src/plugin.js",
        &[promise],
        &["the answer is a promise", "make it a plain function"],
    );
}

#[test]
fn an_exception_in_typescript_is_reported_with_its_line() {
    let change = ("const note = ", "JSON.parse(event.data).none.nothing();\n    const note = ");
    assert_reported(
        "typescript",
        "src/plugin.ts",
        &[change],
        &["cannot read property 'nothing' of undefined", "plugin.js:"],
    );
}

#[test]
fn an_exception_and_a_wrong_type_in_python_are_reported_with_their_lines() {
    let change = ("note = tickets", "print('so', 'far')\n        {}['nothing']\n        note = tickets");
    assert_reported("python", "src/plugin.py", &[change], &["KeyError: 'nothing' (plugin.py:"]);
    let answer = ("json.dumps({\"note\": note})", "5");
    assert_reported(
        "python",
        "src/plugin.py",
        &[answer],
        &["plugin.result_invalid", "the answer.value is 5 (int): str expected"],
    );
}

#[test]
fn a_panic_in_go_is_reported_with_its_line() {
    let change = ("note, err := ", "var none []int\n\t_ = none[len(parameters)]\n\tnote, err := ");
    assert_reported("go", "main.go", &[change], &["index out of range", "main.go:"]);
}

#[test]
fn an_index_out_of_bounds_in_zig_is_reported() {
    let change = (
        "const note = ",
        "const few = [_]u8{ 1, 2, 3 };\n    if (few[parameters.len] == 9) return .{ .done = \"9\" };\n    const note = ",
    );
    assert_reported("zig", "src/plugin.zig", &[change], &["index out of bounds"]);
}

#[test]
fn a_failed_assertion_in_c_is_reported_with_its_line() {
    let changes = [
        ("#include \"hookwright_json.h\"\n", "#include \"hookwright_json.h\"\n#include <assert.h>\n"),
        ("  /* An id may", "  assert(parameters->len == 0);\n  /* An id may"),
    ];
    let parts = [
        "the plugin trapped: Assertion failed: parameters->len == 0",
        "(src/plugin.c: exports_hookwright_plugin_action_run: ",
    ];
    assert_reported("c", "src/plugin.c", &changes, &parts);
}

#[test]
fn exceptions_and_failed_assertions_in_cpp_are_reported() {
    let header = "#include \"hookwright_json.h\"\n";
    let before = "  std::string text = event";
    // The compiler does not know how long the parameters are: longer than three, and not empty.
    let thrown = "  std::vector<int> few = {1, 2, 3};\n  if (few.at(parameters.size()) == 9) \
                  return Outcome{Outcome::Done{string::from_view(\"9\")}};\n";
    let asserted = "  assert(parameters.size() == 0);\n";
    for (library, code, part) in [
        ("vector", thrown, "the plugin trapped: out_of_range was thrown in -fno-exceptions mode"),
        ("cassert", asserted, "the plugin trapped: Assertion failed: parameters.size() == 0 (src/plugin.cpp: "),
    ] {
        let (include, code) = (format!("{header}#include <{library}>\n"), format!("{code}{before}"));
        assert_reported("cpp", "src/plugin.cpp", &[(header, include.as_str()), (before, code.as_str())], &[part]);
    }
}

#[test]
fn the_console_and_an_abort_of_assemblyscript_are_in_the_log() {
    let change =
        ("const note = ", "console.log(\"so far\");\n  const few = [1];\n  few[parameters.length];\n  const note = ");
    assert_reported("assemblyscript", "src/plugin.ts", &[change], &["Index out of range"]);
}

#[test]
fn scripts_use_the_hosts_clock_and_random_numbers() {
    for (language, file, changes) in [
        (
            "javascript",
            "src/plugin.js",
            [
                (
                    "JSON.stringify({ note })",
                    "JSON.stringify({ random: [Math.random(), Math.random()], now: Date.now(), year: new Date().getFullYear() })",
                ),
                ("const note = ", "console.log('in', { the: 'log' });\n    const note = "),
            ],
        ),
        (
            "python",
            "src/plugin.py",
            [
                (
                    "json.dumps({\"note\": note})",
                    "json.dumps({\"random\": [random.random(), random.random()], \"now\": round(time.time() * 1000), \
                 \"year\": datetime.datetime.now().year})",
                ),
                ("import json\n", "import datetime\nimport json\nimport random\nimport time\n"),
            ],
        ),
    ] {
        let desk = Desk::new();
        let name = begun(&desk, language, file, &changes);
        let ticket = scene::ticket(&desk.server.client(), "Printer");
        let results: Vec<Value> = ["go.one", "go.two"]
            .iter()
            .map(|event| step(&desk, &name, ticket, event)["outcome"]["result"].clone())
            .collect();
        let [one, two] = results.try_into().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        for result in [&one, &two] {
            let told = u128::from(result["now"].as_u64().unwrap_or_else(|| panic!("{language}: {result}")));
            assert!(now.abs_diff(told) < 120_000, "{language}: {result}, {now}");
            assert!(result["year"].as_u64() >= Some(2026) && result["random"][0] != result["random"][1], "{result}");
        }
        assert_ne!(one["random"], two["random"], "{language}: drawn again for each event");
    }
}

#[test]
fn a_missing_import_of_a_script_is_reported_with_the_remedy() {
    let desk = Desk::new();
    desk.run("plugin new short --kind action --lang javascript").ok();
    let path = desk.path("short/src/plugin.js");
    let source = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("import {{ send }} from 'hookwright:plugin/http@0.1.0';\n{source}")).unwrap();
    has(
        &desk.run("plugin build short").ends(1),
        &["module.not_found", "import hookwright:plugin/http@0.1.0;", "wit/world.wit"],
    );
    desk.run("plugin new brief --kind action --lang python").ok();
    let module = desk.path("brief/src/plugin.py");
    let text = std::fs::read_to_string(&module).unwrap();
    std::fs::write(&module, format!("from wit_world.imports import http\n{text}")).unwrap();
    has(
        &desk.run("plugin build brief").ends(1),
        &["module.not_found", "import hookwright:plugin/http@0.1.0;", "wit/world.wit"],
    );
    std::fs::write(&path, format!("import dayjs from 'dayjs';\n{source}")).unwrap();
    has(&desk.run("plugin build short").ends(1), &["`dayjs`", "esbuild"]);
}

#[test]
fn a_javascript_template_type_checks() {
    let desk = Desk::new();
    for kind in ["condition", "action", "transform", "source"] {
        desk.run(&format!("plugin new checked-{kind} --kind {kind} --lang javascript")).ok();
        let checked = Command::new(tools().join("node/node_modules/.bin/tsc"))
            .args(["--noEmit", "-p", "jsconfig.json"])
            .current_dir(desk.path(&format!("checked-{kind}")))
            .output()
            .unwrap();
        assert!(checked.status.success(), "{kind}: {}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn a_go_template_is_tested_with_go() {
    let desk = Desk::new();
    desk.run("plugin new plain --kind condition --lang go").ok();
    let test = "package main\n\nimport \"testing\"\n\nimport \"hookwright\"\n\nfunc TestLevel(t *testing.T) {\n\tverdict, err := \
                evaluate(&hookwright.Event{Data: `{\"level\":\"low\"}`}, `{\"level\":\"low\"}`)\n\tif err != nil || \
                !verdict.Holds {\n\t\tt.Fatal(verdict, err)\n\t}\n}\n";
    desk.file("plain/main_test.go", test);
    let own = tools().join("python/bin/go");
    let tested = Command::new(if own.is_file() { own } else { "go".into() })
        .args(["test", "./..."])
        .env("GOCACHE", tools().join("go"))
        .env("GOTOOLCHAIN", "local")
        .current_dir(desk.path("plain"))
        .output()
        .unwrap();
    assert!(
        tested.status.success(),
        "{}{}",
        String::from_utf8_lossy(&tested.stdout),
        String::from_utf8_lossy(&tested.stderr)
    );
}

#[test]
fn a_new_crate_version_is_built_and_only_ci_requires_the_lock_file() {
    let desk = Desk::new();
    desk.run("plugin new bumped --kind condition --lang rust").ok();
    // The first build writes the lock file, in continuous integration too.
    let mut first = desk.command("plugin build bumped");
    desk.ended(first.env("CI", "true").spawn().unwrap()).ok();
    let path = desk.path("bumped/Cargo.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, manifest.replace("version = \"0.1.0\"", "version = \"0.2.0\"")).unwrap();
    let mut locked = desk.command("plugin build bumped");
    has(&desk.ended(locked.env("CI", "true").spawn().unwrap()).ends(1), &["--locked"]);
    has(&desk.run("plugin push bumped").ok(), &["bumped 0.2.0"]);
}
