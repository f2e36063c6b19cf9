//! The `hookwright` command.

mod serve;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

fn main() -> ExitCode {
    let Command { what: What::Serve { config, given } } = Command::parse();
    let done = settings::Settings::resolve(*given, config.as_deref())
        .and_then(|settings| settings.check_listen().map(|()| settings))
        .map_err(Into::into)
        .and_then(serve::run);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            serve::complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}
