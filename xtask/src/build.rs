//! `cargo xtask build`: the plugins and the server.

use crate::command::{cargo, run as start};
use crate::place::Place;
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{plugins, setup};

/// How many stages [`server`] has.
pub(crate) const STAGES: usize = 3;

/// The task.
pub(crate) fn run(place: &Place) -> Result<(), Stop> {
    server(place, &mut Stages::new(STAGES))?;
    println!("The server: {}", place.shown(&place.binary()));
    Ok(())
}

/// Builds the server and all it needs.
pub(crate) fn server(place: &Place, stages: &mut Stages) -> Result<(), Stop> {
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(place, &toolchain))?;
    stages.run("server", || start(cargo(place).args(["build", "--release", "--locked", "--package", "hookwright"])))
}
