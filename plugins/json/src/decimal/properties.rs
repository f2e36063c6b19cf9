//! Properties that hold for all numbers.

use proptest::prelude::*;

use super::*;

/// A number, by its digits and exponent, and how it is written.
#[derive(Clone, Debug)]
struct Number {
    /// Its value times 10^30.
    scaled: i128,
    written: String,
}

/// Numbers of which many are the same, written in another way.
fn number() -> impl Strategy<Value = Number> {
    let digits = prop_oneof![0..3_i128, 0..1_000_000_i128, Just(100), Just(999)];
    (digits, any::<bool>(), -20..3_i32, 0..3_usize, 0..4_usize, any::<bool>()).prop_map(
        |(digits, negative, exponent, before, after, with_point)| {
            let power = 10_i128.pow(u32::try_from(exponent + 30).unwrap());
            let scaled = digits * power * if negative { -1 } else { 1 };
            let sign = if negative { "-" } else { "" };
            let (before, after) = ("0".repeat(before), "0".repeat(after));
            let shifted = exponent - i32::try_from(after.len()).unwrap();
            let written = if with_point {
                // The point is after the first digit, which the exponent compensates.
                let all = format!("{before}{digits}{after}");
                let (first, rest) = all.split_at(1);
                let shifted = shifted + i32::try_from(rest.len()).unwrap();
                format!("{sign}{first}.{rest}E{shifted}")
            } else {
                format!("{sign}{before}{digits}{after}e{shifted:+}")
            };
            Number { scaled, written }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_have_the_order_and_the_canonical_form_of_their_values(numbers in prop::collection::vec(number(), 2..8)) {
        const ONE: i128 = 10_i128.pow(30);
        for one in &numbers {
            let a = Decimal::read(&one.written).unwrap();
            prop_assert_eq!(a.is_whole(), one.scaled % ONE == 0, "{}", one.written);
            for other in &numbers {
                let b = Decimal::read(&other.written).unwrap();
                prop_assert_eq!(a.order(b), one.scaled.cmp(&other.scaled), "{} {}", one.written, other.written);
                prop_assert_eq!(a.canonical() == b.canonical(), one.scaled == other.scaled);
                prop_assert_eq!(same_number(&one.written, &other.written), one.scaled == other.scaled);
            }
            // The canonical text is a number itself, and the same one.
            prop_assert!(Decimal::read(&a.canonical()).unwrap().order(a).is_eq(), "{}", one.written);
        }
    }

    #[test]
    fn a_hostile_string_is_a_number_or_none(
        text in prop_oneof![any::<String>(), "[-+.eE0-9]{0,24}", "[0-9]{1,4}e[+-]?[0-9]{1,40}"],
        other in "[-+.eE0-9]{0,24}",
    ) {
        let Some(number) = Decimal::read(&text) else { return Ok(()) };
        prop_assert!(number.order(number).is_eq());
        let _ = number.is_whole();
        // Not always the same one: exponents beyond a million millions are cut to that.
        prop_assert!(Decimal::read(&number.canonical()).is_some());
        prop_assert!(number.to_i128().is_none() || number.is_whole());
        if let Some(other) = Decimal::read(&other) {
            prop_assert_eq!(number.order(other), other.order(number).reverse());
            prop_assert_eq!(number.order(other).is_eq(), number.canonical() == other.canonical());
        }
    }
}
