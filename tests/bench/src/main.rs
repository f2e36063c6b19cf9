//! `cargo xtask bench [OPTIONS] [SECTION..]`: measures Hookwright beside the least that its parts can do.
//!
//! Every comparison is made in one run, in rounds that take turns (A B C, B C A, ..), and what is printed is the median
//! of the rounds with their spread: so what else the machine does meets all of them alike, and the ratios hold where the
//! numbers do not. Latencies are counted in HDR histograms, which are merged and never averaged. `compare A B` measures two
//! servers in the same way. A section returns figures (`figures.rs`); tables, JSON and charts are made from those.
//!
//! | section | what is compared |
//! |---|---|
//! | `accept` | durable accepted events, in a closed loop and at set rates, beside a bare hyper server and one that only journals |
//! | `pipeline` | a condition and an action end to end, beside accepting alone |
//! | `hot` | actions that all change one record, beside the same for distinct ones |
//! | `call` | one call of the condition `match` in a fresh instance, beside bare wasmtime |
//! | `languages` | the same action in every language |
//! | `swap` | a new version of a plugin under load, compiled and from the cache |
//! | `many` | a thousand plugins: what each adds to a start and to memory |
//! | `deliver` | webhooks out: how many, how soon, with dead receivers, and a million that wait |
//! | `match` | one event against 10 to 100,000 automations, and against 1,000 that all want it, beside bare calls |
//! | `records` | a million tickets: listed by their fields, and one changed |
//! | `share` | events accepted in one space, quiet and while a storm rages in another |
//! | `stored` | events accepted by a server that has stored ten million, beside an empty one |
//! | `start` | the time until it serves, cold and cached, and what it takes when idle |
//!
//! The servers and the load are processes of their own, on loopback, on the disk that holds this program.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal talks there")]

mod accept;
mod api;
mod bare_call;
mod bare_server;
mod call;
mod chart;
mod client;
mod compare;
mod deliver;
mod figures;
mod flow;
mod hot;
mod languages;
mod latencies;
mod load;
mod machine;
mod many;
mod matching;
mod options;
mod pipeline;
mod place;
mod receive;
mod records;
mod report;
mod schedule;
mod section;
mod server;
mod session;
mod share;
mod start;
mod statistics;
mod steady;
mod stored;
mod swap;
mod table;
mod worker;

use std::process::ExitCode;

use crate::options::Options;
use crate::session::Session;

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
        // What `cargo xtask bench` asks before it builds the servers, which takes minutes.
        Some("check") => Options::read(words.get(1..).unwrap_or_default()).map(drop),
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
    let mut session = Session::new(options)?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = session.measure() => done,
            // Ending here, rather than at once, ends the servers too and removes what they wrote.
            () = stop_signal() => Err("stopped before the end".into()),
            () = tokio::time::sleep(options.limit) => {
                let minutes = options.limit.as_secs() / 60;
                Err(format!("ended before all was measured, after the {minutes} minutes of `--limit`").into())
            }
        }
    });
    runtime.shutdown_background();
    // Sections that were measured are written also if a later one failed.
    let written = session.write();
    done.and(written)
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
