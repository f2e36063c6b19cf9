//! The `hookwright` command.

mod admin_key;
mod compile;
mod configuration;
mod descriptors;
mod environment;
mod failed;
mod logging;
mod plugin;
mod remote;
mod replay;
mod screen;
mod secret;
mod serve;
mod settings;
mod signals;
mod storage;
mod test_clock;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failed::Done;

/// The system's allocator has locks that all threads share. The thread that commits would wait, for tens of milliseconds on a
/// busy machine, for threads of a lower priority that hold one and do not run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted webhook automation server: events come in, sandboxed WebAssembly components decide and act, signed
/// webhooks go out.
#[derive(Parser)]
#[command(name = "hookwright", version, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    what: TopCommand,
}

#[derive(Subcommand)]
enum TopCommand {
    /// Run the server
    ///
    /// A setting is read from its flag, then from its HOOKWRIGHT_* variable, then from the file that --config
    /// names; the first one wins. HOOKWRIGHT_ADMIN_KEY sets the administrator key of the space main; without it,
    /// one is created at the first start, printed once and written to DIR/admin.key. HOOKWRIGHT_SECRET_KEY (32
    /// bytes in base64 or hex) seals secrets; without it, DIR/secret.key does. HOOKWRIGHT_LOG filters what is
    /// logged, as in `info` or `hookwright_runs=debug`.
    Serve {
        /// A TOML file with settings
        #[arg(long, env = "HOOKWRIGHT_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        given: Box<settings::SettingArguments>,
    },
    /// Create, test, benchmark and install plugins
    ///
    /// Commands that need a server talk to the one that --server or HOOKWRIGHT_URL names, with the key in
    /// HOOKWRIGHT_KEY. They exit with 0 on success, 1 on failure, 2 on a usage error.
    #[command(subcommand)]
    Plugin(Box<plugin::Command>),
    /// Replay a stored event, or compare a version of a plugin with the active one
    ///
    /// With an event: shows what automations would do with it now; with --for-real they do it. With --plugin: both
    /// versions are called with the recorded inputs and host responses of the active one, and nothing is saved.
    /// Exits with 0 if nothing differs, 1 if something does, 2 if the comparison failed.
    Replay(Box<replay::Replay>),
    /// Apply configuration files to a space, all or nothing
    ///
    /// The files declare objects by name: automations, workflows, schedules, webhooks, webhook_policies, sources,
    /// event_types, kinds, plugins and keys. The plan is shown first, and applied if you confirm it; objects that the
    /// files do not name are not changed. See docs/configuration-as-code.md.
    Apply(configuration::Apply),
    /// Export a space's configuration as files, without secrets
    ///
    /// Exits with 1 if some objects could not be exported; they are listed.
    Export(configuration::Export),
    /// Read the whole store and report damage, without changing anything
    ///
    /// The server must be stopped. Exits with 0 if the store is intact, 1 if something is damaged, 2 if the store could
    /// not be read.
    Check(storage::DataDir),
    /// Set a new key for secrets after the previous one is lost
    ///
    /// The server must be stopped. What was sealed with the previous key can no longer be opened: secrets must be set, and
    /// keys of webhooks and URLs of sources rotated. The previous `secret.key` is renamed to `secret.key.old`.
    ResetSecretKey(storage::DataDir),
    /// Set, list and remove secrets of a space
    #[command(subcommand)]
    Secret(secret::Command),
    /// Compile a component; the server runs this in a separate process
    #[command(hide = true)]
    CompileComponent(compile::Compile),
}

fn main() -> ExitCode {
    let Command { what } = Command::parse();
    run(what).unwrap_or_else(|error| {
        failed::complain(error.as_ref());
        ExitCode::FAILURE
    })
}

fn run(what: TopCommand) -> Done {
    match what {
        TopCommand::Serve { config, given } => {
            environment::check(&<Command as clap::CommandFactory>::command())?;
            let settings = settings::Settings::resolve(*given, config.as_deref())?;
            settings.check_listen()?;
            serve::run(settings).map(|()| ExitCode::SUCCESS)
        }
        TopCommand::Plugin(command) => plugin::run(&command),
        TopCommand::Replay(replay) => replay::run(&replay),
        TopCommand::Apply(apply) => configuration::apply(&apply),
        TopCommand::Export(export) => configuration::export(&export),
        TopCommand::Check(data) => storage::check_store(&data),
        TopCommand::ResetSecretKey(data) => storage::reset_secret_key(&data),
        TopCommand::Secret(command) => secret::run(&command),
        TopCommand::CompileComponent(compile) => compile::run(&compile),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// Names that clash and defaults that do not fit are found by clap itself, when asked.
    #[test]
    fn every_command_is_well_formed() {
        super::Command::command().debug_assert();
    }
}
