//! Under which licences others' crates may be used. All of them let a binary be passed on under Apache-2.0.

use std::path::Path;

use serde_json::Value;

use crate::ask::ask;
use crate::checkout::Checkout;
use crate::command::cargo;
use crate::stop::Stop;

/// SPDX identifiers, with their exceptions, that ask for nothing but a notice.
const ACCEPTED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Fails with the crates of a workspace that are under another licence, or under none.
pub(crate) fn check(checkout: &Checkout, workspace: &Path) -> Result<(), Stop> {
    let mut command = cargo(checkout);
    command.current_dir(workspace).args(["metadata", "--locked", "--format-version", "1"]);
    if let Some(host) = host() {
        // What other systems would need on top need not be downloaded for this.
        command.args(["--filter-platform", &host]);
    }
    let output =
        command.output().map_err(|error| Stop::new(format!("cargo metadata could not be started: {error}")))?;
    if !output.status.success() {
        return Err(Stop::new(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Stop::new(format!("cargo metadata did not answer with JSON: {error}")))?;
    let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let others: Vec<&Value> =
        packages.iter().filter(|package| package.get("source").is_some_and(Value::is_string)).collect();
    let refused: Vec<String> = others.iter().filter_map(|package| refusal(package)).collect();
    if !refused.is_empty() {
        return Err(Stop::new(format!(
            "{}. Use other crates, or read the licence and add it to xtask/src/licences.rs",
            refused.join("; ")
        )));
    }
    println!("    {} third-party crates in {}", others.len(), checkout.shown(&workspace.join("Cargo.lock")));
    Ok(())
}

/// This machine's target, such as `x86_64-unknown-linux-gnu`.
fn host() -> Option<String> {
    let answer = ask("rustc", &["-vV"])?;
    answer.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// Why a package is not taken; none if it is.
fn refusal(package: &Value) -> Option<String> {
    let text = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
    let licence = text("license");
    (!is_taken(licence)).then(|| format!("{} {} has the licence `{licence}`", text("name"), text("version")))
}

/// Whether an SPDX expression can be met by what is taken. `/` is how `OR` was written once.
fn is_taken(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = either(&mut words);
    met && words.next().is_none()
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: Words<'_, '_>) -> bool {
    let mut met = both(words);
    while words.next_if_eq(&"OR").is_some() {
        met |= both(words);
    }
    met
}

fn both(words: Words<'_, '_>) -> bool {
    let mut met = one(words);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words);
    }
    met
}

fn one(words: Words<'_, '_>) -> bool {
    let Some(first) = words.next() else { return false };
    if first == "(" {
        let met = either(words);
        return words.next() == Some(")") && met;
    }
    let mut name = first.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    ACCEPTED.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spdx_expressions_are_parsed() {
        for (expression, taken) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/GPL-3.0-only", true),
            ("GPL-2.0-only OR Apache-2.0 WITH LLVM-exception", true),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0-only AND AGPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR Apache-2.0) AND GPL-3.0-only", false),
            ("GPL-3.0-only", false),
            ("GPL-3.0-only WITH LLVM-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(is_taken(expression), taken, "{expression}");
        }
    }

    #[test]
    fn a_crate_with_a_rejected_licence_is_named() {
        let package = serde_json::json!({"name": "x", "version": "1.0.0", "license": "AGPL-3.0-only"});
        assert_eq!(refusal(&package), Some("x 1.0.0 has the licence `AGPL-3.0-only`".to_owned()));
        assert!(refusal(&serde_json::json!({"name": "x", "version": "1.0.0", "license": null})).is_some());
    }
}
