//! The command line, used as its readers use it: against a server of its own, with files in a folder.

mod registry;
mod templates;
mod versions;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use hookwright_tests::command::{Ran, has, hookwright};
use hookwright_tests::components::{other_version, renamed};
use hookwright_tests::scene;
use hookwright_tests::{ADMIN_KEY, Options, Server, eventually, workspace};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The value of every secret that these tests set.
const SECRET: &str = "a-value-that-nobody-may-see";

/// A folder in which commands are run, and the server that they talk to.
struct Desk {
    server: Server,
    folder: TempDir,
    key: String,
}

impl Desk {
    #[track_caller]
    fn with(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("hookwright-desk-").tempdir().unwrap();
        Self { server: Server::start(options), folder, key: ADMIN_KEY.to_owned() }
    }

    #[track_caller]
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the folder.
    #[track_caller]
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self, words: &str) -> Command {
        let mut command = hookwright(words.split_whitespace());
        command
            .current_dir(self.folder.path())
            .env("HOOKWRIGHT_URL", format!("http://{}", self.server.address()))
            .env("HOOKWRIGHT_KEY", &self.key)
            .env("XDG_CACHE_HOME", workspace::user_cache())
            .env("HOOKWRIGHT_TOOLS", tools())
            .env_remove("CI")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `hookwright WORDS`, whose words are separated by white space.
    #[track_caller]
    fn run(&self, words: &str) -> Ran {
        self.ended(self.command(words).spawn().unwrap())
    }

    /// The same with something on standard input.
    #[track_caller]
    fn feed(&self, words: &str, input: &str) -> Ran {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        // One that does not like its words ends before it reads.
        match child.stdin.take().unwrap().write_all(input.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => panic!("{error}"),
            _ => {}
        }
        self.ended(child)
    }

    /// Waits for the end. Whatever the command was, it showed neither the key nor a secret.
    #[track_caller]
    fn ended(&self, child: Child) -> Ran {
        Ran::of(child.wait_with_output().unwrap(), SECRET)
    }
}

/// The compilers of all languages, which `cargo xtask test` installs.
fn tools() -> PathBuf {
    let usual = || workspace::root().join("target/tools");
    std::env::var_os("HOOKWRIGHT_TOOLS").map_or_else(usual, PathBuf::from).canonicalize().expect("run cargo xtask test")
}

/// The line of a table that begins with a word.
#[track_caller]
fn row<'t>(table: &'t str, first: &str) -> &'t str {
    let found = table.lines().find(|line| line.split_whitespace().next() == Some(first));
    found.unwrap_or_else(|| panic!("no line begins with `{first}`:\n{table}"))
}

#[test]
fn a_plugin_is_pushed_listed_rolled_back_pulled_and_removed() {
    let desk = Desk::new();
    desk.file("notes.wasm", other_version("note-add", "0.2.0"));
    let pushed = desk.run("plugin push notes.wasm").ok();
    has(&pushed, &["notes 0.2.0 (", ") is live"]);
    desk.file("notes.wasm", other_version("note-add", "0.3.0"));
    has(&desk.run("plugin push notes.wasm").ok(), &["notes 0.3.0", "in place of 0.2.0"]);

    let listed = desk.run("plugin list").ok();
    has(row(&listed, "notes"), &["0.3.0", "action", "uploaded", "live"]);
    has(row(&listed, "match"), &["condition", "builtin"]);
    let listed = desk.run("plugin list --json").json();
    assert!(listed["data"].as_array().unwrap().iter().any(|plugin| plugin["name"] == "notes"));

    let versions = desk.run("plugin versions notes").ok();
    has(row(&versions, "0.3.0"), &["live"]);
    has(row(&versions, "0.2.0"), &["kept"]);
    has(&desk.run("plugin activate notes 0.2.0").ok(), &["notes 0.2.0", "in place of 0.3.0"]);
    has(&desk.run("plugin rollback notes").ok(), &["notes 0.3.0"]);
    let digest = desk.run("plugin versions notes --json").json()["data"][0]["digest"].clone();
    let digest = digest.as_str().unwrap();
    desk.run(&format!("plugin activate notes {}", &digest[..8])).ok();
    has(&desk.run("plugin activate notes 9.9.9").ends(1), &["plugin.version_unknown", "0.2.0"]);

    desk.run("plugin pull notes --version 0.2.0 -o old.wasm").ok();
    assert_eq!(fs::read(desk.path("old.wasm")).unwrap(), other_version("note-add", "0.2.0"));
    desk.run("plugin pull notes").ok();
    has(
        &desk.run("plugin inspect notes").ok(),
        &["name           notes", "uploaded", "tickets", "id*", "action-plugin"],
    );
    has(&desk.run("plugin inspect notes.wasm").ok(), &["note-add", "hookwright:plugin@0.1.0", "sha256:"]);
    assert_eq!(desk.run("plugin inspect notes.wasm --json").json()["declared_name"], "note-add");

    scene::automation(
        &desk.server.client(),
        &json!({"name": "n", "on": ["a.b"], "then": [{"action": "notes", "with": {"id": 1, "text": "x"}}]}),
    );
    has(&desk.run("plugin remove notes").ends(1), &["plugin.in_use", "`notes`"]);
    desk.run("plugin remove notes --force").ok();
    has(&desk.run("plugin versions notes").ends(1), &["plugin.not_found"]);
}

#[test]
fn a_version_that_needs_more_grants_is_held_until_approved() {
    let desk = Desk::new();
    desk.file("swap.wasm", workspace::plugin("match"));
    desk.run("plugin push swap.wasm").ok();
    desk.file("swap.wasm", other_version("note-add", "0.2.0"));
    let held = desk.run("plugin push swap.wasm").ok();
    has(&held, &["is held", "tickets", "hookwright plugin approve swap"]);
    has(&desk.run("plugin versions swap").ok(), &["held", "tickets"]);
    has(&desk.run("plugin approve swap").ok(), &["is live"]);
    has(&desk.run("plugin approve swap").ends(1), &["plugin.nothing_held"]);
    desk.run("plugin remove swap").ok();
    desk.run("plugin push swap.wasm --name other --approve").ok();
    has(&desk.run("plugin list").ok(), &["other"]);
}

#[test]
fn grants_are_added_and_shown() {
    let desk = Desk::new();
    desk.file("caller.wasm", workspace::plugin("webhook-call"));
    desk.run("plugin push caller.wasm").ok();
    let shown = desk
        .run("plugin grant caller --http GET,POST:api.example.com:8443 --http *.example.org --secret token=api.example.com --records lead:write --interface kv")
        .ok();
    has(
        &shown,
        &[
            "GET,POST to api.example.com:8443",
            "any method to *.example.org",
            "token (api.example.com)",
            "read and change lead",
        ],
    );
    let policy = desk.run("plugin policy caller").ok();
    has(&policy, &["http", "kv", "cpu_ms", "1000", "server"]);
    let policy = desk.run("plugin policy caller --json").json();
    assert_eq!(
        policy["grants"]["http"][0],
        json!({"host": "api.example.com", "methods": ["GET", "POST"], "port": 8443})
    );
    has(&desk.run("plugin grant caller").ends(2), &["--http"]);
    has(&desk.run("plugin grant caller --http https://a.example").ends(2), &["is no"]);
    has(&desk.run("plugin grant caller --interface kitchen").ends(1), &["`kitchen` is not an interface", "tickets"]);
    has(&desk.run("plugin grant caller --interface htpp").ends(1), &["did you mean `http`?"]);
}

#[test]
fn plugin_logs_are_shown_and_followed() {
    let desk = Desk::new();
    desk.file("summarise.wasm", workspace::example("summarise"));
    desk.run("plugin push summarise.wasm").ok();
    let client = desk.server.client();
    scene::automation(
        &client,
        &json!({"name": "log", "on": ["logs.try"], "then": [{"action": "summarise", "with": {"fields": ["title"]}}]}),
    );
    let first = scene::send(&client, "logs.try", &json!({"title": "One"}));
    scene::story(&client, &first);
    has(&desk.run("plugin logs summarise").ok(), &[&first, "info "]);
    let line: Value = serde_json::from_str(desk.run("plugin logs summarise --json --lines 1").ok().trim()).unwrap();
    assert_eq!(line["event"], first);

    let mut following = desk.command("plugin logs summarise --follow").spawn().unwrap();
    let second = scene::send(&client, "logs.try", &json!({"title": "Two"}));
    let mut out = following.stdout.take().unwrap();
    let mut seen = String::new();
    while !seen.contains(&second) {
        let mut part = [0; 1024];
        let count = out.read(&mut part).unwrap();
        assert!(count > 0, "it ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    following.kill().unwrap();
    following.wait().unwrap();
    has(&desk.run("plugin logs nobody").ends(1), &["plugin.not_found"]);
}

#[test]
fn with_required_signatures_only_trusted_plugins_are_accepted() {
    let mut desk = Desk::new();
    let made = desk.run("plugin keygen -o my.key");
    has(&made.err, &["my.key", "HOOKWRIGHT_PLUGIN_KEYS"]);
    let public = made.ok().trim().to_owned();
    let private = fs::read_to_string(desk.path("my.key")).unwrap();
    assert!(public.len() == 44 && private.trim().len() == 44 && public != private.trim());
    has(&desk.run("plugin keygen -o my.key").ends(1), &["my.key"]);
    desk.run("plugin keygen -o theirs.key").ok();
    let trusting = Options::default()
        .set("HOOKWRIGHT_PLUGIN_KEYS", &format!("release={public}"))
        .set("HOOKWRIGHT_REQUIRE_SIGNED_PLUGINS", "true");
    desk.server.restart_with(trusting);

    desk.file("mine.wasm", workspace::plugin("match"));
    has(&desk.run("plugin push mine.wasm").ends(1), &["plugin.unsigned", "hookwright plugin sign"]);
    has(&desk.run("plugin push mine.wasm --sign theirs.key").ends(1), &["plugin.signature_wrong"]);
    has(&desk.run("plugin push mine.wasm --sign my.key").ok(), &["is live", "signed by release"]);
    has(&desk.run("plugin sign mine.wasm --key my.key").ok(), &["mine.wasm.sig"]);
    has(&desk.run("plugin push mine.wasm --name again").ok(), &["signed by release"]);
    has(&desk.run("plugin versions again").ok(), &["release"]);
    let mut doctor = desk.command("plugin doctor mine.wasm --runs 1");
    let doctor = doctor.env("HOOKWRIGHT_PLUGIN_KEYS", format!("release={public}")).spawn().unwrap();
    has(&desk.ended(doctor).ok(), &["good, by release"]);
    desk.file("mine.wasm", workspace::plugin("jq"));
    has(&desk.run("plugin push mine.wasm").ends(1), &["plugin.signature_wrong"]);
    has(&desk.run("plugin sign mine.wasm --key mine.wasm").ends(1), &["mine.wasm"]);
}

/// HMAC-SHA256 (RFC 2104) in hex, written out so that no code of the server's checks the server.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let code = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    hex::encode(code)
}

#[test]
fn secrets_are_set_from_standard_input_and_never_shown() {
    let desk = Desk::new();
    has(&desk.feed("secret set api-token", &format!("{SECRET}\n")).ok(), &["`api-token` is set"]);
    has(&desk.run("secret list").ok(), &["api-token"]);
    let listed = desk.run("secret list --json").json();
    assert_eq!(listed["data"][0]["name"], "api-token");
    has(&desk.feed("secret set api-token", "").ends(1), &["0 bytes"]);
    has(&desk.feed("secret set a/b", SECRET).ends(2), &["a/b"]);
    has(&desk.feed("secret set api-token value", "").ends(2), &["unexpected"]);

    // What plugins use is the very value, without the line break: it signs as GitHub would. A source's own secret goes
    // before one that was granted, so this one is asked for by another name.
    desk.feed("secret set granted-secret", &format!("{SECRET}\n")).ok();
    desk.file("hub.wasm", renamed("github", "signing-secret", "granted-secret"));
    desk.run("plugin push hub.wasm").ok();
    has(&desk.run("plugin grant hub --secret granted-secret").ok(), &["granted-secret (for codes only)"]);
    let client = desk.server.client();
    let url = scene::text(&client.post("/v1/sources", &json!({"name": "hub", "kind": "hub"})).expect(201)["url"]);
    let signature = format!("sha256={}", hmac(SECRET.as_bytes(), b"{}"));
    let headers = [
        ("content-type", "application/json"),
        ("x-github-delivery", "d-1"),
        ("x-github-event", "ping"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let answer = client.without_key().send("POST", &url, &headers, b"{}");
    assert!((200..300).contains(&answer.status), "{answer}");
    desk.run("secret remove api-token").ok();
    has(&desk.run("secret remove api-token").ends(1), &["secret.not_found"]);
}

const GOOD: &str = r#"{"description": "The status is compared.",
    "event": {"type": "jira.closed", "data": {"status": "done"}},
    "parameters": {"path": "data.status", "equals": "done"},
    "expect": {"verdict": {"holds": true, "reason": {"contains": "done"}}}}"#;

#[test]
fn cases_are_run_and_differences_shown() {
    let desk = Desk::new();
    desk.file("match.wasm", workspace::plugin("match"));
    has(&desk.run("plugin test match.wasm").ends(1), &["case.unreadable", "--cases"]);
    desk.file("cases/holds.json", GOOD);
    has(&desk.run("plugin test match.wasm").ok(), &["ok    holds (", "match: 1 passed, 0 failed"]);
    desk.file("cases/wrong.json", GOOD.replace("true", "false"));
    desk.file("cases/broken.json", "{\"expect\": {}}");
    let failed = desk.run("plugin test match.wasm").ends(1);
    has(
        &failed,
        &[
            "FAIL  wrong: The status is compared.",
            "verdict.holds",
            "expected false",
            "actual   true",
            "case.invalid",
            "expect: is empty",
            "match: 1 passed, 2 failed",
        ],
    );
    has(&desk.run("plugin test match.wasm --filter hol").ok(), &["1 passed, 0 failed"]);
    has(&desk.run("plugin test match.wasm --filter nothing").ends(1), &["none of the 3 cases"]);
    let ran = desk.run("plugin test match.wasm --json");
    assert_eq!(ran.code, 1);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&json!(1), &json!(2)));
    assert_eq!(report["cases"][2]["mismatches"][0]["path"], "verdict.holds");
    desk.file("elsewhere/a.json", GOOD);
    has(&desk.run("plugin test match.wasm --cases elsewhere").ok(), &["1 passed"]);
    desk.file("bad.wasm", "(module)");
    has(&desk.run("plugin test bad.wasm").ends(1), &["plugin.not_wasm"]);
    has(&desk.run("plugin test none.wasm").ends(1), &["none.wasm"]);
}

#[test]
fn doctor_and_bench_report_the_cost_of_a_component() {
    let desk = Desk::new();
    desk.file("match.wasm", workspace::plugin("match"));
    desk.file("cases/holds.json", GOOD);
    let told = desk.run("plugin doctor match.wasm --runs 20").ok();
    has(
        &told,
        &[
            "name           match",
            "kinds          condition",
            "world          condition-plugin",
            "hookwright:plugin@0.1.0",
            "granted        it needs no grants",
            "signature      none",
            "compile ",
            "cached load ",
            "case           holds",
            "fresh call     p50 ",
            "warm call      p50 ",
            "memory floor ",
            "memory peak ",
            "cpu_ms",
            "instances      ",
        ],
    );
    assert!(!told.contains("calls failed"), "{told}");
    let told = desk.run("plugin doctor match.wasm --runs 5 --json").json();
    assert!(told["compile_ms"].as_f64() > told["cached_load_ms"].as_f64(), "{told:#}");
    assert_eq!((&told["fresh"]["failures"], &told["case"]), (&json!(0), &json!("holds")));
    desk.file("note-add.wasm", workspace::plugin("note-add"));
    has(
        &desk.run("plugin doctor note-add.wasm --runs 2 --case cases/holds.json").ok(),
        &["tickets yes", "calls failed"],
    );
    let told = desk.run("plugin bench match.wasm --seconds 0.1 --json").json();
    let rows = told["results"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["calls_per_second"].as_f64().unwrap() > 10.0), "{told:#}");
    has(&desk.run("plugin bench match.wasm --seconds 0").ends(2), &["0.05"]);
}

#[test]
fn dev_pushes_passing_builds_and_keeps_the_last_good_version() {
    let desk = Desk::new();
    let versions = |desk: &Desk| -> Vec<String> {
        let answer = desk.server.client().get("/v1/plugins/mine/versions");
        let listed = answer.json();
        let data = listed["data"].as_array().cloned().unwrap_or_default();
        data.iter().map(|version| scene::text(&version["version"])).collect()
    };
    desk.file("mine/source", other_version("match", "0.2.0"));
    desk.file("mine/cases/holds.json", GOOD);
    let mut dev = desk.command("plugin dev mine --component target/mine.wasm");
    let script = "test -s source && mkdir -p target && cp source target/mine.wasm";
    let log = fs::File::create(desk.path("dev.log")).unwrap();
    let mut dev = dev.args(["--build", script]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let shows = |text: &str| {
        eventually(|| {
            let log = fs::read_to_string(desk.path("dev.log")).unwrap();
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    };
    shows("mine 0.2.0");
    assert_eq!(versions(&desk), ["0.2.0"]);
    desk.file("mine/source", "");
    shows("build.failed");
    desk.file("mine/source", other_version("match", "0.3.0"));
    shows("mine 0.3.0");
    desk.file("mine/cases/holds.json", GOOD.replace("true", "false"));
    desk.file("mine/source", other_version("match", "0.4.0"));
    shows("1 of 1 cases failed: the previous version stays live");
    assert_eq!(versions(&desk), ["0.3.0", "0.2.0"]);
    desk.file("mine/cases/holds.json", GOOD);
    shows("mine 0.4.0");
    assert_eq!(versions(&desk)[0], "0.4.0");
    dev.kill().unwrap();
    dev.wait().unwrap();
    let log = fs::read_to_string(desk.path("dev.log")).unwrap();
    assert!(!log.contains(ADMIN_KEY), "{log}");
}

#[test]
fn a_component_is_pushed_to_a_registry_and_verified_when_pulled() {
    let desk = Desk::new();
    let registry = registry::Registry::start();
    let place = format!("oci://{}/acme/plugin", registry.host());
    desk.file("plugin.wasm", workspace::plugin("match"));
    desk.run("plugin keygen -o my.key").ok();
    let as_user = |words: &str| {
        let mut command = desk.command(words);
        command.env("HOOKWRIGHT_REGISTRY_USER", "user").env("HOOKWRIGHT_REGISTRY_PASSWORD", "password");
        desk.ended(command.spawn().unwrap())
    };
    has(&desk.run(&format!("plugin push plugin.wasm {place}:1")).ends(1), &["oci.refused", "DENIED", "docker login"]);
    let pushed = as_user(&format!("plugin push plugin.wasm {place}:1 --sign my.key")).ok();
    let (_, digest) = pushed.trim().split_once(" is ").unwrap();

    let manifest: Value = serde_json::from_slice(&registry.kept("1")).unwrap();
    let layer = &manifest["layers"][0];
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!((&manifest["schemaVersion"], &layer["mediaType"]), (&json!(2), &json!("application/wasm")));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], "match");
    let config: Value = serde_json::from_slice(&registry.kept(&scene::text(&manifest["config"]["digest"]))).unwrap();
    assert_eq!((&config["architecture"], &config["layerDigests"][0]), (&json!("wasm"), &layer["digest"]));
    assert!(config["component"]["exports"].to_string().contains("hookwright:plugin/condition@0.1.0"), "{config}");

    // A second push sends the component no second time.
    let puts = || registry.seen().iter().filter(|seen| seen.starts_with("PUT /v2/acme/plugin/blobs")).count();
    let before = puts();
    as_user(&format!("plugin push plugin.wasm {place}:2")).ok();
    assert!(puts() - before <= 1, "only the config has changed: {:?}", registry.seen());

    for reference in [format!("{place}:1"), format!("{place}@{digest}")] {
        let pulled = as_user(&format!("plugin pull {reference} -o back.wasm")).ok();
        has(&pulled, &["back.wasm", digest]);
        assert_eq!(fs::read(desk.path("back.wasm")).unwrap(), workspace::plugin("match"));
        assert_eq!(fs::read_to_string(desk.path("back.wasm.sig")).unwrap().trim().len(), 88);
    }
    has(&as_user(&format!("plugin pull {place}:9")).ends(1), &["oci.refused", "NAME_UNKNOWN"]);
    has(&desk.run("plugin pull oci://nowhere").ends(2), &["no repository"]);
    registry.replace(&scene::text(&layer["digest"]), b"something else");
    has(&as_user(&format!("plugin pull {place}:1 -o bad.wasm")).ends(1), &["oci.artifact_invalid"]);
    registry.replace(digest, b"{}");
    has(&as_user(&format!("plugin pull {place}@{digest} -o bad.wasm")).ends(1), &["oci.artifact_invalid"]);
    assert!(!desk.path("bad.wasm").exists());
    desk.file("bad.wasm", "nothing");
    has(&as_user(&format!("plugin push bad.wasm {place}:3")).ends(1), &["plugin.not_wasm"]);
}

#[test]
fn failures_are_reported_with_the_remedy() {
    let mut desk = Desk::new();
    for words in ["plugin frobnicate", "plugin list --nope", "plugin versions Not-A-Name", "secret"] {
        assert_eq!(desk.run(words).code, 2, "{words}");
    }
    has(&desk.run("plugin list --server http://127.0.0.1:9").ends(1), &["server.unreachable", "hookwright serve"]);
    has(&desk.run("plugin list --server nowhere").ends(1), &["url.invalid", "`nowhere`"]);
    desk.key = "wrong".to_owned();
    has(&desk.run("plugin list").ends(1), &["auth.invalid", "HOOKWRIGHT_KEY"]);
    // Without a key, the file that a server keeps in the same folder counts.
    desk.key = String::new();
    has(&desk.run("plugin list").ends(1), &["auth.missing", "data/admin.key"]);
    desk.file("data/admin.key", format!("{ADMIN_KEY}\n"));
    has(&desk.run("plugin list").ok(), &["match"]);
    for words in ["--help", "plugin --help", "plugin test --help", "plugin grant --help", "secret set --help"] {
        let help = desk.run(words).ok();
        assert!(help.contains("Usage:") && !help.contains(ADMIN_KEY), "{help}");
    }
}
