//! `cargo xtask bench`: the benchmarks.

use crate::build;
use crate::command::{cargo, run as start};
use crate::place::Place;
use crate::stage::Stages;
use crate::stop::Stop;

/// The task; `arguments` are the benchmarks' own.
pub(crate) fn run(place: &Place, arguments: &[String]) -> Result<(), Stop> {
    let mut stages = Stages::new(build::STAGES + 1);
    build::server(place, &mut stages)?;
    stages.last("benchmarks", || {
        let mut command = cargo(place);
        command.args(["run", "--release", "--locked", "--package", "hookwright-bench", "--"]).args(arguments);
        start(command.env("HOOKWRIGHT_BIN", place.binary()).env("HOOKWRIGHT_PLUGINS", place.plugins()))
    })
}
