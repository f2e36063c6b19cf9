//! The README's tutorial is true: its blocks are run as they stand, one after another, and what they print is compared.
#![cfg(unix)]

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the whole tutorial may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// What stands between the outputs of two blocks.
const BORDER: &str = "----- the next block -----";

#[derive(Debug, PartialEq, Eq)]
struct Block {
    commands: String,
    /// Lines that must come out, `...` for anything; none if the README shows none.
    output: Option<Vec<String>>,
}

/// The blocks marked `sh tutorial`, each with the `text output` that follows it at once.
fn blocks(readme: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut lines = readme.lines().peekable();
    while let Some(line) = lines.next() {
        let mut body =
            || -> Vec<String> { lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect() };
        match line {
            "```sh tutorial" => found.push(Block { commands: body().join("\n"), output: None }),
            "```text output" => {
                let output = body();
                found.last_mut().expect("an output follows a block").output = Some(output);
            }
            _ => {}
        }
    }
    found
}

/// Whether a line is as shown, where `...` stands for anything.
fn is_as_shown(line: &str, shown: &str) -> bool {
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

/// A shell with all that it started, ended when it is dropped.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the checkout").to_owned()
}

/// Where a file or folder is that `cargo xtask test` makes, or an end that says so.
fn made(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| root().join(usual), PathBuf::from);
    assert!(path.exists(), "{} is not there: run cargo xtask test, which makes it", path.display());
    path
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it has an address").port().to_string()
}

#[test]
fn the_tutorial_of_the_readme_does_what_it_says() {
    let binary = made("HOOKWRIGHT_BIN", "target/release/hookwright");
    let examples = made("HOOKWRIGHT_EXAMPLES", "target/plugins-examples");
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    // Other programs may hold the ports that the README names; nothing else is changed.
    let readme = readme.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", free_port())).replace("9000", &free_port());
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 6, "the README has {} blocks marked `sh tutorial`", blocks.len());

    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::create_dir_all(folder.path().join("target/release")).expect("a folder can be made");
    symlink(binary, folder.path().join("target/release/hookwright")).expect("the server can be linked");
    symlink(examples, folder.path().join("target/plugins-examples")).expect("the plugins can be linked");
    let border = format!("\necho; echo '{BORDER}'\n");
    let script = blocks.iter().map(|block| block.commands.as_str()).collect::<Vec<_>>().join(&border);
    let output = folder.path().join("output.txt");
    let file = std::fs::File::create(&output).expect("a file can be made");
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(folder.path()).process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWRIGHT_")) {
        command.env_remove(name);
    }
    let shell = command.stdin(Stdio::null()).stdout(file).stderr(Stdio::inherit()).spawn().expect("there is a bash");
    let status = wait(shell);
    let output = std::fs::read_to_string(&output).expect("the output is text");
    assert!(status, "the tutorial did not end well:\n{output}");

    let parts: Vec<&str> = output.split(BORDER).collect();
    assert_eq!(parts.len(), blocks.len(), "a block broke off:\n{output}");
    for (block, part) in blocks.iter().zip(parts) {
        let Some(shown) = &block.output else { continue };
        let came: Vec<&str> = part.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        assert_eq!(
            came.len(),
            shown.len(),
            "after\n{}\nthere should be\n{shown:#?}\nand there is\n{came:#?}",
            block.commands
        );
        for (line, wanted) in came.iter().zip(shown) {
            assert!(
                is_as_shown(line, wanted),
                "after\n{}\nthere should be\n{wanted}\nand there is\n{line}",
                block.commands
            );
        }
    }
}

/// Whether the shell ended well and in time.
fn wait(shell: Child) -> bool {
    let mut shell = Shell(shell);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(status) = shell.0.try_wait().expect("the shell can be waited for") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

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
fn dots_stand_for_anything_and_nothing_else_does() {
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
