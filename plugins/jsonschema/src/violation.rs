//! The violations of a value, with their paths: only the first ones.

use std::fmt;

use hookwright_sdk::shorten;
use serde_json::Value;

/// Maximum number of recorded violations.
const KEPT: usize = 5;

/// Bytes of a value that a message shows.
const SHOWN: usize = 100;

/// Where in the value we are: a path that grows without being written until it is needed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spot<'a> {
    Top,
    Name(&'a Spot<'a>, &'a str),
    Index(&'a Spot<'a>, usize),
}

impl fmt::Display for Spot<'_> {
    /// A JSON pointer (RFC 6901); the top is the empty string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Name(before, name) => {
                let name = shorten(name, SHOWN).replace('~', "~0").replace('/', "~1");
                write!(f, "{before}/{name}")
            }
            Self::Index(before, index) => write!(f, "{before}/{index}"),
        }
    }
}

/// The first violations.
#[derive(Debug)]
pub(crate) struct Report {
    told: Vec<String>,
    room: usize,
    more: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { told: Vec::new(), room: KEPT, more: false }
    }

    /// A report about alternatives, of which the first violation is told.
    pub(crate) fn inner(&self) -> Self {
        Self { told: Vec::new(), room: usize::from(self.room > self.told.len()), more: false }
    }

    /// A report that records nothing.
    pub(crate) fn silent(&self) -> Self {
        Self { told: Vec::new(), room: 0, more: false }
    }

    pub(crate) fn add(&mut self, at: &Spot<'_>, keyword: &str, message: &str) {
        self.add_with(at, keyword, || message.to_owned());
    }

    pub(crate) fn add_with(&mut self, at: &Spot<'_>, keyword: &str, message: impl FnOnce() -> String) {
        if self.told.len() >= self.room {
            self.more = true;
            return;
        }
        let place = match at {
            Spot::Top => "at the top".to_owned(),
            deeper => format!("at {deeper}"),
        };
        self.told.push(format!("{place}, {keyword}: {}", message()));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told.join("; "))?;
        if self.more && self.room > 1 { f.write_str("; and more") } else { Ok(()) }
    }
}

/// A value as it is shown to people.
pub(crate) fn brief(value: &Value) -> String {
    shorten(&value.to_string(), SHOWN)
}
