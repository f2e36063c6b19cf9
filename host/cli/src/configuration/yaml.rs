//! YAML as JSON values, with the lines on which they stand; and JSON values as YAML.

use std::collections::BTreeMap;

use hookwright_model::{abridged, json};
use saphyr::{
    LoadableYamlNode as _, MarkedYaml, Marker, Scalar, ScalarStyle, Yaml, YamlData, YamlEmitter, parse_core_schema_fp,
};
use serde_json::{Map, Number, Value};

/// A document of a file.
pub(super) struct Document {
    pub(super) value: Value,
    /// The line of each value by its path, such as `automations[0].then[1].with`.
    pub(super) lines: BTreeMap<String, usize>,
}

/// A parse error and its line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) message: String,
}

/// The maximum nesting depth of values.
const MAX_DEPTH: usize = 100;

/// Reads every document of a file.
pub(super) fn read(text: &str) -> Result<Vec<Document>, Unreadable> {
    let nodes = MarkedYaml::load_from_str(text)
        .map_err(|error| Unreadable { line: error.marker().line(), message: error.info().to_owned() })?;
    let source: Vec<Line<'_>> = text.split('\n').map(|text| Line { text, is_ascii: text.is_ascii() }).collect();
    let document = |node: &MarkedYaml<'_>| {
        let mut lines = BTreeMap::new();
        let value = value(node, "", 0, &source, &mut lines)?;
        Ok(Document { value, lines })
    };
    nodes.iter().map(document).collect()
}

/// A line of what is read.
struct Line<'t> {
    text: &'t str,
    is_ascii: bool,
}

impl<'t> Line<'t> {
    /// What follows so many characters.
    fn after(&self, characters: usize) -> Option<&'t str> {
        if self.is_ascii {
            return self.text.get(characters..);
        }
        let (start, _) = self.text.char_indices().nth(characters)?;
        self.text.get(start..)
    }
}

/// A number that does not fit in an integer of 64 bits, with its digits as written; `None` if they cannot be kept.
fn number(value: f64, at: &Marker, source: &[Line<'_>]) -> Option<Number> {
    let before = source.get(..at.line())?;
    let mut rest = before.last()?.after(at.col())?;
    let ends = |c: char| c.is_whitespace() || ",[]{}".contains(c);
    if let Some(alias) = rest.strip_prefix('*') {
        let anchor = format!("&{}", alias.split(ends).next()?);
        rest = before.iter().rev().find_map(|line| line.text.split_once(anchor.as_str())).map(|(_, after)| after)?;
    }
    // A tag or an anchor may stand before it.
    let is_it = |word: &&str| parse_core_schema_fp(word).is_some_and(|read| read.to_bits() == value.to_bits());
    let written = rest.split(ends).find(is_it)?;
    if json::check(written.as_bytes()).is_ok() {
        return serde_json::from_str(written).ok();
    }
    Number::from_f64(value).filter(|number| json::same_number(written, &number.to_string()))
}

fn value(
    node: &MarkedYaml<'_>,
    path: &str,
    depth: usize,
    source: &[Line<'_>],
    lines: &mut BTreeMap<String, usize>,
) -> Result<Value, Unreadable> {
    let line = node.span.start.line();
    lines.entry(path.to_owned()).or_insert(line);
    let named = || if path.is_empty() { "it".to_owned() } else { format!("`{}`", abridged(path)) };
    let wrong = |message: &str| Err(Unreadable { line, message: format!("{} {message}", named()) });
    if depth > MAX_DEPTH {
        return wrong("is nested more than 100 levels deep: flatten it");
    }
    let deeper = depth.saturating_add(1);
    match &node.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Ok(Value::Null),
            Scalar::Boolean(value) => Ok((*value).into()),
            Scalar::Integer(value) => Ok((*value).into()),
            Scalar::FloatingPoint(float) => match number(float.into_inner(), &node.span.start, source) {
                Some(number) => Ok(number.into()),
                None if float.is_finite() => {
                    wrong("is a number that would be rounded: write it in a .json file or as text")
                }
                None => wrong("is not a number in JSON: write one with digits, or a string in quotes"),
            },
            Scalar::String(text) => Ok(text.as_ref().into()),
        },
        YamlData::Sequence(items) => {
            let item = |(place, item)| value(item, &format!("{path}[{place}]"), deeper, source, lines);
            items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        YamlData::Mapping(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let YamlData::Value(Scalar::String(name_text)) = &name.data else {
                    let line = name.span.start.line();
                    return Err(Unreadable {
                        line,
                        message: format!("{} has a key that is not a string: put it in quotes", named()),
                    });
                };
                let inner = if path.is_empty() { name_text.to_string() } else { format!("{path}.{name_text}") };
                lines.insert(inner.clone(), name.span.start.line());
                let read = value(member, &inner, deeper, source, lines)?;
                object.insert(name_text.to_string(), read);
            }
            Ok(Value::Object(object))
        }
        YamlData::Tagged(..) => wrong("has a tag (`!NAME`), which is not read: leave it out"),
        YamlData::Alias(_) => wrong("is an alias (`*NAME`) of something that is not there: put `&NAME` before it"),
        YamlData::Representation(..) | YamlData::BadValue => {
            wrong("cannot be read as the type that its tag says: leave the tag out")
        }
    }
}

/// A value as a YAML document; `None` if YAML could not represent it exactly.
pub(super) fn write(value: &Value) -> Option<String> {
    let mut text = String::new();
    let mut emitter = YamlEmitter::new(&mut text);
    emitter.multiline(true);
    emitter.dump(&node(value)?).ok()?;
    let mut text = text.strip_prefix("---\n").unwrap_or(&text).to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let back = read(&text).ok()?;
    let same = back.len() == 1 && back.first().is_some_and(|document| document.value == *value);
    same.then_some(text)
}

fn node(value: &Value) -> Option<Yaml<'_>> {
    Some(match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(value) => Yaml::Value(Scalar::Boolean(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Yaml::Value(Scalar::Integer(integer)),
            // With its own digits.
            None => Yaml::Representation(number.to_string().into(), ScalarStyle::Plain, None),
        },
        Value::String(text) => Yaml::Value(Scalar::String(text.as_str().into())),
        Value::Array(items) => Yaml::Sequence(items.iter().map(node).collect::<Option<_>>()?),
        Value::Object(members) => {
            let member =
                |(name, value): (&'_ String, _)| Some((Yaml::Value(Scalar::String(name.clone().into())), node(value)?));
            Yaml::Mapping(members.iter().map(member).collect::<Option<_>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_read_with_its_line() {
        let text =
            "automations:\n  - name: a\n    on: [x, 'y']\n    then:\n      - action: note-add\n        with: {id: 1}\n";
        let documents = read(text).unwrap();
        let document = &documents[0];
        assert_eq!(
            document.value,
            json!({"automations": [
                {"name": "a", "on": ["x", "y"], "then": [{"action": "note-add", "with": {"id": 1}}]}]})
        );
        for (path, line) in
            [("automations", 1), ("automations[0]", 2), ("automations[0].on", 3), ("automations[0].then[0].with", 6)]
        {
            assert_eq!(document.lines.get(path), Some(&line), "{path}");
        }
    }

    #[test]
    fn invalid_yaml_is_reported_with_its_line() {
        for (text, line) in [("a: 1\nb: [1", 3), ("a: !secret x\n", 1), ("1: a\n", 1), ("a: *b\n", 1), ("a: .nan\n", 1)]
        {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.line <= line && error.line > 0, "{text}: {error:?}");
        }
        for (value, part) in [("!secret x", ""), (".nan", "is not a number in JSON"), ("{1: a}", "has a key")] {
            let text = format!("automations:\n  - name: a\n    with: {value}\n");
            let error = read(&text).err().unwrap_or_else(|| panic!("{text} is taken"));
            let expected = format!("`automations[0].with` {part}");
            assert!(error.message.starts_with(&expected), "{text}: {error:?}");
        }
    }

    #[test]
    fn numbers_keep_their_digits_or_are_rejected() {
        let text = "é: \"ü\"\na: &x 12345678901234567890\nb: [1.10, 2.5,{c: !!float 1.5, é: -0.1}] # é\nd: *x\ne: .5\nf: 1e+3\n";
        let read_back = read(text).unwrap().remove(0).value.to_string();
        assert_eq!(
            read_back,
            "{\"é\":\"ü\",\"a\":12345678901234567890,\"b\":[1.10,2.5,{\"c\":1.5,\"é\":-0.1}],\"d\":12345678901234567890,\
             \"e\":0.5,\"f\":1e+3}"
        );
        for number in ["+12345678901234567890", ".12345678901234567890", "1e-400"] {
            let error =
                read(&format!("x: 1\na:\n  - b: {number}\n")).err().unwrap_or_else(|| panic!("{number} is taken"));
            assert_eq!(error.line, 3, "{number}");
            assert!(error.message.starts_with("`a[0].b` is a number that would be rounded"), "{number}: {error:?}");
        }
        for number in ["12345678901234567890", "18446744073709551615", "1.10", "0.1", "1e+30", "-2.50"] {
            let value: Value = serde_json::from_str(&format!("{{\"a\": [{number}]}}")).unwrap();
            let text = write(&value).unwrap_or_else(|| panic!("{value} cannot be written"));
            assert_eq!(read(&text).unwrap()[0].value, value, "{text}");
        }
    }

    #[test]
    fn written_yaml_parses_to_the_same_value() {
        for value in [
            json!({"name": "yes", "b": "null", "c": "1e3", "d": "0x1F", "e": " leading", "f": "trailing ", "g": ""}),
            json!({"text": "two\nlines\n", "other": "no end\nhere", "tab": "a\tb", "hash": "a # b", "colon": "a: b"}),
            json!({"{{event}}": "{{event.data.id}}", "list": [], "object": {}, "none": null, "deep": [[1, [2.5]]]}),
            json!({"quotes": "\"'\\", "emoji": "\u{1f600}", "control": "\u{1}", "star": "*",
                "big": -9_007_199_254_740_993_i64}),
            json!([{"name": "a", "on": ["*"]}, {"name": "b"}]),
        ] {
            let text = write(&value).unwrap_or_else(|| panic!("{value} cannot be written"));
            assert_eq!(read(&text).unwrap()[0].value, value, "{text}");
        }
    }
}
