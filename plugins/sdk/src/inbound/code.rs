//! Signatures that are codes keyed by a secret, and how old the request is that they came with.

use serde::Deserialize;

use crate::dates::Instant;
use crate::{Failure, Refusal, clock, crypto, encoding};

/// How a code is encoded in a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64 with padding (RFC 4648, section 4).
    Base64,
    /// Base64 for URLs, with padding or without (RFC 4648, section 5).
    Base64url,
}

impl Encoding {
    /// The code's bytes. `None` if the text is not written this way.
    #[must_use]
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => encoding::hex_decode(text).ok(),
            Self::Base64 => encoding::base64_decode(text).ok(),
            Self::Base64url => {
                let mut plain = text.trim_end_matches('=').replace('-', "+").replace('_', "/");
                while !plain.len().is_multiple_of(4) {
                    plain.push('=');
                }
                encoding::base64_decode(&plain).ok()
            }
        }
    }
}

/// Whether one of the codes is that of `data`, keyed by the named secret. Several are sent while a secret is changed.
///
/// # Errors
/// The host has no such secret.
pub fn signed(algorithm: &str, secret: &str, data: &[u8], codes: &[Vec<u8>]) -> Result<bool, Failure> {
    for code in codes {
        if crypto::checked(crypto::verify_hmac(algorithm, secret, data, code))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The codes in a header's list: what follows `prefix` up to the next comma, semicolon or space, wherever the prefix begins a
/// part of the list. It may have a space in it, as `sha256 ` of `X-Signature: sha256 CODE`.
pub fn codes<'h>(list: &'h str, prefix: &str) -> impl Iterator<Item = &'h str> {
    let separates = |letter: char| matches!(letter, ',' | ';' | ' ' | '\t');
    let mut before = ' ';
    let mut rest = list;
    std::iter::from_fn(move || {
        loop {
            let letter = rest.chars().next()?;
            let begins = separates(before) && !separates(letter);
            if begins && let Some(code) = rest.strip_prefix(prefix) {
                let end = code.find(separates).unwrap_or(code.len());
                let (code, after) = code.split_at(end);
                rest = after;
                before = 'x';
                if !code.is_empty() {
                    return Some(code);
                }
                continue;
            }
            before = letter;
            rest = rest.get(letter.len_utf8()..)?;
        }
    })
}

/// How a provider writes the time that it signs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// RFC 3339, or another form of a date with its offset ([`crate::dates`]).
    Rfc3339,
}

/// Why a time does not show that a request is fresh. Each has a sentence that follows the header's name: `is ..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFresh {
    /// It is no time in the format.
    Unreadable(String),
    /// It differs too much from the host's clock.
    TooFar(String),
}

impl NotFresh {
    /// The refusal, with status 401: `PROVIDER.timestamp_invalid` or `PROVIDER.signature_old`. `what` names the header.
    #[must_use]
    pub fn refusal(self, provider: &str, what: &str) -> Refusal {
        match self {
            Self::Unreadable(said) => {
                Refusal::new(401, format!("{provider}.timestamp_invalid"), format!("{what} {said}"))
            }
            Self::TooFar(said) => Refusal::new(401, format!("{provider}.signature_old"), format!("{what} {said}")),
        }
    }
}

/// Checks that a time lies at most `tolerance` seconds from the host's clock, on either side: a request that somebody
/// recorded cannot be sent again later.
///
/// # Errors
/// It cannot be parsed in the format, or differs too much.
pub fn fresh(time: &str, format: TimeFormat, tolerance: u32) -> Result<(), NotFresh> {
    let shown = crate::shorten(time, 40);
    let is_whole = !time.is_empty() && time.len() <= 15 && time.bytes().all(|byte| byte.is_ascii_digit());
    let number = || time.parse::<f64>().ok().filter(|_| is_whole);
    #[allow(clippy::cast_precision_loss)]
    let (at, wanted) = match format {
        TimeFormat::Seconds => (number(), "time in whole seconds since 1970"),
        TimeFormat::Milliseconds => (number().map(|ms| ms / 1000.0), "time in milliseconds since 1970"),
        TimeFormat::Rfc3339 => {
            (Instant::of_text(time).map(|at| at.millis() as f64 / 1000.0), "RFC 3339 time such as 2026-01-31T12:00:00Z")
        }
    };
    let Some(at) = at else {
        return Err(NotFresh::Unreadable(
            format!("is `{shown}`, which is not a {wanted}").replace("not a RFC", "not an RFC"),
        ));
    };
    let late = (clock::now_ms() / 1000.0).floor() - at.floor();
    if late.abs() <= f64::from(tolerance) {
        return Ok(());
    }
    let (by, way) = (late.abs(), if late > 0.0 { "behind" } else { "ahead of" });
    Err(NotFresh::TooFar(format!(
        "is `{shown}`, {by} seconds {way} this server's clock: at most {tolerance} are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_time_is_fresh_within_the_tolerance_on_both_sides() {
        Host::default().with_now(1_700_000_000_999.0, "2023-11-14T22:13:20.999Z").install();
        for (seconds, said) in [
            ("1700000000", None),
            ("1699999700", None),
            ("1700000300", None),
            ("1699999699", Some("301 seconds behind")),
            ("1700000301", Some("301 seconds ahead of")),
        ] {
            match (fresh(seconds, TimeFormat::Seconds, 300), said) {
                (Ok(()), None) => {}
                (Err(NotFresh::TooFar(message)), Some(said)) => assert!(message.contains(said), "{message}"),
                (found, _) => panic!("{seconds}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_time_is_read_in_the_format_that_was_chosen_and_in_no_other() {
        Host::default().with_now(1_700_000_000_999.0, "2023-11-14T22:13:20.999Z").install();
        for (time, format) in [
            ("1700000000", TimeFormat::Seconds),
            ("1700000000123", TimeFormat::Milliseconds),
            ("2023-11-14T22:13:20Z", TimeFormat::Rfc3339),
            ("2023-11-14T23:13:20.5+01:00", TimeFormat::Rfc3339),
        ] {
            assert_eq!(fresh(time, format, 1), Ok(()), "{time}");
        }
        for (time, format, said) in [
            ("2023-11-14T22:13:20Z", TimeFormat::Seconds, "not a time in whole seconds"),
            ("2023-11-14T22:13:20Z", TimeFormat::Milliseconds, "not a time in milliseconds"),
            ("1700000000", TimeFormat::Rfc3339, "not an RFC 3339 time"),
            ("", TimeFormat::Seconds, "not a time"),
            ("-1", TimeFormat::Seconds, "not a time"),
            ("1.7e9", TimeFormat::Seconds, "not a time"),
            ("99999999999999999999", TimeFormat::Seconds, "not a time"),
        ] {
            match fresh(time, format, 300) {
                Err(NotFresh::Unreadable(message)) => assert!(message.contains(said), "{message}"),
                found => panic!("{time}: {found:?}"),
            }
        }
        let code = |time| fresh(time, TimeFormat::Seconds, 300).unwrap_err().refusal("x", "the time").code;
        assert_eq!((code("soon"), code("1600000000")), ("x.timestamp_invalid".into(), "x.signature_old".into()));
    }

    #[test]
    fn codes_follow_their_prefix_wherever_a_part_of_the_list_begins() {
        for (list, prefix, expected) in [
            ("ab", "", vec!["ab"]),
            ("ab, cd;ef gh", "", vec!["ab", "cd", "ef", "gh"]),
            ("sha256=ab", "sha256=", vec!["ab"]),
            ("sha256 ab", "sha256 ", vec!["ab"]),
            ("sha256 ab, sha256 cd", "sha256 ", vec!["ab", "cd"]),
            ("t=1,v1=ab,v0=cd", "v1=", vec!["ab"]),
            ("v1,ab v1,cd", "v1,", vec!["ab", "cd"]),
            ("xv1=ab", "v1=", vec![]),
            ("v1=", "v1=", vec![]),
            ("", "", vec![]),
            (" , ;", "", vec![]),
        ] {
            assert_eq!(codes(list, prefix).collect::<Vec<_>>(), expected, "{list}");
        }
    }

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for (encoding, text, bytes) in [
            (Encoding::Hex, "00fF", Some(vec![0, 255])),
            (Encoding::Hex, "0", None),
            (Encoding::Base64, "+/8=", Some(vec![251, 255])),
            (Encoding::Base64, "-_8", None),
            (Encoding::Base64url, "-_8", Some(vec![251, 255])),
            (Encoding::Base64url, "-_8=", Some(vec![251, 255])),
            (Encoding::Base64url, "!", None),
        ] {
            assert_eq!(encoding.decode(text), bytes, "{text}");
        }
    }

    #[test]
    fn one_right_code_of_several_is_enough_and_a_missing_secret_is_a_failure() {
        Host::default().with_secret("s", b"k").install();
        let right = crypto::hmac("sha256", "s", b"data").unwrap();
        assert_eq!(signed("sha256", "s", b"data", &[vec![], vec![0; 32], right.clone()]), Ok(true));
        assert_eq!(signed("sha256", "s", b"date", std::slice::from_ref(&right)), Ok(false));
        assert_eq!(signed("sha256", "s", b"data", &[]), Ok(false));
        assert_eq!(signed("sha256", "other", b"data", &[right]).unwrap_err().code, "secret.unknown");
    }
}
