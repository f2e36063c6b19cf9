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
mod plugin_name;
mod sample;
mod sign;
mod test;
mod transfer;

pub(crate) use artifact::Artifact;
use clap::Subcommand;

pub(crate) use plugin_name::name;
pub(crate) use transfer::send_unused;

use crate::failed::Done;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a plugin in a new folder
    New(author::New),
    /// Build the component of a plugin's folder
    Build(author::Build),
    /// Run a plugin's cases against its component
    ///
    /// Each `cases/*.json` is a call and its expected result. It runs in the server's own engine, within its limits,
    /// with a mock of the space: no server is needed, and no request is sent.
    Test(test::Test),
    /// Rebuild, test and push a plugin whenever its folder changes
    ///
    /// Whenever something in the folder changes, the plugin is built, its cases are run, and the component is pushed. A
    /// failed build or a failed case leaves the previous version active. What is pushed is a development version: it
    /// may have the number of a release, never evicts a release, and is not rolled back to. Runs until it is interrupted.
    Dev(dev::Dev),
    /// Show the manifest and imports of a component, or of a plugin of the server
    Inspect(inspect::Inspect),
    /// Show what a component costs, and whether the server would accept it
    ///
    /// Compiles the component, loads it from the cache as a server does at its next start, and calls it with one of its cases:
    /// first in fresh instances, then in a warm instance.
    Doctor(doctor::Doctor),
    /// Measure the calls per second of a component
    ///
    /// One case is called repeatedly, in fresh and in warm instances, by one thread and by two.
    Bench(bench::Bench),
    /// Install a component in the server, or push it to an OCI registry
    ///
    /// Its cases are run first, if it has any. The server checks and compiles the component and calls `describe`;
    /// if anything is wrong with it, nothing changes. Signatures in FILE.sig are sent with it. Registry credentials
    /// are those of `docker login`, or HOOKWRIGHT_REGISTRY_USER and HOOKWRIGHT_REGISTRY_PASSWORD.
    Push(transfer::Push),
    /// Fetch a component from the server, or from an OCI registry
    Pull(transfer::Pull),
    /// List the plugins that the space sees
    List(lifecycle::List),
    /// List the versions of an uploaded plugin, the newest first
    Versions(lifecycle::Versions),
    /// Activate a stored version
    Activate(lifecycle::Activate),
    /// Roll back to the previous release
    ///
    /// Each call goes one release further back. Development versions are skipped.
    Rollback(lifecycle::Named),
    /// Grant what the held version requests, and activate it
    Approve(lifecycle::Named),
    /// Remove an uploaded plugin with all its versions
    Remove(lifecycle::Remove),
    /// Show what a plugin logged
    ///
    /// The most recent lines since the server started.
    Logs(logs::Logs),
    /// Show a plugin's grants and limits
    Policy(grants::Policy),
    /// Add grants to a plugin
    ///
    /// Grants are added to the existing ones. To revoke a grant, PUT the whole policy over the API.
    Grant(grants::Grant),
    /// Sign a component
    ///
    /// An ed25519 signature (RFC 8032) over `sha256:` and the component's digest, in base64, in a file beside it.
    Sign(sign::Sign),
    /// Create a key pair for signing components
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
