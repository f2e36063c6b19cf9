//! The cost of a schema's regular expressions. Matching takes time in proportion to the text and to the number of
//! states, and that number is not the length of the expression: `a[ab]{3000}[^ab]` has three thousand.

use std::collections::HashMap;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Maximum number of states of all expressions of a schema.
const STATES: usize = 20_000;
/// Number of ranges of a class that count as one more state.
const RANGES: usize = 16;
/// Bytes of text, times states, that cost as much as applying one subschema.
const MATCHED: usize = 16;
/// Maximum nesting depth of an expression.
const NESTED: u32 = 200;

/// The expressions of a schema, each with its number of states.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    states: HashMap<String, usize>,
    sum: usize,
}

impl Patterns {
    /// Adds one.
    ///
    /// # Errors
    /// The expressions have too many states together.
    pub(super) fn add(&mut self, pattern: &str) -> Result<(), String> {
        let states = states(pattern);
        self.sum = self.sum.saturating_add(states);
        if self.sum > STATES {
            let shown = crate::cut::cut(pattern, 80);
            return Err(format!(
                "its regular expressions come to more than {STATES} states with `{shown}`, which has {states}: repeat less \
                 ({{0,3000}} counts three thousand times), or use maxLength"
            ));
        }
        self.states.insert(pattern.to_owned(), states);
        Ok(())
    }

    /// Their number.
    pub(super) fn count(&self) -> usize {
        self.states.len()
    }

    /// The cost of matching one with a string, counted in applied subschemas.
    pub(super) fn work(&self, pattern: &str, text: &str) -> u32 {
        let states = self.states.get(pattern).copied().unwrap_or(STATES);
        let work = states.saturating_mul(text.len()) / MATCHED;
        u32::try_from(work).unwrap_or(u32::MAX)
    }
}

/// The approximate number of states. An expression that cannot be parsed is counted by its length: it will be refused
/// when it is compiled, or is in the other dialect, where repetitions look the same.
fn states(pattern: &str) -> usize {
    let parsed = ParserBuilder::new().nest_limit(NESTED).build().parse(pattern);
    parsed.map_or_else(|_| pattern.len().saturating_mul(repetitions(pattern)), |hir| size(&hir)).max(1)
}

/// The product of all numbers in braces.
fn repetitions(pattern: &str) -> usize {
    let braces = pattern.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let largest =
        braces.filter_map(|(inside, _)| inside.split(',').filter_map(|n| n.trim().parse::<usize>().ok()).max());
    largest.fold(1, |product, n| product.saturating_mul(n.max(1)))
}

fn size(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => (class.ranges().len() / RANGES).saturating_add(1),
        HirKind::Class(Class::Bytes(class)) => (class.ranges().len() / RANGES).saturating_add(1),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or_else(|| repetition.min.saturating_add(1)).max(repetition.min).max(1);
            size(&repetition.sub).saturating_mul(usize::try_from(most).unwrap_or(usize::MAX)).saturating_add(1)
        }
        HirKind::Capture(capture) => size(&capture.sub).saturating_add(1),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(size).fold(1, usize::saturating_add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_repetitions_not_length() {
        for (pattern, least, most) in [
            ("^abc$", 3, 10),
            ("a[ab]{3000}[^ab]", 3000, 3100),
            ("((a{50}){50}){50}", 100_000, 200_000),
            ("(a+)+", 2, 12),
            (r"^[\w.]+@[\w.]+$", 2, 250),
            // An escape of the other dialect.
            (r"\/x{100}{100}", 10_000, 200_000),
        ] {
            let states = states(pattern);
            assert!((least..=most).contains(&states), "{pattern}: {states}");
        }
    }

    #[test]
    fn the_states_of_all_expressions_are_bounded() {
        let mut patterns = Patterns::default();
        let refused = (0..90).find_map(|n| patterns.add(&format!("a[ab]{{3000}}[^ab]{n}")).err());
        assert!(refused.unwrap().contains("more than 20000 states"));
        assert!(patterns.count() < 10);
        assert!(patterns.work("a[ab]{3000}[^ab]0", &"a".repeat(10_000)) > 1_000_000);
        assert_eq!(patterns.work("a[ab]{3000}[^ab]0", ""), 0);
    }
}
