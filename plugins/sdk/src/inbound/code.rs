//! Signatures that are codes keyed by a secret, and how old the request is that they came with.

use serde::Deserialize;

use crate::{Failure, clock, crypto, encoding};

/// How a code stands in a header.
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
    /// The code's bytes; none if the text is not written this way.
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
/// The host cannot check: it has no such secret.
pub fn signed(algorithm: &str, secret: &str, data: &[u8], codes: &[Vec<u8>]) -> Result<bool, Failure> {
    for code in codes {
        if crypto::checked(crypto::verify_hmac(algorithm, secret, data, code))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks that a time (whole seconds since 1970, in digits) lies at most `tolerance` seconds from the host's clock, on
/// either side: a request that somebody recorded cannot be sent again later.
///
/// # Errors
/// What is wrong with it, to follow the header's name: `is ..`.
pub fn fresh(seconds: &str, tolerance: u32) -> Result<(), String> {
    let shown = crate::shorten(seconds, 40);
    let is_number = !seconds.is_empty() && seconds.len() <= 15 && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let Some(at) = is_number.then(|| seconds.parse::<f64>().ok()).flatten() else {
        return Err(format!("is `{shown}`, which is no time in whole seconds since 1970"));
    };
    let late = (clock::now_ms() / 1000.0).floor() - at;
    if late.abs() <= f64::from(tolerance) {
        return Ok(());
    }
    let (by, way) = (late.abs(), if late > 0.0 { "behind" } else { "ahead of" });
    Err(format!("is `{shown}`, {by} seconds {way} this server's clock: at most {tolerance} are allowed"))
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
            ("", Some("no time")),
            ("-1", Some("no time")),
            ("1.7e9", Some("no time")),
            ("99999999999999999999", Some("no time")),
        ] {
            match (fresh(seconds, 300), said) {
                (Ok(()), None) => {}
                (Err(message), Some(said)) => assert!(message.contains(said), "{message}"),
                (found, _) => panic!("{seconds}: {found:?}"),
            }
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
