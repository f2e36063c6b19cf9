//! XML (XML 1.0) becoming JSON.
//!
//! | in the document | in the JSON |
//! |---|---|
//! | the root element | the only member of the object |
//! | an element with text alone | a string; an empty one is `""` |
//! | an element with attributes or elements | an object |
//! | an attribute `name` | its member `@name` |
//! | text beside attributes or elements | its member `#text`, all of it joined |
//! | an element that is repeated, or that `arrays` names | a list |
//! | a namespace's prefix, and `xmlns` | as written |
//! | comments, processing instructions | nothing |
//!
//! Values are strings: what looks like a number stays as it was written. Document types are refused, so that no entity is
//! ever expanded or fetched; the five predefined ones and character references are known. The document must be UTF-8.

mod document;
mod place;
mod tree;

use hookwright_sdk::shorten;

pub use document::read;

/// How a document is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Elements that are always lists.
    pub arrays: Vec<String>,
    /// Whether whitespace around an element's text is removed.
    pub trim: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { arrays: Vec::new(), trim: true }
    }
}

/// Whether an encoding's name is UTF-8's, or that of a part of it.
#[must_use]
pub fn is_utf_8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// What is told of a document in another encoding, to follow what it is.
#[must_use]
pub fn encoding_problem(name: &str) -> String {
    format!("is declared as {}, and only UTF-8 is read: have the sender encode it as UTF-8", shorten(name, 60))
}
