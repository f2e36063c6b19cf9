//! `cargo xtask setup`: a WebAssembly toolchain.

use hookwright_guests::Toolchain;

use crate::checkout::Checkout;
use crate::stop::Stop;

/// The task.
pub(crate) fn run(_place: &Checkout) -> Result<(), Stop> {
    toolchain()?;
    println!("Ready. Next: cargo xtask demo");
    Ok(())
}

/// Finds a toolchain or installs one, telling each step.
pub(crate) fn toolchain() -> Result<Toolchain, Stop> {
    Ok(Toolchain::find_or_install(&mut |line| println!("    {line}"))?)
}
