//! How files are cut and named, and what stands in none of them.

use crate::tree::Tree;

/// Lines of a file that is still one subject.
const MOST_LINES: usize = 600;

/// Endings of files that people write.
const SOURCES: [&str; 10] = ["rs", "wit", "js", "mjs", "ts", "py", "go", "c", "cpp", "sh"];

/// Names that say nothing about what is inside.
const ODDS_AND_ENDS: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "manager"];

/// Source files that are too long.
pub(crate) fn long_files(tree: &Tree) -> Vec<String> {
    let sources = tree.texts().filter(|(file, _)| file.ends(&SOURCES));
    let long = sources.map(|(file, text)| (file, text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(file, lines)| format!("{} has {lines} lines, at most {MOST_LINES}: cut it in two", file.path)).collect()
}

/// Files and folders named after nothing.
pub(crate) fn odds_and_ends(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.files() {
        for part in file.path.split('/') {
            let name = part.split('.').next().unwrap_or(part).to_ascii_lowercase();
            if ODDS_AND_ENDS.contains(&name.as_str()) {
                complaints.push(format!("{}: `{part}` does not say what is in it", file.path));
            }
        }
    }
    complaints
}

/// Folders of somebody's machine, and places that packages came from. The words are put together here, so that this
/// file does not hold them itself.
fn machine_words() -> Vec<String> {
    let folders = ["root", "home", "Users", "work"].map(|name| format!("/{name}/"));
    folders.into_iter().chain([format!("/opt/{}", "wheels")]).collect()
}

/// Whatever would tell where the project was made.
pub(crate) fn machines(tree: &Tree) -> Vec<String> {
    let words = machine_words();
    let mut complaints = Vec::new();
    for (file, text) in tree.texts() {
        for (place, line) in text.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(word.as_str()));
            if let Some(word) = found {
                complaints.push(format!("{}:{} holds {word}", file.path, place + 1));
            }
            if let Some(what) = registry(file.name(), line) {
                complaints.push(format!("{}:{} names a registry: {what}", file.path, place + 1));
            }
        }
    }
    complaints
}

/// Why a line of a list of packages names the place that they came from. What everybody's cargo writes is none.
fn registry(name: &str, line: &str) -> Option<String> {
    let usual = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    let named = match name {
        "Cargo.lock" => line.trim().strip_prefix("source = ").is_some_and(|source| source != usual),
        "package-lock.json" => line.contains("\"resolved\":"),
        "requirements.txt" | "pip.conf" => ["index-url", "find-links", "://"].iter().any(|part| line.contains(part)),
        ".npmrc" | "config.toml" => line.contains("registry"),
        _ => false,
    };
    named.then(|| line.trim().to_owned())
}

#[test]
fn a_file_over_600_lines_is_reported() {
    let (whole, long) = ("x\n".repeat(600), "x\n".repeat(601));
    let tree = Tree::of(&[("a.rs", &whole), ("b.rs", &long), ("Cargo.lock", &long), ("c.py", &long)]);
    let complaints = long_files(&tree);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].starts_with("b.rs has 601 lines"));
}

#[test]
fn a_file_with_a_catch_all_name_is_reported() {
    for path in ["host/store/src/utils.rs", "plugins/common/src/lib.rs", "tests/Helpers.py", "host/manager.rs"] {
        assert_eq!(odds_and_ends(&Tree::of(&[(path, "")])).len(), 1, "{path}");
    }
    assert!(odds_and_ends(&Tree::of(&[("host/store/src/commons.rs", ""), ("utility.md", "")])).is_empty());
}

#[test]
fn machine_paths_and_registries_are_reported() {
    let folder = format!("see {}x", machine_words()[0]);
    for (path, text) in [
        ("README.md", folder.as_str()),
        ("plugins/Cargo.lock", "source = \"registry+https://mirror.example/index\""),
        ("package-lock.json", "  \"resolved\": \"https://mirror.example/x.tgz\","),
        ("tests/clients/requirements.txt", "--index-url https://mirror.example/simple"),
        (".cargo/config.toml", "[source.crates-io]\nregistry = \"sparse+https://mirror.example/\""),
    ] {
        assert_eq!(machines(&Tree::of(&[(path, text)])).len(), 1, "{path}");
    }
    let usual = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(machines(&Tree::of(&[("Cargo.lock", usual), ("docs/a.md", "an npm registry, --index-url")])).is_empty());
}
