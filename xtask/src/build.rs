//! `cargo xtask build`: the plugins and the server.

use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{plugins, setup};

/// How many stages [`server`] has.
pub(crate) const STAGES: usize = 3;

/// The task.
pub(crate) fn run(checkout: &Checkout) -> Result<(), Stop> {
    server(checkout, &mut Stages::new(STAGES))?;
    println!("The server: {}", checkout.shown(&checkout.binary()));
    Ok(())
}

/// Builds the server and all it needs.
pub(crate) fn server(checkout: &Checkout, stages: &mut Stages) -> Result<(), Stop> {
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(checkout, &toolchain))?;
    // Of the whole workspace only this binary: packages are selected as the tests' task does, so that what the server
    // stands on gets the same features in both, and is compiled once.
    let arguments = ["build", "--release", "--locked", "--workspace", "--bin", "hookwright"];
    stages.run("server", || start(cargo(checkout).args(arguments)))
}
