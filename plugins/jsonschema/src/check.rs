//! Holding a value against a schema (JSON Schema 2020-12, core sections 7 to 11 and validation section 6).

use serde_json::{Map, Value};

use crate::load::Schema;
use crate::parts::{Parts, Seen};
use crate::violation::{Report, Spot, brief};
use crate::{arrays, objects, scalars};

/// Schemas inside of each other, by nesting or by reference, that are followed for one value.
const DEEPEST: usize = 512;

/// One value being held against one schema.
struct Check<'s> {
    schema: &'s Schema<'s>,
    /// The URIs of the resources that we are inside of, the outermost first, for `$dynamicRef`.
    scope: Vec<&'s str>,
    depth: usize,
    /// The schema leads to itself without ever coming to a part of the value.
    is_endless: bool,
}

/// The result of one schema and one value: whether it is valid, and which parts were evaluated.
type Outcome<'v> = (bool, Seen<'v>);

/// Validates a value by a schema, and adds the violations to the report.
///
/// # Errors
/// The schema leads to itself without end.
pub(crate) fn check(schema: &Schema<'_>, value: &Value, report: &mut Report) -> Result<bool, String> {
    let mut check = Check { schema, scope: Vec::new(), depth: 0, is_endless: false };
    let (is_valid, _) = check.value(schema.root, value, &Spot::Top, report);
    if check.is_endless {
        return Err(format!(
            "it refers to itself without end: more than {DEEPEST} schemas were followed for one value"
        ));
    }
    Ok(is_valid)
}

impl<'s> Check<'s> {
    /// Holds a value against one schema.
    fn value<'v>(&mut self, schema: &'s Value, value: &'v Value, at: &Spot<'_>, report: &mut Report) -> Outcome<'v> {
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(false) => {
                report.add(at, "false", "nothing is allowed here");
                return (false, Seen::default());
            }
            _ => return (true, Seen::default()),
        };
        if self.depth >= DEEPEST {
            self.is_endless = true;
            return (false, Seen::default());
        }
        self.depth += 1;
        let base = self.schema.base(schema);
        let enters = self.scope.last() != Some(&base);
        if enters {
            self.scope.push(base);
        }
        let outcome = self.members(schema, members, value, at, report);
        if enters {
            self.scope.pop();
        }
        self.depth -= 1;
        outcome
    }

    fn members<'v>(
        &mut self,
        schema: &'s Value,
        members: &'s Map<String, Value>,
        value: &'v Value,
        at: &Spot<'_>,
        report: &mut Report,
    ) -> Outcome<'v> {
        let mut seen = Seen::default();
        let mut is_valid = true;
        if let Some(target) = self.schema.reference(schema) {
            is_valid &= self.part(target, value, at, report, &mut seen);
            if self.schema.draft.ref_is_alone {
                return (is_valid, seen);
            }
        }
        if let Some(target) = self.dynamic_target(schema) {
            is_valid &= self.part(target, value, at, report, &mut seen);
        }
        is_valid &= scalars::check(self.schema, members, value, at, report);
        is_valid &= self.combined(members, value, at, report, &mut seen);
        match value {
            Value::Object(object) => is_valid &= objects::check(self, members, value, object, at, report, &mut seen),
            Value::Array(items) => is_valid &= arrays::check(self, members, items, at, report, &mut seen),
            _ => {}
        }
        (is_valid, seen)
    }

    /// Where a `$dynamicRef` leads from here: the outermost resource that has the anchor decides.
    fn dynamic_target(&self, schema: &Value) -> Option<&'s Value> {
        let reference = self.schema.dynamic_reference(schema)?;
        let replaced = reference
            .name
            .as_ref()
            .and_then(|name| self.scope.iter().find_map(|base| self.schema.dynamic_anchor(base, name)));
        Some(replaced.unwrap_or(reference.target))
    }

    /// `allOf`, `anyOf`, `oneOf`, `not`, `if`.
    fn combined<'v>(
        &mut self,
        members: &'s Map<String, Value>,
        value: &'v Value,
        at: &Spot<'_>,
        report: &mut Report,
        seen: &mut Seen<'v>,
    ) -> bool {
        let mut is_valid = true;
        let list = |word: &str| members.get(word).and_then(Value::as_array);
        if let Some(schemas) = list("allOf") {
            for schema in schemas {
                is_valid &= self.part(schema, value, at, report, seen);
            }
        }
        if let Some(schemas) = list("anyOf") {
            let mut inner = report.inner();
            let mut taken = 0_usize;
            for schema in schemas {
                taken += usize::from(self.part(schema, value, at, &mut inner, seen));
                // All of them are asked only where it matters which parts they looked at.
                if taken > 0 && !self.schema.tracks {
                    break;
                }
            }
            if taken == 0 {
                is_valid = false;
                report.add_with(at, "anyOf", || format!("none of the {} schemas takes it ({inner})", schemas.len()));
            }
        }
        if let Some(schemas) = list("oneOf") {
            let mut inner = report.inner();
            let taken: Vec<usize> = schemas
                .iter()
                .enumerate()
                .filter(|(_, schema)| self.part(schema, value, at, &mut inner, seen))
                .map(|(index, _)| index)
                .collect();
            if taken.len() != 1 {
                is_valid = false;
                report.add_with(at, "oneOf", || match taken.as_slice() {
                    [] => format!("none of the {} schemas takes it ({inner})", schemas.len()),
                    several => format!("{} schemas take it, at the positions {several:?}, and one must", several.len()),
                });
            }
        }
        if let Some(schema) = members.get("not")
            && self.value(schema, value, at, &mut report.silent()).0
        {
            is_valid = false;
            report.add_with(at, "not", || format!("it is {}, which must not be", brief(value)));
        }
        if let Some(schema) = members.get("if") {
            let holds = self.part(schema, value, at, &mut report.silent(), seen);
            if let Some(schema) = members.get(if holds { "then" } else { "else" }) {
                is_valid &= self.part(schema, value, at, report, seen);
            }
        }
        is_valid
    }
}

impl<'s> Parts<'s> for Check<'s> {
    fn schema(&self) -> &'s Schema<'s> {
        self.schema
    }

    fn part<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &Spot<'_>,
        report: &mut Report,
        seen: &mut Seen<'v>,
    ) -> bool {
        let (is_valid, parts) = self.value(schema, value, at, report);
        if is_valid {
            seen.add(parts);
        }
        is_valid
    }

    fn takes(&mut self, schema: &'s Value, value: &Value, at: &Spot<'_>, report: &mut Report) -> bool {
        self.value(schema, value, at, report).0
    }
}
