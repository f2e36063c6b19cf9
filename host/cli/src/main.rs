//! The `hookwright` command.

mod configuration;
mod failed;
mod plugin;
mod remote;
mod replay;
mod screen;
mod secret;
mod serve;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failed::Done;

/// A self-hosted webhook automation server: events come in, sandboxed WebAssembly components decide and act, signed
/// webhooks go out.
#[derive(Parser)]
#[command(name = "hookwright", version, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run the server
    ///
    /// Each setting is a flag, or a HOOKWRIGHT_* variable, or stands in the file that --config names; the first of
    /// these that gives it holds. HOOKWRIGHT_ADMIN_KEY sets the administrator key of the space main; without it, one is
    /// made at the first start, printed once and written to DIR/admin.key. HOOKWRIGHT_SECRET_KEY (32 bytes in base64 or
    /// hex) seals secrets; without it, DIR/secret.key does. HOOKWRIGHT_LOG filters what is logged, as in `info` or
    /// `hookwright_pipeline=debug`.
    Serve {
        /// A TOML file with settings
        #[arg(long, env = "HOOKWRIGHT_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        given: Box<settings::Given>,
    },
    /// Write, test, measure and put in plugins
    ///
    /// Commands that need a server talk to the one that --server or HOOKWRIGHT_URL names, with the key in
    /// HOOKWRIGHT_KEY. They exit with 0 if all is well, 1 if something failed, 2 if they were called wrongly.
    #[command(subcommand)]
    Plugin(Box<plugin::Command>),
    /// Run a stored event again, or compare a version of a plugin with the one in use
    ///
    /// With an event: shows what automations would do about it now; with --for-real they do it. With --plugin: both
    /// versions are called as the one in use was, with the answers that the host gave then, and nothing of it is kept.
    /// Exits with 0 if nothing differs, 1 if something does, 2 if that could not be found out.
    Replay(Box<replay::Replay>),
    /// Make a space be as files say, all of it or nothing
    ///
    /// The files name what they set up: automations, workflows, schedules, webhooks, webhook_policies, sources,
    /// event_types, kinds, plugins and keys. What would change is shown first, and carried out if you agree; what the
    /// files do not name is left alone. See docs/configuration-as-code.md.
    Apply(configuration::Apply),
    /// Write what a space holds as files, without secrets
    ///
    /// Ends with 1 if something could not be named in them, which is told.
    Export(configuration::Export),
    /// Set, list and remove secrets of a space
    #[command(subcommand)]
    Secret(secret::Command),
}

fn main() -> ExitCode {
    let Command { what } = Command::parse();
    run(what).unwrap_or_else(|error| {
        serve::complain(error.as_ref());
        ExitCode::FAILURE
    })
}

fn run(what: What) -> Done {
    match what {
        What::Serve { config, given } => {
            let settings = settings::Settings::resolve(*given, config.as_deref())?;
            settings.check_listen()?;
            serve::run(settings).map(|()| ExitCode::SUCCESS)
        }
        What::Plugin(command) => plugin::run(&command),
        What::Replay(replay) => replay::run(&replay),
        What::Apply(apply) => configuration::apply(&apply),
        What::Export(export) => configuration::export(&export),
        What::Secret(command) => secret::run(&command),
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
