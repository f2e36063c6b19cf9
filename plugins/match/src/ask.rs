//! Putting the question to a value. That of a list may be a question to each of its elements, which may be lists again.

use hookwright_sdk::{clock, shorten};

use crate::compare::{self, Type};
use crate::json::{Json, Kind};
use crate::operator::{Age, Check, Quantifier, Subject, Test};
use crate::tell;

/// Bytes of a string that a regular expression is looked for in.
const SEARCHED: usize = 256 * 1024;
/// How many elements of a list are looked at.
const MOST: usize = 100_000;
/// Bytes that a reason has for the element that decided.
const TOLD: usize = 500;

/// The result of a test.
pub(crate) struct Answer {
    pub(crate) holds: bool,
    /// Why the question could not be put to this value, or how it was put.
    pub(crate) note: Option<String>,
}

impl Answer {
    pub(crate) fn plain(holds: bool) -> Self {
        Self { holds, note: None }
    }

    pub(crate) fn noted(holds: bool, note: impl Into<String>) -> Self {
        Self { holds, note: Some(note.into()) }
    }
}

impl Test {
    /// Tests a value. `None` if the path has no value.
    pub(crate) fn ask(&self, value: Option<Json<'_>>) -> Answer {
        if let Check::Exists(wanted) = self.check {
            return Answer::plain(value.is_some() == wanted);
        }
        let Some(value) = value else {
            return Answer::plain(self.is_negated());
        };
        let expected = self.expected();
        match &self.check {
            Check::Same { negated } => match compare::same(value, expected, self.rules) {
                Some(same) => Answer { holds: same != *negated, note: self.converted(value, expected) },
                None => self.misfit(),
            },
            Check::Order { allowed } => match compare::order(value, expected, self.rules) {
                Some((order, read_as)) => {
                    Answer { holds: allowed(order), note: self.read_as(value, expected, read_as) }
                }
                None if self.rules.given.is_some() => self.misfit(),
                None => Answer::noted(false, "which has no order with it: compare numbers, times or strings"),
            },
            Check::Contains { negated } => match compare::contains(value, expected, self.rules) {
                Some(contained) => Answer::plain(contained != *negated),
                None => Answer::noted(*negated, "which is neither a string, a list nor an object"),
            },
            Check::StartsWith => self.ask_text(value, |text, part| text.starts_with(part)),
            Check::EndsWith => self.ask_text(value, |text, part| text.ends_with(part)),
            Check::Matches(regex) => match compare::part_text(value) {
                Some(text) if text.len() > SEARCHED => {
                    let note =
                        format!("which has {} bytes: an expression is looked for in at most {SEARCHED}", text.len());
                    Answer::noted(false, note)
                }
                Some(text) => Answer::plain(regex.is_match(&text)),
                None => not_a_text(),
            },
            Check::OneOf { negated, list } => {
                if self.rules.given.is_some_and(|given| !given.takes(value)) {
                    return self.misfit();
                }
                let is_one = |one: Json<'_>| compare::same(value, one, self.rules) == Some(true);
                Answer::plain(list.iter().any(|one| is_one(Json(one.get()))) != *negated)
            }
            Check::Beside { before } => match compare::moment(value).zip(compare::moment(expected)) {
                Some((at, moment)) => {
                    let holds = if *before { at < moment } else { at > moment };
                    if expected.0.starts_with("\"now") { with_now(holds) } else { Answer::plain(holds) }
                }
                None => Answer::noted(false, Type::Date.not()),
            },
            Check::Age { age, seconds } => match compare::moment(value) {
                Some(at) => {
                    let (now, seconds) = (compare::now(), *seconds);
                    with_now(match age {
                        Age::Older => at < now.plus(-seconds),
                        Age::Newer => at > now.plus(-seconds),
                        Age::Within => at >= now.plus(-seconds) && at <= now.plus(seconds),
                    })
                }
                None => Answer::noted(false, Type::Date.not()),
            },
            Check::Elements { quantifier, tests } => ask_elements(*quantifier, tests, value),
            Check::Exists(wanted) => Answer::plain(*wanted),
            // These look at the event, not at a value.
            Check::Changed(_) | Check::ChangedBetween { .. } => Answer::plain(false),
        }
    }

    /// The whole reason: the question, what there was, and why that is an answer. `Err`: what was there instead.
    pub(crate) fn reason(&self, value: Result<Json<'_>, String>, answer: Answer) -> String {
        let elements = matches!(self.check, Check::Elements { .. });
        let (actual, note) = match (value, answer.note) {
            (Err(missing), _) => (missing, None),
            (Ok(_), Some(note)) if elements => (note, None),
            (Ok(value), note) => (format!("it is {}", tell::brief(value)), note),
        };
        let note = note.map(|note| format!(", {note}")).unwrap_or_default();
        format!("{}: {actual}{note}", self.describe())
    }

    /// The value is not of the type that was asked for, so it is nothing that is expected.
    fn misfit(&self) -> Answer {
        Answer::noted(self.is_negated(), self.rules.given.map(Type::not).unwrap_or_default())
    }

    /// What the two were read as, if that is not what they look like.
    fn converted(&self, value: Json<'_>, expected: Json<'_>) -> Option<String> {
        let mixed = matches!((value.kind(), expected.kind()), (Kind::Number, Kind::Text) | (Kind::Text, Kind::Number));
        (self.rules.given.is_none() && mixed).then(|| "compared as numbers".to_owned())
    }

    fn read_as(&self, value: Json<'_>, expected: Json<'_>, read_as: Type) -> Option<String> {
        let plain = match read_as {
            Type::Number => value.kind() == Kind::Number && expected.kind() == Kind::Number,
            Type::Date => false,
            Type::Text | Type::Truth => true,
        };
        (self.rules.given.is_none() && !plain).then(|| format!("compared as {}s", read_as.name()))
    }

    fn ask_text(&self, value: Json<'_>, holds: impl Fn(&str, &str) -> bool) -> Answer {
        let case = self.rules.case;
        match (compare::part_text(value), compare::part_text(self.expected())) {
            (Some(text), Some(part)) => Answer::plain(holds(&case.fold(&text), &case.fold(&part))),
            _ => not_a_text(),
        }
    }
}

fn with_now(holds: bool) -> Answer {
    Answer::noted(holds, format!("now is {}", clock::now()))
}

fn not_a_text() -> Answer {
    Answer::noted(false, "which is not a string")
}

/// Tests elements in order until the result is known. The note names the one that decided, counted from 0.
fn ask_elements(quantifier: Quantifier, tests: &[Test], value: Json<'_>) -> Answer {
    let negated = quantifier == Quantifier::None;
    let Some(elements) = value.elements().filter(|_| value.kind() == Kind::List) else {
        return Answer::noted(negated, format!("it is {}, which is not a list", tell::brief(value)));
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
                if wanted { ("does", why(tests, *element)) } else { ("does not", why_not(tests, *element)) };
            Answer::noted(quantifier == Quantifier::Any, format!("element {place} {does}: {}", shorten(&told, TOLD)))
        }
        None => {
            let (who, told) = if wanted { ("none", why_not(tests, *first)) } else { ("each", why(tests, *first)) };
            let does = format!("{who} of {count} does; element 0: {}", shorten(&told, TOLD));
            Answer::noted(quantifier != Quantifier::Any, does)
        }
    }
}

/// The test of an element.
fn looked_at<'j>(test: &Test, element: Json<'j>) -> Option<Json<'j>> {
    match &test.subject {
        Subject::At(path) => path.seek_quietly(0, element.0).map(Json),
        Subject::Given(_) | Subject::Element => Some(element),
    }
}

fn passes(test: &Test, element: Json<'_>) -> bool {
    test.ask(looked_at(test, element)).holds
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
fn why(tests: &[Test], element: Json<'_>) -> String {
    tests.iter().map(|test| reason(test, element)).collect::<Vec<_>>().join("; ")
}

/// Why an element does not.
fn why_not(tests: &[Test], element: Json<'_>) -> String {
    tests.iter().find(|test| !passes(test, element)).map(|test| reason(test, element)).unwrap_or_default()
}
