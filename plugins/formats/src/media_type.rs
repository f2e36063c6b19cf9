//! Media types and other header values of the same form: a word, then parameters (RFC 9110, sections 5.6.6 and 8.3.1).

/// A value with parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaType {
    /// In lower case.
    pub name: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a value; what makes no sense in it is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let end = text.find(';').unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let mut parameters = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start();
            let name_end = after.find(['=', ';']).unwrap_or(after.len());
            let (name, after_name) = after.split_at(name_end);
            let (value, after_value) = match after_name.strip_prefix('=').map(str::trim_start) {
                None => (String::new(), after_name),
                Some(value) => match value.strip_prefix('"') {
                    Some(quoted) => unquoted(quoted),
                    None => {
                        let (value, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
                        (value.trim_end().to_owned(), rest)
                    }
                },
            };
            parameters.push((name.trim().to_ascii_lowercase(), value));
            rest = after_value.find(';').and_then(|at| after_value.get(at..)).unwrap_or_default();
        }
        Self { name: name.trim().to_ascii_lowercase(), parameters }
    }

    /// The first parameter of a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A quoted text up to its closing quote, and what comes after it. A backslash stands for itself, unless a quote or
/// another one follows: some senders write paths into it.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.as_str().chars().next() {
                Some(escaped @ ('"' | '\\')) => {
                    value.push(escaped);
                    characters.next();
                }
                _ => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_a_name_and_parameters() {
        for (text, name, parameter, value) in [
            ("Text/Plain", "text/plain", "charset", None),
            ("text/plain;charset=utf-8", "text/plain", "charset", Some("utf-8")),
            ("text/plain ; Charset = \"utf-8\" ; x=1", "text/plain", "charset", Some("utf-8")),
            ("multipart/form-data; boundary=--a=b", "multipart/form-data", "boundary", Some("--a=b")),
            (r#"form-data; name="a;b\"c\d"; filename=x"#, "form-data", "name", Some(r#"a;b"c\d"#)),
            (r#"form-data; name="a;b"; filename=x"#, "form-data", "filename", Some("x")),
            (r#"form-data; name="open"#, "form-data", "name", Some("open")),
            ("form-data; name", "form-data", "name", Some("")),
            ("", "", "name", None),
            (";;;", "", "x", None),
        ] {
            let read = MediaType::read(text);
            assert_eq!((read.name.as_str(), read.parameter(parameter)), (name, value), "{text}");
        }
    }
}
