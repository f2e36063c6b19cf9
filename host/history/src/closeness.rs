//! Whether a pattern that does not take an event type is close to it, as by a spelling mistake.

use hookwright_model::EventPattern;
use strsim::osa_distance;

/// How a pattern is close to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closeness {
    /// Equal except for case, separators or a typing error: one of the two may be misspelt.
    Spelling,
    /// Equal except for one word: that of the pattern, and that of the type.
    Word(String, String),
}

impl Closeness {
    /// The hint in an explanation.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Spelling => "that is close: is one of the two misspelt?".to_owned(),
            Self::Word(wanted, given) if wanted.is_empty() => format!("that is close: only `{given}` is extra"),
            Self::Word(wanted, given) if given.is_empty() => format!("that is close: only `{wanted}` is missing"),
            Self::Word(wanted, given) => format!("that is close: only `{given}` is not `{wanted}`"),
        }
    }
}

/// How a pattern is close to a type that it does not take. `None`: it is not close, or it takes the type.
pub(crate) fn closeness(wanted: &EventPattern, event_type: &str) -> Option<Closeness> {
    if wanted.takes(event_type) {
        return None;
    }
    let fold = |text: &str| text.to_lowercase().replace(['-', '_', '/', ' '], ".");
    let (wanted, given) = (fold(wanted.as_str()), fold(event_type));
    let mut wanted: Vec<&str> = wanted.split('.').collect();
    let mut given: Vec<&str> = given.split('.').collect();
    let open = wanted.last() == Some(&"*");
    if open {
        // The rest may be anything.
        wanted.pop();
        given.truncate(wanted.len());
    }
    if wanted.len() == given.len() {
        let pairs = || wanted.iter().zip(&given);
        if pairs().all(|(wanted, given)| alike(wanted, given)) {
            return Some(Closeness::Spelling);
        }
        let mut others = pairs().skip(1).filter(|(wanted, given)| !same(wanted, given));
        let first = pairs().next().is_some_and(|(wanted, given)| same(wanted, given));
        return match (first && !open, others.next(), others.next()) {
            (true, Some((wanted, given)), None) => Some(Closeness::Word((*wanted).to_owned(), (*given).to_owned())),
            _ => None,
        };
    }
    if open || wanted.first() != given.first() {
        return None;
    }
    inserted(&wanted, &given)
        .map(|word| Closeness::Word(String::new(), word))
        .or_else(|| inserted(&given, &wanted).map(|word| Closeness::Word(word, String::new())))
}

fn same(wanted: &str, given: &str) -> bool {
    wanted == "*" || wanted == given
}

/// Whether two words differ by at most one letter in three, where swapped neighbours count once: `isue` and `issue`, but
/// neither `x` and `y` nor `loop` and `fe`.
fn alike(wanted: &str, given: &str) -> bool {
    let longest = wanted.chars().count().max(given.chars().count());
    // The cost is quadratic, so words longer than any that people type are not compared letter by letter.
    same(wanted, given) || (longest <= 64 && osa_distance(wanted, given).saturating_mul(3) <= longest)
}

/// The word that `long` has and `short` lacks, if they are otherwise equal.
fn inserted(short: &[&str], long: &[&str]) -> Option<String> {
    if long.len() != short.len().checked_add(1)? {
        return None;
    }
    let before = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let rest = short.get(before..)? == long.get(before.checked_add(1)?..)?;
    rest.then(|| long.get(before).map(|word| (*word).to_owned())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closeness_is_the_edit_distance_of_words() {
        let word = |a: &str, b: &str| Some(Closeness::Word(a.to_owned(), b.to_owned()));
        let spelling = Some(Closeness::Spelling);
        for (wanted, given, close) in [
            ("jira.ticket_completed", "jira.ticket-completed", spelling.clone()),
            ("Jira.closed", "jira.closed", spelling.clone()),
            ("jira.isue.closed", "jira.issue.closed", spelling.clone()),
            ("jira.issue.closde", "jira.issue.closed", spelling.clone()),
            ("gihtub.*", "github.issues.opened", spelling.clone()),
            ("jira.issue.closed", "jira.issue.opened", word("closed", "opened")),
            ("jira.closed", "jira.opened", word("closed", "opened")),
            ("jira.closed", "jira.issue.closed", word("", "issue")),
            ("jira.issue.closed", "jira.closed", word("issue", "")),
            ("jira.issue.closed", "jira.page.opened", None),
            ("stripe.paid", "jira.closed", None),
            ("loop.x", "fe.x", None),
            ("a.x", "b.x", None),
            ("loop.*", "fe.x", None),
            ("jira.issue.*", "jira.page.opened", None),
            ("*.closed", "jira.opened", word("closed", "opened")),
            ("jira.*", "jira.closed", None),
        ] {
            assert_eq!(closeness(&wanted.parse().unwrap(), given), close, "{wanted} {given}");
        }
    }

    #[test]
    fn a_hint_names_the_word_that_differs() {
        for (wanted, given, hint) in [
            ("jira.isue", "jira.issue", "that is close: is one of the two misspelt?"),
            ("jira.closed", "jira.opened", "that is close: only `opened` is not `closed`"),
            ("jira.closed", "jira.issue.closed", "that is close: only `issue` is extra"),
            ("jira.issue.closed", "jira.closed", "that is close: only `issue` is missing"),
        ] {
            assert_eq!(closeness(&wanted.parse().unwrap(), given).unwrap().hint(), hint, "{wanted} {given}");
        }
    }

    #[test]
    fn very_long_words_are_not_compared_letter_by_letter() {
        let word = |length: usize| "x".repeat(length);
        let close =
            |length| closeness(&format!("{}y.a", word(length)).parse().unwrap(), &format!("{}z.a", word(length)));
        assert_eq!((close(63), close(64)), (Some(Closeness::Spelling), None));
    }
}
