//! `docs/` keeps up with the code: what a program depends on by name stands in a page.

use crate::tree::Tree;

/// Words of the form of an error code that are none: event types, file names, paths in messages and samples.
const NO_CODES: [&str; 43] = [
    "hookwright_entry.js",
    "root.zig",
    "build.wit",
    "grants.interfaces",
    "definitions.jq",
    "inbox.received",
    "event.source",
    "event.type",
    "with.user",
    "batching.most",
    "batching.wait_ms",
    "batching.list",
    "transport.ca_pem",
    "transport.client_certificate_pem",
    "transport.client_key_secret",
    "transport.proxy_secret",
    "workflow.started",
    "event.emitted",
    "webhook.test",
    "webhook.verify",
    "webhook.throttled",
    "delivery.exhausted",
    "plugin.rolled_back",
    "rollback_when.percent_above_live",
    "mail.queued",
    "kv.set",
    "kv.removed",
    "message.body",
    "request.body",
    "hookwright.signatures",
    "config.json",
    "wasm.sig",
    "hookwright.redb",
    "hookwright.toml",
    "parameters.json",
    "secret.key",
    "admin.key",
    "test.json",
    "world.wit",
    "core.wasm",
    "raw.wasm",
    "hookwright.zig",
    "data.status",
];

/// First words of the samples in documentation, of event types and of paths to fields.
const NO_NOUNS: [&str; 12] = [
    "jira",
    "monitor",
    "analytics_event",
    "data",
    "a",
    "fields",
    "rate",
    "order",
    "oauth",
    "hub",
    "concurrency",
    "for_each",
];

/// Error codes in the sources that `docs/errors.md` does not have.
pub(crate) fn error_codes(tree: &Tree) -> Vec<String> {
    let page = tree.text("docs/errors.md").unwrap_or_default();
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| is_source(&file.path)) {
        for (place, line) in own_lines(text) {
            for code in literals(line).filter(|literal| is_code(literal)) {
                if !page.contains(&format!("`{code}`")) {
                    complaints.push(format!("{}:{place}: docs/errors.md does not have `{code}`", file.path));
                }
            }
        }
    }
    complaints
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs")
        && (path.starts_with("host/") || path.starts_with("plugins/"))
        && path.contains("/src/")
        && !path.starts_with("plugins/sdk/")
        && !path.ends_with("/tests.rs")
        && !path.ends_with("/properties.rs")
        && !path.ends_with("/cost.rs")
}

/// The lines of a file, counted from 1, without comments and without what follows `#[cfg(test)]`.
fn own_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(place, line)| (place + 1, line))
}

/// The texts in quotes on a line.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// Whether a string is `noun.problem`.
fn is_code(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.split_once('.').is_some_and(|(noun, problem)| is_word(noun) && is_word(problem) && !NO_NOUNS.contains(&noun))
        && !NO_CODES.contains(&text)
}

/// Routes of the server that `docs/api.md` does not have.
pub(crate) fn routes(tree: &Tree) -> Vec<String> {
    let page = tree.text("docs/api.md").unwrap_or_default();
    let table = tree.text("host/server/src/routes.rs").unwrap_or_default();
    let rows = own_lines(table).filter_map(|(_, line)| {
        let (verb, rest) = line.trim().split_once(" \"/")?;
        let path = rest.split('"').next()?;
        let is_verb = ["GET", "POST", "PUT", "PATCH", "DELETE", "ANY"].contains(&verb);
        is_verb.then(|| format!("{verb} /{path}"))
    });
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return vec!["host/server/src/routes.rs has no table of routes: correct this test".to_owned()];
    }
    let missing = rows.into_iter().filter(|row| !page.contains(&format!("`{row}`")));
    missing.map(|row| format!("docs/api.md does not have `{row}`")).collect()
}

/// Settings of the server that `docs/configuration.md` does not have.
pub(crate) fn settings(tree: &Tree) -> Vec<String> {
    let page = tree.text("docs/configuration.md").unwrap_or_default();
    let mut complaints = Vec::new();
    let mut count = 0_usize;
    for (file, text) in tree.texts().filter(|(file, _)| file.path.starts_with("host/cli/src/")) {
        for (place, line) in own_lines(text) {
            for variable in literals(line).filter_map(|literal| literal.strip_prefix("HOOKWRIGHT_")) {
                count += 1;
                // A message may go on after the name.
                let end = variable.find(|c: char| c != '_' && !c.is_ascii_uppercase()).unwrap_or(variable.len());
                let variable = &variable[..end];
                let known = [format!("`{}`", variable.to_ascii_lowercase()), format!("`HOOKWRIGHT_{variable}`")];
                if known.iter().any(|name| page.contains(name)) {
                    continue;
                }
                complaints
                    .push(format!("{}:{place}: docs/configuration.md does not have HOOKWRIGHT_{variable}", file.path));
            }
        }
    }
    if count == 0 {
        complaints.push("host/cli/src has no settings: correct this test".to_owned());
    }
    complaints
}

/// Links between pages of the checkout that lead nowhere.
pub(crate) fn links(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.ends(&["md"])) {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = joined(&file.path, target);
            if !tree.files().any(|other| other.path == path || other.path.starts_with(&format!("{path}/"))) {
                complaints.push(format!("{}: the link to {target} leads nowhere", file.path));
            }
        }
    }
    complaints
}

/// The path that a link in `page` leads to.
fn joined(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// What whoever writes a plugin must read where instances are warm.
const OUTLIVES: &str = "outlives its call";

/// Templates and pages of plugins whose instances serve several calls, without a word about what that means: there, and
/// in the page of the template's language.
pub(crate) fn warm_instances(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut count = 0_usize;
    for (file, text) in tree.texts() {
        let template = file.path.strip_prefix("host/author/templates/");
        let is_page = file.path.starts_with("docs/plugins/") && file.ends(&["md"]);
        if (template.is_none() && !is_page) || !text.lines().any(asks_for_warm_instances) {
            continue;
        }
        count += 1;
        let page =
            template.and_then(|path| path.split('/').next()).map(|name| format!("docs/plugins/languages/{name}.md"));
        for path in [Some(file.path.clone()), page].into_iter().flatten() {
            if !tree.text(&path).is_some_and(|text| text.contains(OUTLIVES)) {
                complaints.push(format!("{path} does not say that a variable {OUTLIVES}: {} has the hint", file.path));
            }
        }
    }
    if count == 0 {
        complaints.push("no template has the hint `instance=warm`: correct this test".to_owned());
    }
    complaints
}

/// Whether a line of a manifest, in any language, has the hint `instance` = `warm`.
fn asks_for_warm_instances(line: &str) -> bool {
    let quoted = |word: &str| line.contains(&format!("\"{word}\"")) || line.contains(&format!("'{word}'"));
    quoted("instance") && quoted("warm")
}

#[test]
fn an_undocumented_code_is_reported() {
    let page = ("docs/errors.md", "| `ticket.lost` | 404 |");
    let good = "fn x() { fail(\"ticket.lost\") } // \"a.comment\"\n#[cfg(test)]\nmod tests { \"other.thing\" }";
    assert!(error_codes(&Tree::of(&[page, ("host/store/src/a.rs", good)])).is_empty());
    let tree = Tree::of(&[page, ("plugins/jq/src/lib.rs", "x\nFailure::permanent(\"filter.odd\", \"ticket.lost\")")]);
    assert_eq!(error_codes(&tree), ["plugins/jq/src/lib.rs:2: docs/errors.md does not have `filter.odd`"]);
}

#[test]
fn an_undocumented_route_is_reported() {
    let table = (
        "host/server/src/routes.rs",
        "routes! {\n    GET \"/v1/a/{id}\" Read a::read, \"Read\";\n    PUT \"/v1/b\" Edit b, \"\";\n}",
    );
    let tree = Tree::of(&[table, ("docs/api.md", "| `GET /v1/a/{id}` |")]);
    assert_eq!(routes(&tree), ["docs/api.md does not have `PUT /v1/b`"]);
    assert_eq!(routes(&Tree::of(&[])).len(), 1);
}

#[test]
fn an_undocumented_setting_is_reported() {
    let source = "#[arg(long, env = \"HOOKWRIGHT_LISTEN\")]\n#[arg(long, env = \"HOOKWRIGHT_SPEED\")]\nvar(\"HOOKWRIGHT_ADMIN_KEY\")";
    let page = "`listen`, `HOOKWRIGHT_ADMIN_KEY`";
    let complaints = settings(&Tree::of(&[("host/cli/src/settings.rs", source), ("docs/configuration.md", page)]));
    assert_eq!(complaints, ["host/cli/src/settings.rs:2: docs/configuration.md does not have HOOKWRIGHT_SPEED"]);
    assert_eq!(settings(&Tree::of(&[])).len(), 1);
}

#[test]
fn a_broken_link_is_reported() {
    let page = "[a](docs/a.md#x) [b](../b.md) [c](https://example.com) [d](#here) [e](docs)";
    let tree = Tree::of(&[("README.md", page), ("docs/a.md", "[r](../README.md) [s](./s.md)")]);
    assert_eq!(links(&tree).len(), 2, "{:?}", links(&tree));
}

#[test]
fn an_undocumented_warm_template_is_reported() {
    let (hint, said) = ("hints: [['instance', 'warm']]", "a variable outlives its call");
    let template = "host/author/templates/javascript/action/src/plugin.js";
    let page = "docs/plugins/languages/javascript.md";
    let good = format!("// {said}\n{hint}");
    let good = good.as_str();
    assert!(warm_instances(&Tree::of(&[(template, good), (page, said)])).is_empty());
    assert_eq!(warm_instances(&Tree::of(&[(template, hint), (page, said)])).len(), 1);
    assert_eq!(warm_instances(&Tree::of(&[(template, good), (page, "")])).len(), 1);
    assert_eq!(warm_instances(&Tree::of(&[(template, good)])).len(), 1);
    let other = ("docs/plugins/other-tools.md", "[(\"instance\", \"warm\")]");
    assert_eq!(warm_instances(&Tree::of(&[other])).len(), 1);
    assert_eq!(warm_instances(&Tree::of(&[])).len(), 1);
}
