//! Bodies that were sent compressed (RFC 9110, section 8.4).

use std::io::Read;

/// The supported codings, for `Accept-Encoding`.
pub const ACCEPTED_CODINGS: &str = "gzip, deflate, br";
/// Maximum number of nested codings.
const MAX_CODINGS: usize = 3;
/// Size of the reads from a brotli stream.
const BROTLI_BUFFER: usize = 4096;

/// Why a body was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Its coding is not supported.
    #[error("the content coding `{0}` is not supported: send gzip, deflate, br, or the body as it is")]
    Unknown(String),
    /// It is not valid in its coding, or is truncated.
    #[error("the body is not valid {coding}: {reason}")]
    Invalid {
        /// The coding.
        coding: &'static str,
        /// The decoder's error.
        reason: String,
    },
    /// It exceeds this number of bytes when decoded.
    #[error("the body is larger than {0} bytes once it is decoded: send less, or raise max_body_bytes")]
    TooLarge(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

/// Whether a body with these values of `Content-Encoding` has to be decoded.
pub fn is_encoded<'v>(values: impl IntoIterator<Item = &'v str>) -> bool {
    names(values).next().is_some()
}

/// Decodes a body with these values of `Content-Encoding`, in their order, to at most `limit` bytes.
///
/// # Errors
/// A coding is not supported, the body is not valid in it, or it is too large.
pub fn decode<'v>(
    values: impl IntoIterator<Item = &'v str>,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, ContentError> {
    let mut codings = Vec::new();
    for name in names(values) {
        let shown = || name.chars().take(40).collect();
        codings.push(Coding::named(name).ok_or_else(|| ContentError::Unknown(shown()))?);
        if codings.len() > MAX_CODINGS {
            return Err(ContentError::Unknown(format!("more than {MAX_CODINGS} at once")));
        }
    }
    let mut decoded: Option<Vec<u8>> = None;
    // The last one named was applied last.
    for coding in codings.into_iter().rev() {
        decoded = Some(coding.decode(decoded.as_deref().unwrap_or(body), limit)?);
    }
    Ok(decoded.unwrap_or_else(|| body.to_vec()))
}

fn names<'v>(values: impl IntoIterator<Item = &'v str>) -> impl Iterator<Item = &'v str> {
    values
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
}

impl Coding {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            _ => None,
        }
    }

    fn decode(self, body: &[u8], limit: usize) -> Result<Vec<u8>, ContentError> {
        match self {
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(body), "gzip", limit),
            // The standard means zlib's format; some senders omit its frame.
            Self::Deflate => match read(flate2::read::ZlibDecoder::new(body), "deflate", limit) {
                Err(ContentError::Invalid { .. }) => read(flate2::read::DeflateDecoder::new(body), "deflate", limit),
                read => read,
            },
            Self::Brotli => read(brotli_decompressor::Decompressor::new(body, BROTLI_BUFFER), "br", limit),
        }
    }
}

/// Reads at most `limit` bytes, so that a small body cannot expand in memory.
fn read(decoder: impl Read, coding: &'static str, limit: usize) -> Result<Vec<u8>, ContentError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoded = Vec::new();
    decoder
        .take(most)
        .read_to_end(&mut decoded)
        .map_err(|error| ContentError::Invalid { coding, reason: error.to_string() })?;
    if decoded.len() > limit {
        return Err(ContentError::TooLarge(limit));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = b"{\"text\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
    /// `{"a":"b"}` as `brotli` writes it.
    const BROTLI: &[u8] = &[0x0b, 0x04, 0x80, b'{', b'"', b'a', b'"', b':', b'"', b'b', b'"', b'}', 0x03];

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(body: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_decoded_in_the_reverse_order_of_its_codings() {
        for (values, body, expected) in [
            (vec!["gzip"], gzip(TEXT), TEXT),
            (vec!["X-GZIP"], gzip(TEXT), TEXT),
            (vec!["deflate"], zlib(TEXT), TEXT),
            (vec!["deflate"], raw(TEXT), TEXT),
            (vec!["br"], BROTLI.to_vec(), b"{\"a\":\"b\"}"),
            (vec!["identity"], TEXT.to_vec(), TEXT),
            (vec![], TEXT.to_vec(), TEXT),
            (vec!["deflate, gzip"], gzip(&zlib(TEXT)), TEXT),
            (vec!["deflate", "gzip"], gzip(&zlib(TEXT)), TEXT),
            (vec!["gzip"], [gzip(b"{\"a\":"), gzip(b"1}")].concat(), b"{\"a\":1}"),
        ] {
            assert_eq!(decode(values.iter().copied(), &body, 1000).as_deref(), Ok(expected), "{values:?}");
        }
        assert!(is_encoded(["identity, br"]) && !is_encoded(["identity", ""]));
    }

    #[test]
    fn an_invalid_or_too_large_encoded_body_is_refused() {
        let bomb = gzip(&vec![0_u8; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(decode(["gzip"], &bomb, 1_000_000), Err(ContentError::TooLarge(1_000_000)));
        assert_eq!(decode(["gzip, gzip"], &gzip(&bomb), 1_000_000), Err(ContentError::TooLarge(1_000_000)));
        for (values, body) in [
            ("gzip", b"{}".to_vec()),
            ("gzip", gzip(TEXT)[..20].to_vec()),
            ("gzip", Vec::new()),
            ("deflate", b"{}".to_vec()),
            ("br", b"{\"a\":1}".to_vec()),
            ("br", BROTLI[..8].to_vec()),
        ] {
            let error = decode([values], &body, 1000).unwrap_err();
            assert!(matches!(error, ContentError::Invalid { .. }), "{values}: {error}");
        }
        for values in ["zstd", "gzip, aws-chunked", "gzip, gzip, gzip, gzip"] {
            assert!(matches!(decode([values], b"", 1000), Err(ContentError::Unknown(_))), "{values}");
        }
    }
}
