//! `cargo xtask lint`: formatting, lints and licences.

use std::process::Command;

use crate::command::{cargo, run as start};
use crate::licences;
use crate::place::Place;
use crate::stage::Stages;
use crate::stop::Stop;

/// How many stages [`all`] has.
pub(crate) const STAGES: usize = 4;

/// The task.
pub(crate) fn run(place: &Place) -> Result<(), Stop> {
    all(place, &mut Stages::new(STAGES))
}

/// Every check. A WebAssembly toolchain must be there, since the server's build compiles plugins.
pub(crate) fn all(place: &Place, stages: &mut Stages) -> Result<(), Stop> {
    stages.run("formatting", || {
        start(cargo(place).args(["fmt", "--all", "--check"]))?;
        GUESTS.iter().try_for_each(|folder| start(natively(place, folder).args(["fmt", "--all", "--check"])))
    })?;
    stages.run("lints", || {
        let arguments = ["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        start(cargo(place).args(arguments))
    })?;
    stages.run("lints of plugins", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        GUESTS.iter().try_for_each(|folder| start(natively(place, folder).args(arguments)))
    })?;
    stages.run("licences", || {
        licences::check(place, &place.root)?;
        GUESTS.iter().try_for_each(|folder| licences::check(place, &place.root.join(folder)))
    })
}

/// The workspaces of plugins. Each is one of its own, since it is built for another target with another profile.
pub(crate) const GUESTS: [&str; 2] = ["plugins", "examples/rust"];

/// Cargo on plugins as crates of this machine, which is how their own tests run.
pub(crate) fn natively(place: &Place, folder: &str) -> Command {
    let mut command = cargo(place);
    command.current_dir(place.root.join(folder)).env("CARGO_TARGET_DIR", place.target.join("guest-native"));
    command
}
