//! `application/x-www-form-urlencoded` (WHATWG URL standard, section 5.1).

use hookwright_sdk::{Failure, shorten};

use crate::{Field, check_bounds};

/// The fields of a form, in order.
///
/// # Errors
/// A name or a value is not UTF-8 (`form.encoding`), or there are too many (`form.too_large`).
pub(crate) fn read(body: &[u8]) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default(), "a name")?;
        let value = decoded(halves.next().unwrap_or_default(), &format!("the value of {}", shorten(&name, 60)))?;
        check_bounds(fields.len(), &name)?;
        fields.push((name, value.into()));
    }
    Ok(fields)
}

/// A plus is a space, and `%41` the byte it names; a percent sign without two digits stands for itself.
fn decoded(text: &[u8], what: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(hexadecimal);
        match (first, digits) {
            (_, Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', None) => bytes.push(b' '),
            (other, None) => bytes.push(*other),
        }
        rest = after;
    }
    String::from_utf8(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(error.as_bytes());
        Failure::permanent(
            "form.encoding",
            format!("{what} is not UTF-8: {}. Have the sender encode the form as UTF-8", shorten(&shown, 60)),
        )
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match digits {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    }
}
