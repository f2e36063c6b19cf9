//! Gathers the files that scaffolds and builds write: the WIT, the languages' SDKs and the templates. They stand in the
//! repository as files of their own language, and in the program as texts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders with their name in the program, from the top of the repository.
const FOLDERS: [(&str, &str); 6] = [
    ("WIT", "wit/0.1.0"),
    ("ADAPTER", "wit/adapter"),
    ("SDKS", "host/author/sdk"),
    ("TEMPLATES", "host/author/templates"),
    ("RUST_SDK", "plugins/sdk/src"),
    ("RUST_JSON", "plugins/json/src"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let top = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let mut code = String::new();
    for (name, folder) in FOLDERS {
        let folder = top.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        gather(&folder, &mut files)?;
        files.sort();
        writeln!(code, "pub(crate) const {name}: &[(&str, &str)] = &[")?;
        for file in files {
            let path = file.strip_prefix(&folder)?.to_string_lossy().replace('\\', "/");
            writeln!(code, "    ({path:?}, include_str!({:?})),", file.to_string_lossy())?;
        }
        code.push_str("];\n");
    }
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("files.rs"), code)?;
    Ok(())
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // What an editor or an interpreter leaves behind is not ours.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("__pycache__") || name.ends_with('~') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() { gather(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
