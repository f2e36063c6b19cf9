//! Names with brackets: `a[b]`, `a[0]`, `a[]`.

use std::collections::BTreeMap;

use hookwright_sdk::{Failure, shorten};
use serde_json::{Map, Value};

use crate::field::{Field, one_or_list};

/// Brackets of one name.
const DEEPEST: usize = 16;

/// What stands at a place: values, or names and positions inside of it.
enum Node {
    Values { values: Vec<Value>, is_list: bool },
    Inside(BTreeMap<String, Node>),
}

/// The form as an object, with names taken apart at their brackets.
///
/// # Errors
/// Two names that cannot both be meant, or too many brackets (`form.invalid`).
pub(crate) fn object(fields: Vec<Field>, arrays: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut top = BTreeMap::new();
    for (name, value) in fields {
        let (steps, is_list) = steps(&name)?;
        let is_list = is_list || arrays.contains(&name);
        add(&mut top, &steps, value, is_list, &name)?;
    }
    Ok(top.into_iter().map(|(name, node)| (name, json(node))).collect())
}

/// The names and positions in a name, and whether it ends in `[]`. A name whose brackets make no sense is one name.
fn steps(name: &str) -> Result<(Vec<&str>, bool), Failure> {
    let plain = (vec![name], false);
    let Some(open) = name.find('[').filter(|open| *open > 0) else { return Ok(plain) };
    let (first, mut rest) = name.split_at(open);
    let mut steps = vec![first];
    let mut is_list = false;
    while !rest.is_empty() {
        let Some((step, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) else {
            return Ok(plain);
        };
        if step.contains('[') {
            return Ok(plain);
        }
        if step.is_empty() && !after.is_empty() {
            return Err(invalid(name, "has [] before its end: say which element is meant, as in a[0][b]"));
        }
        if steps.len() > DEEPEST {
            return Err(invalid(name, &format!("has more than {DEEPEST} brackets")));
        }
        if step.is_empty() {
            is_list = true;
        } else {
            steps.push(step);
        }
        rest = after;
    }
    Ok((steps, is_list))
}

fn add(
    inside: &mut BTreeMap<String, Node>,
    steps: &[&str],
    value: Value,
    is_list: bool,
    name: &str,
) -> Result<(), Failure> {
    let Some((first, rest)) = steps.split_first() else { return Ok(()) };
    let conflict = || invalid(name, "conflicts with a name that puts a value of another kind at the same path");
    if rest.is_empty() {
        let empty = || Node::Values { values: Vec::new(), is_list: false };
        match inside.entry((*first).to_owned()).or_insert_with(empty) {
            Node::Values { values, is_list: was_list } => {
                values.push(value);
                *was_list |= is_list;
                Ok(())
            }
            Node::Inside(_) => Err(conflict()),
        }
    } else {
        match inside.entry((*first).to_owned()).or_insert_with(|| Node::Inside(BTreeMap::new())) {
            Node::Inside(deeper) => add(deeper, rest, value, is_list, name),
            Node::Values { .. } => Err(conflict()),
        }
    }
}

fn json(node: Node) -> Value {
    match node {
        Node::Values { values, is_list } => one_or_list(values, is_list),
        Node::Inside(members) => {
            let count = members.len();
            let mut numbered: Vec<(Option<usize>, String, Value)> = members
                .into_iter()
                .map(|(name, node)| (position(&name).filter(|position| *position < count), name, json(node)))
                .collect();
            // Different names below the count that all are positions are each of them once.
            if numbered.iter().all(|(position, ..)| position.is_some()) {
                numbered.sort_by_key(|(position, ..)| *position);
                return numbered.into_iter().map(|(_, _, value)| value).collect();
            }
            Value::Object(numbered.into_iter().map(|(_, name, value)| (name, value)).collect())
        }
    }
}

/// The number that a name is, written without needless zeros.
fn position(name: &str) -> Option<usize> {
    name.parse().ok().filter(|number: &usize| number.to_string() == name)
}

fn invalid(name: &str, problem: &str) -> Failure {
    Failure::permanent("form.invalid", format!("the name {} {problem}", shorten(name, 100)))
}
