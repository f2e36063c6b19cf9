//! Pages that are true: the blocks of a page that are marked `sh tutorial` are run as they stand, one after another, and
//! what they print is compared with the `text output` that follows.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{executable, workspace};

/// What stands between the outputs of two blocks.
const BORDER: &str = "----- the next block -----";
/// How a block begins that is run.
const RUN: &str = "```sh tutorial";
/// How a block begins that is only shown: what it needs is not on every machine, or it goes on for ever.
const SHOWN: &str = "```sh shown";

/// A block of commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The commands.
    pub commands: String,
    /// Lines that must come out, `...` for anything; none if the page shows none.
    pub output: Option<Vec<String>>,
}

/// The blocks marked `sh tutorial`, each with the `text output` that follows it at once.
///
/// # Panics
/// If an output follows no block.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let mut body =
            || -> Vec<String> { lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect() };
        match line {
            RUN => found.push(Block { commands: body().join("\n"), output: None }),
            "```text output" => {
                let output = body();
                found.last_mut().expect("an output follows a block").output = Some(output);
            }
            _ => {}
        }
    }
    found
}

/// The first lines of fenced blocks of shell commands that are neither run nor said to be only shown.
pub fn unmarked(page: &str) -> Vec<String> {
    let mut lines = page.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let first = lines.next().unwrap_or_default();
        let is_command =
            ["hookwright ", "cargo ", "npm ", "npx ", "pip ", "curl "].iter().any(|word| first.starts_with(word));
        let is_shell = language.starts_with("sh") || (language.is_empty() && is_command);
        if is_shell && ![RUN, SHOWN].contains(&line) {
            found.push(first.to_owned());
        }
        if first != "```" {
            lines.by_ref().find(|line| *line == "```");
        }
    }
    found
}

/// Whether a line is as shown, where `...` stands for anything.
pub fn is_as_shown(line: &str, shown: &str) -> bool {
    let mut parts = shown.split("...");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    rest.ends_with(last)
}

/// Where a page's blocks are run.
pub struct Shell {
    folder: PathBuf,
    variables: Vec<(String, String)>,
    patience: Duration,
    strict: bool,
}

impl Shell {
    /// A shell in a folder, in whose environment nothing of the tests' own settings is.
    pub fn new(folder: &Path, patience: Duration) -> Self {
        Self { folder: folder.to_owned(), variables: Vec::new(), patience, strict: false }
    }

    /// With a variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Every command must succeed, not only the last one.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// With `hookwright` on the path.
    ///
    /// # Panics
    /// If it cannot be linked.
    #[must_use]
    pub fn with_hookwright(self) -> Self {
        let programs = self.folder.join(".bin");
        std::fs::create_dir_all(&programs).expect("a folder can be made");
        std::os::unix::fs::symlink(workspace::binary(), programs.join("hookwright"))
            .expect("the program can be linked");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", programs.display());
        self.set("PATH", path)
    }

    /// With a cargo on the path that has the target `wasm32-unknown-unknown`: where rustup lacks it, that of Debian, which
    /// builds its standard library first. After [`with_hookwright`](Self::with_hookwright).
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn with_wasm_target(self) -> Self {
        let library =
            Command::new("rustc").args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]).output();
        let library =
            library.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        if !library.is_empty() && Path::new(&library).is_dir() {
            return self;
        }
        let script = "#!/bin/sh
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 PATH=/usr/bin:/bin
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=/usr/bin/wasm-ld
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=-Clinker-flavor=wasm-ld
case $1 in
  build) exec /usr/bin/cargo \"$@\" -Zbuild-std=std,panic_abort ;;
  *) exec /usr/bin/cargo \"$@\" ;;
esac
";
        let path = self.folder.join(".bin/cargo");
        executable::script(&path, script);
        self
    }

    /// Runs the blocks and compares what they print.
    ///
    /// # Panics
    /// If a block fails, breaks off, or prints something else than the page shows.
    #[track_caller]
    pub fn run(&self, page: &str, blocks: &[Block]) {
        let border = format!("\necho; echo '{BORDER}'\n");
        let commands: Vec<&str> = blocks.iter().map(|block| block.commands.as_str()).collect();
        let begin = if self.strict { "set -eo pipefail\n" } else { "" };
        let script = format!("{begin}{}", commands.join(&border));
        let output = self.folder.join(".output.txt");
        let complaints = self.folder.join(".complaints.txt");
        let file = |path: &Path| File::create(path).expect("a file can be made");
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).current_dir(&self.folder);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_the_tests(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file(&output)).stderr(file(&complaints));
        let ended = wait(command.spawn().expect("there is a bash"), self.patience);
        let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
        let (output, complaints) = (read(&output), read(&complaints));
        assert!(ended, "{page}: the blocks did not end well:\n{output}\n{complaints}");

        let parts: Vec<&str> = output.split(BORDER).collect();
        assert_eq!(parts.len(), blocks.len(), "{page}: a block broke off:\n{output}\n{complaints}");
        for (block, part) in blocks.iter().zip(parts) {
            let Some(shown) = &block.output else { continue };
            let came: Vec<&str> = part.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let fits =
                came.len() == shown.len() && came.iter().zip(shown).all(|(line, shown)| is_as_shown(line, shown));
            assert!(fits, "{page}: after\n{}\nthere should be\n{shown:#?}\nand there is\n{came:#?}", block.commands);
        }
    }
}

/// Whether a variable is here only because the tests or the cargo around them set it: a reader's shell has none of these.
fn is_of_the_tests(name: &str) -> bool {
    let of_the_user = ["CARGO_HOME", "CARGO_TERM_COLOR"].contains(&name)
        || ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"].iter().any(|begin| name.starts_with(begin));
    let begins = ["CARGO", "HOOKWRIGHT_", "RUSTC", "RUSTFLAGS", "LD_LIBRARY_PATH"];
    !of_the_user && begins.iter().any(|begin| name.starts_with(begin))
}

/// A shell with all that it started, ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// Whether the shell ended well and in time.
fn wait(shell: Child, patience: Duration) -> bool {
    let mut shell = Running(shell);
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(status) = shell.0.try_wait().expect("the shell can be waited for") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_blocks_are_run() {
        let text = "```sh\nrm x\n```\n```sh tutorial\na\nb\n```\n```text output\n1\n```\n\n```sh tutorial\nc\n```\n";
        let wanted = [
            Block { commands: "a\nb".to_owned(), output: Some(vec!["1".to_owned()]) },
            Block { commands: "c".to_owned(), output: None },
        ];
        assert_eq!(blocks(text), wanted);
    }

    #[test]
    fn commands_that_are_not_marked_are_found() {
        let text = "```sh\na\n```\n```json\n{}\n```\n```sh tutorial\nb\n```\n```sh shown\nc\n```\n```\nhookwright x\n```\n```\ntable\n```\n";
        assert_eq!(unmarked(text), ["a", "hookwright x"]);
    }

    #[test]
    fn a_block_sees_nothing_of_the_cargo_around_it() {
        for name in ["CARGO", "CARGO_TARGET_DIR", "CARGO_PKG_NAME", "RUSTC_WORKSPACE_WRAPPER", "HOOKWRIGHT_BIN"] {
            assert!(is_of_the_tests(name), "{name} should go");
        }
        for name in
            ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_CRATES_IO_PROTOCOL", "PATH", "CI", "RUSTUP_HOME"]
        {
            assert!(!is_of_the_tests(name), "{name} should stay");
        }
    }

    #[test]
    fn only_dots_match_any_text() {
        for (line, shown, same) in [
            ("{\"id\":1}", "{\"id\":1}", true),
            ("{\"id\":12,\"x\":[]}", "{\"id\":...,\"x\":[]}", true),
            ("abc", "...", true),
            ("abc", "a...c", true),
            ("abcd", "a...c", false),
            ("abc", "ab", false),
            ("abc", "bc", false),
            ("", "a", false),
        ] {
            assert_eq!(is_as_shown(line, shown), same, "{line} {shown}");
        }
    }
}
