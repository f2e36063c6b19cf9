//! Reading a schema: every part of it is looked at before a value is, so that a mistake in it is found at once.

use std::collections::BTreeMap;

use hookwright_sdk::shorten;
use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::keyword::{self, Shape};
use crate::uri;

/// The JSON Schema drafts whose meaning is known.
const DRAFTS: [(&str, Draft); 4] = [
    ("https://json-schema.org/draft/2020-12/schema", Draft { lists_in_items: false, ref_is_alone: false }),
    ("https://json-schema.org/draft/2019-09/schema", Draft { lists_in_items: true, ref_is_alone: false }),
    ("http://json-schema.org/draft-07/schema", Draft { lists_in_items: true, ref_is_alone: true }),
    ("http://json-schema.org/draft-06/schema", Draft { lists_in_items: true, ref_is_alone: true }),
];

/// In what the older drafts differ.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft {
    /// `items` may be a list, and `additionalItems` are the ones after it.
    pub(crate) lists_in_items: bool,
    /// What stands beside `$ref` is not looked at.
    pub(crate) ref_is_alone: bool,
}

/// Where a schema stands in memory, which tells one from another.
pub(crate) type Place = usize;

/// Which place a schema stands at.
pub(crate) fn place(schema: &Value) -> Place {
    std::ptr::from_ref(schema).addr()
}

/// A schema that was read.
#[derive(Debug)]
pub(crate) struct Schema<'s> {
    pub(crate) root: &'s Value,
    pub(crate) draft: Draft,
    /// Of each schema, the URI of the resource that it is part of.
    bases: BTreeMap<Place, String>,
    anchors: BTreeMap<(String, String), &'s Value>,
    dynamic: BTreeMap<(String, String), &'s Value>,
    resources: BTreeMap<String, &'s Value>,
    /// Of each schema with a `$ref`, what it leads to.
    references: BTreeMap<Place, &'s Value>,
    /// Of each schema with a `$dynamicRef`, what it leads to unless somebody around it says otherwise.
    dynamic_references: BTreeMap<Place, DynamicReference<'s>>,
    regexes: BTreeMap<&'s str, Regex>,
    /// Whether it must be remembered which parts of a value were looked at.
    pub(crate) tracks: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct DynamicReference<'s> {
    pub(crate) target: &'s Value,
    /// The name, if the target is one that may be replaced.
    pub(crate) name: Option<String>,
}

/// A reference that is still to be followed.
struct Open<'s> {
    from: Place,
    base: String,
    text: &'s str,
    is_dynamic: bool,
    path: String,
}

impl<'s> Schema<'s> {
    /// Reads a schema.
    ///
    /// # Errors
    /// A sentence with the path to the mistake in the schema, what is wrong there and the remedy.
    pub(crate) fn read(root: &'s Value) -> Result<Self, String> {
        let draft = draft(root)?;
        let mut schema = Self {
            root,
            draft,
            bases: BTreeMap::new(),
            anchors: BTreeMap::new(),
            dynamic: BTreeMap::new(),
            resources: BTreeMap::from([(String::new(), root)]),
            references: BTreeMap::new(),
            dynamic_references: BTreeMap::new(),
            regexes: BTreeMap::new(),
            tracks: false,
        };
        let mut open = Vec::new();
        schema.collect(root, "", "", &mut open)?;
        while let Some(reference) = open.pop() {
            schema.follow(&reference, &mut open)?;
        }
        Ok(schema)
    }

    pub(crate) fn reference(&self, schema: &Value) -> Option<&'s Value> {
        self.references.get(&place(schema)).copied()
    }

    pub(crate) fn dynamic_reference(&self, schema: &Value) -> Option<&DynamicReference<'s>> {
        self.dynamic_references.get(&place(schema))
    }

    /// The URI of the resource that a schema is part of.
    pub(crate) fn base(&self, schema: &Value) -> &str {
        self.bases.get(&place(schema)).map_or("", String::as_str)
    }

    /// What a resource has under a dynamic anchor.
    pub(crate) fn dynamic_anchor(&self, base: &str, name: &str) -> Option<&'s Value> {
        self.dynamic.get(&(base.to_owned(), name.to_owned())).copied()
    }

    /// A regular expression in the schema.
    pub(crate) fn regex(&self, text: &str) -> Option<&Regex> {
        self.regexes.get(text)
    }

    fn collect(&mut self, schema: &'s Value, base: &str, path: &str, open: &mut Vec<Open<'s>>) -> Result<(), String> {
        let members = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(members) => members,
            other => {
                return Err(format!(
                    "{} is {}: a schema is an object, true or false",
                    told(path),
                    shorten(&other.to_string(), 200)
                ));
            }
        };
        let is_reference_alone = self.draft.ref_is_alone && members.contains_key("$ref");
        let base = if is_reference_alone { base.to_owned() } else { self.name(schema, members, base) };
        self.bases.insert(place(schema), base.clone());
        for (word, value) in members {
            let Some(shape) = keyword::shape(word) else {
                if word == "$recursiveRef" {
                    return Err(format!("{path}/$recursiveRef is not known: use $dynamicRef of draft 2020-12"));
                }
                continue;
            };
            let here = format!("{path}/{}", word.replace('~', "~0").replace('/', "~1"));
            if let Some(problem) = keyword::problem(shape, value) {
                return Err(format!("{here} {problem}"));
            }
            self.tracks |= word.starts_with("unevaluated");
            if let ("$ref" | "$dynamicRef", Some(text)) = (word.as_str(), value.as_str()) {
                let is_dynamic = word == "$dynamicRef";
                open.push(Open { from: place(schema), base: base.clone(), text, is_dynamic, path: here.clone() });
            }
            self.collect_inside(word, shape, value, &base, &here, open)?;
        }
        Ok(())
    }

    /// Notes the names that a schema gives itself, and answers the URI that holds inside of it.
    fn name(&mut self, schema: &'s Value, members: &'s Map<String, Value>, base: &str) -> String {
        let text = |word: &str| members.get(word).and_then(Value::as_str);
        let mut base = base.to_owned();
        if let Some(id) = text("$id") {
            let (uri, fragment) = uri::split(id);
            if !uri.is_empty() {
                base = uri::resolve(&base, uri);
                self.resources.entry(base.clone()).or_insert(schema);
            }
            // Until draft 7 an identifier that is a fragment was an anchor.
            if !fragment.is_empty() {
                self.anchors.entry((base.clone(), fragment.to_owned())).or_insert(schema);
            }
        }
        if let Some(name) = text("$anchor") {
            self.anchors.entry((base.clone(), name.to_owned())).or_insert(schema);
        }
        if let Some(name) = text("$dynamicAnchor") {
            self.anchors.entry((base.clone(), name.to_owned())).or_insert(schema);
            self.dynamic.entry((base.clone(), name.to_owned())).or_insert(schema);
        }
        base
    }

    fn collect_inside(
        &mut self,
        word: &str,
        shape: Shape,
        value: &'s Value,
        base: &str,
        path: &str,
        open: &mut Vec<Open<'s>>,
    ) -> Result<(), String> {
        match (shape, value) {
            (Shape::Schema | Shape::SchemaOrSchemas, Value::Array(_))
                if !self.draft.lists_in_items || word != "items" =>
            {
                Err(format!("{path} is a list: write prefixItems for a list of schemas"))
            }
            (Shape::Schemas | Shape::SchemaOrSchemas, Value::Array(items)) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.collect(item, base, &format!("{path}/{index}"), open)),
            (Shape::Schema | Shape::SchemaOrSchemas, schema) => self.collect(schema, base, path, open),
            (Shape::Named | Shape::Patterned | Shape::Dependencies, Value::Object(members)) => {
                for (name, schema) in members {
                    let here = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                    if shape == Shape::Patterned {
                        self.regexes_add(name, &here)?;
                    }
                    match schema {
                        Value::Array(names) if shape == Shape::Dependencies && names.iter().all(Value::is_string) => {}
                        schema => self.collect(schema, base, &here, open)?,
                    }
                }
                Ok(())
            }
            (Shape::Regex, Value::String(text)) => self.regexes_add(text, path),
            _ => Ok(()),
        }
    }

    fn regexes_add(&mut self, text: &'s str, path: &str) -> Result<(), String> {
        if !self.regexes.contains_key(text) {
            let regex = Regex::new(text).map_err(|error| {
                format!("{path} `{}` is not a regular expression that is known here: {error}. Look-around, back references and \\p{{..}} are not", shorten(text, 200))
            })?;
            self.regexes.insert(text, regex);
        }
        Ok(())
    }

    fn follow(&mut self, reference: &Open<'s>, open: &mut Vec<Open<'s>>) -> Result<(), String> {
        let (relative, fragment) = uri::split(reference.text);
        let unknown = || {
            format!(
                "{} is {}, which leads nowhere in this schema: put what it means under $defs, since nothing is fetched",
                reference.path,
                Value::from(shorten(reference.text, 200))
            )
        };
        let base = uri::resolve(&reference.base, relative);
        let fragment = uri::decoded(fragment).ok_or_else(unknown)?;
        let resource = self.resources.get(&base).copied();
        let (target, target_base) = if fragment.is_empty() {
            (resource.ok_or_else(unknown)?, base.clone())
        } else if fragment.starts_with('/') {
            self.pointed(resource.ok_or_else(unknown)?, &fragment, &base).ok_or_else(unknown)?
        } else {
            let anchored = self.anchors.get(&(base.clone(), fragment.clone())).copied();
            (anchored.ok_or_else(unknown)?, base.clone())
        };
        // What only a pointer leads to was not read as a schema yet.
        if target.is_object() && !self.bases.contains_key(&place(target)) {
            self.collect(target, &target_base, reference.text, open)?;
        }
        if !matches!(target, Value::Object(_) | Value::Bool(_)) {
            return Err(unknown());
        }
        if reference.is_dynamic {
            let is_dynamic = self.dynamic.get(&(base, fragment.clone())).is_some_and(|one| std::ptr::eq(*one, target));
            let dynamic = DynamicReference { target, name: is_dynamic.then_some(fragment) };
            self.dynamic_references.insert(reference.from, dynamic);
        } else {
            self.references.insert(reference.from, target);
        }
        Ok(())
    }

    /// What a JSON pointer (RFC 6901) leads to, and the URI that holds there.
    fn pointed(&self, resource: &'s Value, pointer: &str, base: &str) -> Option<(&'s Value, String)> {
        let mut value = resource;
        let mut base = base.to_owned();
        for token in pointer.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            value = match value {
                Value::Object(members) => members.get(&name)?,
                Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
                _ => return None,
            };
            if let Some(inner) = self.bases.get(&place(value)) {
                base.clone_from(inner);
            }
        }
        Some((value, base))
    }
}

fn draft(root: &Value) -> Result<Draft, String> {
    let [(_, newest), ..] = DRAFTS;
    match root.get("$schema").map(|uri| uri.as_str().unwrap_or_default().trim_end_matches('#')) {
        None => Ok(newest),
        Some(uri) => DRAFTS.iter().find(|(known, _)| *known == uri).map(|(_, draft)| *draft).ok_or_else(|| {
            format!("/$schema is {}: it may be left out or name draft 2020-12, 2019-09, 7 or 6, such as \"https://json-schema.org/draft/2020-12/schema\"", Value::from(shorten(uri, 200)))
        }),
    }
}

fn told(path: &str) -> &str {
    if path.is_empty() { "the schema" } else { path }
}
