//! Rejects unknown environment variables: a misspelt setting must not silently leave the default in effect.

use crate::failed::{Failed, problem};

/// The prefix of Hookwright's variables.
const PREFIX: &str = "HOOKWRIGHT_";

/// Variables that do not belong to a command's flag.
const OTHERS: [&str; 12] = [
    "HOOKWRIGHT_ADMIN_KEY",
    "HOOKWRIGHT_FAULT_POINT",
    "HOOKWRIGHT_LOG",
    "HOOKWRIGHT_REGISTRY_PASSWORD",
    "HOOKWRIGHT_REGISTRY_USER",
    "HOOKWRIGHT_SECRET_KEY",
    "HOOKWRIGHT_TEST_CLOCK",
    "HOOKWRIGHT_TOOLS",
    // Paths for tests; `cargo xtask test` sets them.
    "HOOKWRIGHT_BIN",
    "HOOKWRIGHT_EXAMPLES",
    "HOOKWRIGHT_PLUGINS",
    "HOOKWRIGHT_PYTHON",
];

/// Returns an error if the environment has a `HOOKWRIGHT_` variable that is not a setting.
pub(crate) fn check(command: &clap::Command) -> Result<(), Failed> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    match first_unknown(names, &known(command)) {
        None => Ok(()),
        Some(message) => Err(problem("settings.unknown", message)),
    }
}

/// The variables of a command and its subcommands.
fn known(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    let below = command.get_subcommands().flat_map(known);
    own.chain(below).chain(OTHERS.map(str::to_owned)).collect()
}

fn first_unknown(names: impl Iterator<Item = String>, known: &[String]) -> Option<String> {
    let mut unknown: Vec<String> = names.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    unknown.sort();
    let name = unknown.first()?;
    let close = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    let remedy = match close.filter(|(distance, _)| *distance <= 3) {
        Some((_, known)) => format!("did you mean {known}?"),
        None => "unset it, or see `hookwright serve --help` for the settings".to_owned(),
    };
    Some(format!("the environment variable {name} is not a setting: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_rejected_with_the_closest_setting() {
        let known = ["HOOKWRIGHT_MAX_QUEUE".to_owned(), "HOOKWRIGHT_LISTEN".to_owned()];
        let unknown = |name: &str| first_unknown([name.to_owned()].into_iter(), &known);
        assert!(unknown("HOOKWRIGHT_MAX_QUEU").unwrap().ends_with("did you mean HOOKWRIGHT_MAX_QUEUE?"));
        assert!(unknown("HOOKWRIGHT_NONSENSE_AT_ALL").unwrap().contains("--help"));
        assert_eq!(unknown("HOOKWRIGHT_LISTEN"), None);
        assert_eq!(unknown("PATH"), None);
    }

    #[test]
    fn every_flags_variable_is_known() {
        let known = known(&<crate::Command as clap::CommandFactory>::command());
        for name in ["HOOKWRIGHT_MAX_QUEUE", "HOOKWRIGHT_KEY", "HOOKWRIGHT_CONFIG", "HOOKWRIGHT_LOG"] {
            assert!(known.iter().any(|known| known == name), "{name}");
        }
    }
}
