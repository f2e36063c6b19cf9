//! The languages and the kinds of plugins.

use std::fmt;

use crate::error::AuthorError;
use crate::tool::Tool;

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Rust, with Hookwright's SDK.
    Rust,
    /// JavaScript, with the QuickJS engine inside of the component.
    JavaScript,
    /// TypeScript, compiled to JavaScript.
    TypeScript,
    /// Python, with the CPython interpreter inside of the component.
    Python,
    /// Go, with its runtime.
    Go,
    /// C.
    C,
    /// C++23 without exceptions.
    Cpp,
    /// Zig.
    Zig,
    /// AssemblyScript.
    AssemblyScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rust,
        Self::JavaScript,
        Self::TypeScript,
        Self::Python,
        Self::Go,
        Self::C,
        Self::Cpp,
        Self::Zig,
        Self::AssemblyScript,
    ];

    /// Reads a name as `--lang` takes it, in any case: the language's [`name`](Self::name), or a common alias.
    ///
    /// # Errors
    /// [`AuthorError::Unknown`] with the names there are.
    pub fn parse(text: &str) -> Result<Self, AuthorError> {
        let lower = text.trim().to_ascii_lowercase();
        let same = match lower.as_str() {
            "js" => "javascript",
            "ts" => "typescript",
            "py" => "python",
            "golang" => "go",
            "c++" | "cxx" => "cpp",
            "as" => "assemblyscript",
            "rs" => "rust",
            other => other,
        };
        Self::ALL.into_iter().find(|one| one.name() == same).ok_or_else(|| AuthorError::Unknown {
            field: "language",
            value: text.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }

    /// The name in settings and folders, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Zig => "zig",
            Self::AssemblyScript => "assemblyscript",
        }
    }

    /// The name as people write it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::TypeScript => "TypeScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Zig => "Zig",
            Self::AssemblyScript => "AssemblyScript",
        }
    }

    /// The tools that are needed to build a plugin in it.
    #[must_use]
    pub fn needs(self) -> &'static [Tool] {
        match self {
            Self::Rust => &[],
            Self::JavaScript => &[Tool::ComponentizeQjs],
            Self::TypeScript => &[Tool::TypeScript, Tool::ComponentizeQjs],
            Self::Python => &[Tool::ComponentizePy],
            Self::Go => &[Tool::Go],
            Self::C | Self::Cpp | Self::Zig => &[Tool::Zig],
            Self::AssemblyScript => &[Tool::AssemblyScript],
        }
    }

    /// The kinds that [`scaffold`](crate::scaffold()) has a template of.
    #[must_use]
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Rust | Self::JavaScript | Self::TypeScript | Self::Python | Self::Go => &Kind::ALL,
            Self::C | Self::Cpp | Self::Zig | Self::AssemblyScript => &[Kind::Condition, Kind::Action],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Decides whether an event concerns an automation.
    Condition,
    /// Acts on an event.
    Action,
    /// Transforms a message.
    Transform,
    /// Receives a provider's requests.
    Source,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Condition, Self::Action, Self::Transform, Self::Source];

    /// Reads a name as `--kind` takes it.
    ///
    /// # Errors
    /// [`AuthorError::Unknown`] with the names there are.
    pub fn parse(text: &str) -> Result<Self, AuthorError> {
        let lower = text.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|one| one.name() == lower).ok_or_else(|| AuthorError::Unknown {
            field: "kind",
            value: text.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }

    /// The name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Action => "action",
            Self::Transform => "transform",
            Self::Source => "source",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_names_and_aliases_are_parsed() {
        for language in Language::ALL {
            assert_eq!(Language::parse(language.name()).unwrap(), language);
            assert_eq!(Language::parse(&language.title().to_uppercase()).unwrap(), language);
        }
        for (said, meant) in [("js", Language::JavaScript), (" C++ ", Language::Cpp), ("golang", Language::Go)] {
            assert_eq!(Language::parse(said).unwrap(), meant);
        }
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()).unwrap(), kind);
        }
    }

    #[test]
    fn an_unknown_language_is_rejected_with_the_known_ones() {
        let error = Language::parse("cobol").unwrap_err();
        assert_eq!(error.code(), "option.invalid");
        assert!(error.to_string().contains("`cobol`") && error.to_string().contains("assemblyscript"), "{error}");
        assert!(Kind::parse("").unwrap_err().to_string().contains("condition, action"));
    }
}
