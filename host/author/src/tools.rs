//! The compilers: their paths and their installation.
//!
//! They come from PyPI and npm and are installed in a separate folder, so that nothing else on the machine changes and every
//! machine has the same versions: `python/` is a Python environment, `node/` what npm installs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::AuthorError;
use crate::language::Language;
use crate::process::{ask, on_path, run};
use crate::tool::{Registry, Tool};

/// The folder with the tools.
#[derive(Debug, Clone)]
pub struct Tools {
    root: PathBuf,
}

impl Tools {
    /// The folder that `HOOKWRIGHT_TOOLS` names, else `hookwright/tools` in the user's cache.
    #[must_use]
    pub fn of_the_user() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("HOOKWRIGHT_TOOLS").unwrap_or_else(|| {
            let cache = set("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
            cache.unwrap_or_else(std::env::temp_dir).join("hookwright").join("tools")
        });
        Self { root }
    }

    /// A folder of the caller's choice.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The tools that `language` needs and that are missing.
    #[must_use]
    pub fn missing(&self, language: Language) -> Vec<Tool> {
        language.needs().iter().copied().filter(|tool| self.locate(*tool).is_none()).collect()
    }

    /// Installs the missing tools of `language`; `report` gets progress messages.
    ///
    /// # Errors
    /// Python with `venv`, or npm, is missing, or the registry cannot be reached.
    pub fn install(&self, language: Language, report: &mut dyn FnMut(&str)) -> Result<(), AuthorError> {
        for tool in self.missing(language) {
            let (registry, package, version) = tool.package();
            report(&format!("Installing {package} {version}"));
            let what = format!("installing {package} {version}");
            match registry {
                Registry::Pypi => {
                    let python = self.python();
                    if !python.is_file() {
                        let system = on_path("python3").or_else(|| on_path("python")).ok_or_else(|| {
                            let remedy = "apt-get install -y python3 python3-venv".to_owned();
                            AuthorError::Missing { program: "python3".into(), language: language.title(), remedy }
                        })?;
                        run(Command::new(system).args(["-m", "venv"]).arg(self.root.join("python")), &what)?;
                    }
                    let mut pip = Command::new(python);
                    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                    run(pip.arg(format!("{package}=={version}")), &what)?;
                }
                Registry::Npm => {
                    let npm = on_path("npm").ok_or_else(|| npm_missing(language))?;
                    let node = self.root.join("node");
                    std::fs::create_dir_all(&node).map_err(AuthorError::file(&node, "making the tools' folder"))?;
                    let mut command = Command::new(npm);
                    command.arg("install").arg("--prefix").arg(&node);
                    command.args(["--no-audit", "--no-fund", "--loglevel=error", "--save-exact"]);
                    run(command.arg(format!("{package}@{version}")), &what)?;
                }
            }
        }
        Ok(())
    }

    /// A command of the tool, ready for arguments.
    ///
    /// # Errors
    /// [`AuthorError::Missing`] with the one command that installs it.
    pub(crate) fn command(&self, tool: Tool, language: Language) -> Result<Command, AuthorError> {
        let missing =
            || AuthorError::Missing { program: tool.name(), language: language.title(), remedy: self.by_hand(tool) };
        let mut command = self.locate(tool).ok_or_else(missing)?;
        if tool == Tool::Zig {
            // The C and C++ libraries that it compiles are cached for all plugins.
            let cache = self.root.join("zig");
            command.env("ZIG_GLOBAL_CACHE_DIR", &cache);
        }
        Ok(command)
    }

    /// The shell command that installs a tool where this program looks for it.
    fn by_hand(&self, tool: Tool) -> String {
        let (registry, package, version) = tool.package();
        match registry {
            Registry::Pypi => {
                let venv = self.root.join("python");
                let make = format!("python3 -m venv {0} && {0}/bin/pip install", venv.display());
                format!("{make} {package}=={version}")
            }
            Registry::Npm => format!("npm install --prefix {} {package}@{version}", self.root.join("node").display()),
        }
    }

    fn locate(&self, tool: Tool) -> Option<Command> {
        let (_, package, version) = tool.package();
        match tool {
            Tool::Zig => {
                // Zig's library changes with every release, so another version on PATH cannot be used.
                let own = on_path("zig").filter(|zig| {
                    ask(zig, &["version"]).is_some_and(|found| minor(&found).is_some_and(|x| Some(x) == minor(version)))
                });
                if let Some(zig) = own {
                    return Some(Command::new(zig));
                }
                let folder = self.package_of_python("ziglang")?;
                let mut command = Command::new(self.python());
                command.args(["-m", "ziglang"]);
                folder.is_dir().then_some(command)
            }
            Tool::Go => {
                let new_enough = |go: &PathBuf| {
                    let found = ask(go, &["env", "GOVERSION"]).unwrap_or_default();
                    let number = found.trim_start_matches("go1.").split('.').next().and_then(|x| x.parse::<u32>().ok());
                    // `go:wasmexport` in packages came with 1.24.
                    number.is_some_and(|number| number >= 24)
                };
                let venv = self.root.join("python/bin/go");
                on_path("go").filter(new_enough).or_else(|| venv.is_file().then_some(venv)).map(Command::new)
            }
            Tool::ComponentizePy => {
                let program = self.root.join("python/bin").join(package);
                program.is_file().then(|| Command::new(program))
            }
            Tool::ComponentizeQjs => self.of_npm(package),
            Tool::TypeScript => self.of_npm("tsc"),
            Tool::AssemblyScript => self.of_npm("asc"),
        }
    }

    fn of_npm(&self, program: &str) -> Option<Command> {
        let path = self.root.join("node/node_modules/.bin").join(program);
        (path.is_file() && on_path("node").is_some()).then(|| Command::new(path))
    }

    fn python(&self) -> PathBuf {
        self.root.join("python/bin/python")
    }

    /// The path of a package of the Python environment.
    fn package_of_python(&self, name: &str) -> Option<PathBuf> {
        let library = std::fs::read_dir(self.root.join("python/lib")).ok()?;
        library.flatten().map(|entry| entry.path().join("site-packages").join(name)).find(|folder| folder.is_dir())
    }
}

fn npm_missing(language: Language) -> AuthorError {
    AuthorError::Missing {
        program: "npm of Node.js 20 or newer".into(),
        language: language.title(),
        remedy: "apt-get install -y nodejs npm".into(),
    }
}

/// The first two numbers of a version.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_reported_with_the_install_command() {
        let tools = Tools::at(Path::new("/nowhere/tools"));
        for (tool, language, said) in [
            (Tool::ComponentizePy, Language::Python, "/nowhere/tools/python/bin/pip install componentize-py==0.25.1"),
            (
                Tool::AssemblyScript,
                Language::AssemblyScript,
                "npm install --prefix /nowhere/tools/node assemblyscript@",
            ),
        ] {
            let error = tools.command(tool, language).unwrap_err();
            assert_eq!(error.code(), "toolchain.missing");
            assert!(error.to_string().contains(said), "{error}");
        }
        assert_eq!(tools.missing(Language::TypeScript), [Tool::TypeScript, Tool::ComponentizeQjs]);
        assert_eq!(tools.missing(Language::Rust), []);
    }

    #[test]
    fn versions_are_compared_by_their_first_two_numbers() {
        assert_eq!(minor("0.17.0"), Some((0, 17)));
        assert_eq!(minor("0.17.0-dev.1+x"), Some((0, 17)));
        assert_eq!(minor("zig"), None);
    }
}
