//! `cargo xtask plugins`: every component.

use std::path::Path;

use hookwright_guests::{Built, Request, Toolchain, js};

use crate::place::Place;
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{probes, setup, tools};

/// The task.
pub(crate) fn run(place: &Place) -> Result<(), Stop> {
    let mut stages = Stages::new(4);
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || first_party(place, &toolchain))?;
    stages.run("Node.js", tools::node)?;
    stages.run("example plugins", || examples(place, &toolchain))
}

/// Builds what stands in `plugins/`.
pub(crate) fn first_party(place: &Place, toolchain: &Toolchain) -> Result<(), Stop> {
    if toolchain.builds_std() {
        println!("    The standard library is built with the first plugin, which takes about a minute the first time.");
    }
    let out = place.plugins();
    let built = hookwright_guests::build(toolchain, &place.root.join("plugins"), &place.guests(), &out)?;
    tell(place, &out, &built);
    Ok(())
}

/// Builds what stands in `examples/`: the tutorials, and the same condition and the same action in every language; and the
/// hostile plugin of the tests. Node.js must be there.
pub(crate) fn examples(place: &Place, toolchain: &Toolchain) -> Result<(), Stop> {
    let out = place.examples();
    let request =
        Request { workspace: &place.root.join("examples/rust"), target: &place.guests(), out: &out, packages: &[] };
    let mut built = hookwright_guests::build_workspace(toolchain, &request)?;
    let hostile =
        Request { workspace: &place.root.join("tests/hostile"), target: &place.guests(), out: &out, packages: &[] };
    built.extend(hookwright_guests::build_workspace(toolchain, &hostile)?);
    let script = js::Script {
        name: "summarise",
        folder: &place.root.join("examples/javascript"),
        wit: &place.root.join("wit/0.1.0"),
        scratch: &place.guests().join("javascript"),
        out: &out,
    };
    built.push(js::build(&script, &mut |line| println!("    {line}"))?);
    tell(place, &out, &built);
    probes::build(place, &out)
}

fn tell(place: &Place, out: &Path, built: &[Built]) {
    let names: Vec<String> =
        built.iter().map(|one| if one.changed { format!("{} (new)", one.name) } else { one.name.clone() }).collect();
    println!("    {}: {}", place.shown(out), names.join(", "));
}
