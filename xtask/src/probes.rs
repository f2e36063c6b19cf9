//! The same condition and the same action in every language, `examples/LANGUAGE/{condition,action}`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hookwright_author::{Kind, Language, Tools, build_with};

use crate::place::Place;
use crate::stage::told;
use crate::stop::Stop;
use crate::tools;

/// How many compilers run at a time.
const AT_ONCE: usize = 2;

/// The kinds that stand in each language's folder.
const KINDS: [Kind; 2] = [Kind::Condition, Kind::Action];

/// Installs what is missing and builds every probe into `out` as `LANGUAGE-KIND.wasm`. What goes wrong in one language
/// keeps no other from being built; all of it is told at the end. Those in Rust are built with the tutorial beside them.
pub(crate) fn build(place: &Place, out: &Path) -> Result<(), Stop> {
    tools::python_itself()?;
    let compilers = Tools::at(&place.tools());
    let mut wrong = Vec::new();
    let mut jobs = VecDeque::new();
    for language in Language::ALL.into_iter().filter(|language| *language != Language::Rust) {
        match compilers.install(language, &mut |line| println!("    {line}")) {
            Ok(()) => jobs.extend(KINDS.map(|kind| (language, kind))),
            Err(error) => wrong.push(format!("{language}: {error}")),
        }
    }
    let (jobs, wrong) = (Mutex::new(jobs), Mutex::new(wrong));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((language, kind)) = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                    if let Err(stop) = one(place, &compilers, out, language, kind) {
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{language} {kind}: {stop}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    if wrong.is_empty() { Ok(()) } else { Err(Stop::new(wrong.join("\n"))) }
}

/// Builds one probe, and says how long it took unless nothing had changed.
fn one(place: &Place, compilers: &Tools, out: &Path, language: Language, kind: Kind) -> Result<(), Stop> {
    let began = Instant::now();
    let folder = place.root.join("examples").join(language.name()).join(kind.name());
    let built = build_with(&folder, compilers, &mut |_| ()).map_err(|error| Stop::new(error.to_string()))?;
    let path = out.join(format!("{}-{}.wasm", language.name(), kind.name()));
    let bytes = std::fs::read(&built.path).map_err(|error| Stop::file(&built.path, &error))?;
    if !std::fs::read(&path).is_ok_and(|old| old == bytes) {
        std::fs::write(&path, &bytes).map_err(|error| Stop::file(&path, &error))?;
    }
    if built.changed {
        println!("    {language} {kind}: {} KB in {}", bytes.len() / 1024, told(began.elapsed()));
    }
    Ok(())
}
