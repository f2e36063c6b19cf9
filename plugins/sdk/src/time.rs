//! Times as events carry them (RFC 3339), and as providers write them.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::{Rfc2822, Rfc3339};
use serde_json::Value;

/// Numbers from here on are milliseconds, since as seconds they would lie past the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;

/// The instant as RFC 3339 in UTC, from milliseconds since 1970; none past the year 9999.
#[must_use]
pub fn rfc3339(ms: f64) -> Option<String> {
    if !ms.is_finite() || ms.abs() > 1e15 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)]
    let nanoseconds = (ms.round() as i128).checked_mul(1_000_000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?.format(&Rfc3339).ok()
}

/// The text itself if it is an RFC 3339 time with any offset.
#[must_use]
pub fn checked(text: &str) -> Option<String> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(text.to_owned())
}

/// Whole seconds since 1970 of an RFC 3339 time with any offset.
#[must_use]
pub fn unix_seconds(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// The time that a provider meant: RFC 3339 text, or seconds or milliseconds since 1970 as a number or as its digits.
#[must_use]
pub fn understood(value: &Value) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return checked(text.trim()),
        },
        _ => return None,
    };
    rfc3339(if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number })
}

/// Milliseconds since 1970 of a date as HTTP headers have it (RFC 9110, section 5.6.7, the preferred form).
#[must_use]
pub fn http_date_ms(text: &str) -> Option<f64> {
    let at = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    #[allow(clippy::cast_precision_loss)]
    let seconds = at.unix_timestamp() as f64;
    Some(seconds * 1000.0)
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
