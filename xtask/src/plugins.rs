//! `cargo xtask plugins`: every component.

use std::path::Path;

use hookwright_guests::{Built, Request, Toolchain, js};

use crate::checkout::Checkout;
use crate::stage::Stages;
use crate::stop::Stop;
use crate::{probes, setup, tools};

/// The task.
pub(crate) fn run(checkout: &Checkout) -> Result<(), Stop> {
    let mut stages = Stages::new(4);
    let toolchain = stages.run("WebAssembly toolchain", setup::toolchain)?;
    stages.run("plugins", || first_party(checkout, &toolchain))?;
    stages.run("Node.js", tools::node)?;
    stages.run("example plugins", || examples(checkout, &toolchain))
}

/// Builds `plugins/`.
pub(crate) fn first_party(checkout: &Checkout, toolchain: &Toolchain) -> Result<(), Stop> {
    if toolchain.builds_std() {
        println!("    The standard library is built with the first plugin, which takes about a minute the first time.");
    }
    let out = checkout.plugins();
    let built = hookwright_guests::build(toolchain, &checkout.root.join("plugins"), &checkout.guests(), &out)?;
    report(checkout, &out, &built);
    Ok(())
}

/// What is asked of every workspace that is checked in.
fn checked_in<'a>(checkout: &'a Checkout, out: &'a Path) -> Request<'a> {
    Request { workspace: &checkout.root, target: &checkout.target, out, packages: &[], locked: true, names: false }
}

/// Builds `examples/`: the tutorials, and the same condition and the same action in every language; and the
/// hostile plugin of the tests. Node.js must be there.
pub(crate) fn examples(checkout: &Checkout, toolchain: &Toolchain) -> Result<(), Stop> {
    let (out, guests) = (checkout.examples(), checkout.guests());
    let checked_in = Request { target: &guests, ..checked_in(checkout, &out) };
    let request = Request { workspace: &checkout.root.join("examples/rust"), ..checked_in.clone() };
    let mut built = hookwright_guests::build_workspace(toolchain, &request)?;
    let hostile = Request { workspace: &checkout.root.join("tests/hostile"), ..checked_in };
    built.extend(hookwright_guests::build_workspace(toolchain, &hostile)?);
    let script = js::Script {
        name: "summarise",
        folder: &checkout.root.join("examples/javascript"),
        wit: &checkout.root.join("wit/0.1.0"),
        scratch: &checkout.guests().join("javascript"),
        out: &out,
    };
    built.push(js::build(&script, &mut |line| println!("    {line}"))?);
    report(checkout, &out, &built);
    probes::build(checkout, &out)
}

fn report(checkout: &Checkout, out: &Path, built: &[Built]) {
    let names: Vec<String> =
        built.iter().map(|one| if one.changed { format!("{} (new)", one.name) } else { one.name.clone() }).collect();
    println!("    {}: {}", checkout.shown(out), names.join(", "));
}
