//! `cargo xtask lint`: formatting, lints and licences.

use std::process::Command;

use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::licences;
use crate::stage::Stages;
use crate::stop::Stop;

/// The task.
pub(crate) fn run(checkout: &Checkout) -> Result<(), Stop> {
    let mut stages = Stages::new(4);
    formatting(checkout, &mut stages)?;
    licences(checkout, &mut stages)?;
    stages.run("lints", || {
        let arguments = ["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        start(cargo(checkout).args(arguments))
    })?;
    stages.run("lints of plugins", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        GUESTS.iter().try_for_each(|folder| start(natively(checkout, folder).args(arguments)))
    })
}

/// Formatting, which compiles nothing and so is checked first.
pub(crate) fn formatting(checkout: &Checkout, stages: &mut Stages) -> Result<(), Stop> {
    stages.run("formatting", || {
        start(cargo(checkout).args(["fmt", "--all", "--check"]))?;
        GUESTS.iter().try_for_each(|folder| start(natively(checkout, folder).args(["fmt", "--all", "--check"])))
    })
}

/// Licences of all that is linked, which compiles nothing either.
pub(crate) fn licences(checkout: &Checkout, stages: &mut Stages) -> Result<(), Stop> {
    stages.run("licences", || {
        licences::check(checkout, &checkout.root)?;
        GUESTS.iter().try_for_each(|folder| licences::check(checkout, &checkout.root.join(folder)))
    })
}

/// The workspaces of plugins. Each is one of its own, since it is built for another target with another profile.
pub(crate) const GUESTS: [&str; 2] = ["plugins", "examples/rust"];

/// Cargo on plugins as crates of this machine, which is how their own tests run.
pub(crate) fn natively(checkout: &Checkout, folder: &str) -> Command {
    let mut command = cargo(checkout);
    command.current_dir(checkout.root.join(folder)).env("CARGO_TARGET_DIR", checkout.target.join("guest-native"));
    command
}
