//! Forms and queries: the URL standard's `application/x-www-form-urlencoded` (section 5.1), in the charset that the sender
//! names.

use percent_encoding::percent_decode;

use crate::{Request, encoding, shorten};

/// The charset that the content type names, in lower case. `None` where it is UTF-8 or is not named.
#[must_use]
pub fn charset(content_type: &str) -> Option<String> {
    let parameter = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    };
    let named = content_type.split(';').skip(1).find_map(parameter)?;
    (!matches!(named.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii")).then_some(named)
}

/// Bytes as text in a charset, or in UTF-8 where none is named.
///
/// # Errors
/// Why they are not text in it, to follow a name: `is not UTF-8: ..`.
pub fn text(bytes: &[u8], charset: Option<&str>) -> Result<String, String> {
    let shown = || shorten(&String::from_utf8_lossy(bytes), 60);
    match charset {
        None => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(format!(
                "is not UTF-8: {}. Have the sender encode it as UTF-8, or name its charset in the content type",
                shown()
            )),
        },
        // Most names and values are ASCII, which means the same in most charsets and needs no help of the host.
        Some(name) if bytes.is_ascii() && !reads_ascii_otherwise(name) => text(bytes, None),
        Some(charset) => encoding::text_decode(charset, bytes)
            .map_err(|failure| format!("cannot be read as {}: {}", shorten(charset, 40), failure.message)),
    }
}

fn reads_ascii_otherwise(charset: &str) -> bool {
    ["iso-2022", "csiso2022", "utf-16", "unicode", "ucs-2", "iso-10646", "hz-gb"]
        .iter()
        .any(|begin| charset.starts_with(begin))
}

/// Names and values of a form, in order.
///
/// # Errors
/// Which name or value is not text in the charset.
pub fn form_fields(body: &[u8], charset: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let mut fields = Vec::new();
    for (name, value) in pairs(body) {
        let name = text(&decoded(name), charset).map_err(|said| format!("a name {said}"))?;
        let value =
            text(&decoded(value), charset).map_err(|said| format!("the value of {} {said}", shorten(&name, 60)))?;
        fields.push((name, value));
    }
    Ok(fields)
}

/// Names and values of a form or a query in UTF-8, in order. What is not UTF-8 once it is decoded stays as it is written,
/// with its percent signs, so that nothing is lost.
#[must_use]
pub fn fields(bytes: &[u8]) -> Vec<(String, String)> {
    let read =
        |part: &[u8]| String::from_utf8(decoded(part)).unwrap_or_else(|_| String::from_utf8_lossy(part).into_owned());
    pairs(bytes).map(|(name, value)| (read(name), read(value))).collect()
}

/// The fields of a request's form, in the charset of its content type.
///
/// # Errors
/// See [`form_fields`].
pub(super) fn form_of(request: &Request) -> Result<Vec<(String, String)>, String> {
    let charset = charset(request.header("content-type").unwrap_or_default());
    form_fields(hookwright_json::without_mark(&request.body), charset.as_deref())
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

/// A plus is a space, and `%41` a byte; a percent sign without two digits is literal.
fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_in_its_charset_and_never_guessed() {
        let read = |body: &[u8], charset| form_fields(body, charset);
        let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (body, charset, expected) in [
            (b"subject=caf%C3%A9".as_slice(), None, "caf\u{e9}"),
            (b"subject=caf%E9", Some("iso-8859-1"), "caf\u{e9}"),
            (b"subject=caf\xe9", Some("windows-1252"), "caf\u{e9}"),
            (b"subject=%82%B1", Some("shift_jis"), "\u{3053}"),
            (b"subject=a+b%", Some("iso-8859-1"), "a b%"),
        ] {
            assert_eq!(read(body, charset), Ok(field("subject", expected)), "{charset:?}");
        }
        for (body, charset, said) in [
            (b"subject=caf%E9".as_slice(), None, "the value of subject is not UTF-8"),
            (b"%E9=1", None, "a name is not UTF-8"),
            (b"subject=caf%E9", Some("klingon"), "the value of subject cannot be read as klingon"),
            (b"subject=%82", Some("shift_jis"), "the value of subject cannot be read as shift_jis"),
        ] {
            let message = read(body, charset).unwrap_err();
            assert!(message.starts_with(said), "{message}");
        }
    }

    #[test]
    fn a_query_that_is_not_utf_8_stays_as_it_is_written() {
        assert_eq!(
            fields(b"a=%C3%BC+x&b=caf%E9&&c"),
            [("a", "\u{fc} x"), ("b", "caf%E9"), ("c", "")].map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn the_charset_is_read_from_the_content_type() {
        for (content_type, expected) in [
            ("application/x-www-form-urlencoded", None),
            ("application/x-www-form-urlencoded; charset=UTF-8", None),
            ("application/x-www-form-urlencoded;Charset=\"ISO-8859-1\"", Some("iso-8859-1")),
            ("text/plain; format=flowed; charset=koi8-r", Some("koi8-r")),
            ("text/plain; charset=", None),
        ] {
            assert_eq!(charset(content_type).as_deref(), expected, "{content_type}");
        }
    }
}
