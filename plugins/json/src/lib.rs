//! Which JSON Hookwright accepts, decided in one place: the server, its plugins and the SDK read nothing that [`check`]
//! refuses, so accepted JSON is parsed in the same way everywhere.
//!
//! JSON is RFC 8259 with the bounds of I-JSON (RFC 7493): UTF-8, no name twice in one object, no half of a surrogate pair,
//! and no number that double precision cannot hold as anything but infinity or zero. Precision is not bounded by it: a
//! number keeps the digits that it was written with. Depth and the length of a number are bounded too.
//!
//! | refused | because readers |
//! |---|---|
//! | `{"a": 1, "a": 2}` | take the first, or the last |
//! | `"\ud83d"` | replace it, or fail |
//! | `1e400`, `1e-400` | take it for infinity, zero or null, or fail |
//! | more than [`MAX_DEPTH`] levels | run out of stack |

mod decimal;
mod scan;
mod strict;
mod words;

use std::fmt;

pub use decimal::{Decimal, same_number};
pub use scan::check;
pub use strict::{MISCHOSEN, Strict};
pub use words::plain;

/// How deeply objects and arrays may nest.
pub const MAX_DEPTH: usize = 128;

/// How many characters a number may be written with.
pub const MAX_NUMBER: usize = 1000;

/// Why a text is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which rule it breaks.
    pub rule: Rule,
    /// The path to what breaks it, such as `items[0].name`; empty for the whole.
    pub path: String,
    /// Where in the text, in bytes from its beginning.
    pub at: usize,
    /// What is wrong, with which value, and the remedy.
    pub message: String,
}

/// A rule that a JSON text can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is UTF-8.
    Utf8,
    /// It is one JSON value (RFC 8259).
    Syntax,
    /// It nests at most [`MAX_DEPTH`] levels deep.
    Depth,
    /// No name is repeated in one object.
    Duplicate,
    /// Surrogates are in pairs.
    Surrogate,
    /// Numbers are within double precision, and no longer than [`MAX_NUMBER`] characters.
    Number,
    /// No name is one of those that the JSON library takes for its own.
    Reserved,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for Refused {}

/// The text without the byte order mark that some programs put before it (RFC 8259, section 8.1: it may be ignored).
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}
