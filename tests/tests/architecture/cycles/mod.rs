//! Cycles between the files of a crate, and types with too many methods.
//!
//! A file depends on the files that define what it mentions: paths, and methods that it calls. A call does not name a
//! file, so it is resolved to the file of the `impl` that defines the method, by what is known of the receiver's type.
//! What takes a compiler to resolve makes no arrow: some cycles may not be counted, but those that are counted exist.

mod baseline;
mod calls;
mod graph;
mod known;
mod names;
mod packages;
mod samples;
mod source;

use std::collections::BTreeSet;

pub(crate) use baseline::BASELINE;
pub(crate) use packages::between_packages;

use crate::tree::Tree;
use graph::Graph;
use source::{Crate, Sources};

/// How many inherent methods and associated functions a type may have.
const MAX_METHODS: usize = 40;

/// How many ways around a cycle a complaint lists. With `--nocapture` the test prints all of them.
const MAX_LISTED: usize = 12;

/// What exceeded the limits when this rule was made. It may only go down, and the test fails until it is lowered.
pub(crate) struct Baseline {
    /// A crate's folder, how many of its files are in cycles, and how many arrows lead from one file of a cycle to
    /// another file of the same cycle.
    pub(crate) cycles: &'static [(&'static str, usize, usize)],
    /// A crate's folder, a type with more than [`MAX_METHODS`], and how many it has.
    pub(crate) types: &'static [(&'static str, &'static str, usize)],
}

/// A crate, measured.
pub(crate) struct Measured {
    folder: String,
    graph: Graph,
    /// The types with too many methods.
    large: Vec<(String, usize)>,
}

/// Measures every crate of the host, the plugins and the tasks.
pub(crate) fn measure(tree: &Tree) -> Vec<Measured> {
    let sources = Sources::of(tree);
    let crates = Crate::all(tree, &sources);
    let measured = crates.iter().map(|of| {
        let elsewhere: BTreeSet<String> =
            crates.iter().filter(|other| other.folder != of.folder).flat_map(method_names).collect();
        let large = of.types.iter().filter(|ty| ty.methods.len() > MAX_METHODS);
        Measured {
            folder: of.folder.clone(),
            graph: calls::arrows(of, &elsewhere),
            large: large.map(|ty| (ty.name.clone(), ty.methods.len())).collect(),
        }
    });
    measured.collect()
}

fn method_names(of: &Crate<'_>) -> impl Iterator<Item = String> {
    of.of_traits.iter().chain(of.types.iter().flat_map(|ty| ty.methods.keys())).cloned()
}

impl Measured {
    /// How many files are in cycles, and how many arrows make them.
    fn counts(&self) -> (usize, usize) {
        let cycles = self.graph.cycles();
        (cycles.iter().map(|cycle| cycle.nodes.len()).sum(), cycles.iter().map(|cycle| cycle.arrows.len()).sum())
    }

    /// Each cycle with its files and the short ways around.
    pub(crate) fn report(&self, limit: usize) -> String {
        let (files, arrows) = self.counts();
        let mut lines = vec![format!("{}: {files} files in cycles, {arrows} arrows between them", self.folder)];
        for cycle in self.graph.cycles() {
            let names: Vec<&str> = cycle.nodes.iter().map(|node| self.graph.name(*node)).collect();
            lines.push(format!("  {} files: {}", names.len(), names.join(", ")));
            let ways = self.graph.ways_around(&cycle);
            lines.extend(ways.iter().take(limit).map(|way| format!("    {way}")));
            if ways.len() > limit {
                lines.push(format!("    and {} more", ways.len() - limit));
            }
        }
        lines.extend(self.large.iter().map(|(name, methods)| format!("  {name}: {methods} methods")));
        lines.join("\n")
    }
}

/// Every crate that has something to report, as text.
pub(crate) fn report(measured: &[Measured]) -> String {
    let of_note = measured.iter().filter(|crate_| crate_.counts() != (0, 0) || !crate_.large.is_empty());
    of_note.map(|crate_| crate_.report(usize::MAX)).collect::<Vec<_>>().join("\n")
}

/// Where a crate differs from the baseline, in either direction.
pub(crate) fn complaints(measured: &[Measured], baseline: &Baseline) -> Vec<String> {
    let mut complaints = Vec::new();
    for crate_ in measured {
        let entry = baseline.cycles.iter().find(|(folder, ..)| *folder == crate_.folder);
        let allowed = entry.map_or((0, 0), |(_, files, arrows)| (*files, *arrows));
        let found = crate_.counts();
        if found.0 > allowed.0 || found.1 > allowed.1 {
            let (files, arrows) = allowed;
            complaints.push(format!(
                "{}: at most {files} files in cycles and {arrows} arrows between them: move what both files need to a \
                 file below them, or pass it as a parameter\n{}",
                crate_.folder,
                crate_.report(MAX_LISTED)
            ));
        } else if found != allowed {
            complaints.push(lower(&crate_.folder, "its cycles", &format!("{}, {}", found.0, found.1)));
        }
        for (name, methods) in &crate_.large {
            let entry = baseline.types.iter().find(|(folder, ty, _)| *folder == crate_.folder && ty == name);
            let allowed = entry.map_or(MAX_METHODS, |(_, _, methods)| *methods);
            if *methods > allowed {
                complaints.push(format!(
                    "{}: {name} has {methods} methods, at most {allowed}: cut it into types with fields of their own",
                    crate_.folder
                ));
            } else if *methods < allowed {
                complaints.push(lower(&crate_.folder, name, &methods.to_string()));
            }
        }
    }
    let of = |folder: &str| measured.iter().find(|crate_| crate_.folder == folder);
    for (folder, ..) in baseline.cycles.iter().filter(|(folder, ..)| of(folder).is_none()) {
        complaints.push(format!("{folder} is not a crate any more: remove it from {BASELINE_FILE}"));
    }
    for (folder, ty, _) in baseline.types {
        if !of(folder).is_some_and(|crate_| crate_.large.iter().any(|(name, _)| name == ty)) {
            complaints.push(format!("{folder}: {ty} is within the limit now: remove it from {BASELINE_FILE}"));
        }
    }
    complaints
}

const BASELINE_FILE: &str = "tests/tests/architecture/cycles/baseline.rs";

fn lower(folder: &str, what: &str, found: &str) -> String {
    format!("{folder}: {what} are fewer than before: lower the baseline to {found} in {BASELINE_FILE}, to keep that")
}
