//! Keys, and signatures of components: ed25519 (RFC 8032) over the text that names the component's digest.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use ed25519_dalek::{Signer as _, SigningKey};
use hookwright_plugin::signed_text;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

use super::artifact::{Artifact, signature_path};
use crate::failed::{Done, Failed, at, problem};
use crate::screen;

#[derive(Args)]
pub(crate) struct Sign {
    /// The component; the signature goes to FILE.sig
    file: PathBuf,
    /// The file with the private key, from `hookwright plugin keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Args)]
pub(crate) struct Keygen {
    /// The file for the private key, which must not exist yet
    #[arg(long, short, default_value = "hookwright-signing.key", value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(sign: &Sign) -> Done {
    let artifact = Artifact::read(&sign.file)?;
    let signature = signature(&artifact.bytes, &sign.key)?;
    let path = signature_path(&sign.file);
    std::fs::write(&path, format!("{signature}\n")).map_err(|error| at(&path, &error))?;
    screen::line(path.display());
    Ok(ExitCode::SUCCESS)
}

/// The signature of a component, in base64.
pub(crate) fn signature(component: &[u8], key: &Path) -> Result<String, Failed> {
    let text = std::fs::read_to_string(key).map_err(|error| at(key, &error))?;
    let seed = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let Some(seed) = seed else {
        let message = format!(
            "{} does not contain a private key (32 bytes in base64): create one with `hookwright plugin keygen`",
            key.display()
        );
        return Err(problem("key.unusable", message));
    };
    let digest = hex::encode(Sha256::digest(component));
    Ok(STANDARD.encode(SigningKey::from_bytes(&seed).sign(signed_text(&digest).as_bytes()).to_bytes()))
}

pub(crate) fn keygen(keygen: &Keygen) -> Done {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let key = SigningKey::from_bytes(&seed);
    let path = &keygen.output;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(|error| at(path, &error))?;
    writeln!(file, "{}", STANDARD.encode(seed)).map_err(|error| at(path, &error))?;
    screen::note(format_args!(
        "The private key is in {}. Keep it secret. The server trusts the public key by a name of your choice, as in \
         HOOKWRIGHT_PLUGIN_KEYS=release=KEY:",
        path.display()
    ));
    screen::line(STANDARD.encode(key.verifying_key().as_bytes()));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use hookwright_plugin::Trust;

    use super::*;

    #[test]
    fn a_signature_is_accepted_by_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        keygen(&Keygen { output: path.clone() }).unwrap();
        assert!(keygen(&Keygen { output: path.clone() }).is_err(), "a key is never overwritten");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let seed: [u8; 32] =
            STANDARD.decode(std::fs::read_to_string(&path).unwrap().trim()).unwrap().try_into().unwrap();
        let public = STANDARD.encode(SigningKey::from_bytes(&seed).verifying_key().as_bytes());
        let trust = Trust::new([("me", public.as_str())], true).unwrap();
        let digest = hex::encode(Sha256::digest(b"component"));
        let signature = signature(b"component", &path).unwrap();
        assert_eq!(trust.check(&digest, &[signature]).unwrap(), ["me"]);
        std::fs::write(&path, "short").unwrap();
        assert!(super::signature(b"x", &path).unwrap_err().to_string().contains("keygen"));
    }
}
