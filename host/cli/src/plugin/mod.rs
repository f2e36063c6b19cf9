//! `hookwright plugin`: from an empty folder to a plugin in use. One file a group of commands.

pub(crate) mod artifact;
mod author;
mod bench;
mod dev;
mod doctor;
pub(crate) mod engine;
mod grants;
mod inspect;
mod lifecycle;
mod logs;
mod oci;
mod sample;
mod sign;
mod test;
mod transfer;

pub(crate) use artifact::Artifact;
use clap::Subcommand;

pub(crate) use transfer::send_unused;

use crate::failed::Done;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a plugin in a new folder
    New(author::New),
    /// Build the component of a plugin's folder
    Build(author::Build),
    /// Run a plugin's cases against its component
    ///
    /// Each `cases/*.json` is a call and what must come of it. It is made in the server's own engine, within its limits,
    /// with a stand-in for the space: no server is needed, and nothing leaves the machine.
    Test(test::Test),
    /// Rebuild, test and push a plugin whenever its folder changes
    ///
    /// Whenever something in the folder changes, the plugin is built, its cases are run, and the component is pushed. A
    /// build that breaks or a case that fails leaves the version before in use. Ends when interrupted.
    Dev(dev::Dev),
    /// Say what a component, or a plugin of the server, is and wants
    Inspect(inspect::Inspect),
    /// Say what a component costs, and whether the server would take it
    ///
    /// Compiles the component, loads it again as a server does at its next start, and calls it as one of its cases says:
    /// each time in a fresh instance, then in an instance that is kept.
    Doctor(doctor::Doctor),
    /// Measure how many calls of a component a second there can be
    ///
    /// One case is called over and over, in fresh instances and in kept ones, by one thread and by two.
    Bench(bench::Bench),
    /// Put a component into the server, or into an OCI registry
    ///
    /// The server checks, compiles and tries the component first; if anything is wrong with it, nothing changes.
    /// Signatures in FILE.sig go with it. For registries that want credentials, those of `docker login` count, or
    /// HOOKWRIGHT_REGISTRY_USER and HOOKWRIGHT_REGISTRY_PASSWORD.
    Push(transfer::Push),
    /// Fetch a component from the server, or from an OCI registry
    Pull(transfer::Pull),
    /// List the plugins that the space sees
    List(lifecycle::List),
    /// List the versions of an uploaded plugin, the newest first
    Versions(lifecycle::Versions),
    /// Put a kept version in use
    Activate(lifecycle::Activate),
    /// Put the version in use that was so before the present one
    Rollback(lifecycle::Named),
    /// Grant what the held version wants, and put it in use
    Approve(lifecycle::Named),
    /// Take an uploaded plugin out with all its versions
    Remove(lifecycle::Remove),
    /// Show what a plugin logged
    ///
    /// The lines since the server started, the newest of them.
    Logs(logs::Logs),
    /// Show what a plugin may reach and use up
    Policy(grants::Policy),
    /// Let a plugin reach more
    ///
    /// What is granted is added to what was granted. To take something away, PUT the whole policy over the API.
    Grant(grants::Grant),
    /// Sign a component
    ///
    /// An ed25519 signature (RFC 8032) over `sha256:` and the component's digest, in base64, in a file beside it.
    Sign(sign::Sign),
    /// Make a key to sign components with
    Keygen(sign::Keygen),
}

pub(crate) fn run(command: &Command) -> Done {
    match command {
        Command::New(new) => author::new(new),
        Command::Build(build) => author::run(build),
        Command::Test(test) => test::run(test),
        Command::Dev(dev) => dev::run(dev),
        Command::Inspect(inspect) => inspect::run(inspect),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::Bench(bench) => bench::run(bench),
        Command::Push(push) => transfer::push(push),
        Command::Pull(pull) => transfer::pull(pull),
        Command::List(list) => lifecycle::list(list),
        Command::Versions(versions) => lifecycle::versions(versions),
        Command::Activate(activate) => lifecycle::activate(activate),
        Command::Rollback(named) => lifecycle::roll_back(named),
        Command::Approve(named) => lifecycle::approve(named),
        Command::Remove(remove) => lifecycle::remove(remove),
        Command::Logs(logs) => logs::run(logs),
        Command::Policy(policy) => grants::policy(policy),
        Command::Grant(grant) => grants::grant(grant),
        Command::Sign(sign) => sign::run(sign),
        Command::Keygen(keygen) => sign::keygen(keygen),
    }
}

/// A plugin's name, checked before it stands in a path.
pub(crate) fn name(text: &str) -> Result<String, String> {
    hookwright_plugin::check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
