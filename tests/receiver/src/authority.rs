//! Certificates for a test: an authority, and what it vouches for.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Now,
    /// Until an hour ago.
    Past,
    /// From in an hour on.
    Future,
}

impl Authority {
    /// A new authority with a name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A server's certificate for a name or an address.
    pub fn server(&self, name: &str, validity: Validity) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = params(name, validity, ExtendedKeyUsagePurpose::ServerAuth);
        Identity::of(&params.signed_by(&key, &self.0).unwrap(), &key)
    }

    /// A client's certificate.
    pub fn client(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = params(name, Validity::Now, ExtendedKeyUsagePurpose::ClientAuth);
        Identity::of(&params.signed_by(&key, &self.0).unwrap(), &key)
    }
}

impl Identity {
    /// A server's certificate that vouches for itself.
    pub fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = params(name, Validity::Now, ExtendedKeyUsagePurpose::ServerAuth);
        Self::of(&params.self_signed(&key).unwrap(), &key)
    }

    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn params(name: &str, validity: Validity, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let now = OffsetDateTime::now_utc();
    let hour = Duration::hours(1);
    (params.not_before, params.not_after) = match validity {
        Validity::Now => (now - hour, now + hour * 24),
        Validity::Past => (now - hour * 2, now - hour),
        Validity::Future => (now + hour, now + hour * 2),
    };
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    params
}
