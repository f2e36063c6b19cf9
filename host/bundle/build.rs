//! Compiles the plugins in `plugins/`, compresses them, and writes the list of their bytes.

use std::env::VarError;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use hookwright_guests::{Built, Toolchain};

fn main() {
    // The text is returned to cargo, which shows it as its own error.
    if let Err(problem) = bundle() {
        println!("cargo::error={}", problem.replace('\n', " "));
    }
}

fn bundle() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = here.ancestors().nth(2).ok_or("host/bundle is outside of the workspace")?;
    watch(root)?;
    let toolchain = Toolchain::find().map_err(|error| error.to_string())?;
    let built = hookwright_guests::build(&toolchain, &root.join("plugins"), &guest_target(&out)?, &out)
        .map_err(|error| error.to_string())?;
    for Built { name, .. } in &built {
        let component = out.join(format!("{name}.wasm"));
        let packed = out.join(format!("{name}.wasm.z"));
        pack(&component, &packed)
            .map_err(|error| format!("{} from {}: {error}", packed.display(), component.display()))?;
    }
    let list = out.join("components.rs");
    std::fs::write(&list, listed(&built)).map_err(|error| format!("{}: {error}", list.display()))
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| match error {
        VarError::NotPresent => format!("{name} is not set: build with cargo"),
        VarError::NotUnicode(_) => format!("{name} is not UTF-8: move the checkout to another path"),
    })
}

/// Declares the inputs of the components. `plugins/target` is excluded, so that a build there does not cause one here.
fn watch(root: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={}", root.join("wit").display());
    let plugins = root.join("plugins");
    let entries = std::fs::read_dir(&plugins).map_err(|error| format!("{}: {error}", plugins.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", plugins.display()))?;
        if entry.file_name() != "target" {
            println!("cargo::rerun-if-changed={}", entry.path().display());
        }
    }
    Ok(())
}

/// One folder for all profiles, and the one that `cargo xtask plugins` uses: `OUT_DIR` is `TARGET/PROFILE/build/NAME/out`.
fn guest_target(out: &Path) -> Result<PathBuf, String> {
    let target = out.ancestors().nth(4).ok_or_else(|| format!("{} is not a folder of cargo's", out.display()))?;
    Ok(target.join("guests"))
}

/// Compresses a component, to about two fifths of its size.
fn pack(component: &Path, packed: &Path) -> std::io::Result<()> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&std::fs::read(component)?)?;
    std::fs::write(packed, encoder.finish()?)
}

fn listed(built: &[Built]) -> String {
    let mut text = "&[\n".to_owned();
    for Built { name, .. } in built {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm.z\"))),");
    }
    text.push_str("]\n");
    text
}
