//! Tests of the elements of a list.

use hookwright_sdk::shorten;

use crate::ask::Answer;
use crate::json::{Json, Kind};
use crate::operator::{Subject, Test};
use crate::tell;

/// How many elements of a list are looked at.
const MOST: usize = 100_000;
/// Bytes that a reason has for the element that decided.
const TOLD: usize = 500;

/// How many elements have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
    None,
}

/// Asks elements in order until the answer is known. The note names the one that decided, counted from 0.
pub(crate) fn ask(quantifier: Quantifier, tests: &[Test], value: Json<'_>) -> Answer {
    let negated = quantifier == Quantifier::None;
    let Some(elements) = value.elements().filter(|_| value.kind() == Kind::List) else {
        return Answer::noted(negated, format!("it is {}, which is no list", tell::brief(value)));
    };
    let count = elements.len();
    if count > MOST {
        return Answer::noted(negated, format!("it has {count} elements, of which at most {MOST} are looked at"));
    }
    let Some(first) = elements.first() else {
        return Answer::noted(quantifier != Quantifier::Any, "the list is empty");
    };
    let wanted = quantifier != Quantifier::All;
    let decides = |element: &Json<'_>| tests.iter().all(|test| passes(test, *element)) == wanted;
    match elements.iter().enumerate().find(|(_, element)| decides(element)) {
        Some((place, element)) => {
            let (does, told) =
                if wanted { ("does", all(tests, *element)) } else { ("does not", failing(tests, *element)) };
            Answer::noted(quantifier == Quantifier::Any, format!("element {place} {does}: {}", shorten(&told, TOLD)))
        }
        None => {
            let (who, told) = if wanted { ("none", failing(tests, *first)) } else { ("each", all(tests, *first)) };
            let does = format!("{who} of {count} does; element 0: {}", shorten(&told, TOLD));
            Answer::noted(quantifier != Quantifier::Any, does)
        }
    }
}

fn at<'j>(test: &Test, element: Json<'j>) -> Option<Json<'j>> {
    match &test.subject {
        Subject::At(path) => path.seek_quietly(0, element.0).map(Json),
        Subject::Given(_) | Subject::Element => Some(element),
    }
}

fn passes(test: &Test, element: Json<'_>) -> bool {
    test.ask(at(test, element)).holds
}

fn reason(test: &Test, element: Json<'_>) -> String {
    let value = match &test.subject {
        Subject::At(path) => path.seek(element.0, "the element").map(Json).map_err(|missing| missing.to_string()),
        Subject::Given(_) | Subject::Element => Ok(element),
    };
    let answer = test.ask(value.as_ref().ok().copied());
    test.reason(value, answer)
}

/// Why an element passes.
fn all(tests: &[Test], element: Json<'_>) -> String {
    tests.iter().map(|test| reason(test, element)).collect::<Vec<_>>().join("; ")
}

/// Why an element does not.
fn failing(tests: &[Test], element: Json<'_>) -> String {
    tests.iter().find(|test| !passes(test, element)).map(|test| reason(test, element)).unwrap_or_default()
}
