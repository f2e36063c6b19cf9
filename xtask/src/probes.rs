//! The same condition and the same action in every language, `examples/LANGUAGE/{condition,action}`.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hookwright_author::{Kind, Language, Profile, Tools, build_with};

use crate::checkout::Checkout;
use crate::stage::told;
use crate::stop::Stop;
use crate::tools;

/// How many compilers run at a time.
const MAX_CONCURRENT: usize = 2;

/// The kinds that stand in each language's folder.
const KINDS: [Kind; 2] = [Kind::Condition, Kind::Action];

/// Installs the compilers of every language.
pub(crate) fn compilers(checkout: &Checkout) -> Result<(), Stop> {
    let (_, wrong) = installed(&Tools::at(&checkout.tools()))?;
    if wrong.is_empty() { Ok(()) } else { Err(Stop::new(wrong.join("\n"))) }
}

/// The languages whose compilers are there, after installing what was missing, and what went wrong with the others. Those
/// in Rust are built with the tutorial beside them.
fn installed(compilers: &Tools) -> Result<(Vec<Language>, Vec<String>), Stop> {
    tools::python_itself()?;
    let (mut languages, mut wrong) = (Vec::new(), Vec::new());
    for language in Language::ALL.into_iter().filter(|language| *language != Language::Rust) {
        match compilers.install(language, &mut |line| println!("    {line}")) {
            Ok(()) => languages.push(language),
            Err(error) => wrong.push(format!("{language}: {error}")),
        }
    }
    Ok((languages, wrong))
}

/// Builds every probe into `out` as `LANGUAGE-KIND.wasm`. What goes wrong in one language keeps no other from being built;
/// all of it is reported at the end.
pub(crate) fn build(checkout: &Checkout, out: &Path) -> Result<(), Stop> {
    let compilers = Tools::at(&checkout.tools());
    let (languages, wrong) = installed(&compilers)?;
    let jobs: VecDeque<_> = languages.into_iter().flat_map(|language| KINDS.map(|kind| (language, kind))).collect();
    let (jobs, wrong) = (Mutex::new(jobs), Mutex::new(wrong));
    std::thread::scope(|scope| {
        for _ in 0..MAX_CONCURRENT {
            scope.spawn(|| {
                while let Some((language, kind)) = jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                    if let Err(stop) = one(checkout, &compilers, out, language, kind) {
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
fn one(checkout: &Checkout, compilers: &Tools, out: &Path, language: Language, kind: Kind) -> Result<(), Stop> {
    let began = Instant::now();
    let folder = checkout.root.join("examples").join(language.name()).join(kind.name());
    let built =
        build_with(&folder, compilers, Profile::Release, &mut |_| ()).map_err(|error| Stop::new(error.to_string()))?;
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
