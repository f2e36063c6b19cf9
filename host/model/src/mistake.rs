//! Validation errors of input.

use std::fmt;

use serde::Serialize;

use crate::abridge::{abridged_message, abridged_path};

/// A validation error: where it is, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Its path, such as `then[0].with.id`. Empty for the whole input.
    pub path: String,
    /// What is wrong, with which value, and the remedy.
    pub message: String,
}

impl Mistake {
    /// A validation error at `path`. Its size does not grow with the input: a long path and a long message are
    /// abridged.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: abridged_path(path.into()), message: abridged_message(message.into()) }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// All validation errors at once, so that one correction is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Adds one.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Mistake::new(path, message));
    }

    /// Those of `fields` that are missing, each with its message.
    pub fn of_missing(fields: &[(&str, &str)], has: &dyn Fn(&str) -> bool) -> Self {
        let missing = fields.iter().filter(|(field, _)| !has(field));
        Self(missing.map(|(field, message)| Mistake::new(*field, *message)).collect())
    }

    /// Fails if there is a validation error.
    pub fn check(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
