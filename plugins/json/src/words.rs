//! Messages of the JSON library without names of Rust types, which mean nothing to the reader.

/// The library's names of the expected types, and their plain names. Names of a program's own types follow the words
/// that end with a space.
const WORDS: [(&str, &str); 26] = [
    ("struct variant ", "an object"),
    ("tuple variant ", "a list"),
    ("newtype variant ", "an object"),
    ("unit variant ", "a string"),
    ("tuple struct ", "a list"),
    ("newtype struct ", "a value"),
    ("unit struct ", "null"),
    ("struct ", "an object"),
    ("internally tagged enum ", "an object"),
    ("adjacently tagged enum ", "an object"),
    ("enum ", "a string or an object with one member"),
    ("variant of enum ", "a string"),
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0 to 4294967295"),
    ("u64", "a whole number, 0 or more"),
    ("usize", "a whole number, 0 or more"),
    ("i8", "a whole number from -128 to 127"),
    ("i16", "a whole number from -32768 to 32767"),
    ("i32", "a whole number from -2147483648 to 2147483647"),
    ("i64", "a whole number"),
    ("isize", "a whole number"),
    ("f32", "a number"),
    ("f64", "a number"),
    ("a map", "an object"),
    ("a sequence", "a list"),
];

/// The library's names of the found value.
const FOUND: [(&str, &str); 8] = [
    ("invalid type: sequence", "invalid type: a list"),
    ("invalid type: map", "invalid type: an object"),
    ("invalid type: string", "invalid type: the string"),
    ("invalid type: integer", "invalid type: the number"),
    ("invalid type: floating point", "invalid type: the number"),
    ("invalid type: boolean", "invalid type:"),
    ("invalid value: string", "invalid value: the string"),
    ("invalid value: integer", "invalid value: the number"),
];

/// A message of the JSON library without names of a program's types.
#[must_use]
pub fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    for (theirs, ours) in FOUND {
        if let Some(rest) = text.strip_prefix(theirs) {
            text = format!("{ours}{rest}");
            break;
        }
    }
    // The sent value precedes the expected type, so the last match is the library's own.
    let Some((before, expected)) = text.rsplit_once(", expected ") else { return text };
    for (theirs, ours) in WORDS {
        let Some(rest) = expected.strip_prefix(theirs) else { continue };
        let rest = if theirs.ends_with(' ') {
            // The type's name, and of lists how many parts it has.
            rest.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '<' | '>'))
        } else if rest.starts_with(|c: char| c.is_alphanumeric()) {
            continue;
        } else {
            rest
        };
        return format!("{before}, expected {ours}{rest}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_no_type_of_a_program() {
        for (theirs, ours) in [
            (
                "invalid type: sequence, expected struct NativeChecked at line 1 column 0",
                "invalid type: a list, expected an object at line 1 column 0",
            ),
            (
                "invalid type: string \"x, expected struct Y\", expected u32",
                "invalid type: the string \"x, expected struct Y\", expected a whole number from 0 to 4294967295",
            ),
            (
                "invalid length 1, expected struct Pair with 2 elements",
                "invalid length 1, expected an object with 2 elements",
            ),
            ("invalid type: map, expected a string", "invalid type: an object, expected a string"),
            ("invalid type: boolean `true`, expected f64", "invalid type: `true`, expected a number"),
            (
                "invalid type: null, expected internally tagged enum SigningPolicy",
                "invalid type: null, expected an object",
            ),
            ("unknown field `a`, expected `b` or `c`", "unknown field `a`, expected `b` or `c`"),
            ("missing field `url`", "missing field `url`"),
            ("invalid type: null, expected an id: a string", "invalid type: null, expected an id: a string"),
        ] {
            assert_eq!(plain(theirs), ours);
        }
    }
}
