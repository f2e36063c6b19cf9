//! `cargo xtask bench [--quick] [SECTION..]`: measures Hookwright beside the least that its parts can do.
//!
//! Every comparison is made in one run, in rounds that take turns (A B C, B C A, ..), and what is printed is the median
//! of the rounds: so what else the machine does meets all of them alike, and the ratios hold where the numbers do not.
//!
//! | section | what is compared |
//! |---|---|
//! | `accept` | durable accepted events, beside a bare hyper server and one that only journals |
//! | `pipeline` | a condition and an action end to end, beside accepting alone |
//! | `hot` | actions that all change one record, beside the same for distinct ones |
//! | `call` | one call of the condition `match` in a fresh instance, beside bare wasmtime |
//! | `swap` | a new version of a plugin under load, compiled and from the cache |
//! | `deliver` | webhooks out: how many, how soon, with dead receivers, and a million that wait |
//! | `match` | one event against 10 to 100,000 automations, and against 1,000 that all want it, beside bare calls |
//! | `records` | a million tickets: listed by their fields, and one changed |
//! | `share` | events accepted in one space, quiet and while a storm rages in another |
//! | `start` | the time until it serves, cold and cached, and what it takes when idle |
//!
//! The servers and the load are processes of their own, on loopback, on the disk that holds this program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal talks there")]

mod accept;
mod api;
mod bare_call;
mod bare_server;
mod call;
mod client;
mod deliver;
mod flow;
mod hot;
mod languages;
mod load;
mod machine;
mod many;
mod matching;
mod options;
mod pipeline;
mod place;
mod receive;
mod records;
mod server;
mod share;
mod start;
mod statistics;
mod swap;
mod table;
mod worker;

use std::process::ExitCode;

use crate::options::{Options, Section};
use crate::place::Place;

/// Why a measurement could not be made.
type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("help" | "--help" | "-h") => {
            print!("{}", options::HELP);
            Ok(())
        }
        // What the program starts of itself; see `worker`.
        Some(worker::WORD) => worker::run(words.get(1..).unwrap_or_default()),
        _ => Options::read(&words).and_then(|options| measure(&options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hookwright-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = sections(options) => done,
            // Ending here, rather than at once, ends the servers too and removes what they wrote.
            () = stop_signal() => Err("stopped before the end".into()),
        }
    });
    runtime.shutdown_background();
    done
}

async fn sections(options: &Options) -> Result<(), Failed> {
    let place = Place::find()?;
    println!("{}", machine::described()?);
    for section in &options.sections {
        eprintln!("== {} ==", section.name());
        match section {
            Section::Accept => accept::run(&place, &options.effort).await?,
            Section::Pipeline => pipeline::run(&place, &options.effort).await?,
            Section::Hot => hot::run(&place, &options.effort).await?,
            Section::Call => call::run(&place, &options.effort).await?,
            Section::Languages => languages::run(&place, &options.effort).await?,
            Section::Swap => swap::run(&place, &options.effort).await?,
            Section::Start => start::run(&place, &options.effort).await?,
            Section::Deliver => deliver::run(&place, &options.effort).await?,
            Section::Match => matching::run(&place, &options.effort).await?,
            Section::Records => records::run(&place, &options.effort).await?,
            Section::Share => share::run(&place, &options.effort).await?,
            Section::Many => many::run(&place, &options.effort).await?,
        }
    }
    Ok(())
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminated) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    } else {
        let _ = tokio::signal::ctrl_c().await;
    }
}
