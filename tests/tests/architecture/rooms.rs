//! The rooms of `host/`: what each may name, and which may use which.

use crate::tree::Tree;

/// What only one room may name.
const OWNERS: [(&str, &str); 3] =
    [("redb", "host/store/"), ("wasmtime", "host/plugin/"), ("wasmparser", "host/plugin/")];

/// A room.
struct Room {
    folder: &'static str,
    /// What its package is called.
    package: &'static str,
    /// The rooms that it may use.
    below: &'static [&'static str],
    /// Those of them that it must use, so that the arrow is one.
    next: &'static [&'static str],
}

const ROOMS: [Room; 20] = [
    Room {
        folder: "cli",
        package: "hookwright",
        below: &["author", "bundle", "cases", "server", "pipeline", "egress", "plugin", "store", "model"],
        next: &["author", "bundle", "cases", "server"],
    },
    Room {
        folder: "server",
        package: "hookwright-server",
        below: &["pipeline", "egress", "plugin", "model"],
        next: &["pipeline"],
    },
    Room {
        folder: "pipeline",
        package: "hookwright-pipeline",
        below: &[
            "history",
            "resources",
            "intake",
            "delivery",
            "runs",
            "routing",
            "invoke",
            "foundation",
            "egress",
            "plugin",
            "signing",
            "store",
            "model",
        ],
        next: &["history"],
    },
    Room {
        folder: "history",
        package: "hookwright-history",
        below: &[
            "samples",
            "resources",
            "intake",
            "delivery",
            "runs",
            "routing",
            "invoke",
            "foundation",
            "egress",
            "plugin",
            "signing",
            "store",
            "model",
        ],
        next: &["resources"],
    },
    Room {
        folder: "resources",
        package: "hookwright-resources",
        below: &[
            "samples",
            "intake",
            "delivery",
            "runs",
            "routing",
            "invoke",
            "foundation",
            "egress",
            "plugin",
            "signing",
            "store",
            "model",
        ],
        next: &["delivery", "intake"],
    },
    Room {
        folder: "intake",
        package: "hookwright-intake",
        below: &["samples", "runs", "routing", "invoke", "foundation", "egress", "plugin", "signing", "store", "model"],
        next: &["runs"],
    },
    Room {
        folder: "delivery",
        package: "hookwright-delivery",
        below: &["samples", "routing", "invoke", "foundation", "egress", "plugin", "signing", "store", "model"],
        next: &["invoke", "routing"],
    },
    Room {
        folder: "runs",
        package: "hookwright-runs",
        below: &["samples", "routing", "invoke", "foundation", "egress", "plugin", "signing", "store", "model"],
        next: &["invoke", "routing"],
    },
    Room {
        folder: "routing",
        package: "hookwright-routing",
        below: &["foundation", "egress", "plugin", "signing", "store", "model"],
        next: &["foundation"],
    },
    Room {
        folder: "invoke",
        package: "hookwright-invoke",
        below: &["samples", "foundation", "egress", "plugin", "signing", "store", "model"],
        next: &["foundation"],
    },
    // For the unit tests of those above.
    Room {
        folder: "samples",
        package: "hookwright-samples",
        below: &["foundation", "plugin", "store", "model"],
        next: &["foundation"],
    },
    Room {
        folder: "foundation",
        package: "hookwright-foundation",
        below: &["egress", "plugin", "signing", "store", "model"],
        next: &["egress", "plugin", "signing", "store"],
    },
    Room { folder: "egress", package: "hookwright-egress", below: &["model"], next: &["model"] },
    Room { folder: "cases", package: "hookwright-cases", below: &["plugin", "model"], next: &["plugin"] },
    Room { folder: "plugin", package: "hookwright-plugin", below: &["model"], next: &["model"] },
    Room { folder: "signing", package: "hookwright-signing", below: &["model"], next: &["model"] },
    Room { folder: "store", package: "hookwright-store", below: &["model"], next: &["model"] },
    Room { folder: "model", package: "hookwright-model", below: &[], next: &[] },
    Room { folder: "author", package: "hookwright-author", below: &[], next: &[] },
    Room { folder: "bundle", package: "hookwright-bundle", below: &[], next: &[] },
];

/// Where a word stands that belongs to another room. A file ending (`.redb`) is not the library.
pub(crate) fn names(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.path.starts_with("host/") && file.ends(&["rs", "toml"])) {
        for (word, owner) in OWNERS.iter().filter(|(_, owner)| !file.path.starts_with(owner)) {
            for (place, line) in text.lines().enumerate() {
                if is_named(line, word) {
                    complaints.push(format!(
                        "{}:{} names {word}, which only {owner} may: {}",
                        file.path,
                        place + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    complaints
}

/// Whether a word or a name that begins with it stands in a line.
fn is_named(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        !before.is_some_and(|before| before == '.' || before == '_' || before.is_alphanumeric())
    })
}

/// Ways from the server to the store that do not lead through a part of the pipeline: its name in the server, and what the
/// pipeline makes public with it.
pub(crate) fn ways_around_the_pipeline(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.ends(&["rs"])) {
        let server = file.path.starts_with("host/server/src/");
        let pipeline = file.path.starts_with("host/pipeline/src/");
        for (place, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            // The case of an error is no store.
            let line = line.replace("PipelineError::Store", "");
            let rule = if server && (is_named(&line, "hookwright_store") || has_word(&line, "Store")) {
                "the server may not name the store; use or add a method of the part of the pipeline that it concerns"
            } else if server && line.contains(".store()") {
                "the server may not get the store; use or add a method of the part of the pipeline that it concerns"
            } else if pipeline && line.trim_start().starts_with("pub ") && has_word(&line, "Store") {
                "the pipeline may not give the store away"
            } else {
                continue;
            };
            complaints.push(format!("{}:{}: {rule}: {}", file.path, place + 1, line.trim()));
        }
    }
    complaints
}

/// Whether a word stands in a line, alone and not as part of a name.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).any(|found| found == word)
}

/// Dependencies between rooms that point upwards or aside, and arrows that are missing.
pub(crate) fn arrows(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for room in &ROOMS {
        let path = format!("host/{}/Cargo.toml", room.folder);
        let Some(text) = tree.text(&path) else {
            complaints.push(format!("{path} is not there"));
            continue;
        };
        let used = used_rooms(text);
        for other in used.iter().filter(|other| !room.below.contains(other)) {
            complaints.push(format!("{path}: {} may not use {other}", room.folder));
        }
        for other in room.next.iter().filter(|other| !used.contains(other)) {
            complaints.push(format!("{path}: {} does not use {other}", room.folder));
        }
    }
    for (file, text) in tree.texts().filter(|(file, _)| file.name() == "Cargo.toml" && !file.path.starts_with("host/"))
    {
        // The workspace's own list names everything; the benchmarks measure rooms by themselves.
        if file.path == "Cargo.toml" || file.path.starts_with("tests/bench/") {
            continue;
        }
        // The tasks build the examples as their authors would.
        let as_authors = |other: &str| file.path == "xtask/Cargo.toml" && other == "author";
        for other in used_rooms(text).iter().filter(|other| !as_authors(other)) {
            complaints.push(format!("{}: nothing outside of host/ may use its rooms, this uses {other}", file.path));
        }
    }
    complaints
}

/// The rooms that a manifest names under any kind of dependency.
fn used_rooms(manifest: &str) -> Vec<&'static str> {
    let names = dependencies(manifest);
    ROOMS.iter().filter(|room| names.iter().any(|name| *name == room.package)).map(|room| room.folder).collect()
}

/// What a manifest names under any kind of dependency.
pub(crate) fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest of the checkout is TOML");
    let mut tables: Vec<&toml::Table> = vec![&manifest];
    tables.extend(
        manifest
            .get("target")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(|targets| targets.values().filter_map(toml::Value::as_table)),
    );
    let dependencies = tables.into_iter().flat_map(|table| {
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .into_iter()
            .filter_map(|kind| table.get(kind)?.as_table())
    });
    dependencies.flat_map(toml::Table::keys).cloned().collect()
}

#[test]
fn a_library_in_the_wrong_crate_is_reported() {
    let tree = Tree::of(&[
        ("host/server/src/lib.rs", "use std::io;\nuse redb::Database;\n"),
        ("host/server/Cargo.toml", "[dependencies]\nwasmtime-wasi.workspace = true\n"),
        ("host/pipeline/src/lib.rs", "//! What `wasmparser` says."),
        ("host/store/src/lib.rs", "use redb::Database;"),
        ("host/plugin/src/lib.rs", "use wasmtime::Engine;"),
        ("host/cli/src/serve.rs", "data.join(\"hookwright.redb\")"),
        ("tests/bench/src/main.rs", "use redb::Database;"),
    ]);
    let complaints = names(&tree);
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints[0].starts_with("host/server/src/lib.rs:2 names redb"), "{}", complaints[0]);
}

#[test]
fn the_store_in_the_server_and_a_pipeline_that_gives_it_away_are_reported() {
    let tree = Tree::of(&[
        (
            "host/server/src/problem.rs",
            "// Not `Store`.\nuse hookwright_pipeline::{Page, StoreError};\nPipelineError::Store(error) => error.into(),\n",
        ),
        ("host/server/src/runs.rs", "use hookwright_store::Page;\napp.pipeline.store().runs.runs(space)\n"),
        ("host/server/src/keys.rs", "fn load(store: &Store) {}\n"),
        (
            "host/pipeline/src/lib.rs",
            "pub use hookwright_store::{Page, Store};\npub use hookwright_store::StoreError;\n",
        ),
        ("host/pipeline/src/pipeline.rs", "pub(crate) store: Store,\n    pub fn store(&self) -> &Store {\n"),
        ("host/cli/src/serve.rs", "use hookwright_store::Store;\n"),
    ]);
    let complaints = ways_around_the_pipeline(&tree);
    let places: Vec<&str> = complaints.iter().filter_map(|complaint| complaint.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "host/server/src/runs.rs:1",
            "host/server/src/runs.rs:2",
            "host/server/src/keys.rs:1",
            "host/pipeline/src/lib.rs:1",
            "host/pipeline/src/pipeline.rs:2"
        ],
        "{complaints:?}"
    );
}

#[test]
fn a_reversed_dependency_is_reported() {
    let mut files: Vec<(String, String)> = Vec::new();
    for room in &ROOMS {
        let lines: String = room.next.iter().map(|next| format!("{} = \"1\"\n", package(next))).collect();
        files.push((format!("host/{}/Cargo.toml", room.folder), format!("[dependencies]\n{lines}")));
    }
    let check = |files: &[(String, String)]| {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        arrows(&Tree::of(&files))
    };
    assert_eq!(check(&files), Vec::<String>::new());

    for (folder, text, complaint) in [
        ("model", "[build-dependencies]\nhookwright-store = \"1\"\n", "model may not use store"),
        ("store", "[dependencies]\nhookwright-model = \"1\"\nhookwright-plugin = \"1\"\n", "store may not use plugin"),
        (
            "plugin",
            "[dependencies]\nhookwright-model = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nhookwright-pipeline = \"1\"\n",
            "plugin may not use pipeline",
        ),
        (
            "routing",
            "[dependencies]\nhookwright-foundation = \"1\"\nhookwright-runs = \"1\"\n",
            "routing may not use runs",
        ),
        (
            "delivery",
            "[dependencies]\nhookwright-invoke = \"1\"\nhookwright-routing = \"1\"\nhookwright-intake = \"1\"\n",
            "delivery may not use intake",
        ),
        (
            "server",
            "[dependencies]\nhookwright-pipeline = \"1\"\nhookwright-bundle = \"1\"\n",
            "server may not use bundle",
        ),
        (
            "server",
            "[dependencies]\nhookwright-pipeline = \"1\"\nhookwright-store = \"1\"\n",
            "server may not use store",
        ),
        (
            "cli",
            "[dependencies]\nhookwright-author = \"1\"\nhookwright-bundle = \"1\"\nhookwright-cases = \"1\"\n",
            "cli does not use server",
        ),
    ] {
        let mut changed = files.clone();
        for file in &mut changed {
            if file.0 == format!("host/{folder}/Cargo.toml") {
                file.1 = text.to_owned();
            }
        }
        let complaints = check(&changed);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].ends_with(complaint), "{complaints:?}");
    }
    files.push(("xtask/Cargo.toml".to_owned(), "[dependencies]\nhookwright-model = \"1\"\n".to_owned()));
    assert_eq!(check(&files).len(), 1);
    files.remove(0);
    assert!(check(&files).iter().any(|complaint| complaint == "host/cli/Cargo.toml is not there"));
}

fn package(folder: &str) -> &'static str {
    ROOMS.iter().find(|room| room.folder == folder).map(|room| room.package).expect("a room has a package")
}
