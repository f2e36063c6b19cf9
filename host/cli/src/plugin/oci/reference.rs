//! `oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]`.

use std::fmt;
use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

/// The prefix of a reference.
pub(crate) const SCHEME: &str = "oci://";

/// A repository in a registry, with a tag or digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    host: String,
    repository: String,
    which: TagOrDigest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TagOrDigest {
    Tag(String),
    Digest(String),
}

/// The digest of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Whether a string is a digest of a supported algorithm.
pub(crate) fn is_digest(text: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

impl Reference {
    /// Reads one, by the grammar of OCI Distribution 1.1, "Pulling manifests".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}`: {why}; write oci://HOST[:PORT]/REPOSITORY:TAG");
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("no scheme"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("no repository"))?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(wrong("no host"));
        }
        let (repository, which) = if let Some((repository, digest)) = path.split_once('@') {
            if !is_digest(digest) {
                return Err(wrong("the digest is not sha256: and 64 hexadecimal digits"));
            }
            (repository, TagOrDigest::Digest(digest.to_owned()))
        } else {
            let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
            let first = tag.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            let fits = tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            if !first || !fits || tag.len() > 128 {
                return Err(wrong("the tag is not 1 to 128 of letters, digits, _, . and -"));
            }
            (repository, TagOrDigest::Tag(tag.to_owned()))
        };
        if !repository.split('/').all(is_part) || repository.len() > 255 {
            return Err(wrong("the repository is not made of a-z, 0-9, ., _ and - between slashes"));
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), which })
    }

    /// `HOST[:PORT]`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The tag or the digest.
    pub(crate) fn which(&self) -> &str {
        let (TagOrDigest::Tag(text) | TagOrDigest::Digest(text)) = &self.which;
        text
    }

    /// The tag, unless it is named by its digest.
    pub(crate) fn tag(&self) -> Option<&str> {
        if let TagOrDigest::Tag(tag) = &self.which { Some(tag) } else { None }
    }

    /// The digest, if it is named by that.
    pub(crate) fn digest(&self) -> Option<&str> {
        if let TagOrDigest::Digest(digest) = &self.which { Some(digest) } else { None }
    }

    /// The last part of the repository's name: what a file of it is called.
    pub(crate) fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Where its registry is. Only one on this very machine is asked without TLS.
    pub(crate) fn base(&self) -> String {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here = name == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let scheme = if is_here { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}", self.host, self.repository)
    }
}

/// Whether a string may stand between slashes in a repository's name.
fn is_part(part: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(part.chars().next())
        && edge(part.chars().next_back())
        && part.chars().all(|c| edge(Some(c)) || "._-".contains(c))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.tag().is_some() { ':' } else { '@' };
        write!(f, "{SCHEME}{}/{}{separator}{}", self.host, self.repository, self.which())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_parsed() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, base, which, name) in [
            ("oci://ghcr.io/me/tag-urgent:1.0.0", "https://ghcr.io/v2/me/tag-urgent", "1.0.0", "tag-urgent"),
            ("oci://localhost:5000/a", "http://localhost:5000/v2/a", "latest", "a"),
            ("oci://127.0.0.1:5000/a/b_c:x", "http://127.0.0.1:5000/v2/a/b_c", "x", "b_c"),
            ("oci://[::1]:5000/a:x", "http://[::1]:5000/v2/a", "x", "a"),
            (&format!("oci://a.example/b@{digest}"), "https://a.example/v2/b", &digest, "b"),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.base().as_str(), reference.which(), reference.name()), (base, which, name), "{text}");
            assert!(reference.to_string().starts_with(text));
        }
        for text in [
            "",
            "ghcr.io/a:1",
            "oci://",
            "oci:///a",
            "oci://a.example",
            "oci://a.example/",
            "oci://a.example/A",
            "oci://a.example/../b",
            "oci://a.example/a//b",
            "oci://a.example/a:",
            "oci://a.example/a:b c",
            "oci://a.example/a@sha256:12",
            "oci://u@a.example/b",
            "oci://a.example/-b",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
