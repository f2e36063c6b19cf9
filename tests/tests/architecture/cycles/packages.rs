//! Cycles between packages. Cargo refuses most of them, but not those that a dependency of tests closes.

use super::graph::Graph;
use crate::rooms::dependencies;
use crate::tree::Tree;

/// Packages of the checkout that need one another.
pub(crate) fn between_packages(tree: &Tree) -> Vec<String> {
    let manifests: Vec<(&str, String, &str)> = tree
        .texts()
        .filter(|(file, _)| file.name() == "Cargo.toml")
        .filter_map(|(file, text)| Some((file.path.as_str(), package(text)?, text)))
        .collect();
    let mut graph = Graph::default();
    for (path, package, text) in &manifests {
        let from = graph.node(package);
        for name in dependencies(text) {
            if manifests.iter().any(|(_, package, _)| *package == name) {
                let arrow = (from, graph.node(&name));
                graph.mention(arrow, format!("dependency in {path}"), line(text, &name));
            }
        }
    }
    let cycles = graph.cycles();
    let ways = cycles.iter().flat_map(|cycle| graph.ways_around(cycle));
    ways.map(|way| format!("packages need one another: {way}")).collect()
}

fn package(manifest: &str) -> Option<String> {
    let manifest: toml::Table = manifest.parse().ok()?;
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

fn line(manifest: &str, name: &str) -> usize {
    manifest.lines().position(|line| line.starts_with(name)).map_or(1, |place| place + 1)
}

#[test]
fn mutually_dependent_packages_are_reported() {
    let manifest = |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{rest}");
    let one = manifest("one", "[dependencies]\ntwo = { path = \"../two\" }\nserde = \"1\"\n");
    let two = manifest("two", "[dependencies]\nserde = \"1\"\n");
    let tests_on_one = manifest("two", "[dev-dependencies]\none = { path = \"../one\" }\n");
    let files = |two| Tree::of(&[("one/Cargo.toml", one.as_str()), ("two/Cargo.toml", two)]);
    assert_eq!(between_packages(&files(&two)), Vec::<String>::new());
    let complaints = between_packages(&files(&tests_on_one));
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("two -> one: dependency in two/Cargo.toml at line 4"), "{}", complaints[0]);
}
