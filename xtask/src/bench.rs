//! `cargo xtask bench`: the benchmarks.

use std::process::Command;

use crate::checkout::Checkout;
use crate::command::{cargo, run as start};
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{dist, plugins, setup};

/// The task; `arguments` are the benchmarks' own. What is measured is the server as it is shipped.
pub(crate) fn run(checkout: &Checkout, arguments: &[String]) -> Result<(), Stop> {
    let mut stages = Stages::new(5);
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || plugins::first_party(checkout, &toolchain))?;
    stages.run("server", || start(&mut dist::build(checkout, None)))?;
    stages.run("programs that measure", || {
        start(cargo(checkout).args(["build", "--release", "--locked", "--workspace", "--bin", "hookwright-bench"]))
    })?;
    stages.last("benchmarks", || {
        let mut command = Command::new(checkout.program("hookwright-bench"));
        command.current_dir(&checkout.root).args(arguments).env("HOOKWRIGHT_BIN", dist::binary(checkout, None));
        start(command.env("HOOKWRIGHT_PLUGINS", checkout.plugins()))
    })
}
