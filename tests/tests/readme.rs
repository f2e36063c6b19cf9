//! Pages are true: the blocks of the README and of the pages for plugin authors are run as they stand, one after another,
//! and what they print is compared.
#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use hookwright_tests::server::free_port;
use hookwright_tests::tutorial::{Shell, blocks, unmarked};
use hookwright_tests::{ADMIN_KEY, Options, Server, workspace};

/// How long the blocks of one page may take. A first build in Rust compiles what the SDK stands on.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where a file or folder is that `cargo xtask test` makes, or an end that says so.
fn made(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| workspace::root().join(usual), PathBuf::from);
    assert!(path.exists(), "{} is not there: run cargo xtask test, which makes it", path.display());
    path.canonicalize().expect("it is there")
}

#[test]
fn the_tutorial_of_the_readme_works() {
    let binary = made("HOOKWRIGHT_BIN", "target/release/hookwright");
    let examples = made("HOOKWRIGHT_EXAMPLES", "target/plugins-examples");
    let readme = workspace::source("README.md");
    // Other programs may hold the ports that the README names; nothing else is changed.
    let (server, receiver) = (free_port(), free_port());
    let readme =
        readme.replace("127.0.0.1:8080", &format!("127.0.0.1:{server}")).replace("9000", &receiver.to_string());
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 6, "the README has {} blocks marked `sh tutorial`", blocks.len());

    let folder = tempfile::tempdir().expect("a folder can be made");
    std::fs::create_dir_all(folder.path().join("target/release")).expect("a folder can be made");
    symlink(binary, folder.path().join("target/release/hookwright")).expect("the server can be linked");
    symlink(examples, folder.path().join("target/plugins-examples")).expect("the plugins can be linked");
    Shell::new(folder.path(), PATIENCE).run("README.md", &blocks);
}

/// Runs the blocks of a page of `docs/plugins`, with a server that is there already, as the page says.
#[track_caller]
fn follow(page: &str) {
    let text = workspace::source(&format!("docs/plugins{page}"));
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "docs/plugins{page} has no blocks marked `sh tutorial`");
    let server = Server::start(Options::default());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let tools = made("HOOKWRIGHT_TOOLS", "target/tools");
    let cache = workspace::user_cache();
    let shell = Shell::new(folder.path(), PATIENCE).strict().with_hookwright();
    let shell = if text.contains("\ncargo build ") { shell.with_wasm_target() } else { shell };
    shell
        .set("HOOKWRIGHT_URL", format!("http://{}", server.address()))
        .set("HOOKWRIGHT_ADMIN_KEY", ADMIN_KEY)
        .set("HOOKWRIGHT_TOOLS", tools.display().to_string())
        .set("XDG_CACHE_HOME", cache.display().to_string())
        .set("REPOSITORY", workspace::root().canonicalize().expect("it is there").display().to_string())
        .run(page, &blocks);
}

macro_rules! pages {
    ($($name:ident: $page:literal;)*) => {
        $(
            #[test]
            fn $name() {
                follow($page);
            }
        )*

        /// Every page that is followed.
        const PAGES: &[&str] = &[$($page),*];
    };
}

pages! {
    the_page_for_plugins_does_what_it_says: ".md";
    the_page_of_the_command_line_does_what_it_says: "/command-line.md";
    the_page_on_tests_does_what_it_says: "/testing.md";
    the_page_for_components_of_other_tools_does_what_it_says: "/other-tools.md";
    the_page_for_assemblyscript_does_what_it_says: "/languages/assemblyscript.md";
    the_page_for_c_does_what_it_says: "/languages/c.md";
    the_page_for_cpp_does_what_it_says: "/languages/cpp.md";
    the_page_for_go_does_what_it_says: "/languages/go.md";
    the_page_for_javascript_does_what_it_says: "/languages/javascript.md";
    the_page_for_python_does_what_it_says: "/languages/python.md";
    the_page_for_rust_does_what_it_says: "/languages/rust.md";
    the_page_for_typescript_does_what_it_says: "/languages/typescript.md";
    the_page_for_zig_does_what_it_says: "/languages/zig.md";
}

#[test]
fn every_command_of_these_pages_is_tested() {
    for folder in ["docs/plugins", "docs/plugins/languages"] {
        let entries = std::fs::read_dir(workspace::root().join(folder)).expect("the docs are there");
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|found| found == "md")) {
            let page = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let page = page.strip_prefix("docs/plugins").expect("it is there");
            assert!(PAGES.contains(&page), "no test follows docs/plugins{page}");
        }
    }
    for page in PAGES {
        let found = unmarked(&workspace::source(&format!("docs/plugins{page}")));
        assert!(found.is_empty(), "docs/plugins{page}: mark the blocks `sh tutorial`, or `sh shown`: {found:?}");
    }
}
