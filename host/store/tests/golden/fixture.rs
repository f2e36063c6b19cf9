//! The golden stores: a folder for each format, with the compressed files of a store and what is in it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hookwright_store::{Store, StoreOptions};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const STORE: &str = "hookwright.redb";
pub(crate) const IN_FLIGHT: &str = "hookwright.in-flight";
pub(crate) const KEY: &str = "secret.key";
/// What makes the golden store of the present format.
pub(crate) const GENERATE: &str = "cargo test -p hookwright-store --test golden -- --ignored --exact generate";

const SUMS: &str = "hookwright.redb.sums";
const EXPECTED: &str = "expected.json";
/// The maximum size of a golden store's compressed files, in bytes.
const MOST_BYTES: usize = 200 * 1024;
const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden")
}

/// The folder of a format's golden store.
pub(crate) fn folder(format: &str) -> PathBuf {
    root().join(format!("format-{format}"))
}

/// The folders of all golden stores.
pub(crate) fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root()).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    assert!(
        !folders.is_empty(),
        "no golden store was found: run `{GENERATE}` once, and commit the folder that it writes"
    );
    folders
}

/// The format of a closed store. Opening its file without the store makes the checksums beside it invalid.
pub(crate) fn format_of(store: &Path) -> String {
    let db = Database::open(store).unwrap();
    let meta = db.begin_read().unwrap().open_table(META).unwrap();
    meta.get("format").unwrap().map(|format| format.value().to_owned()).unwrap()
}

/// The format that this version writes.
pub(crate) async fn present_format() -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(STORE);
    let store = Store::open(&StoreOptions::new(&path)).unwrap_or_else(|error| panic!("{error}"));
    store.close().await;
    drop(store);
    format_of(&path)
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Makes a golden store of the closed store in `from`.
pub(crate) fn pack(from: &Path, into: &Path, expected: &Value) {
    let packed = [STORE, SUMS].map(|name| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&read(&from.join(name))).unwrap();
        (format!("{name}.gz"), encoder.finish().unwrap())
    });
    let bytes: usize = packed.iter().map(|(_, packed)| packed.len()).sum();
    assert!(bytes <= MOST_BYTES, "the golden store has {bytes} bytes: at most {MOST_BYTES}");
    std::fs::create_dir(into).unwrap();
    for (name, packed) in packed {
        std::fs::write(into.join(name), packed).unwrap();
    }
    std::fs::write(into.join(KEY), read(&from.join(KEY))).unwrap();
    describe(into, expected);
}

/// A copy of a golden store that can be opened.
pub(crate) fn unpack(from: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    // A store of an early format has no checksums beside it.
    for name in [STORE, SUMS].into_iter().filter(|name| *name == STORE || has_checksums(from)) {
        let packed = read(&from.join(format!("{name}.gz")));
        let mut bytes = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        write_private(&dir.path().join(name), &bytes);
    }
    write_private(&dir.path().join(KEY), &read(&from.join(KEY)));
    dir
}

/// Whether a golden store has checksums beside it.
pub(crate) fn has_checksums(folder: &Path) -> bool {
    folder.join(format!("{SUMS}.gz")).exists()
}

/// Whether it is known what a golden store contains.
pub(crate) fn is_described(folder: &Path) -> bool {
    folder.join(EXPECTED).exists()
}

/// Writes what a golden store contains.
pub(crate) fn describe(folder: &Path, expected: &Value) {
    std::fs::write(folder.join(EXPECTED), format!("{expected:#}\n")).unwrap();
}

/// What was put into a golden store.
pub(crate) fn expected(folder: &Path) -> Value {
    serde_json::from_slice(&read(&folder.join(EXPECTED))).unwrap()
}
