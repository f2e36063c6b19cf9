//! The certificate from which receivers of Amazon SNS messages take the public key.

use std::str::FromStr as _;
use std::time::Duration;

use ed25519_dalek::pkcs8::spki::der::EncodePem as _;
use ed25519_dalek::pkcs8::spki::der::asn1::GeneralizedTime;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use rand_core::{OsRng, RngCore as _};
use sha2::Sha256;
use x509_cert::builder::{Builder as _, CertificateBuilder, Profile};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};

use crate::error::SigningError;

/// Subject and issuer.
const NAME: &str = "CN=hookwright";
/// The start of its validity, in seconds since the epoch: 2025-01-01. It never expires (RFC 5280 section 4.1.2.5): the
/// key is trusted because of the certificate's URL, and revoked by removing the certificate from there.
const FROM: u64 = 1_735_689_600;

/// A certificate in PEM for the key, signed by the key.
pub(super) fn self_signed(key: &rsa::RsaPrivateKey) -> Result<String, SigningError> {
    const FAILED: SigningError = SigningError::Generation("certificate");
    let mut serial = [0_u8; 16];
    OsRng.try_fill_bytes(&mut serial).map_err(|_| SigningError::Generation("no randomness"))?;
    let from = GeneralizedTime::from_unix_duration(Duration::from_secs(FROM)).map_err(|_| FAILED)?;
    let validity = Validity { not_before: Time::from(from), not_after: Time::INFINITY };
    let public = SubjectPublicKeyInfoOwned::from_key(key.to_public_key()).map_err(|_| FAILED)?;
    let signer = rsa::pkcs1v15::SigningKey::<Sha256>::new(key.clone());
    let name = Name::from_str(NAME).map_err(|_| FAILED)?;
    // Key usage for signatures: some verifiers refuse a certificate without it.
    let profile = Profile::Leaf { issuer: name.clone(), enable_key_agreement: false, enable_key_encipherment: false };
    let certificate = CertificateBuilder::new(
        profile,
        SerialNumber::new(&serial).map_err(|_| FAILED)?,
        validity,
        name,
        public,
        &signer,
    )
    .and_then(|builder| builder.build::<rsa::pkcs1v15::Signature>())
    .map_err(|_| FAILED)?;
    certificate.to_pem(LineEnding::LF).map_err(|_| FAILED)
}
