//! Times as Uspacy writes them.

use hookwright_sdk::time;

/// An RFC 3339 time in UTC with six digits of a second, `2023-08-02T08:07:11.256570Z`; any other text as it is.
pub(crate) fn micros(text: &str) -> String {
    let Some(plain) = time::checked(text).and_then(|text| text.strip_suffix('Z').map(str::to_owned)) else {
        return text.to_owned();
    };
    let (seconds, digits) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits: String = digits.chars().chain("000000".chars()).take(6).collect();
    format!("{seconds}.{digits}Z")
}
