//! Instants, and their distance from now.

use hookwright_sdk::dates::Instant;

use crate::json::{Json, Kind};

/// The instant that a value names as a date, in any form that [`hookwright_sdk::dates`] reads.
pub(crate) fn date(value: Json<'_>) -> Option<Instant> {
    match value.kind() {
        Kind::Number => Instant::of_number(value.0),
        Kind::Text => Instant::parse(&value.text()?),
        _ => None,
    }
}

/// Seconds of a duration: numbers, each with its unit (w, d, h, m, s), such as `2h` or `1d12h`. At most 100 years.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = match after.as_bytes().first()? {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    (!text.is_empty() && total <= 100 * 366 * 86_400).then_some(total)
}

/// `now`, `now-2d` or `now+1h`: the seconds from now. `None`: the text is nothing of the kind.
pub(crate) fn from_now(text: &str) -> Option<i64> {
    let rest = text.strip_prefix("now")?;
    match rest.split_at_checked(1) {
        None => Some(0),
        Some(("+", rest)) => duration(rest),
        Some(("-", rest)) => duration(rest).map(|seconds| -seconds),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_everywhere_else() {
        let table: serde_json::Value = serde_json::from_str(include_str!("../../sdk/dates.json")).unwrap();
        for row in table["read"].as_array().unwrap() {
            let read = date(Json(&row[0].to_string())).map(|read| read.to_string());
            assert_eq!(read.as_deref(), row[1].as_str(), "{row}");
        }
        for row in table["refused"].as_array().unwrap() {
            assert_eq!(date(Json(&row.to_string())), None, "{row}");
        }
    }

    #[test]
    fn a_date_may_be_a_number_too() {
        for (json, expected) in [
            ("1795251600", Some((1_795_251_600, 0))),
            ("1795251600.5", Some((1_795_251_600, 500_000_000))),
            ("1795251600123", Some((1_795_251_600, 123_000_000))),
            ("\"1795251600\"", Some((1_795_251_600, 0))),
            ("-1", Some((-1, 0))),
            ("1e300", None),
            ("\"soon\"", None),
            ("true", None),
        ] {
            assert_eq!(date(Json(json)), expected.map(|(seconds, nanos)| Instant { seconds, nanos }), "{json}");
        }
    }

    #[test]
    fn a_duration_is_numbers_with_their_units() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7200)),
            ("1d12h", Some(129_600)),
            ("2w", Some(1_209_600)),
            ("0s", Some(0)),
            ("", None),
            ("2", None),
            ("h", None),
            ("-2h", None),
            ("2H", None),
            ("P1D", None),
            ("99999999999999999999s", None),
            ("9999999w", None),
            ("2é", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
        for (text, seconds) in [
            ("now", Some(0)),
            ("now-2d", Some(-172_800)),
            ("now+1h", Some(3600)),
            ("now2d", None),
            ("now-", None),
            ("x", None),
        ] {
            assert_eq!(from_now(text), seconds, "{text}");
        }
    }
}
