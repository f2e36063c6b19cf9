//! How callers name a version of a plugin.

use std::fmt;

use crate::{PluginRecord, PluginVersion, abridged};

/// The minimum number of digits of a digest that identify a version.
const SHORTEST_PREFIX: usize = 6;
/// Number of digits of a digest in messages.
const SHOWN: usize = 12;

/// Why a name does not identify one version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionNotFound {
    /// No version has this number, or a digest with this prefix.
    #[error("there is no version `{named}` of `{plugin}`; there are: {}", .known.join(", "))]
    Unknown {
        /// The plugin.
        plugin: String,
        /// The name from the caller.
        named: String,
        /// The available versions.
        known: Vec<String>,
    },
    /// Several versions have a digest with this prefix.
    #[error("several digests of versions of `{plugin}` begin with `{named}`; give more digits: {}", .known.join(", "))]
    Ambiguous {
        /// The plugin.
        plugin: String,
        /// The name from the caller.
        named: String,
        /// The digests with this prefix.
        known: Vec<String>,
    },
}

impl VersionNotFound {
    /// The error's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "plugin.version_unknown",
            Self::Ambiguous { .. } => "plugin.version_ambiguous",
        }
    }
}

/// Its number, with the beginning of its digest.
impl fmt::Display for PluginVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dev = if self.dev { ", dev" } else { "" };
        write!(f, "{} ({}{dev})", self.version, self.digest.get(..SHOWN).unwrap_or(&self.digest))
    }
}

impl PluginRecord {
    /// The retained version that a name identifies: the newest release with this number, else the version whose digest
    /// has this prefix, else the newest development version with this number. Development versions are pushed under any
    /// number, so they never take precedence over a release.
    ///
    /// # Errors
    /// The name identifies no version, or several.
    pub fn find(&self, named: &str) -> Result<&PluginVersion, VersionNotFound> {
        let numbered = |dev| self.versions.iter().rev().find(|known| known.version == named && known.dev == dev);
        if let Some(release) = numbered(false) {
            return Ok(release);
        }
        match self.find_digest(named) {
            Err(unknown @ VersionNotFound::Unknown { .. }) => numbered(true).ok_or(unknown),
            found => found,
        }
    }

    /// The retained version whose digest begins with `prefix`, which has six digits or more.
    ///
    /// # Errors
    /// No digest has this prefix, or several do.
    pub fn find_digest(&self, prefix: &str) -> Result<&PluginVersion, VersionNotFound> {
        let newest_first = self.versions.iter().rev();
        let fits = |known: &&PluginVersion| prefix.len() >= SHORTEST_PREFIX && known.digest.starts_with(prefix);
        let fitting: Vec<&PluginVersion> = newest_first.clone().filter(fits).collect();
        let (plugin, named) = (self.name.clone(), abridged(prefix));
        match fitting.as_slice() {
            [found] => Ok(*found),
            [] => {
                let known = newest_first.map(ToString::to_string).collect();
                Err(VersionNotFound::Unknown { plugin, named, known })
            }
            several => {
                let known = several.iter().map(|version| version.digest.clone()).collect();
                Err(VersionNotFound::Ambiguous { plugin, named, known })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{record as empty, version};

    fn record() -> PluginRecord {
        PluginRecord {
            versions: vec![
                version("1.0.0", "abcdef0111111111", false),
                version("1.1.0", "abcdef0222222222", false),
                version("1.1.0", "3333333333333333", true),
                version("1.2.0", "4444444444444444", true),
                version("1.2.0", "5555555555555555", true),
            ],
            ..empty()
        }
    }

    #[test]
    fn a_version_is_named_by_its_number_or_by_the_beginning_of_its_digest() {
        for (named, digest) in [
            ("1.0.0", "abcdef0111111111"),
            // A development version with the number of a release is identified by its digest.
            ("1.1.0", "abcdef0222222222"),
            ("333333", "3333333333333333"),
            ("1.2.0", "5555555555555555"),
            ("abcdef01", "abcdef0111111111"),
            ("abcdef0222222222", "abcdef0222222222"),
        ] {
            assert_eq!(record().find(named).map(|found| found.digest.as_str()), Ok(digest), "{named}");
        }
        assert_eq!(record().find_digest("444444").map(|found| found.version.as_str()), Ok("1.2.0"));
    }

    #[test]
    fn a_name_that_no_version_has_is_refused_with_those_that_there_are() {
        for named in ["9.9.9", "33333", "", "abcdef03", "ABCDEF01"] {
            let error = record().find(named).unwrap_err();
            assert_eq!(error.code(), "plugin.version_unknown", "{named}");
            let text = error.to_string();
            assert!(text.contains("1.2.0 (555555555555, dev), 1.2.0 (444444444444, dev), 1.1.0 (3333"), "{text}");
        }
        assert_eq!(record().find_digest("1.0.0").unwrap_err().code(), "plugin.version_unknown");
    }

    #[test]
    fn the_beginning_of_several_digests_names_none_of_them() {
        for error in [record().find("abcdef0").unwrap_err(), record().find_digest("abcdef").unwrap_err()] {
            assert_eq!(error.code(), "plugin.version_ambiguous");
            let text = error.to_string();
            assert!(text.contains("abcdef0222222222, abcdef0111111111"), "{text}");
        }
    }
}
