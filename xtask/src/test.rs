//! `cargo xtask test`: every test, and all that they need.

use std::process::Command;

use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{demo, lint, plugins, probes, setup, tools};

/// How many tests of a program run side by side: most of the time they wait for a server.
const TEST_THREADS: &str = "6";

/// The stages with a filter, and the ones that a whole run has besides: formatting, licences and the demo.
const STAGES: (usize, usize) = (6, 3);

/// The task. With a filter only tests whose name contains it run, without formatting, lints and the demo.
pub(crate) fn run(checkout: &Checkout, filter: &[String]) -> Result<(), Stop> {
    if let Some(option) = filter.iter().find(|word| word.starts_with('-')) {
        return Err(Stop::new(format!(
            "unexpected option `{option}`: this task takes a part of a test's name, or nothing"
        )));
    }
    let whole = filter.is_empty();
    // Lints come with the builds of a whole run.
    let checkout = &if whole { checkout.linting()? } else { checkout.clone() };
    let mut stages = Stages::new(STAGES.0 + if whole { STAGES.1 } else { 0 });
    if whole {
        lint::formatting(checkout, &mut stages)?;
        lint::licences(checkout, &mut stages)?;
    }
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    // What comes from package registries is fetched while the processors compile: on two cores that is minutes.
    let fetched = {
        let checkout = checkout.clone();
        std::thread::spawn(move || from_registries(&checkout))
    };
    stages.run("plugins", || plugins::first_party(checkout, &toolchain))?;
    if whole {
        // README's first command, built by the same selection of packages as the tests.
        stages.run("demo", || demo::run(checkout, &demo::Options { exit: true, ..demo::Options::default() }))?;
    }
    // All targets at once and by the same selection of packages as the server's build, so that nothing that the server
    // depends on is compiled twice with other features.
    stages.run("server and tests", || {
        start(cargo(checkout).args(["build", "--release", "--locked", "--workspace", "--all-targets"]))
    })?;
    stages.run("packages, compilers and example plugins of other languages", || {
        fetched.join().map_err(|_| Stop::new("the thread that fetches packages panicked"))??;
        plugins::examples(checkout, &toolchain)
    })?;
    stages.run("tests of plugins", || {
        lint::GUESTS.iter().try_for_each(|folder| {
            let mut command = lint::natively(checkout, folder);
            start(with_filter(command.args(["test", "--locked", "--workspace"]), filter))
        })
    })?;
    stages.last("tests", || {
        let mut command = cargo(checkout);
        command.args(["test", "--release", "--locked", "--workspace", "--no-fail-fast"]);
        command.env("RUST_TEST_THREADS", TEST_THREADS);
        start(with_filter(told_where(checkout, &mut command), filter))
    })
}

/// Everything that tests and examples need from package registries, so that it can be fetched beside other work.
fn from_registries(checkout: &Checkout) -> Result<(), Stop> {
    tools::node()?;
    tools::npm_packages(checkout, &checkout.clients())?;
    tools::python_packages(checkout)?;
    probes::compilers(checkout)
}

fn with_filter<'a>(command: &'a mut Command, filter: &[String]) -> &'a mut Command {
    if filter.is_empty() { command } else { command.arg("--").args(filter) }
}

/// Says to the tests where things stand.
fn told_where<'a>(checkout: &Checkout, command: &'a mut Command) -> &'a mut Command {
    command
        .env("HOOKWRIGHT_BIN", checkout.binary())
        .env("HOOKWRIGHT_PLUGINS", checkout.plugins())
        .env("HOOKWRIGHT_EXAMPLES", checkout.examples())
        .env("HOOKWRIGHT_PYTHON", tools::python(checkout))
        .env("HOOKWRIGHT_TOOLS", checkout.tools())
}
