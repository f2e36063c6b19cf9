//! The condition `cel`: an expression of the Common Expression Language that is true or false.
//!
//! `{"expression": "event.type.startsWith('order.') && data.amount > 100"}`. The expression knows
//!
//! | variable | is |
//! |---|---|
//! | `event` | `id`, `type`, `source`, `subject` (or null), `time` (a timestamp), `data`, `attributes` |
//! | `data` | the event's payload, the same as `event.data` |
//! | `now` | the host's clock, a timestamp |
//!
//! The language is the one of the specification with its standard functions and macros (`has`, `all`, `exists`,
//! `exists_one`, `map`, `filter`) and the optional syntax (`data.?a.orValue(0)`). Time zones are offsets such as
//! `+02:00`, and regular expressions are without look-around and `\p{..}`.
//!
//! What the event lacks is a no: an expression that asks for a member that is not there does not hold, and the reason
//! names it. Anything else that keeps an expression from being true or false is a failure.

mod calendar;
mod library;
mod mention;
mod program;
mod time;
mod variables;

use cel::common::types::CelBool;
use cel::{Context, ExecutionError, Value};
use hookwright_sdk::{Condition, Event, Failure, Manifest, Plugin, Verdict, shorten};
use serde::Deserialize;

use crate::program::Program;

/// Bytes of an expression that a reason shows.
const SHOWN: usize = 300;

struct Cel;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    expression: String,
}

impl Plugin for Cel {
    const MANIFEST: Manifest = Manifest {
        name: "cel",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Evaluates an expression of the Common Expression Language",
        parameters: include_str!("parameters.json"),
        // An instance that is kept keeps the functions and the last expression it read.
        hints: &[
            ("instance", "warm"),
            ("documentation", "https://github.com/google/cel-spec/blob/master/doc/langdef.md"),
        ],
    };
    type Parameters = Parameters;
}

impl Condition for Cel {
    fn evaluate(event: &Event, parameters: Parameters) -> Result<Verdict, Failure> {
        let text = &parameters.expression;
        let program = program::compiled(text)?;
        let now = variables::now();
        let context = context(&program, event, now)?;
        let shown_now = now.map(|now| now.to_string()).unwrap_or_default();
        let told = |what: &str| {
            let values = mention::told(&program.mentions, event, &shown_now);
            let values = if values.is_empty() { values } else { format!(": {values}") };
            format!("{} {what}{values}", shorten(text, SHOWN))
        };
        match Value::resolve_val(&program.expression, &context) {
            Ok(result) => match result.downcast_ref::<CelBool>() {
                Some(truth) if *truth.inner() => Ok(Verdict::yes(told("is true"))),
                Some(_) => Ok(Verdict::no(told("is false"))),
                None => Err(Failure::permanent(
                    "expression.not_boolean",
                    told(&format!("is of type {}, and must be true or false", result.get_type().name())),
                )),
            },
            Err(error) if lacks(&error, &program, event) => Ok(Verdict::no(told(&format!(
                "cannot be evaluated, because the event lacks a value ({})",
                said(&error)
            )))),
            Err(ExecutionError::UndeclaredReference(name)) => Err(Failure::permanent(
                "expression.invalid",
                format!("parameter `expression`: there is no `{name}`. Variables are event, data and now"),
            )),
            Err(error) => {
                Err(Failure::permanent("expression.failed", told(&format!("cannot be evaluated ({})", said(&error)))))
            }
        }
    }
}

fn context<'e>(program: &Program, event: &'e Event, now: Option<time::Timestamp>) -> Result<Context<'e, 'e>, Failure> {
    let mut context = Context::with_env(program::environment()?);
    // Large payloads are only taken over where the expression asks for them.
    if program.mentions(variables::EVENT) {
        context.add_variable_as_val(variables::EVENT, variables::event(event));
    }
    if program.mentions(variables::DATA) {
        context.add_variable_as_val(variables::DATA, variables::value(event.data()));
    }
    if let Some(now) = now {
        context.add_variable_as_val(variables::NOW, Box::new(now));
    }
    Ok(context)
}

/// Whether an expression could not be evaluated because the event lacks a value.
fn lacks(error: &ExecutionError, program: &Program, event: &Event) -> bool {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => true,
        ExecutionError::NoSuchOverload(_) => program.mentions.iter().any(|mention| mention.is_missing(event)),
        _ => false,
    }
}

/// What the interpreter says, in one line.
fn said(error: &ExecutionError) -> String {
    shorten(&error.to_string().replace('\n', " "), SHOWN)
}

hookwright_sdk::export_condition!(Cel);

#[cfg(test)]
mod tests;
