//! Plugins as source: started from a template, built into components.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use hookwright_author::{AuthorError, Kind, Language, Profile, Tools};

use crate::failed::{Done, Failed, problem};
use crate::screen;

/// What a plugin can be written in.
const LANGUAGES: [&str; 9] = ["rust", "javascript", "typescript", "python", "go", "c", "cpp", "zig", "assemblyscript"];
/// What a plugin can be.
const KINDS: [&str; 4] = ["condition", "action", "transform", "source"];

#[derive(Args)]
pub(crate) struct New {
    /// The plugin's name
    #[arg(value_parser = super::name)]
    name: String,
    /// The plugin kind
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS))]
    kind: String,
    /// The programming language
    #[arg(long, value_parser = PossibleValuesParser::new(LANGUAGES))]
    lang: String,
    /// The folder, which must be empty or not exist yet [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Build {
    /// The plugin's folder
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Keep function names for the backtrace of a trap, and write the component to target/dev
    #[arg(long)]
    dev: bool,
}

pub(crate) fn new(new: &New) -> Done {
    let folder = new.dir.clone().unwrap_or_else(|| PathBuf::from(&new.name));
    scaffold(&new.name, &new.kind, &new.lang, &folder)?;
    screen::line(format_args!("Created {} in {}.", new.name, folder.display()));
    screen::line(format_args!("Next: hookwright plugin test {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn run(given: &Build) -> Done {
    let component = build(&given.dir, if given.dev { Profile::Dev } else { Profile::Release })?;
    screen::line(component.display());
    Ok(ExitCode::SUCCESS)
}

/// Creates a plugin that can be built at once.
fn scaffold(name: &str, kind: &str, language: &str, folder: &Path) -> Result<(), Failed> {
    let (kind, language) = (Kind::parse(kind).map_err(failed)?, Language::parse(language).map_err(failed)?);
    hookwright_author::scaffold(name, kind, language, folder).map_err(failed)
}

/// Builds the plugin of a folder; returns the component's path.
pub(crate) fn build(folder: &Path, profile: Profile) -> Result<PathBuf, Failed> {
    let built = hookwright_author::build_with(folder, &Tools::of_the_user(), profile, &mut |what| {
        screen::note(format_args!("{what}"));
    });
    built.map(|built| built.path).map_err(failed)
}

#[allow(clippy::needless_pass_by_value, reason = "it is the last that is heard of the error")]
fn failed(error: AuthorError) -> Failed {
    problem(error.code(), error.to_string())
}
