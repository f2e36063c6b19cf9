//! Errors of keys and signatures. No message contains a secret or a part of one.

/// The maximum number of keys that are valid at a time.
pub(crate) const MAX_KEYS: usize = 8;

/// The reason why a key is not available, or a message cannot be signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The policy does not sign.
    #[error("the signing policy `none` has no key: choose another policy, or leave the key out")]
    Unkeyed,
    /// The imported text is not a valid secret for this policy.
    #[error("the secret {0}")]
    Secret(String),
    /// The imported text is not a valid private key for this policy.
    #[error("the private key {0}")]
    PrivateKey(String),
    /// A key could not be generated.
    #[error("a key could not be made ({0}): try again")]
    Generation(&'static str),
    /// A signer without keys.
    #[error("the signing policy `{0}` needs a key: make or import one")]
    NoKey(&'static str),
    /// A signer with too many keys.
    #[error("{0} keys are valid at a time: at most {most}, end a rotation first", most = MAX_KEYS)]
    TooManyKeys(usize),
    /// A stored key does not belong to this policy.
    #[error("the key `{id}` does not belong to the signing policy `{kind}`: rotate the keys")]
    Stored {
        /// The key's id.
        id: String,
        /// The policy's kind.
        kind: &'static str,
    },
    /// A value is not valid in a header field.
    #[error("{name} `{value}` is not valid in a header field: use 1 to 256 characters of printable ASCII")]
    Header {
        /// The name of the value.
        name: &'static str,
        /// Its first characters.
        value: String,
    },
    /// The URL is invalid.
    #[error("the URL cannot be signed: {0}")]
    Url(String),
    /// A covered component is missing.
    #[error(
        "the message has no header field `{0}`, which its signature is to cover: set it, or take it out of `components`"
    )]
    MissingField(String),
    /// A covered header field cannot be signed.
    #[error(
        "the header field `{0}` has a value that is not printable ASCII: change it, or take it out of `components`"
    )]
    FieldValue(String),
    /// The body is not UTF-8.
    #[error("the body is not UTF-8, and the signing policy `{0}` carries it as text: choose another policy")]
    NotText(&'static str),
    /// A required part of the Amazon SNS envelope is missing.
    #[error("the envelope has no {0}: give one")]
    Envelope(&'static str),
    /// The library failed to sign.
    #[error("the key `{0}` could not sign: rotate the keys")]
    Failed(String),
}
