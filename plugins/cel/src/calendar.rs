//! Offsets from UTC, as the functions of the language that name a time zone take them.

/// Seconds east of UTC that a string such as `+02:00` or `-05:30` says; a missing sign is a plus.
pub(crate) fn offset(zone: &str) -> Option<i64> {
    let (sign, clock) = match zone.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => (1, zone),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let two = |digits: &str, most: i64| -> Option<i64> {
        let is_two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| digits.parse::<i64>().ok())?.filter(|number| *number <= most)
    };
    Some(sign * (two(hours, 23)? * 3600 + two(minutes, 59)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_hours_and_minutes() {
        for (text, seconds) in [
            ("+02:00", Some(7200)),
            ("-05:30", Some(-19_800)),
            ("02:00", Some(7200)),
            ("+24:00", None),
            ("+2:00", None),
            ("", None),
        ] {
            assert_eq!(offset(text), seconds, "{text}");
        }
    }
}
