use std::fmt;

use serde::de::DeserializeOwned;

use crate::event::json_depth;

/// How deeply objects and arrays may nest in anything that comes in.
pub const MAX_DEPTH: usize = 128;

/// One thing wrong with what somebody sent: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The path to it, such as `then[0].with.id`; empty for the whole.
    pub path: String,
    /// What is wrong, with which value, and the remedy.
    pub message: String,
}

impl Mistake {
    /// A mistake at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Everything found wrong at once, so that one correction is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// Notes one more.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Mistake::new(path, message));
    }

    /// Fails if there is a mistake.
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

/// Reads JSON into `T`; the mistake names the path to what does not fit.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Mistake> {
    if json_depth(bytes) > MAX_DEPTH {
        return Err(Mistake::new("", format!("nested more than {MAX_DEPTH} levels deep: flatten it")));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        Mistake::new(if path == "." { String::new() } else { path }, error.inner().to_string())
    })?;
    reader.end().map_err(|error| Mistake::new("", format!("something follows the JSON value: {error}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        count: u32,
    }

    #[test]
    fn a_mistake_names_the_path() {
        for (text, path, part) in [
            (r#"{"inner":[{"count":1},{"count":"x"}]}"#, "inner[1].count", "expected u32"),
            (r#"{"inner":[],"extra":1}"#, "extra", "unknown field"),
            (r#"{"inner":[]} x"#, "", "follows"),
            ("{\"inner\":", "inner", "EOF"),
        ] {
            let mistake = parse_json::<Outer>(text.as_bytes()).unwrap_err();
            assert_eq!(mistake.path, path, "{mistake}");
            assert!(mistake.message.contains(part), "{mistake}");
        }
        let deep = "[".repeat(10_000);
        assert!(parse_json::<Outer>(deep.as_bytes()).unwrap_err().message.contains("128 levels"));
    }
}
