//! Keywords that look at a list's items.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::parts::{Parts, Seen};
use crate::scalars::count;
use crate::value::canonical;
use crate::violation::{Report, Spot, brief};

/// Holds a list against the keywords for lists.
pub(crate) fn check<'s>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    items: &[Value],
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'_>,
) -> bool {
    let mut is_valid = true;
    let length = items.len();
    if let Some(least) = count(members, "minItems").filter(|least| length < *least) {
        is_valid = false;
        report.add_with(at, "minItems", || format!("it has {length} items, and {least} are wanted"));
    }
    if let Some(most) = count(members, "maxItems").filter(|most| length > *most) {
        is_valid = false;
        report.add_with(at, "maxItems", || format!("it has {length} items, and at most {most} may be"));
    }
    if members.get("uniqueItems") == Some(&Value::Bool(true)) {
        is_valid &= unique(items, at, report);
    }
    is_valid &= placed(check, members, items, at, report, seen);
    is_valid &= contains(check, members, items, at, report, seen);
    if let Some(schema) = members.get("unevaluatedItems") {
        for (index, item) in items.iter().enumerate() {
            if seen.items.insert(index) {
                is_valid &= one(check, schema, "unevaluatedItems", index, item, at, report);
            }
        }
    }
    is_valid
}

fn unique(items: &[Value], at: &Spot<'_>, report: &mut Report) -> bool {
    let mut first = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(before) = first.insert(canonical(item), index) {
            report.add_with(at, "uniqueItems", || format!("items {before} and {index} are both {}", brief(item)));
            return false;
        }
    }
    true
}

/// `prefixItems` and `items`, or in older drafts `items` as a list and `additionalItems`.
fn placed<'s>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    items: &[Value],
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'_>,
) -> bool {
    let (first, rest, word) = match members.get("items") {
        Some(Value::Array(first)) if check.schema().draft.lists_in_items => {
            (Some(first), members.get("additionalItems"), "additionalItems")
        }
        other => (members.get("prefixItems").and_then(Value::as_array), other, "items"),
    };
    let first = first.map(Vec::as_slice).unwrap_or_default();
    let mut is_valid = true;
    for (index, item) in items.iter().enumerate() {
        let schema = match first.get(index) {
            Some(schema) => Some((schema, "prefixItems")),
            None => rest.map(|schema| (schema, word)),
        };
        let Some((schema, word)) = schema else { break };
        if check.schema().tracks {
            seen.items.insert(index);
        }
        is_valid &= one(check, schema, word, index, item, at, report);
    }
    is_valid
}

fn one<'s>(
    check: &mut impl Parts<'s>,
    schema: &'s Value,
    keyword: &str,
    index: usize,
    item: &Value,
    at: &Spot<'_>,
    report: &mut Report,
) -> bool {
    let here = Spot::Index(at, index);
    if schema == &Value::Bool(false) {
        report.add(&here, keyword, "no item is allowed here");
        return false;
    }
    check.takes(schema, item, &here, report)
}

fn contains<'s>(
    check: &mut impl Parts<'s>,
    members: &'s Map<String, Value>,
    items: &[Value],
    at: &Spot<'_>,
    report: &mut Report,
    seen: &mut Seen<'_>,
) -> bool {
    let Some(schema) = members.get("contains") else { return true };
    let mut found = 0_usize;
    for (index, item) in items.iter().enumerate() {
        if check.takes(schema, item, &Spot::Index(at, index), &mut report.silent()) {
            found += 1;
            // Items that `contains` takes count as looked at since draft 2020-12.
            if check.schema().tracks && !check.schema().draft.lists_in_items {
                seen.items.insert(index);
            }
        }
    }
    let least = count(members, "minContains").unwrap_or(1);
    if found < least {
        report.add_with(at, "contains", || {
            format!("{found} of {} items are as wanted, and {least} must be", items.len())
        });
        return false;
    }
    if let Some(most) = count(members, "maxContains").filter(|most| found > *most) {
        report.add_with(at, "maxContains", || format!("{found} items are as wanted, and at most {most} may be"));
        return false;
    }
    true
}
