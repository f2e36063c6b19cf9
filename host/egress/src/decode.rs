//! Compressed bodies (RFC 9110, section 8.4.1). The limit of a body applies to its decoded size, so that a compression
//! bomb ends there.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::EgressError;

/// The value of Accept-Encoding if decoding was requested.
pub(crate) const TAKEN: &str = "gzip, deflate";

/// The content coding of a response's body, in lower case; `None` if there is none.
pub(crate) fn coding(headers: &HeaderMap) -> Option<String> {
    let texts = headers.get_all(CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all = texts.collect::<Vec<_>>().join(", ").to_ascii_lowercase();
    let real: Vec<&str> = all.split(',').map(str::trim).filter(|one| !one.is_empty() && *one != "identity").collect();
    (!real.is_empty()).then(|| real.join(", "))
}

/// The first `limit` decoded bytes of `raw`, and whether there are more; `None` if the coding is unknown. `cut`: `raw`
/// is only the beginning of the body.
pub(crate) fn decode(
    coding: &str,
    raw: &[u8],
    cut: bool,
    limit: usize,
) -> Option<Result<(Vec<u8>, bool), EgressError>> {
    let read = match coding {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(raw), cut, limit),
        "deflate" if is_zlib(raw) => read(ZlibDecoder::new(raw), cut, limit),
        // Some servers omit the zlib header.
        "deflate" => read(DeflateDecoder::new(raw), cut, limit),
        _ => return None,
    };
    Some(read.map_err(|error| EgressError::Undecodable(format!("the response body is not valid {coding}: {error}"))))
}

/// Whether the data begins with the two bytes of a zlib header (RFC 1950, section 2.2).
fn is_zlib(raw: &[u8]) -> bool {
    match raw {
        [cmf, flg, ..] => cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0,
        _ => false,
    }
}

fn read(decoder: impl Read, cut: bool, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut decoded = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match decoder.take(most).read_to_end(&mut decoded) {
        Ok(_) => {}
        // The end is missing because reading stopped at the limit.
        Err(error) if cut && error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error),
    }
    let more = decoded.len() > limit;
    decoded.truncate(limit);
    Ok((decoded, more || cut))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn packed(coding: &str, text: &[u8]) -> Vec<u8> {
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "zlib" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    #[test]
    fn a_compressed_body_is_decoded_up_to_the_limit() {
        for (form, coding) in [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")] {
            let raw = packed(form, &[b'a'; 1000]);
            assert_eq!(decode(coding, &raw, false, 1000).unwrap().unwrap(), (vec![b'a'; 1000], false), "{form}");
            assert_eq!(decode(coding, &raw, false, 999).unwrap().unwrap(), (vec![b'a'; 999], true), "{form}");
            let half = &raw[..raw.len() - 3];
            assert!(decode(coding, half, true, 5000).unwrap().unwrap().1, "{form}");
            assert_eq!(decode(coding, half, false, 5000).unwrap().unwrap_err().code(), "answer.undecodable", "{form}");
        }
        assert!(decode("br", b"x", false, 10).is_none());
        assert!(decode("gzip", b"not gzip", false, 10).unwrap().is_err());
    }

    #[test]
    fn content_codings_are_collected_from_all_header_fields() {
        for (fields, found) in
            [(&[][..], None), (&["identity"], None), (&["GZIP"], Some("gzip")), (&["gzip", "br"], Some("gzip, br"))]
        {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CONTENT_ENCODING, field.parse().unwrap());
            }
            assert_eq!(coding(&headers).as_deref(), found, "{fields:?}");
        }
    }
}
