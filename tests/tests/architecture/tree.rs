//! The files of a checkout, or of a sample.

use std::path::Path;

/// Folders that are made by builds, or are not ours.
const PASSED_OVER: [&str; 5] = [".git", "target", "node_modules", "__pycache__", "data"];

/// Files with their text, in order of their paths.
pub(crate) struct Tree(Vec<File>);

/// One file.
pub(crate) struct File {
    /// From the top of the checkout, with `/` between folders.
    pub(crate) path: String,
    /// Its text; none if it is not UTF-8.
    pub(crate) text: Option<String>,
}

impl File {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether the name ends with a dot and one of `endings`.
    pub(crate) fn ends(&self, endings: &[&str]) -> bool {
        self.name().rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
    }
}

impl Tree {
    /// Reads the checkout that this test was built from.
    pub(crate) fn of_the_checkout() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the checkout");
        let mut files = Vec::new();
        walk(root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self(files)
    }

    /// A sample.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: Some((*text).to_owned()) };
        Self(files.iter().map(file).collect())
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.0.iter()
    }

    /// Every file that is text, with it.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&File, &str)> {
        self.files().filter_map(|file| Some((file, file.text.as_deref()?)))
    }

    /// The text at a path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|file| file.path == path)?.text.as_deref()
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().expect("an entry of the checkout has a type");
        if kind.is_dir() {
            if !PASSED_OVER.contains(&name.as_str()) {
                walk(&entry.path(), &path, files);
            }
        // In a worktree of Git, `.git` is a file with the path of the repository.
        } else if kind.is_file() && name != ".git" {
            // Another test may remove a file of its own meanwhile.
            let Ok(bytes) = std::fs::read(entry.path()) else { continue };
            files.push(File { path, text: String::from_utf8(bytes).ok() });
        }
    }
}
