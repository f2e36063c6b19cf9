//! Digests, and codes keyed by secrets that the plugin can name but not see.

use hmac::{Hmac, Mac as _};
use hookwright_model::Failure;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use wasmtime::component::HasSelf;

use super::{Capability, EVERY_KIND, Host, Link, shown};
use crate::state::State;
use crate::v0_1_0::{crypto, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "crypto",
    kinds: EVERY_KIND,
    links: &[Link {
        version: "0.1.0",
        add: |linker| crypto::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl crypto::Host for State {
    fn digest(&mut self, algorithm: String, data: Vec<u8>) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        Ok(digest(&algorithm, &data).map_err(Into::into))
    }

    fn hmac(&mut self, algorithm: String, secret: String, data: Vec<u8>) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        Ok(self.secret(&secret).and_then(|key| hmac(&algorithm, key, &data)).map_err(Into::into))
    }

    fn verify_hmac(
        &mut self,
        algorithm: String,
        secret: String,
        data: Vec<u8>,
        code: Vec<u8>,
    ) -> Host<(), types::Failure> {
        self.host_call()?;
        let verified = self.secret(&secret).and_then(|key| hmac(&algorithm, key, &data)).and_then(|right| {
            if bool::from(right.ct_eq(&code)) {
                Ok(())
            } else {
                let message = format!("the code does not fit the data and the secret `{}`", shown(&secret));
                Err(Failure::permanent("signature.wrong", message))
            }
        });
        Ok(verified.map_err(Into::into))
    }
}

impl State {
    fn secret(&self, name: &str) -> Result<&[u8], Failure> {
        self.call.secrets.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.call.secrets.names().collect();
            let there =
                if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
            Failure::permanent(
                "secret.unknown",
                format!("there is no secret `{}` here ({there}): set it first", shown(name)),
            )
        })
    }
}

fn unknown(algorithm: &str) -> Failure {
    let message = format!("`{}` is no algorithm here: use sha1, sha256 or sha512", shown(algorithm));
    Failure::permanent("algorithm.unknown", message)
}

fn digest(algorithm: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
    match algorithm {
        "sha1" => Ok(Sha1::digest(data).to_vec()),
        "sha256" => Ok(Sha256::digest(data).to_vec()),
        "sha512" => Ok(Sha512::digest(data).to_vec()),
        _ => Err(unknown(algorithm)),
    }
}

fn hmac(algorithm: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Failure> {
    // RFC 2104 takes keys of any length, so the error never happens.
    let length = |_| Failure::permanent("secret.unusable", "the secret cannot key a code");
    match algorithm {
        "sha1" => {
            Ok(Hmac::<Sha1>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        "sha256" => {
            Ok(Hmac::<Sha256>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        "sha512" => {
            Ok(Hmac::<Sha512>::new_from_slice(key).map_err(length)?.chain_update(data).finalize().into_bytes().to_vec())
        }
        _ => Err(unknown(algorithm)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 test case 2, RFC 2202 test case 2, FIPS 180 examples.
    #[test]
    fn codes_and_digests_are_those_of_the_standards() {
        let data = b"what do ya want for nothing?";
        for (algorithm, code) in [
            ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                "sha512",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(hex::encode(hmac(algorithm, b"Jefe", data).unwrap()), code);
        }
        assert_eq!(hex::encode(digest("sha1", b"abc").unwrap()), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest("sha512", b"").unwrap().len(), 64);
        assert_eq!(digest("md5", b"").unwrap_err().code, "algorithm.unknown");
    }
}
