//! Samples that the rules on cycles must judge right.

use super::{Baseline, Measured, complaints, measure};
use crate::tree::Tree;

/// The crate `host/a` with these files in its folder `src`.
fn sample(files: &[(&str, &str)]) -> Vec<Measured> {
    let mut all = vec![("host/a/Cargo.toml".to_owned(), "[package]\nname = \"a\"\n")];
    all.extend(files.iter().map(|(path, text)| (format!("host/a/src/{path}"), *text)));
    let all: Vec<(&str, &str)> = all.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    measure(&Tree::of(&all))
}

/// Every arrow of a sample, as `from -> to: name at line N`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let measured = sample(files);
    let mut lines = Vec::new();
    for (from, to, mentions) in measured[0].graph.arrows() {
        lines.extend(mentions.iter().map(|of| format!("{from} -> {to}: {} at line {}", of.name, of.line)));
    }
    lines.sort();
    lines
}

fn counts(files: &[(&str, &str)]) -> (usize, usize) {
    sample(files)[0].counts()
}

const NOTHING: Baseline = Baseline { cycles: &[], types: &[] };

#[test]
fn files_without_a_cycle_are_accepted() {
    let files = [
        ("lib.rs", "mod one;\nmod two;\npub use one::One;\n"),
        ("one.rs", "use crate::two::Two;\npub struct One(Two);\nimpl One {\n    fn get(&self) { self.0.set(); }\n}\n"),
        ("two.rs", "pub struct Two;\nimpl Two {\n    pub fn set(&self) { self.get(); }\n    fn get(&self) {}\n}\n"),
    ];
    let found = arrows(&files);
    assert_eq!(
        found,
        ["one.rs -> two.rs: Two at line 1", "one.rs -> two.rs: Two at line 2", "one.rs -> two.rs: Two::set at line 4"]
    );
    assert_eq!(complaints(&sample(&files), &NOTHING), Vec::<String>::new());
}

#[test]
fn a_cycle_by_imports_is_found() {
    let files = [
        ("lib.rs", "mod one;\nmod two;\n"),
        ("one.rs", "use crate::two::{Other, Two};\npub const MAX: usize = 1;\nfn a(_: Two, _: Other) {}\n"),
        ("two.rs", "pub struct Two;\npub struct Other;\nfn b() -> usize { super::one::MAX }\n"),
    ];
    assert_eq!(counts(&files), (2, 2));
    let complaints = complaints(&sample(&files), &NOTHING);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    let expected = "one.rs -> two.rs: Other at line 1 (and 3 more); two.rs -> one.rs: MAX at line 3";
    assert!(complaints[0].contains(expected), "{}", complaints[0]);
}

#[test]
fn a_cycle_by_calls_on_self_is_found() {
    let files = [
        ("lib.rs", "mod advance;\nmod steps;\nmod engine;\npub use engine::Engine;\n"),
        ("engine.rs", "pub struct Engine;\n"),
        ("advance.rs", "use crate::Engine;\nimpl Engine {\n    pub fn left(&self) { self.step() }\n}\n"),
        (
            "steps.rs",
            "use crate::Engine;\nimpl Engine {\n    pub fn step(&self) {\n        \
             tokio::select! { _ = self.left() => {} }\n    }\n}\n",
        ),
    ];
    assert_eq!(counts(&files), (2, 2));
    let complaints = complaints(&sample(&files), &NOTHING);
    assert!(complaints[0].contains("advance.rs -> steps.rs: Engine::step at line 3"), "{}", complaints[0]);
    assert!(complaints[0].contains("steps.rs -> advance.rs: Engine::left at line 4"), "{}", complaints[0]);
}

#[test]
fn a_cycle_through_a_types_methods_is_found() {
    let files = [
        ("lib.rs", "mod lane;\nmod queue;\nmod order;\n"),
        ("lane.rs", "pub struct Lane { pub next: Option<std::sync::Arc<Lane>> }\n"),
        (
            "queue.rs",
            "use crate::lane::Lane;\nimpl Lane {\n    pub fn open() -> Self { Self { next: None } }\n    \
             fn close(lane: &Lane) { if let Some(next) = &lane.next { next.reorder() } }\n}\n",
        ),
        (
            "order.rs",
            "use crate::lane::Lane;\nimpl Lane {\n    \
             pub fn reorder(&self) { let lane = Lane::open(); lane.reorder() }\n}\n",
        ),
    ];
    assert_eq!(counts(&files), (2, 2));
    let found = arrows(&files);
    assert!(found.contains(&"queue.rs -> order.rs: Lane::reorder at line 4".to_owned()), "{found:#?}");
    assert!(found.contains(&"order.rs -> queue.rs: Lane::open at line 3".to_owned()), "{found:#?}");
}

#[test]
fn a_call_goes_to_the_file_of_its_own_type() {
    let files = [
        ("lib.rs", "mod one;\nmod two;\nmod user;\n"),
        ("one.rs", "pub struct One;\nimpl One { pub fn carry_out(&self) {}\n pub fn shown_once(&self) {} }\n"),
        ("two.rs", "pub struct Two;\nimpl Two { pub fn carry_out(&self) {}\n pub fn take(&self) {} }\n"),
        (
            "user.rs",
            "fn a(mut two: crate::two::Two, list: Vec<u8>) {\n    two.carry_out();\n    \
             for x in unknown() { x.carry_out() }\n    \
             let two = other();\n    two.take();\n    two.shown_once();\n    list.shown_once();\n    \
             MADE_BY_A_MACRO.shown_once();\n    two.shown_once(1);\n}\n",
        ),
    ];
    let expected = [
        "user.rs -> one.rs: One::shown_once at line 6",
        "user.rs -> two.rs: Two at line 1",
        "user.rs -> two.rs: Two::carry_out at line 2",
    ];
    assert_eq!(arrows(&files), expected);
}

#[test]
fn a_name_leads_through_re_exports_to_the_file_that_defines_it() {
    let files = [
        ("lib.rs", "mod part;\npub use part::Deep;\n"),
        ("part/mod.rs", "mod deep;\nmod shown;\npub(crate) use deep::*;\n"),
        ("part/deep.rs", "pub struct Deep;\n"),
        ("part/shown.rs", "use super::Deep as D;\nfn a(_: D) -> crate::Deep { crate::Deep }\n"),
    ];
    let to_deep = |name: &str, line: usize| format!("part/shown.rs -> part/deep.rs: {name} at line {line}");
    assert_eq!(arrows(&files), [to_deep("Deep", 1), to_deep("Deep", 2)]);
}

#[test]
fn test_only_dependencies_are_ignored() {
    let files = [
        ("lib.rs", "mod one;\nmod two;\n"),
        ("one.rs", "use crate::two::Two;\nfn a(_: Two) {}\n#[cfg(test)]\nmod tests;\n"),
        ("one/tests.rs", "use super::*;\n"),
        (
            "two.rs",
            "pub struct Two;\n#[cfg(all(test, unix))]\nmod tests {\n    use crate::one::a;\n}\n\
             #[cfg(test)]\nuse crate::one::a;\n",
        ),
    ];
    assert_eq!(counts(&files), (0, 0));
    let outside =
        [files[0], files[1], files[2], ("two.rs", "pub struct Two;\n#[cfg(not(test))]\nuse crate::one::a;\n")];
    assert_eq!(counts(&outside), (2, 2));
}

#[test]
fn a_type_with_more_than_40_methods_is_reported() {
    let methods = |of: usize| (0..of).map(|number| format!("fn method_{number}() {{}}\n")).collect::<String>();
    let (one, two) = (format!("impl T {{\n{}}}\n", methods(40)), "impl T { fn last(&self) {} }\n");
    let files = [("lib.rs", "mod one;\nmod two;\nmod t;\nuse t::T;\n"), ("t.rs", "pub struct T;\n")];
    let with = |two: &str| {
        let texts = [format!("use crate::T;\n{one}"), format!("use crate::T;\n{two}")];
        sample(&[files[0], files[1], ("one.rs", &texts[0]), ("two.rs", &texts[1])])
    };
    assert_eq!(complaints(&with(""), &NOTHING), Vec::<String>::new());
    let complaints = complaints(&with(two), &NOTHING);
    assert_eq!(complaints, ["host/a: T has 41 methods, at most 40: cut it into types with fields of their own"]);
}

#[test]
fn the_baseline_is_compared_in_both_directions() {
    let cyclic = sample(&[
        ("lib.rs", "mod one;\nmod two;\n"),
        ("one.rs", "use crate::two::B;\npub struct A;\n"),
        ("two.rs", "use crate::one::A;\npub struct B;\n"),
    ]);
    let compared =
        |cycles: &'static [(&'static str, usize, usize)]| complaints(&cyclic, &Baseline { cycles, types: &[] });
    assert_eq!(compared(&[("host/a", 2, 2)]), Vec::<String>::new());
    assert!(compared(&[("host/a", 2, 1)])[0].starts_with("host/a: at most 2 files in cycles and 1 arrows"));
    assert!(compared(&[("host/a", 3, 2)])[0].contains("lower the baseline to 2, 2"));
    assert!(compared(&[("host/a", 2, 2), ("host/b", 2, 2)])[0].starts_with("host/b is not a crate any more"));
    let types = complaints(&cyclic, &Baseline { cycles: &[("host/a", 2, 2)], types: &[("host/a", "A", 50)] });
    assert!(types[0].starts_with("host/a: A is within the limit now"), "{types:?}");
}
