//! What this program starts of itself: the bare servers and the load, so that each is a process as Hookwright is one.
//!
//! A worker ends when its standard input does, so none outlives the program that started it.

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::{Failed, bare_server, flow, load, receive};

/// The first word of a worker's command line.
pub(crate) const WORD: &str = "worker";

/// A command that starts this program as a worker.
pub(crate) fn command(words: &[&str]) -> Result<Command, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).args(words).stdin(Stdio::piped());
    Ok(command)
}

/// Starts a worker that reads `order` and writes a report, and waits for the report.
pub(crate) async fn ask<R: DeserializeOwned + Send + 'static>(word: &str, order: &impl Serialize) -> Result<R, Failed> {
    let mut command = command(&[word])?;
    let order = serde_json::to_string(order)?;
    let report = spawn_blocking(move || -> Result<Vec<u8>, Failed> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        // Kept open until the worker has ended.
        let mut input = child.stdin.take().ok_or("the worker has no input")?;
        writeln!(input, "{order}")?;
        let output = child.wait_with_output()?;
        drop(input);
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(format!("the worker ended with {}", output.status).into())
        }
    });
    Ok(serde_json::from_slice(&report.await??)?)
}

/// What a worker does.
pub(crate) fn run(words: &[String]) -> Result<(), Failed> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", kind, address, home] => {
            end_with_input();
            bare_server::run(kind.parse()?, address.parse()?, home.as_ref())
        }
        ["load"] => report(&load::run(&order()?)?),
        ["deliver"] => report(&receive::run(&order()?)?),
        ["flow"] => report(&flow::run(&order()?)?),
        _ => Err("this word is for the program itself".into()),
    }
}

fn order<T: DeserializeOwned>() -> Result<T, Failed> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    end_with_input();
    Ok(serde_json::from_str(&line)?)
}

fn report(report: &impl Serialize) -> Result<(), Failed> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

fn end_with_input() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}
