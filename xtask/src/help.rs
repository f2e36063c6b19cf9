//! What `cargo xtask help` shows.

const OVERVIEW: &str = "\
Hookwright's own tasks. Each prepares what it needs; nothing has to be installed first but cargo and a C compiler.

    cargo xtask demo      start a server, send it real webhooks, show what happened, keep serving
    cargo xtask test      run every test
    cargo xtask build     build the server: target/release/hookwright
    cargo xtask plugins   build the plugins: target/plugins, target/plugins-examples
    cargo xtask bench     run the benchmarks
    cargo xtask dist      build the release binaries: target/dist/hookwright, and a static one
    cargo xtask lint      check formatting, lints and the licences of dependencies
    cargo xtask setup     find a WebAssembly toolchain, or install one
    cargo xtask help TASK show the help of one of them
";

const TASKS: &[(&str, &str)] = &[
    (
        "setup",
        "\
cargo xtask setup

Finds a toolchain that compiles plugins to WebAssembly, in three steps:
  1. the active Rust toolchain has the target wasm32-unknown-unknown: nothing to do;
  2. rustup can add it (at most two minutes);
  3. on Debian and its derivatives, apt installs rustc-web, rust-web-src and lld (as root, or through sudo -n).
Each step reports what it found. If none succeeds, the last line is the command to run by hand.
",
    ),
    (
        "plugins",
        "\
cargo xtask plugins

Builds the first-party plugins into target/plugins, and those of examples/ into target/plugins-examples, as NAME.wasm.
The examples in other languages than Rust need node, npm and python3; as root on Debian they are installed. Compilers
come from npm and PyPI into target/tools. A file is written only if its bytes change. To install one in a running server:
`curl -X PUT --data-binary @target/plugins/match.wasm .../v1/plugins/match`.
",
    ),
    (
        "build",
        "\
cargo xtask build

Builds the first-party plugins and then the server, which carries them inside: target/release/hookwright is one file
that runs with no other file present.
",
    ),
    (
        "demo",
        "\
cargo xtask demo [--exit] [--port N] [--data-dir DIR]

Builds the server, starts it on a fresh embedded store, gives it the demo's automations, sends it webhooks, shows what
each of them did and why, and then keeps running until Ctrl-C.

  --exit          stop after the demo; the exit code is 0 only if all of it worked
  --port N        listen on 127.0.0.1:N; without it on 8080, or on a free port if that one is in use
  --data-dir DIR  keep the state in DIR, which must be empty or absent; without it in target/demo
",
    ),
    (
        "test",
        "\
cargo xtask test [FILTER]

Prepares everything and runs every test: formatting, the demo (as `cargo xtask demo --exit`), lints, licences, the plugins'
own tests, and those of the workspace, which include the ones that start a server. Each stage reports how long it took;
the first that fails ends the task.
With FILTER only tests whose name contains it are run, without formatting, demo, lints and licences.

Tests find the server through HOOKWRIGHT_BIN, the components through HOOKWRIGHT_PLUGINS and HOOKWRIGHT_EXAMPLES, and
Python through HOOKWRIGHT_PYTHON; the task sets all four.
",
    ),
    (
        "bench",
        "\
cargo xtask bench [OPTIONS] [SECTION..]
cargo xtask bench compare A B [OPTIONS] [SECTION..]

Builds the server and runs the benchmarks in tests/bench, which print ratios of two things measured in one run.
`compare` measures two servers in alternation: A and B are commits, each built once in a git worktree of its own in
target/bench/COMMIT (some minutes, and some gigabytes until you remove it with `git worktree remove --force`), or paths of
`hookwright` binaries.
`cargo xtask bench --help` shows this text, `cargo xtask bench help` shows all options and sections.
",
    ),
    (
        "dist",
        "\
cargo xtask dist [--glibc | --musl]

Builds the server as it is shipped, optimized across crates and stripped, and prints the sizes:
  target/dist/hookwright                             for Linux with glibc
  target/x86_64-unknown-linux-musl/dist/hookwright   linked statically: starts in an empty root directory, which is tried
Each takes about as long as a first build. The static one needs Rust's target x86_64-unknown-linux-musl (rustup adds it)
and musl-gcc (as root on Debian it is installed).
",
    ),
    (
        "lint",
        "\
cargo xtask lint

Checks formatting and lints of the workspace, of plugins/ and of examples/rust, warnings counting as errors, and that
every third-party crate has a licence that permits redistribution of the server (xtask/src/licences.rs lists them).
",
    ),
];

/// Shows the overview, or what there is to say about one task.
pub(crate) fn show(task: Option<&str>) {
    match task.and_then(|task| TASKS.iter().find(|(name, _)| *name == task)) {
        Some((_, text)) => print!("{text}"),
        None => print!("{OVERVIEW}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_of_the_overview_has_its_own_help_text() {
        for (name, text) in TASKS {
            assert!(OVERVIEW.contains(&format!("cargo xtask {name} ")), "{name} is not in the overview");
            assert!(text.starts_with(&format!("cargo xtask {name}")), "{name}'s text begins with something else");
        }
        let listed = OVERVIEW.lines().filter(|line| line.starts_with("    cargo xtask")).count();
        assert_eq!(listed, TASKS.len() + 1, "the overview lists `help` and each task");
    }
}
