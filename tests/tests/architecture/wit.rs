//! `wit/`: one folder a version, and a released one for ever.

use crate::tree::Tree;

/// Versions that plugins may have been built for. A line is added when one is released, and none is ever taken away.
const RELEASED: [&str; 1] = ["0.1.0"];

/// What belongs to no version: it is compiled into components and nobody imports it.
const ADAPTER: &str = "adapter";

/// Versions that are missing, folders that are not versions, and files of another version than their folder's.
pub(crate) fn versions(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut found = Vec::new();
    for (file, text) in tree.texts() {
        let Some(rest) = file.path.strip_prefix("wit/") else { continue };
        let version = rest.split('/').next().unwrap_or_default();
        // What stands between a language's runtime and the newest version.
        if version == "adapter" {
            continue;
        }
        if version == ADAPTER {
            continue;
        }
        if !is_version(version) || !file.ends(&["wit"]) {
            complaints.push(format!("{}: wit/ holds files of the form VERSION/NAME.wit", file.path));
            continue;
        }
        let wanted = format!("package hookwright:plugin@{version};");
        if !text.lines().any(|line| line.trim() == wanted) {
            complaints.push(format!("{} does not say `{wanted}`", file.path));
        }
        found.push(version.to_owned());
    }
    let missing = RELEASED.iter().filter(|version| !found.iter().any(|one| one == *version));
    complaints.extend(missing.map(|version| format!("wit/{version} is gone: plugins built for it must load for ever")));
    complaints
}

fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

#[test]
fn a_removed_or_renamed_version_is_reported() {
    let good = ("wit/0.1.0/types.wit", "/// Types.\npackage hookwright:plugin@0.1.0;\n");
    let newer = ("wit/0.2.0/types.wit", "package hookwright:plugin@0.2.0;\n");
    assert_eq!(versions(&Tree::of(&[good, newer])), Vec::<String>::new());
    for files in [
        vec![newer],
        vec![good, ("wit/0.2.0/types.wit", "package hookwright:plugin@0.1.0;\n")],
        vec![good, ("wit/next/types.wit", "package hookwright:plugin@0.2.0;\n")],
        vec![good, ("wit/world.wit", "package hookwright:plugin@0.2.0;\n")],
    ] {
        assert_eq!(versions(&Tree::of(&files)).len(), 1);
    }
}
