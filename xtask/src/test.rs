//! `cargo xtask test`: every test, and all that they need.

use std::process::Command;

use crate::command::{cargo, run as start};
use crate::place::Place;
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{lint, plugins, setup, tools};

/// The stages besides those of formatting and lints.
const STAGES: usize = 9;

/// The task. With a filter only tests whose name contains it run, without formatting and lints.
pub(crate) fn run(place: &Place, filter: &[String]) -> Result<(), Stop> {
    if let Some(option) = filter.iter().find(|word| word.starts_with('-')) {
        return Err(Stop::new(format!(
            "`{option}` is no option of this task: give a part of a test's name, or nothing"
        )));
    }
    let whole = filter.is_empty();
    let mut stages = Stages::new(STAGES + if whole { lint::STAGES } else { 0 });
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(place, &toolchain))?;
    stages.run("Node.js", tools::node)?;
    stages.run("example plugins", || plugins::examples(place, &toolchain))?;
    stages.run("npm packages", || tools::npm_packages(place, &place.clients()))?;
    stages.run("Python packages", || tools::python_packages(place))?;
    if whole {
        lint::all(place, &mut stages)?;
    }
    // All targets at once and by the same selection of packages as the tests below, so that nothing that the server
    // stands on is compiled twice with other features.
    stages.run("server and tests", || {
        start(cargo(place).args(["build", "--release", "--locked", "--workspace", "--all-targets"]))
    })?;
    stages.run("tests of plugins", || {
        lint::GUESTS.iter().try_for_each(|folder| {
            let mut command = lint::natively(place, folder);
            start(with_filter(command.args(["test", "--locked", "--workspace"]), filter))
        })
    })?;
    stages.last("tests", || {
        let mut command = cargo(place);
        command.args(["test", "--release", "--locked", "--workspace", "--no-fail-fast"]);
        start(with_filter(told_where(place, &mut command), filter))
    })
}

fn with_filter<'a>(command: &'a mut Command, filter: &[String]) -> &'a mut Command {
    if filter.is_empty() { command } else { command.arg("--").args(filter) }
}

/// Says to the tests where things stand.
fn told_where<'a>(place: &Place, command: &'a mut Command) -> &'a mut Command {
    command
        .env("HOOKWRIGHT_BIN", place.binary())
        .env("HOOKWRIGHT_PLUGINS", place.plugins())
        .env("HOOKWRIGHT_EXAMPLES", place.examples())
        .env("HOOKWRIGHT_PYTHON", tools::python(place))
}
