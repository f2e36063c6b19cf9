//! Dependencies get the same features whichever packages cargo is asked for, so that the server and the tests share
//! what is compiled. One feature more in one selection compiles wasmtime and hundreds of other crates once again.

use std::collections::BTreeSet;
use std::process::Command;

/// What is built by itself, as arguments of `cargo tree`, compared with the whole workspace with its tests, and the small
/// packages that may have other features in it.
const SELECTIONS: [(&str, &[&str], &[&str]); 2] = [
    ("the server", &["--workspace", "--edges", "normal,build"], &[]),
    (
        "xtask",
        &["--package", "xtask", "--edges", "normal,build"],
        &[
            "base64",
            "crypto-common",
            "digest",
            "generic-array",
            "getrandom",
            "hmac",
            "http",
            "httparse",
            "sha2",
            "subtle",
            "ureq",
        ],
    ),
];
/// What a build script or a macro has with other features than the server or the tests, and is quickly compiled.
const SMALL_IN_BOTH: [&str; 6] =
    ["cranelift-bitset", "hookwright-gate", "proc-macro2", "pulley-interpreter", "syn v3", "wasmtime-internal-core"];
const WHOLE: &[&str] = &["--workspace", "--edges", "normal,build,dev"];

/// Packages with the features that a selection gives them, one a line.
fn features(selection: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--prefix", "none", "--format", "{p}: {f}"])
        .args(selection)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

fn compiled_twice(name: &str, selection: &BTreeSet<String>, small: &[&str], whole: &BTreeSet<String>) -> Vec<String> {
    let is_small = |line: &str| line.split_once(' ').is_some_and(|(package, _)| small.contains(&package));
    let others = selection.difference(whole).filter(|line| !is_small(line));
    others.map(|package| format!("{name} is the only selection that has {package}")).collect()
}

/// Packages that one selection builds with other features than the tests' build does.
pub(crate) fn differences() -> Vec<String> {
    let whole = features(WHOLE);
    assert!(whole.len() > 300, "cargo tree lists only {} packages", whole.len());
    let small = |package: &&String| !SMALL_IN_BOTH.iter().any(|small| package.starts_with(small));
    let twice: Vec<String> =
        in_two_forms(&whole).iter().filter(small).map(|package| format!("{package} is compiled twice")).collect();
    let differs =
        |(name, arguments, small): &(&str, &[&str], &[&str])| compiled_twice(name, &features(arguments), small, &whole);
    twice.into_iter().chain(SELECTIONS.iter().flat_map(differs)).collect()
}

/// Packages that have one set of features for build scripts and another for the server.
fn in_two_forms(selection: &BTreeSet<String>) -> BTreeSet<String> {
    let names: Vec<&str> =
        selection.iter().filter_map(|line| line.split_once(": ")).map(|(package, _)| package).collect();
    names.iter().zip(names.iter().skip(1)).filter(|(one, next)| one == next).map(|(one, _)| (*one).to_owned()).collect()
}

#[test]
fn a_package_in_two_forms_is_named() {
    let lines = ["syn v2.0.0: full", "syn v2.0.0: full,visit", "syn v3.0.0: full"].map(str::to_owned);
    assert_eq!(in_two_forms(&lines.into()), ["syn v2.0.0".to_owned()].into());
}

#[test]
fn a_package_with_other_features_is_named() {
    let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>();
    let whole = set(&["syn v2.0.0: full,visit", "tokio v1.0.0: rt"]);
    assert!(compiled_twice("the server", &set(&["tokio v1.0.0: rt"]), &[], &whole).is_empty());
    assert!(compiled_twice("the server", &set(&["syn v2.0.0: full"]), &["syn"], &whole).is_empty());
    let complaints = compiled_twice("the server", &set(&["syn v2.0.0: full"]), &["sy"], &whole);
    assert_eq!(complaints, ["the server is the only selection that has syn v2.0.0: full"]);
}
