//! YAML as JSON values, with the lines on which they stand; and JSON values as YAML.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, Yaml, YamlData, YamlEmitter};
use serde_json::{Map, Number, Value};

/// A document of a file.
pub(super) struct Document {
    pub(super) value: Value,
    /// The line of each value by its path, such as `automations[0].then[1].with`.
    pub(super) lines: BTreeMap<String, usize>,
}

/// Something that cannot be read, and on which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) message: String,
}

/// How deep values may lie in one another.
const DEEPEST: usize = 100;

/// Reads every document of a file.
pub(super) fn read(text: &str) -> Result<Vec<Document>, Unreadable> {
    let nodes = MarkedYaml::load_from_str(text)
        .map_err(|error| Unreadable { line: error.marker().line(), message: error.info().to_owned() })?;
    let document = |node: &MarkedYaml<'_>| {
        let mut lines = BTreeMap::new();
        let value = value(node, "", 0, &mut lines)?;
        Ok(Document { value, lines })
    };
    nodes.iter().map(document).collect()
}

fn value(
    node: &MarkedYaml<'_>,
    path: &str,
    depth: usize,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Value, Unreadable> {
    let line = node.span.start.line();
    lines.entry(path.to_owned()).or_insert(line);
    let wrong = |message: &str| Err(Unreadable { line, message: message.to_owned() });
    if depth > DEEPEST {
        return wrong("nested more than 100 levels deep: flatten it");
    }
    let deeper = depth.saturating_add(1);
    match &node.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Ok(Value::Null),
            Scalar::Boolean(value) => Ok((*value).into()),
            Scalar::Integer(value) => Ok((*value).into()),
            Scalar::FloatingPoint(value) => match Number::from_f64(value.into_inner()) {
                Some(number) => Ok(number.into()),
                None => wrong("is no number that JSON knows"),
            },
            Scalar::String(text) => Ok(text.as_ref().into()),
        },
        YamlData::Sequence(items) => {
            let item = |(place, item)| value(item, &format!("{path}[{place}]"), deeper, lines);
            items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        YamlData::Mapping(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let YamlData::Value(Scalar::String(name_text)) = &name.data else {
                    let line = name.span.start.line();
                    return Err(Unreadable { line, message: "a key is no text: put it in quotes".to_owned() });
                };
                let inner = if path.is_empty() { name_text.to_string() } else { format!("{path}.{name_text}") };
                lines.insert(inner.clone(), name.span.start.line());
                let read = value(member, &inner, deeper, lines)?;
                object.insert(name_text.to_string(), read);
            }
            Ok(Value::Object(object))
        }
        YamlData::Tagged(..) => wrong("tags (`!NAME`) are not read: leave it out"),
        YamlData::Alias(_) => wrong("is an alias of something that is not there"),
        YamlData::Representation(..) | YamlData::BadValue => wrong("cannot be read as the type that its tag says"),
    }
}

/// A value as a document; none if YAML would not give back the same.
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
            None => Yaml::Value(Scalar::FloatingPoint(number.as_f64()?.into())),
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
    fn what_is_no_yaml_is_told_with_its_line() {
        for (text, line) in [("a: 1\nb: [1", 3), ("a: !secret x\n", 1), ("1: a\n", 1), ("a: *b\n", 1), ("a: .nan\n", 1)]
        {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.line <= line && error.line > 0, "{text}: {error:?}");
        }
    }

    #[test]
    fn whatever_is_written_reads_back_the_same() {
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
