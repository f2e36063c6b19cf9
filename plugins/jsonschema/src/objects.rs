//! Keywords that look at an object's members.

use serde_json::{Map, Value};

use crate::parts::{Parts, Seen};
use crate::scalars::count;
use crate::violation::{Report, Spot};

/// Holds an object against the keywords for objects. `value` is the object itself, as a value.
pub(crate) fn check<'s, 'v>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    value: &'v Value,
    object: &'v Map<String, Value>,
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'v>,
) -> bool {
    let mut is_valid = counts(members, object, at, report);
    is_valid &= required(members, object, at, report);
    if let Some(schema) = members.get("propertyNames") {
        for name in object.keys() {
            let mut inner = report.inner();
            if !check.takes(schema, &Value::from(name.as_str()), &Spot::Top, &mut inner) {
                is_valid = false;
                report
                    .add_with(&Spot::Name(at, name), "propertyNames", || format!("the name is not allowed ({inner})"));
            }
        }
    }
    is_valid &= properties(check, members, object, at, report, seen);
    is_valid &= dependents(check, members, value, object, at, report, seen);
    if let Some(schema) = members.get("unevaluatedProperties") {
        for (name, value) in object {
            if !seen.names.contains(name.as_str()) {
                is_valid &= member(check, schema, "unevaluatedProperties", name, value, at, report, seen);
            }
        }
    }
    is_valid
}

fn counts(members: &Map<String, Value>, object: &Map<String, Value>, at: &Spot<'_>, report: &mut Report) -> bool {
    let mut is_valid = true;
    let length = object.len();
    if let Some(least) = count(members, "minProperties").filter(|least| length < *least) {
        is_valid = false;
        report.add_with(at, "minProperties", || format!("it has {length} names, and {least} are wanted"));
    }
    if let Some(most) = count(members, "maxProperties").filter(|most| length > *most) {
        is_valid = false;
        report.add_with(at, "maxProperties", || format!("it has {length} names, and at most {most} may be"));
    }
    is_valid
}

fn required(members: &Map<String, Value>, object: &Map<String, Value>, at: &Spot<'_>, report: &mut Report) -> bool {
    let mut is_valid = true;
    let names = |value: &'_ Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for name in members.get("required").map(names).unwrap_or_default() {
        if !object.contains_key(&name) {
            is_valid = false;
            report.add_with(at, "required", || format!("{} is missing", Value::from(name)));
        }
    }
    if let Some(Value::Object(dependent)) = members.get("dependentRequired") {
        for (name, wanted) in dependent.iter().filter(|(name, _)| object.contains_key(*name)) {
            for other in names(wanted).into_iter().filter(|other| !object.contains_key(other)) {
                is_valid = false;
                report.add_with(at, "dependentRequired", || {
                    format!("{} is missing, and {} requires it", Value::from(other), Value::from(name.as_str()))
                });
            }
        }
    }
    is_valid
}

/// `properties`, `patternProperties` and `additionalProperties`, which takes what the two others leave.
fn properties<'s, 'v>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    object: &'v Map<String, Value>,
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'v>,
) -> bool {
    let mut is_valid = true;
    let named = members.get("properties").and_then(Value::as_object);
    let patterned = members.get("patternProperties").and_then(Value::as_object);
    let additional = members.get("additionalProperties");
    if named.is_none() && patterned.is_none() && additional.is_none() {
        return true;
    }
    for (name, value) in object {
        let mut is_known = false;
        if let Some(schema) = named.and_then(|named| named.get(name)) {
            is_known = true;
            is_valid &= member(check, schema, "properties", name, value, at, report, seen);
        }
        for (pattern, schema) in patterned.into_iter().flatten() {
            if check.schema().regex(pattern).is_some_and(|regex| regex.is_match(name)) {
                is_known = true;
                is_valid &= member(check, schema, "patternProperties", name, value, at, report, seen);
            }
        }
        if let Some(schema) = additional.filter(|_| !is_known) {
            is_valid &= member(check, schema, "additionalProperties", name, value, at, report, seen);
        }
    }
    is_valid
}

/// One member held against its schema; that it was looked at counts whatever comes of it.
#[allow(clippy::too_many_arguments)]
fn member<'s, 'v>(
    check: &mut impl Parts<'s>,
    schema: &'s Value,
    keyword: &str,
    name: &'v str,
    value: &'v Value,
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'v>,
) -> bool {
    if check.schema().tracks {
        seen.names.insert(name);
    }
    let here = Spot::Name(at, name);
    if schema == &Value::Bool(false) {
        report.add(&here, keyword, "this name is not allowed here");
        return false;
    }
    check.takes(schema, value, &here, report)
}

/// `dependentSchemas`, and `dependencies` of drafts before 2019-09.
fn dependents<'s, 'v>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    value: &'v Value,
    object: &'v Map<String, Value>,
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'v>,
) -> bool {
    let mut is_valid = true;
    let older = members.get("dependencies").filter(|_| check.schema().draft.ref_is_alone);
    let both = members.get("dependentSchemas").into_iter().chain(older).filter_map(Value::as_object).flatten();
    for (name, dependent) in both.filter(|(name, _)| object.contains_key(*name)) {
        match dependent {
            Value::Array(wanted) => {
                for other in wanted.iter().filter_map(Value::as_str).filter(|other| !object.contains_key(*other)) {
                    is_valid = false;
                    report.add_with(at, "dependencies", || {
                        format!("{} is missing, and {} requires it", Value::from(other), Value::from(name.as_str()))
                    });
                }
            }
            schema => is_valid &= check.part(schema, value, at, report, seen),
        }
    }
    is_valid
}
