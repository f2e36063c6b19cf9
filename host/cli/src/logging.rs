//! What the server logs, and how. `HOOKWRIGHT_LOG` holds directives of `tracing-subscriber`'s `EnvFilter`.

use std::io::IsTerminal as _;

use hookwright_plugin::ENGINE_LOG_CAPS;
use tracing_subscriber::EnvFilter;

use crate::failed::{Failed, problem};

/// What is logged by default.
const DEFAULT: &str = "info";

/// Libraries whose `debug` output is only useful to their own authors: the code generator alone writes hundreds of
/// megabytes. A directive that names one of them takes precedence over these.
const CAPPED: &str = "h2=info,hyper=info,hyper_util=info,rustls=info,mio=info,notify=info";

/// Starts logging to standard error: as JSON, or as text with colors on a terminal.
pub(crate) fn start(json: bool) -> Result<(), Failed> {
    let given = std::env::var("HOOKWRIGHT_LOG").ok();
    let filter = filter(given.as_deref())?;
    let stderr_is_terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        logs.json().init()
    } else {
        logs.with_ansi(stderr_is_terminal).init()
    }
    Ok(())
}

fn filter(given: Option<&str>) -> Result<EnvFilter, Failed> {
    let given = given.map(str::trim).filter(|given| !given.is_empty()).unwrap_or(DEFAULT);
    // The last directive for a target takes precedence.
    EnvFilter::try_new(format!("{ENGINE_LOG_CAPS},{CAPPED},{given}")).map_err(|error| {
        let shown: String = given.chars().take(80).collect();
        let message = format!("HOOKWRIGHT_LOG `{shown}`: {error}; write `info`, or `info,hookwright_runs=debug`");
        problem("settings.invalid", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_leaves_the_code_generator_quiet_unless_it_is_named() {
        let directives = filter(Some("debug")).unwrap().to_string();
        assert!(directives.contains("cranelift_codegen=warn") && directives.contains("debug"), "{directives}");
        let directives = filter(Some("info,cranelift_codegen=trace")).unwrap().to_string();
        assert!(directives.contains("cranelift_codegen=trace"), "{directives}");
        assert!(!directives.contains("cranelift_codegen=warn"), "{directives}");
        assert!(filter(None).unwrap().to_string().contains("info"));
    }

    #[test]
    fn an_invalid_filter_is_rejected_with_its_value() {
        let error = filter(Some("hookwright=loud")).unwrap_err().to_string();
        assert!(error.contains("`hookwright=loud`") && error.contains("HOOKWRIGHT_LOG"), "{error}");
    }
}
