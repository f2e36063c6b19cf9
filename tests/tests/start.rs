//! The server as a program: its first start, its settings, its end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use hookwright_tests::raw::Raw;
use hookwright_tests::scene;
use hookwright_tests::{ADMIN_KEY, Options, Receiver, Reply, Server, eventually, executable, workspace};
use serde_json::json;

#[test]
fn the_first_start_creates_an_administrator_key_and_shows_it_once() {
    let mut server = Server::start(Options::default().without("HOOKWRIGHT_ADMIN_KEY").cold());
    let file = server.data().join("admin.key");
    let key = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(server.data()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(server.log().matches(&key).count(), 1, "it is printed once");
    let client = server.client().with_key(&key);
    assert_eq!(client.post("/v1/keys", &json!({"name": "x", "role": "viewer"})).expect(201)["space"], "main");

    server.restart();
    server.client().with_key(&key).get("/v1/keys").expect(200);
    assert_eq!(server.log().matches(&key).count(), 1, "and never again");
}

#[test]
fn secrets_and_keys_are_not_stored_in_plain_text() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let key = client.post("/v1/keys", &json!({"name": "x", "role": "viewer"})).expect(201);
    let (_, secret) = scene::webhook(&client, "http://127.0.0.1:9/", &["x"]);
    let source =
        client.post("/v1/sources", &json!({"name": "x", "kind": "github", "secret": "hush-hush-hush"})).expect(201);
    server.stop();
    let store = std::fs::read(server.data().join("hookwright.redb")).unwrap();
    let token = source["url"].as_str().unwrap().rsplit('/').next().unwrap();
    for hidden in [key["key"].as_str().unwrap(), &secret[6..], "hush-hush-hush", token, ADMIN_KEY] {
        assert!(
            !store.windows(hidden.len()).any(|part| part == hidden.as_bytes()),
            "{hidden} can be read in the store"
        );
    }
}

#[test]
fn the_binary_needs_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("hookwright");
    executable::copy(&workspace::binary(), &copy);
    let server = Server::start(Options::default().program(copy).cold());
    server.all_loaded();
    let plugins = server.client().get("/v1/plugins").expect(200);
    let live: Vec<&str> = plugins["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|plugin| plugin["state"] == "live" && plugin["origin"] == "builtin")
        .map(|plugin| plugin["name"].as_str().unwrap())
        .collect();
    let folders = std::fs::read_dir(workspace::root().join("plugins")).unwrap().flatten();
    let all: Vec<String> = folders
        .filter(|entry| entry.path().join("src/parameters.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(all.len() >= 28, "{all:?}");
    for name in &all {
        assert!(live.contains(&name.as_str()), "{name} is missing: {live:?}");
    }
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hookwright.toml");
    std::fs::write(
        &file,
        "max_body_bytes = 1000\nmax_plugin_bytes = 4000000\npublic_url = \"https://hooks.example\"\n",
    )
    .unwrap();
    let options = Options::default()
        .flag("--config")
        .flag(file.to_str().unwrap())
        .set("HOOKWRIGHT_MAX_BODY_BYTES", "2000")
        .flag("--retry-delays=7");
    let server = Server::start(options.set("HOOKWRIGHT_RETRY_DELAYS", "8"));
    let client = server.client();
    client.post("/v1/events", &json!({"type": "x", "data": "y".repeat(1500)})).expect(202);
    client.post("/v1/events", &json!({"type": "x", "data": "y".repeat(2500)})).problem(413, "body.too_large");
    let source = client.post("/v1/sources", &json!({"name": "x", "kind": "github"})).expect(201);
    assert!(source["url"].as_str().unwrap().starts_with("https://hooks.example/in/"), "{source}");
    let hook = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1:9/", "events": ["x"]})).expect(201);
    assert_eq!(hook["retry"]["delays_seconds"], json!([7]));
}

/// Most systems give a program few descriptors at first, and permit it many more.
#[test]
fn the_limit_of_open_files_is_raised_to_what_the_system_permits() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hookwright");
    let program = workspace::binary();
    let lines = format!("#!/bin/sh\nulimit -S -n 64\nulimit -H -n 512\nexec {} \"$@\"\n", program.display());
    executable::script(&script, &lines);
    let server = Server::start(Options::default().program(script));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let values: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(values, ["512", "512"], "the soft limit and the hard one: {line}");
    assert!(server.log().contains("the limit on open files is low"), "{}", server.log());
}

#[test]
fn a_failed_start_prints_one_clear_line() {
    let server = Server::start(Options::default());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let own = data.to_str().unwrap().to_owned();
    let same = server.data().to_str().unwrap().to_owned();
    let taken = server.address();
    for (flags, part) in [
        (&["--data-dir", own.as_str(), "--listen", taken.as_str()][..], "cannot listen on"),
        (&["--data-dir", own.as_str(), "--listen", "nowhere"], "HOST:PORT"),
        (&["--data-dir", own.as_str(), "--listen", "127.0.0.1:0", "--retry-jitter", "7"], "jitter"),
        (&["--data-dir", own.as_str(), "--listen", "127.0.0.1:0", "--config", "/no/such/file"], "/no/such/file"),
        (&["--data-dir", "/dev/null/x", "--listen", "127.0.0.1:0"], "/dev/null/x"),
        (&["--data-dir", same.as_str(), "--listen", "127.0.0.1:0"], "another"),
    ] {
        let output = Command::new(workspace::binary()).arg("serve").args(flags).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{flags:?}");
        assert!(said.contains(part) && !said.contains("panicked"), "{flags:?}: {said}");
    }
    server.client().get("/healthz").expect(200);
}

/// What a server logs whose start fails at once, to a terminal or to a pipe.
#[track_caller]
fn logged(to_terminal: bool, variables: &[(&str, &str)]) -> String {
    // The log warns of a folder into which others can look; then the address is taken, and the server ends.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1755)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (program, data, address) = (workspace::binary(), folder.path(), taken.local_addr().unwrap());
    let line = format!("'{}' serve --data-dir '{}' --listen {address}", program.display(), data.display());
    let mut command = Command::new(if to_terminal { "script" } else { "sh" });
    if to_terminal {
        command.args(["--quiet", "--command", &line, "/dev/null"]);
    } else {
        command.args(["-c", &line]);
    }
    for (name, _) in std::env::vars_os() {
        if name == "NO_COLOR" || name.to_string_lossy().starts_with("HOOKWRIGHT_") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().expect("`script` of util-linux, which makes a pseudo-terminal, can be started");
    let log = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(log.contains("other users can read this folder") && log.contains("cannot listen on"), "{log}");
    log
}

#[test]
fn the_log_has_colors_on_a_terminal_and_nowhere_else() {
    assert!(logged(true, &[]).contains("\u{1b}[33m WARN\u{1b}[0m"), "a warning is yellow");
    for (to_terminal, variables) in
        [(false, &[][..]), (true, &[("NO_COLOR", "1")]), (true, &[("HOOKWRIGHT_LOG_FORMAT", "json")])]
    {
        let log = logged(to_terminal, variables);
        assert!(!log.contains('\u{1b}'), "{to_terminal} {variables:?}: {log:?}");
    }
}

#[test]
fn a_weak_administrator_key_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(workspace::binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
    let output = command.env("HOOKWRIGHT_ADMIN_KEY", "fifteen-letters").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("15 characters") && said.contains("at least 16"), "{said}");
    assert!(!said.contains("fifteen-letters"), "{said}");
}

#[test]
fn a_server_is_ready_once_its_plugins_are_loaded_and_says_which_version_it_is() {
    let server = Server::start(Options::default().cold());
    let client = server.client().without_key();
    let version = client.get("/healthz").expect(200)["version"].clone();
    let first = client.get("/readyz");
    if first.status != 200 {
        let report = first.expect(503);
        assert_eq!((&report["status"], &report["plugins"]["state"]), (&json!("not_ready"), &json!("loading")));
        assert!(report["plugins"]["left"].as_u64().is_some_and(|left| left > 0), "{report}");
        assert!(first.header("retry-after").is_some(), "{first}");
    }
    server.all_loaded();
    let ready = client.get("/readyz").expect(200);
    assert_eq!((&ready["status"], &ready["storage"]["state"]), (&json!("ready"), &json!("writable")));
    let output = Command::new(workspace::binary()).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("hookwright {}", version.as_str().unwrap()));
    assert!(server.log().contains(&format!("version=\"{}\"", version.as_str().unwrap())), "{}", server.log());
}

#[test]
fn signals_reload_stop_and_force() {
    let mut server = Server::start(Options::default());
    server.signal("HUP");
    eventually(|| {
        let log = server.log();
        if log.contains("the plugin folder was reloaded") { Ok(()) } else { Err(log) }
    });
    server.client().get("/healthz").expect(200);
    server.stop();
    assert!(!server.log().contains("some work did not finish in time"), "an idle server waits for nothing");

    server.restart();
    let receiver = Receiver::with(|_| Reply::status(200).after(Duration::from_secs(60)));
    // Its request is in progress for longer than all that follows takes.
    let hook = json!({"url": receiver.url(), "events": ["x"], "timeout_ms": 60_000});
    server.client().post("/v1/webhooks", &hook).expect(201);
    let event = scene::send(&server.client(), "x", &json!(1));
    eventually(|| if receiver.received().is_empty() { Err("not yet".to_owned()) } else { Ok(()) });
    server.ask_to_stop();
    eventually(|| if server.log().matches("shutting down:").count() >= 2 { Ok(()) } else { Err("not yet".to_owned()) });
    assert!(server.lives(), "it waits for what is in progress");
    server.ask_to_stop();
    assert_eq!(server.wait().code(), Some(130));
    server.restart();
    server.client().get(&format!("/v1/events/{event}")).expect(200);
}

/// An event that crashes the server three times is dead-lettered. A second signal is not a crash, though it ends the process while
/// the event is in flight, and nothing of it is committed in between.
#[test]
fn an_event_that_was_in_flight_at_forced_ends_is_not_dead_lettered() {
    const SIGNALS: [[&str; 2]; 3] = [["TERM", "TERM"], ["TERM", "INT"], ["INT", "INT"]];
    let mut server = Server::start(Options::default());
    let mut requests = 0;
    let receiver = Receiver::with(move |_| {
        requests += 1;
        let hangs = if requests <= SIGNALS.len() { Duration::from_secs(60) } else { Duration::ZERO };
        Reply::status(200).after(hangs)
    });
    scene::automation(
        &server.client(),
        &json!({"name": "slow", "on": ["slow"], "then": [{"action": "http-request", "with": {"url": receiver.url()}}]}),
    );
    let event = scene::send(&server.client(), "slow", &json!(1));
    let in_flight = server.data().join("hookwright.in-flight");
    let recorded = || std::fs::metadata(&in_flight).unwrap().len();
    for (round, [first, second]) in SIGNALS.into_iter().enumerate() {
        receiver.wait_for(round + 1);
        assert!(recorded() > 0, "the event is in flight, so a crash now would count");
        server.signal(first);
        eventually(|| {
            let stops = server.log().matches("a second signal stops it at once").count();
            if stops > round { Ok(()) } else { Err(format!("{stops} of {} stops", round + 1)) }
        });
        server.signal(second);
        assert_eq!(server.wait().code(), Some(130));
        assert_eq!(recorded(), 0, "it is forgotten that the event was in flight");
        server.restart();
    }
    receiver.wait_for(SIGNALS.len() + 1);
    let story = scene::story(&server.client(), &event);
    assert_eq!(story["runs"][0]["state"], "done", "{story:#}");
    assert_eq!(story["runs"][0]["steps"][0]["outcome"]["kind"], "done", "{story:#}");
    let log = server.log();
    assert!(!log.contains("ended while events were being processed") && !log.contains("dead-lettered"), "{log}");
}

#[test]
fn a_request_in_progress_is_finished_before_the_server_stops() {
    let mut server = Server::start(Options::default());
    let body = r#"{"type":"late","id":"late-1","data":1}"#;
    let (first, rest) = body.split_at(10);
    let mut raw = Raw::connect(&server.address());
    raw.send(format!(
        "POST /v1/events HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\nconnection: close\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ));
    // The server says when it waits for the body.
    assert_eq!(raw.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send(first);
    server.ask_to_stop();
    eventually(|| if server.log().contains("shutting down:") { Ok(()) } else { Err("it was not told yet".to_owned()) });
    raw.send(rest);
    assert_eq!(raw.answer().expect(202)["id"], "late-1");
    assert!(server.wait().success());
    server.restart();
    assert_eq!(server.client().get("/v1/events/late-1").expect(200)["event"]["data"], 1);
}
