//! The inputs and folders of one build.

use std::path::PathBuf;

use crate::language::Language;
use crate::settings::Settings;
use crate::tools::Tools;

/// What a component is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// For its author: with function names, which backtraces show.
    Dev,
    /// For use: as small as possible.
    #[default]
    Release,
}

/// The inputs and folders of one build.
pub(super) struct Work<'a> {
    /// The plugin's folder, without links in its path.
    pub(super) folder: PathBuf,
    pub(super) settings: Settings,
    pub(super) tools: &'a Tools,
    /// The output folder, `target/` in the plugin's folder.
    pub(super) target: PathBuf,
    pub(super) profile: Profile,
}

impl Work<'_> {
    /// The folder of the language's SDK.
    pub(super) fn sdk(&self) -> PathBuf {
        self.target.join("sdk")
    }

    /// Whether the component keeps the names of its functions.
    pub(super) fn keeps_names(&self) -> bool {
        self.profile == Profile::Dev
    }

    /// The main source file.
    pub(super) fn entry(&self) -> PathBuf {
        self.folder.join(self.settings.entry.trim_start_matches("./"))
    }
}

/// The folder of a language's SDK: TypeScript's is JavaScript's.
pub(super) fn sdk_of(language: Language) -> &'static str {
    match language {
        Language::TypeScript => "javascript",
        other => other.name(),
    }
}
