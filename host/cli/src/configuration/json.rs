//! JSON files, parsed as strictly as by the server: JSON that parsers disagree about is rejected.

use std::collections::BTreeMap;

use hookwright_model::json;
use serde_json::Value;

use super::yaml::{self, Document, Unreadable};

/// Reads a JSON file.
pub(super) fn read(text: &str) -> Result<Document, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = json::check(text.as_bytes()).map_err(|refused| {
        let line = text.get(..refused.at).unwrap_or_default().matches('\n').count().saturating_add(1);
        let place = if refused.path.is_empty() { "it".to_owned() } else { format!("`{}`", refused.path) };
        Unreadable { line, message: format!("{place} {}", refused.message) }
    })?;
    let value = serde_json::from_str(text)
        .map_err(|error| Unreadable { line: error.line(), message: json::plain(&error.to_string()) })?;
    let lines = lines_of(text, &value);
    Ok(Document { value, lines })
}

/// The document of a file that is called YAML and is JSON, which is YAML too, as an export has it where YAML's own notation
/// could not say the same.
pub(super) fn within_yaml(text: &str) -> Option<Document> {
    let begins = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
    if begins { read(text).ok() } else { None }
}

/// The lines of a JSON text, which is YAML too unless it is written in an unusual way: then they are not known.
fn lines_of(text: &str, value: &Value) -> BTreeMap<String, usize> {
    let documents = yaml::read(text).unwrap_or_default();
    let same = documents.into_iter().next().filter(|document| document.value == *value);
    same.map(|document| document.lines).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_json_is_rejected_with_its_line() {
        for (text, line, part) in [
            (
                "{\"keys\": [\n  {\"name\": \"dd\", \"role\": \"viewer\",\n   \"role\": \"admin\"}]}",
                3,
                "`keys[0].role` is given twice",
            ),
            ("{\"keys\": [{}],\n \"keys\": []}", 2, "`keys` is given twice"),
            ("{\"keys\": [\n", 2, ""),
            ("{\"keys\": 1e400}", 1, "`keys` "),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.line == line && error.message.contains(part), "{text}: {error:?}");
        }
        let read = read("\u{feff}{\"keys\": [],\n\"sources\": [1.50]}").unwrap();
        assert_eq!(read.value.to_string(), "{\"keys\":[],\"sources\":[1.50]}");
        assert_eq!(read.lines.get("sources"), Some(&2));
    }

    #[test]
    fn json_in_yaml_files_is_detected() {
        assert_eq!(within_yaml("\n {\"a\": -0}\n").unwrap().value.to_string(), "{\"a\":-0}");
        for text in ["{a: 1}", "a: {}", "{\"a\": 1}\n---\n{\"a\": 2}\n", "{\"a\": 1, \"a\": 2}"] {
            assert!(within_yaml(text).is_none(), "{text}");
        }
    }
}
