//! Secrets at rest: sealed with XChaCha20-Poly1305 under a key that is outside of the store's file.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::StoreError;
use crate::disk::private;

const PREFIX: &str = "v1:";
const NONCE: usize = 24;
/// The environment variable that provides the key.
pub(crate) const VARIABLE: &str = "HOOKWRIGHT_SECRET_KEY";

/// The reason why a secret, or the key, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key is not 32 bytes.
    #[error("the secret key in {0} is not 32 bytes in base64 or hex: a new one is made with `openssl rand -base64 32`")]
    BadKey(String),
    /// The store has secrets, and the key's file does not exist.
    #[error(
        "{0} is missing, and the store's secrets are sealed with the key in it: restore it from a copy, or give the key \
         in HOOKWRIGHT_SECRET_KEY. If it is lost, run `hookwright reset-secret-key`, and set every secret again"
    )]
    Missing(String),
    /// The store's secrets were sealed with another key.
    #[error(
        "the key in {0} is not the one that the store's secrets are sealed with: restore the right one from a copy. If \
         it is lost, run `hookwright reset-secret-key`, and set every secret again"
    )]
    Wrong(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others can read the key's file.
    #[error("{0} can be read by others: run `chmod 600 {0}`")]
    Exposed(String),
    /// The key's file cannot be read or created.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: String,
        /// The error.
        reason: String,
    },
    /// Sealed data cannot be opened.
    #[error("a sealed secret cannot be opened: it was sealed with another key, or is damaged")]
    Unsealable,
}

/// Seals and opens secrets.
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Uses the given key (32 bytes in base64 or hex), else the one in the file, which is created if it does not exist.
    pub fn open(file: &Path, given: Option<&str>) -> Result<Self, VaultError> {
        let key = match given {
            Some(text) => parse(text, VARIABLE)?,
            None => read_or_make(file)?,
        };
        Ok(Self { cipher: XChaCha20Poly1305::new(Key::from_slice(&key)) })
    }

    /// Seals a secret.
    pub fn seal(&self, plain: &[u8]) -> Result<String, VaultError> {
        Ok(format!("{PREFIX}{}", STANDARD.encode(self.seal_bytes(plain)?)))
    }

    /// Seals data that only the server itself may read.
    pub fn seal_bytes(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE] = rand::random();
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), plain).map_err(|_| VaultError::Unsealable)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// Opens data that [`Vault::seal_bytes`] sealed.
    pub fn open_bytes(&self, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(VaultError::Unsealable)?;
        self.cipher.decrypt(XNonce::from_slice(nonce), sealed).map_err(|_| VaultError::Unsealable)
    }

    /// Opens a string that [`Vault::seal`] sealed.
    pub fn open_sealed(&self, sealed: &str) -> Result<Vec<u8>, VaultError> {
        let text = sealed.strip_prefix(PREFIX).ok_or(VaultError::Unsealable)?;
        let bytes = STANDARD.decode(text).map_err(|_| VaultError::Unsealable)?;
        self.open_bytes(&bytes)
    }
}

fn parse(text: &str, origin: &str) -> Result<[u8; 32], VaultError> {
    let bad = || VaultError::BadKey(origin.to_owned());
    let text = text.trim();
    let bytes = if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.last()?).ok()).collect()
    } else {
        STANDARD.decode(text).map_err(|_| bad())?
    };
    bytes.try_into().map_err(|_| bad())
}

fn read_or_make(file: &Path) -> Result<[u8; 32], VaultError> {
    let path = file.display().to_string();
    let failed = |error: std::io::Error| VaultError::Io { path: path.clone(), reason: error.to_string() };
    match private(std::fs::OpenOptions::new().write(true).create_new(true)).open(file) {
        Ok(mut made) => {
            let key: [u8; 32] = rand::random();
            let written = made.write_all(STANDARD.encode(key).as_bytes()).and_then(|()| made.sync_all());
            if let Err(error) = written {
                // A partially written key would prevent the next start.
                let _ = std::fs::remove_file(file);
                return Err(failed(error));
            }
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut kept = std::fs::File::open(file).map_err(failed)?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                if kept.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
                    return Err(VaultError::Exposed(path));
                }
            }
            let mut text = String::new();
            kept.read_to_string(&mut text).map_err(failed)?;
            parse(&text, &path)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_data_opens_with_the_same_key_only() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("a.key"), None).unwrap();
        let sealed = vault.seal(b"whsec").unwrap();
        assert!(!sealed.contains("whsec"));
        assert_eq!(Vault::open(&dir.path().join("a.key"), None).unwrap().open_sealed(&sealed).unwrap(), b"whsec");
        let other = Vault::open(&dir.path().join("b.key"), None).unwrap();
        assert!(matches!(other.open_sealed(&sealed), Err(VaultError::Unsealable)));
        assert_ne!(vault.seal(b"whsec").unwrap(), sealed, "a nonce is never used twice");
    }

    #[test]
    fn a_key_can_be_given_in_hex_or_base64() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("unused");
        let hex = Vault::open(&file, Some(&"ab".repeat(32))).unwrap();
        let base64 = Vault::open(&file, Some(&STANDARD.encode([0xab; 32]))).unwrap();
        assert_eq!(base64.open_sealed(&hex.seal(b"x").unwrap()).unwrap(), b"x");
        assert!(matches!(Vault::open(&file, Some("short")), Err(VaultError::BadKey(origin)) if origin == VARIABLE));
        assert!(!file.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        Vault::open(&file, None).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Vault::open(&file, None).unwrap_err().to_string().contains("chmod 600"));
    }
}
