//! The administrator key of the space `main`: from the environment, else created at the first start.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use hookwright_model::{Role, SpaceId};
use hookwright_pipeline::{ApiKeys, NewApiKey};

type Failed = Box<dyn Error + Send + Sync>;

/// The minimum length of an administrator key, in characters.
const MIN_KEY_LENGTH: usize = 16;

/// The administrator key that the environment gives.
pub(crate) fn from_environment() -> Result<Option<String>, String> {
    let Ok(given) = std::env::var("HOOKWRIGHT_ADMIN_KEY") else { return Ok(None) };
    let given = given.trim();
    if given.is_empty() {
        return Ok(None);
    }
    let length = given.chars().count();
    if length < MIN_KEY_LENGTH {
        return Err(format!(
            "HOOKWRIGHT_ADMIN_KEY has {length} characters, which can be guessed: give at least {MIN_KEY_LENGTH}, such as \
             `openssl rand -base64 24` makes"
        ));
    }
    Ok(Some(given.to_owned()))
}

/// Makes sure that there is an administrator: the key `given`, or a stored one, or a new one, which is printed and written to
/// the data directory.
pub(crate) async fn ensure(keys: &ApiKeys, given: Option<&str>, data: &Path) -> Result<(), Failed> {
    if let Some(given) = given {
        keys.accept_admin_key(given);
    }
    if keys.has_admin() {
        return Ok(());
    }
    let name = "first administrator".to_owned();
    let first = NewApiKey { name, role: Role::Admin, user: None, expires_in_seconds: None };
    let (_, key) = keys.create_api_key(&SpaceId::main(), first).await?;
    let path = data.join("admin.key");
    let written = write_private(&path, &key);
    let saved = if written.is_ok() { format!(" and saved in {}", path.display()) } else { String::new() };
    // Printed even if it cannot be written: the next start would not show it, because the key exists then.
    let mut out = std::io::stdout();
    let _ = writeln!(out, "The administrator key of the space main, shown only this once{saved}:");
    let _ = writeln!(out, "{key}");
    written.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// Writes a key to a file that only its owner can read.
fn write_private(path: &Path, key: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    #[cfg(unix)]
    {
        // The mode above is that of a new file only.
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    writeln!(file, "{key}")?;
    file.sync_all()
}
