//! Compiling a filter, and keeping the last one.

use std::cell::RefCell;
use std::rc::Rc;

use hookwright_sdk::{Failure, clock, shorten};
use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, Error as LoadError, File, Loader, span};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Compiler, compile};
use jaq_json::Val;

use crate::captures;
use crate::data::Data;

/// A compiled filter.
pub(crate) type Program = jaq_core::Filter<Data>;

/// The name of the variable that holds the event's envelope.
const EVENT: &str = "$event";

/// Functions of the standard library that would ask the operating system, which is not there.
const LEFT_OUT: [&str; 2] = ["env", "now"];

thread_local! {
    /// The last filter and its text. An instance that is kept warm is called for one automation after the other, most
    /// often the same.
    static LAST: RefCell<Option<(String, Rc<Program>)>> = const { RefCell::new(None) };
}

/// The compiled form of a filter's text.
///
/// # Errors
/// A permanent failure, code `filter.invalid`, with the line and column of what is wrong.
pub(crate) fn compiled(text: &str) -> Result<Rc<Program>, Failure> {
    let kept =
        LAST.with_borrow(|last| last.as_ref().filter(|(kept, _)| kept == text).map(|(_, program)| Rc::clone(program)));
    if let Some(program) = kept {
        return Ok(program);
    }
    let program = Rc::new(compile(text)?);
    LAST.set(Some((text.to_owned(), Rc::clone(&program))));
    Ok(program)
}

fn compile(text: &str) -> Result<Program, Failure> {
    // Most of the standard library is written in the language itself, and reading it takes a hundred times as long as
    // reading a filter does. A filter that does without it is compiled without it: none of its names stands for a native
    // function too, so what is found without it is found with it.
    match compile_with(text, []) {
        Ok(program) => Ok(program),
        Err(_) => compile_with(text, definitions()),
    }
}

/// The part of the standard library that is written in the language.
fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let own = jaq_core::load::parse(OWN, |parser| parser.defs()).unwrap_or_default();
    jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own)
}

/// The definitions in which jq 1.7 differs from the library.
const OWN: &str = include_str!("definitions.jq");

/// The functions that are not.
fn functions() -> impl Iterator<Item = Fun<Data>> {
    let standard =
        jaq_core::funs().chain(jaq_std::funs().filter(|(name, ..)| !LEFT_OUT.contains(name))).chain(jaq_json::funs());
    standard.chain(own())
}

fn compile_with(text: &str, definitions: impl IntoIterator<Item = Def<&'static str>>) -> Result<Program, Failure> {
    let arena = Arena::default();
    let modules = Loader::new(definitions).load(&arena, File { code: text, path: () }).map_err(|errors| {
        let first = errors.into_iter().next().map(|(_, error)| unread(text, error));
        invalid(text, first.unwrap_or_default())
    })?;
    Compiler::default().with_funs(functions()).with_global_vars([EVENT]).compile(modules).map_err(|errors| {
        let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
        invalid(text, first.map(|error| undefined(text, error)).unwrap_or_default())
    })
}

/// Functions that stand in for those left out.
fn own() -> [Fun<Data>; 2] {
    [run(("now", v(0), |_| bome(Ok(Val::from(clock::now_ms() / 1000.0))))), captures::function()]
}

/// Where a filter is wrong (a byte of its text), and what is wrong there.
type Problem = (usize, String);

fn unread(text: &str, error: LoadError<&str>) -> Problem {
    let place = |part: &str| span(text, part).start.min(text.len());
    let found = |part: &str| if part.is_empty() { "the end".to_owned() } else { format!("`{}`", shorten(part, 40)) };
    match error {
        LoadError::Io(errors) => {
            errors.into_iter().next().map(|(path, problem)| (place(path), problem)).unwrap_or_default()
        }
        LoadError::Lex(errors) => {
            let first = errors.into_iter().next();
            first
                .map(|(expected, part)| (place(part), format!("expected {}, found {}", expected.as_str(), found(part))))
                .unwrap_or_default()
        }
        LoadError::Parse(errors) => {
            let first = errors.into_iter().next();
            first
                .map(|(expected, part)| (place(part), format!("expected {}, found {}", expected.as_str(), found(part))))
                .unwrap_or_default()
        }
    }
}

fn undefined(text: &str, (name, kind): compile::Error<&str>) -> Problem {
    let arity = match &kind {
        compile::Undefined::Filter(arity) => format!("/{arity}"),
        _ => String::new(),
    };
    (span(text, name).start.min(text.len()), format!("there is no {} {}{arity}", kind.as_str(), shorten(name, 60)))
}

fn invalid(text: &str, (at, problem): Problem) -> Failure {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Failure::permanent("filter.invalid", format!("parameter `filter`, line {line}, column {column}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_definition_has_the_name_of_a_native_function() {
        let native: Vec<(&str, usize)> = functions().map(|(name, arguments, _)| (name, arguments.len())).collect();
        for definition in definitions() {
            let signature = (definition.name, definition.args.len());
            assert!(!native.contains(&signature), "{signature:?} is ambiguous");
        }
        assert!(definitions().count() > 50 && native.len() > 50);
        let own = jaq_core::load::parse(OWN, |parser| parser.defs()).map(|own: Vec<_>| own.len());
        assert!(own.is_some_and(|own| own > 10), "the own definitions cannot be read");
    }
}
