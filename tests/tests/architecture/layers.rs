//! The layers of the pipeline: each folder uses only those below it.

use crate::tree::Tree;

/// Where they are.
const FOLDER: &str = "host/pipeline/src/";

/// The layers, the lowest first. What stands beside them puts them together.
const LAYERS: [&str; 8] = ["foundation", "invoke", "routing", "runs", "delivery", "intake", "resources", "history"];

/// The modules beside the layers, which use all of them.
const BESIDE: [&str; 3] = ["clock_watch", "pipeline", "upkeep"];

/// Uses that point upwards or around the layers, and folders that are not layers.
pub(crate) fn arrows(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.ends(&["rs"])) {
        let Some((folder, _)) = file.path.strip_prefix(FOLDER).and_then(|path| path.split_once('/')) else { continue };
        let Some(own) = LAYERS.iter().position(|layer| *layer == folder) else {
            complaints.push(format!(
                "{}: `{folder}` is not a layer of the pipeline; the layers are {}",
                file.path,
                LAYERS.join(", ")
            ));
            continue;
        };
        let text = without_comments(text);
        for (place, used) in used_from_the_root(&text) {
            let refusal = if let Some(layer) = LAYERS.iter().position(|layer| *layer == used) {
                (layer > own).then(|| format!("{folder} may not use {used}, which is above it"))
            } else if BESIDE.contains(&used) {
                Some(format!("{folder} may not use {used}, which puts the layers together"))
            } else {
                // What `lib.rs` re-exports can be of any layer.
                Some(format!("{folder} may not use `crate::{used}`; begin the path with the layer that defines it"))
            };
            complaints.extend(refusal.map(|refusal| format!("{}:{}: {refusal}", file.path, line_at(&text, place))));
        }
        for (place, _) in text.match_indices("super::super") {
            complaints.push(format!(
                "{}:{}: `super::super` hides the layer; begin the path with `crate::`",
                file.path,
                line_at(&text, place)
            ));
        }
    }
    for layer in LAYERS {
        if !tree.texts().any(|(file, _)| file.path.starts_with(&format!("{FOLDER}{layer}/"))) {
            complaints.push(format!("{FOLDER}{layer} is missing"));
        }
    }
    complaints
}

/// The text with empty lines for those that are comments.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The line of a place in a string, counted from 1.
fn line_at(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

/// The first names after `crate::`, those in braces too, with their places.
fn used_from_the_root(text: &str) -> Vec<(usize, &str)> {
    let mut used = Vec::new();
    for (place, root) in text.match_indices("crate::") {
        let before = text[..place].chars().next_back();
        if before.is_some_and(|before| before == '_' || before.is_alphanumeric()) {
            continue;
        }
        let start = place + root.len();
        if !text[start..].starts_with('{') {
            used.push((start, first_name(&text[start..])));
            continue;
        }
        let (mut depth, mut expected) = (0_usize, false);
        for (offset, letter) in text[start..].char_indices() {
            match letter {
                '{' => {
                    depth += 1;
                    expected = depth == 1;
                }
                '}' if depth == 1 => break,
                '}' => depth -= 1,
                ',' => expected = depth == 1,
                letter if letter.is_whitespace() => {}
                _ if expected => {
                    used.push((start + offset, first_name(&text[start + offset..])));
                    expected = false;
                }
                _ => {}
            }
        }
    }
    used
}

/// The name that a string begins with, or the star in its place.
fn first_name(text: &str) -> &str {
    let end = text.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(text.len());
    if end == 0 { &text[..text.chars().next().map_or(0, char::len_utf8)] } else { &text[..end] }
}

#[test]
fn an_upward_use_a_missing_layer_and_a_folder_that_is_not_a_layer_are_reported() {
    let all = LAYERS.map(|layer| (format!("{FOLDER}{layer}/mod.rs"), ""));
    let mut files: Vec<(&str, &str)> = all.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.push(("host/pipeline/src/lib.rs", "use crate::history::story::Story;\n"));
    files.push((
        "host/pipeline/src/runs/allowed.rs",
        "// Not `crate::history::story`.\nuse crate::{\n    invoke::calls::{Invoke, Recorded},\n    runs::steps::Steps,\n};\n\
         use super::steps;\nuse other_crate::history::Story;\nfn of(_: crate::routing::planning::Routing) {}\n",
    ));
    assert_eq!(arrows(&Tree::of(&files)), Vec::<String>::new());

    files.retain(|(path, _)| *path != "host/pipeline/src/routing/mod.rs");
    files.push(("host/pipeline/src/elsewhere/a.rs", "use crate::history::story::Story;\n"));
    files.push((
        "host/pipeline/src/runs/steps.rs",
        "use crate::invoke::calls::Invoke;\nuse crate::history::story::Story;\nuse crate::history;\n",
    ));
    files.push((
        "host/pipeline/src/runs/groups.rs",
        "use crate::{\n    delivery::{queues, circuits},\n    invoke::calls::Invoke, history::story,\n    Story,\n};\n",
    ));
    files.push((
        "host/pipeline/src/runs/root.rs",
        "use crate::Story;\nuse crate::after_hops;\nuse crate::*;\nuse super::super::history::story;\n",
    ));
    files.push((
        "host/pipeline/src/history/beside.rs",
        "use crate::pipeline::Pipeline;\nuse crate::upkeep;\nfn of(_: &crate::clock_watch::ClockWatch) {}\n",
    ));
    let root = |name: &str| format!("runs may not use `crate::{name}`; begin the path with the layer that defines it");
    let (story, after_hops, star) = (root("Story"), root("after_hops"), root("*"));
    let expected = [
        (
            "elsewhere/a.rs",
            "`elsewhere` is not a layer of the pipeline; the layers are foundation, invoke, routing, runs, delivery, \
             intake, resources, history",
        ),
        ("runs/steps.rs:2", "runs may not use history, which is above it"),
        ("runs/steps.rs:3", "runs may not use history, which is above it"),
        ("runs/groups.rs:2", "runs may not use delivery, which is above it"),
        ("runs/groups.rs:3", "runs may not use history, which is above it"),
        ("runs/groups.rs:4", story.as_str()),
        ("runs/root.rs:1", story.as_str()),
        ("runs/root.rs:2", after_hops.as_str()),
        ("runs/root.rs:3", star.as_str()),
        ("runs/root.rs:4", "`super::super` hides the layer; begin the path with `crate::`"),
        ("history/beside.rs:1", "history may not use pipeline, which puts the layers together"),
        ("history/beside.rs:2", "history may not use upkeep, which puts the layers together"),
        ("history/beside.rs:3", "history may not use clock_watch, which puts the layers together"),
    ];
    let mut expected: Vec<String> = expected.map(|(place, complaint)| format!("{FOLDER}{place}: {complaint}")).into();
    expected.push("host/pipeline/src/routing is missing".to_owned());
    assert_eq!(arrows(&Tree::of(&files)), expected);
}
