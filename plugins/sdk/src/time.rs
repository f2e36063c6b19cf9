//! Times as events carry them (RFC 3339), and as providers write them.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use serde_json::Value;

use crate::dates::Instant;

/// The instant as RFC 3339 in UTC, from milliseconds since 1970; none past the year 9999.
#[must_use]
pub fn rfc3339(ms: f64) -> Option<String> {
    Instant::of_millis(ms).map(|at| at.to_string())
}

/// The text itself if it is an RFC 3339 time with any offset.
#[must_use]
pub fn checked(text: &str) -> Option<String> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(text.to_owned())
}

/// Whole seconds since 1970 of a date in any form that [`crate::dates`] reads.
#[must_use]
pub fn unix_seconds(text: &str) -> Option<i64> {
    Instant::of_text(text).map(|at| at.seconds)
}

/// The time that a provider meant, whichever form it has: text, a number or its digits ([`crate::dates`]).
#[must_use]
pub fn understood(value: &Value) -> Option<String> {
    let at = match value {
        Value::Number(number) => Instant::of_number(&number.to_string())?,
        // What is RFC 3339 already keeps its offset.
        Value::String(text) => return checked(text.trim()).or_else(|| Some(Instant::parse(text)?.to_string())),
        _ => return None,
    };
    Some(at.to_string())
}

/// Milliseconds since 1970 of a date as HTTP headers have it (RFC 9110, section 5.6.7).
#[must_use]
pub fn http_date_ms(text: &str) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)]
    let ms = Instant::of_text(text)?.millis() as f64;
    Some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seconds_are_those_of_the_instant() {
        for (text, seconds) in [
            ("2023-08-02T08:07:11.256570Z", Some(1_690_963_631)),
            ("2023-08-02T10:07:11+02:00", Some(1_690_963_631)),
            ("1969-12-31T23:59:59Z", Some(-1)),
            ("soon", None),
        ] {
            assert_eq!(unix_seconds(text), seconds, "{text}");
        }
    }

    #[test]
    fn a_time_is_read_in_every_form_that_providers_use() {
        for (value, time) in [
            (json!(1_492_774_577), Some("2017-04-21T11:36:17Z")),
            (json!(1_492_774_577_123_u64), Some("2017-04-21T11:36:17.123Z")),
            (json!("1355517523.000005"), Some("2012-12-14T20:38:43Z")),
            (json!("2024-01-02T03:04:05.123456789+02:00"), Some("2024-01-02T03:04:05.123456789+02:00")),
            (json!(0), Some("1970-01-01T00:00:00Z")),
            (json!(-1), Some("1969-12-31T23:59:59Z")),
            (json!("yesterday"), None),
            (json!("2024-13-02T03:04:05Z"), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!(1e300), None),
            (json!(""), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(understood(&value).as_deref(), time, "{value}");
        }
    }
}
