//! Everything that can go wrong with keys and signatures. No message shows a secret or a part of one.

/// Why a key cannot be had, or a message cannot be signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The policy signs nothing.
    #[error("the signing policy `none` has no key: choose another policy, or leave the key out")]
    Unkeyed,
    /// What was to be imported is no secret of this policy.
    #[error("the secret {0}")]
    Secret(String),
    /// What was to be imported is no private key of this policy.
    #[error("the private key {0}")]
    PrivateKey(String),
    /// A key could not be made.
    #[error("a key could not be made ({0}): try again")]
    Generation(&'static str),
    /// A signer without keys.
    #[error("the signing policy `{0}` needs a key: make or import one")]
    NoKey(&'static str),
    /// A signer with too many keys.
    #[error("{0} keys are valid at a time: at most {most}, end a rotation first", most = crate::signer::MOST_KEYS)]
    TooManyKeys(usize),
    /// A stored key is none of this policy.
    #[error("the key `{id}` is none of the signing policy `{kind}`: rotate the keys")]
    Stored {
        /// The key's id.
        id: String,
        /// The policy's kind.
        kind: &'static str,
    },
    /// A value cannot stand in a header field.
    #[error("{name} `{value}` cannot stand in a header field: use 1 to 256 characters of printable ASCII")]
    Header {
        /// What it is.
        name: &'static str,
        /// Its first characters.
        value: String,
    },
    /// The URL is none.
    #[error("the URL cannot be signed: {0}")]
    Url(String),
    /// A component that is to be covered is not there.
    #[error(
        "the message has no header field `{0}`, which its signature is to cover: set it, or take it out of `components`"
    )]
    MissingField(String),
    /// A header field that is to be covered cannot be signed.
    #[error(
        "the header field `{0}` has a value that is not printable ASCII: change it, or take it out of `components`"
    )]
    FieldValue(String),
    /// The body is no text.
    #[error("the body is not UTF-8, and the signing policy `{0}` carries it as text: choose another policy")]
    NotText(&'static str),
    /// What Amazon SNS' envelope needs was not given.
    #[error("the envelope has no {0}: give one")]
    Envelope(&'static str),
    /// The library refused.
    #[error("the key `{0}` could not sign: rotate the keys")]
    Failed(String),
}
