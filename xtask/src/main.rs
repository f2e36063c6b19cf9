//! `cargo xtask`: builds, runs, tests and measures Hookwright. `cargo xtask help` lists what it can do.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal talks there")]

mod ask;
mod bench;
mod build;
mod checkout;
mod command;
mod demo;
mod dist;
mod help;
mod licences;
mod lint;
mod plugins;
mod probes;
mod setup;
mod stage;
mod stop;
mod test;
mod tools;

use std::process::ExitCode;

use crate::checkout::Checkout;
use crate::stop::Stop;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = words.collect();
    match carry_out(&task, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("\ncargo xtask {task}: {stop}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(task: &str, rest: &[String]) -> Result<(), Stop> {
    if matches!(task, "help" | "--help" | "-h") || rest.iter().any(|word| word == "--help" || word == "-h") {
        help::show(if matches!(task, "help" | "--help" | "-h") {
            rest.first().map(String::as_str)
        } else {
            Some(task)
        });
        return Ok(());
    }
    let checkout = Checkout::find()?;
    match task {
        "setup" => none(rest).and_then(|()| setup::run(&checkout)),
        "plugins" => none(rest).and_then(|()| plugins::run(&checkout)),
        "build" => none(rest).and_then(|()| build::run(&checkout)),
        "demo" => demo::run(&checkout, &demo::Options::read(rest)?),
        "test" => test::run(&checkout, rest),
        "bench" => bench::run(&checkout, rest),
        "dist" => dist::run(&checkout, rest),
        "lint" => none(rest).and_then(|()| lint::run(&checkout)),
        _ => Err(Stop::new(format!("there is no task `{task}`: cargo xtask help lists them"))),
    }
}

/// A task that takes no arguments got none.
fn none(rest: &[String]) -> Result<(), Stop> {
    match rest.first() {
        None => Ok(()),
        Some(word) => Err(Stop::new(format!("unexpected argument `{word}`: this task takes none"))),
    }
}
