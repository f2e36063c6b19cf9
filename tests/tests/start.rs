//! The server as a program: its first start, its settings, its end.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use hookwright_tests::raw::Raw;
use hookwright_tests::scene;
use hookwright_tests::{ADMIN_KEY, Options, Server, eventually, workspace};
use serde_json::json;

#[test]
fn the_first_start_makes_an_administrator_key_and_shows_it_once() {
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
fn secrets_and_keys_do_not_lie_in_the_store_as_they_are() {
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
    std::fs::copy(workspace::binary(), &copy).unwrap();
    let server = Server::start(Options::default().program(copy).cold());
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

#[test]
fn a_start_that_cannot_work_ends_with_one_clear_line() {
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

#[test]
fn a_request_under_way_is_finished_before_the_server_stops() {
    let mut server = Server::start(Options::default());
    let body = r#"{"type":"late","id":"late-1","data":1}"#;
    let (first, rest) = body.split_at(10);
    let mut raw = Raw::connect(&server.address());
    raw.send(format!(
        "POST /v1/events HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {ADMIN_KEY}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    ));
    // The server has the request once it serves another that came later.
    server.client().get("/healthz").expect(200);
    server.ask_to_stop();
    eventually(|| if server.log().contains("stopping") { Ok(()) } else { Err("it was not told yet".to_owned()) });
    raw.send(rest);
    assert_eq!(raw.answer().expect(202)["id"], "late-1");
    assert!(server.wait().success());
    server.restart();
    assert_eq!(server.client().get("/v1/events/late-1").expect(200)["event"]["data"], 1);
}
