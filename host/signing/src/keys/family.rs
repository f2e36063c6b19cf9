//! The algorithms of policies, and the family of keys of each.

use hookwright_model::{HmacAlgorithm, JwtAlgorithm, MessageAlgorithm, SigningPolicy, SnsVersion};

/// Keys that are parsed and generated in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// A shared secret.
    Secret,
    /// A pair on edwards25519 (RFC 8032).
    Ed25519,
    /// A pair on P-256 (FIPS 186).
    P256,
    /// A pair on P-384.
    P384,
    /// A pair on P-521.
    P521,
    /// An RSA pair of 2048 to 4096 bits (RFC 8017).
    Rsa,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    Ed25519,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    RsaSha1,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    RsaPssSha512,
}

impl Algorithm {
    /// The algorithm of a policy; `None` for the policy `none`.
    pub(crate) fn of(policy: &SigningPolicy) -> Option<Self> {
        Some(match policy {
            SigningPolicy::None {} => return None,
            SigningPolicy::Standard {} | SigningPolicy::Github(_) | SigningPolicy::Stripe {} => Self::HmacSha256,
            SigningPolicy::StandardAsymmetric {} => Self::Ed25519,
            SigningPolicy::Jwt(policy) => policy.algorithm.into(),
            SigningPolicy::Sns(policy) => match policy.signature_version {
                SnsVersion::V1 => Self::RsaSha1,
                SnsVersion::V2 => Self::RsaSha256,
            },
            SigningPolicy::HttpMessageSignatures(policy) => policy.algorithm.into(),
            SigningPolicy::Hmac(policy) => match policy.algorithm {
                HmacAlgorithm::Sha1 => Self::HmacSha1,
                HmacAlgorithm::Sha256 => Self::HmacSha256,
                HmacAlgorithm::Sha512 => Self::HmacSha512,
            },
        })
    }

    /// The family of its keys.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512 => Family::Secret,
            Self::Ed25519 => Family::Ed25519,
            Self::EcdsaP256 => Family::P256,
            Self::EcdsaP384 => Family::P384,
            Self::EcdsaP521 => Family::P521,
            Self::RsaSha1 | Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512 | Self::RsaPssSha512 => Family::Rsa,
        }
    }
}

impl From<JwtAlgorithm> for Algorithm {
    fn from(algorithm: JwtAlgorithm) -> Self {
        match algorithm {
            JwtAlgorithm::RS256 => Self::RsaSha256,
            JwtAlgorithm::RS384 => Self::RsaSha384,
            JwtAlgorithm::RS512 => Self::RsaSha512,
            JwtAlgorithm::ES256 => Self::EcdsaP256,
            JwtAlgorithm::ES384 => Self::EcdsaP384,
            JwtAlgorithm::ES512 => Self::EcdsaP521,
            JwtAlgorithm::HS256 => Self::HmacSha256,
            JwtAlgorithm::HS384 => Self::HmacSha384,
            JwtAlgorithm::HS512 => Self::HmacSha512,
            JwtAlgorithm::EdDsa => Self::Ed25519,
        }
    }
}

impl From<MessageAlgorithm> for Algorithm {
    fn from(algorithm: MessageAlgorithm) -> Self {
        match algorithm {
            MessageAlgorithm::Ed25519 => Self::Ed25519,
            MessageAlgorithm::HmacSha256 => Self::HmacSha256,
            MessageAlgorithm::EcdsaP256Sha256 => Self::EcdsaP256,
            MessageAlgorithm::EcdsaP384Sha384 => Self::EcdsaP384,
            MessageAlgorithm::RsaPssSha512 => Self::RsaPssSha512,
            MessageAlgorithm::RsaV15Sha256 => Self::RsaSha256,
        }
    }
}
