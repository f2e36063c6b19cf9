//! Texts with gaps: `*` stands for any characters, also none.

/// A wildcard: what must stand between the gaps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wildcard {
    /// The first part begins the text and the last one ends it; there is a gap between each two.
    parts: Vec<String>,
}

impl Wildcard {
    /// Reads a wildcard.
    ///
    /// # Errors
    /// A backslash that escapes neither `*` nor a backslash, or two gaps beside each other.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '*' if characters.peek() == Some(&'*') => {
                    return Err("has two `*` beside each other: write one, or `\\*` for the character".into());
                }
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => part.push(escaped),
                    _ => {
                        return Err(
                            "has a `\\` that escapes neither `*` nor `\\`: write `\\\\` for the character".into()
                        );
                    }
                },
                other => part.push(other),
            }
        }
        parts.push(part);
        Ok(Self { parts })
    }

    /// Whether the whole text has this shape.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some((last, between)) = rest.split_last() else { return text == first };
        let Some(mut open) = text.strip_prefix(first.as_str()).and_then(|text| text.strip_suffix(last.as_str())) else {
            return false;
        };
        // The leftmost place of each part leaves the most room to the later ones.
        for part in between {
            let Some(at) = open.find(part.as_str()) else { return false };
            open = open.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_matches_any_characters() {
        for (wildcard, text, expected) in [
            ("*", "", true),
            ("*", "anything", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("a*a", "a", false),
            ("ab*ba", "aba", false),
            ("*.png", "dir/x.png", true),
            ("*.png", "x.PNG", false),
            ("dir/*/*.png", "dir/a/b.png", true),
            ("dir/*/*.png", "dir/b.png", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab b", false),
            (r"\**", "*x", true),
            (r"\**", "xx", false),
            (r"a\\*", r"a\b", true),
            ("ü*ß", "üäß", true),
            ("plain", "plain", true),
            ("plain", "plain!", false),
            ("", "", true),
        ] {
            assert_eq!(Wildcard::read(wildcard).unwrap().takes(text), expected, "{wildcard} {text}");
        }
    }

    #[test]
    fn an_ambiguous_wildcard_is_refused() {
        for (wildcard, said) in [("a**b", "two `*`"), (r"a\b", "escapes neither"), (r"a\", "escapes neither")] {
            assert!(Wildcard::read(wildcard).unwrap_err().contains(said), "{wildcard}");
        }
    }
}
