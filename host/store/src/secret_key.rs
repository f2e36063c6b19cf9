//! Whether the key that seals secrets is the one that the store's secrets are sealed with. The store contains a known
//! text that was sealed with it, so that a missing or wrong key is detected at the start and not when the first secret
//! is used.

use std::path::Path;

use redb::ReadableTable as _;
use serde_json::Value;

use crate::secrets::Secrets;
use crate::tables::{CONFIG, META, SECRET, SOURCE, WEBHOOK};
use crate::vault::VARIABLE;
use crate::{StoreError, Vault, VaultError, rows};

/// The row of the sealed text.
const CHECK: &str = "secret_key_check";
const TEXT: &[u8] = b"hookwright";

impl Secrets {
    /// Opens the vault with the given key (32 bytes in base64 or hex), else the one in the file. The file is created
    /// only if the store contains no sealed data; a key that does not open the store's sealed data is refused.
    pub async fn open_vault(&self, file: &Path, given: Option<&str>) -> Result<Vault, VaultError> {
        let check = self.key_check()?;
        let sample = match &check {
            Some(check) => Some(check.clone()),
            None => self.any_sealed()?,
        };
        let shown = file.display().to_string();
        if sample.is_some() && given.is_none() && !file.exists() {
            return Err(VaultError::Missing(shown));
        }
        let vault = Vault::open(file, given)?;
        if sample.is_some_and(|sealed| vault.open_sealed(&sealed).is_err()) {
            return Err(VaultError::Wrong(if given.is_some() { VARIABLE.to_owned() } else { shown }));
        }
        if check.is_none() {
            self.seal_check(&vault).await?;
        }
        Ok(vault)
    }

    /// Makes the key the store's key from now on. Secrets that were sealed with another key cannot be opened any more.
    pub async fn reset_secret_key(&self, file: &Path, given: Option<&str>) -> Result<(), VaultError> {
        let vault = Vault::open(file, given)?;
        self.seal_check(&vault).await
    }

    async fn seal_check(&self, vault: &Vault) -> Result<(), VaultError> {
        let sealed = vault.seal(TEXT)?;
        let written = self.db.write(None, 128, move |batch| {
            batch.meta()?.insert(CHECK, sealed.as_str())?;
            Ok(())
        });
        Ok(written.await?)
    }

    fn key_check(&self) -> Result<Option<String>, StoreError> {
        let read = self.db.begin_read()?;
        let row = read.open_table(META)?.get(CHECK)?;
        Ok(row.map(|row| row.value().to_owned()))
    }

    /// A sealed value from before the check existed: stores of earlier versions have no check.
    fn any_sealed(&self) -> Result<Option<String>, StoreError> {
        let read = self.db.begin_read()?;
        for row in read.open_table(CONFIG)?.iter()? {
            let (key, row) = row?;
            let (_, kind, _) = key.value();
            if let Some(sealed) = sealed_in(kind, &rows::read(row.value())?) {
                return Ok(Some(sealed));
            }
        }
        Ok(None)
    }
}

/// A sealed value in a stored object of a kind that has one.
fn sealed_in(kind: &str, thing: &Value) -> Option<String> {
    let sealed = match kind {
        SECRET => thing.get("sealed"),
        SOURCE => thing.get("token"),
        WEBHOOK => thing.get("keys").and_then(|keys| keys.get(0)?.get("sealed")),
        _ => None,
    };
    sealed.and_then(Value::as_str).map(str::to_owned)
}
