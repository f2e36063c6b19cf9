//! Which values of the event an expression mentions, so that a reason can show them.

use std::borrow::Cow;
use std::fmt::Write;

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use hookwright_sdk::{Event, shorten};
use serde_json::Value;

use crate::variables::{self, DATA, EVENT, NOW};

/// Values that a reason shows, and bytes of each.
const SHOWN: usize = 8;
const VALUE_SHOWN: usize = 120;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Position(usize),
}

/// A path that an expression mentions: one of the variables, and what is selected from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    variable: String,
    steps: Vec<Step>,
    /// Only whether it is there is asked, with `has(..)`.
    is_test: bool,
}

/// The paths that an expression mentions, each once, in the order in which they stand.
pub(crate) fn mentions(expression: &IdedExpr) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut bound = Vec::new();
    collect(expression, &mut bound, &mut found);
    found
}

fn collect<'e>(expression: &'e IdedExpr, bound: &mut Vec<&'e str>, found: &mut Vec<Mention>) {
    if let Some(mention) = path(expression, bound) {
        if !found.contains(&mention) {
            found.push(mention);
        }
        return;
    }
    match &expression.expr {
        Expr::Call(call) => {
            for part in call.target.as_deref().into_iter().chain(&call.args) {
                collect(part, bound, found);
            }
        }
        Expr::Select(select) => collect(&select.operand, bound, found),
        Expr::List(list) => list.elements.iter().for_each(|element| collect(element, bound, found)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| entries(&entry.expr, bound, found)),
        Expr::Struct(object) => object.entries.iter().for_each(|entry| entries(&entry.expr, bound, found)),
        Expr::Comprehension(comprehension) => {
            collect(&comprehension.iter_range, bound, found);
            collect(&comprehension.accu_init, bound, found);
            let names = bound.len();
            bound.push(&comprehension.iter_var);
            bound.extend(comprehension.iter_var2.as_deref());
            for part in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                collect(part, bound, found);
            }
            bound.truncate(names);
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
}

fn entries<'e>(entry: &'e EntryExpr, bound: &mut Vec<&'e str>, found: &mut Vec<Mention>) {
    match entry {
        EntryExpr::MapEntry(entry) => {
            collect(&entry.key, bound, found);
            collect(&entry.value, bound, found);
        }
        EntryExpr::StructField(field) => collect(&field.value, bound, found),
    }
}

/// The path that an expression is, if it is nothing else: names and constant positions after one of our variables.
fn path(expression: &IdedExpr, bound: &[&str]) -> Option<Mention> {
    match &expression.expr {
        Expr::Ident(name) => {
            let is_ours = [EVENT, DATA, NOW].contains(&name.as_str()) && !bound.contains(&name.as_str());
            is_ours.then(|| Mention { variable: name.clone(), steps: Vec::new(), is_test: false })
        }
        Expr::Select(select) => {
            let mut mention = path(&select.operand, bound)?;
            mention.steps.push(Step::Name(select.field.clone()));
            mention.is_test = select.test;
            Some(mention)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [operand, index] = call.args.as_slice() else { return None };
            let mut mention = path(operand, bound)?;
            mention.steps.push(match &index.expr {
                Expr::Literal(LiteralValue::String(name)) => Step::Name(name.inner().to_owned()),
                Expr::Literal(LiteralValue::Int(position)) => Step::Position(usize::try_from(*position.inner()).ok()?),
                _ => return None,
            });
            Some(mention)
        }
        _ => None,
    }
}

impl Mention {
    /// The path as an expression writes it.
    fn told(&self) -> String {
        let mut text = self.variable.clone();
        for step in &self.steps {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Name(name) if is_identifier(name) => write!(text, ".{name}"),
                Step::Name(name) => write!(text, "[{}]", Value::from(name.as_str())),
                Step::Position(position) => write!(text, "[{position}]"),
            };
        }
        shorten(&text, VALUE_SHOWN)
    }

    fn value<'e>(&self, event: &'e Event) -> Option<Cow<'e, Value>> {
        let mut steps = self.steps.iter();
        let top = match (self.variable.as_str(), steps.as_slice().first()) {
            (DATA, _) => Cow::Borrowed(event.data()),
            (EVENT, Some(Step::Name(name))) => {
                steps.next();
                variables::member(event, name)?
            }
            _ => return None,
        };
        let mut value = top;
        for step in steps {
            value = match value {
                Cow::Borrowed(value) => Cow::Borrowed(below(value, step)?),
                Cow::Owned(value) => Cow::Owned(below(&value, step)?.clone()),
            };
        }
        Some(value)
    }

    /// Whether the event lacks a value that the expression uses without `has`.
    pub(crate) fn is_missing(&self, event: &Event) -> bool {
        let is_whole = self.variable == EVENT && self.steps.is_empty();
        !self.is_test && !is_whole && self.variable != NOW && self.value(event).is_none()
    }
}

fn below<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match step {
        Step::Name(name) => value.as_object()?.get(name),
        Step::Position(position) => value.as_array()?.get(*position),
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The values that the mentioned paths lead to, for people. Empty where none is mentioned.
pub(crate) fn told(mentions: &[Mention], event: &Event, now: &str) -> String {
    let mut told = Vec::new();
    for mention in mentions.iter().take(SHOWN) {
        let path = mention.told();
        if mention.variable == NOW {
            told.push(format!("{path} is {now}"));
        } else if mention.variable == EVENT && mention.steps.is_empty() {
            // The whole event says nothing in a sentence.
        } else {
            told.push(match mention.value(event) {
                Some(value) => format!("{path} is {}", shorten(&value.to_string(), VALUE_SHOWN)),
                None => format!("{path} is missing"),
            });
        }
    }
    if mentions.len() > SHOWN {
        told.push(format!("and {} more", mentions.len() - SHOWN));
    }
    told.join(", ")
}
