//! Scans a text once, without storing anything, to decide whether it is accepted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::{MAX_DEPTH, MAX_NUMBER, Refused, Rule};

/// Names that serde_json takes for marks of its own: an object with one of them would be read as a number, or as the JSON
/// in a string.
const RESERVED: [&str; 2] = ["$serde_json::private::Number", "$serde_json::private::RawValue"];

/// Up to so many names of an object are compared one by one.
const FEW: usize = 12;

/// The text, if it is one JSON value that every reader parses in the same way.
///
/// # Errors
/// [`Refused`]: the rule that it breaks, and where.
pub fn check(text: &[u8]) -> Result<&str, Refused> {
    let whole = std::str::from_utf8(text).map_err(|error| Refused {
        rule: Rule::Utf8,
        path: String::new(),
        at: error.valid_up_to(),
        message: format!("is not UTF-8: byte {} begins no character", error.valid_up_to()),
    })?;
    let mut scan = Scan { text: whole, at: 0 };
    scan.space();
    scan.value(&Place::Top, 0)?;
    scan.space();
    if scan.at < text.len() {
        return Err(scan.syntax(&Place::Top, "something follows the JSON value"));
    }
    Ok(whole)
}

/// Where in the value the scan is.
enum Place<'p, 't> {
    Top,
    Member(&'p Place<'p, 't>, &'t str),
    Item(&'p Place<'p, 't>, usize),
}

impl Place<'_, '_> {
    fn path(&self) -> String {
        match self {
            Self::Top => String::new(),
            Self::Member(outer, name) => {
                let mut path = outer.path();
                if !path.is_empty() {
                    path.push('.');
                }
                path.extend(name.chars().take(80));
                path
            }
            Self::Item(outer, at) => {
                let mut path = outer.path();
                let _ = write!(path, "[{at}]");
                path
            }
        }
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.step();
        }
        there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    /// The text from `start` up to here.
    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn refused(&self, rule: Rule, place: &Place<'_, '_>, at: usize, message: String) -> Refused {
        Refused { rule, path: place.path(), at, message }
    }

    fn syntax(&self, place: &Place<'_, '_>, what: &str) -> Refused {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        let message = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => format!("is not JSON: it ends where {what} at line {line} column {column}"),
            Some(found) => {
                format!("is not JSON: {what}, not `{}`, at line {line} column {column}", found.escape_debug())
            }
        };
        self.refused(Rule::Syntax, place, self.at, message)
    }

    fn value(&mut self, place: &Place<'_, 't>, depth: usize) -> Result<(), Refused> {
        match self.peek() {
            Some(b'{') => self.object(place, depth.saturating_add(1)),
            Some(b'[') => self.array(place, depth.saturating_add(1)),
            Some(b'"') => self.string(place).map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(place),
            Some(b't') => self.word(place, "true"),
            Some(b'f') => self.word(place, "false"),
            Some(b'n') => self.word(place, "null"),
            _ => Err(self.syntax(place, "a value was expected")),
        }
    }

    fn word(&mut self, place: &Place<'_, '_>, word: &str) -> Result<(), Refused> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at = self.at.saturating_add(word.len());
            Ok(())
        } else {
            Err(self.syntax(place, "a value was expected"))
        }
    }

    fn is_too_deep(&self, place: &Place<'_, '_>, depth: usize) -> Result<(), Refused> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        // The path would be as long as the text is deep.
        let top = Place::Top;
        let place = if matches!(place, Place::Top) { place } else { &top };
        let message = format!("nested more than {MAX_DEPTH} levels deep: flatten it");
        Err(self.refused(Rule::Depth, place, self.at, message))
    }

    fn array(&mut self, place: &Place<'_, 't>, depth: usize) -> Result<(), Refused> {
        self.is_too_deep(place, depth)?;
        self.step();
        self.space();
        if self.take(b']') {
            return Ok(());
        }
        let mut count = 0_usize;
        loop {
            self.space();
            self.value(&Place::Item(place, count), depth)?;
            self.space();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.syntax(place, "`,` or `]` was expected"));
            }
            count = count.saturating_add(1);
        }
    }

    fn object(&mut self, place: &Place<'_, 't>, depth: usize) -> Result<(), Refused> {
        self.is_too_deep(place, depth)?;
        self.step();
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        let mut names = Names::default();
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax(place, "a name in quotes was expected"));
            }
            let start = self.at;
            let escaped = self.string(place)?;
            // Without its quotes.
            let written = self.since(start);
            let written = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
            let name = if escaped { Cow::Owned(unescaped(written)) } else { Cow::Borrowed(written) };
            let inner = Place::Member(place, written);
            if RESERVED.contains(&name.as_ref()) {
                let message = "has a name that is reserved: call it something else".to_owned();
                return Err(self.refused(Rule::Reserved, &inner, start, message));
            }
            if !names.add(name) {
                let message =
                    "is given twice in one object, and readers differ in which counts: give it once".to_owned();
                return Err(self.refused(Rule::Duplicate, &inner, start, message));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.syntax(&inner, "`:` was expected"));
            }
            self.space();
            self.value(&inner, depth)?;
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.syntax(place, "`,` or `}` was expected"));
            }
        }
    }

    /// Passes over the characters of a string that mean themselves, eight at a time.
    fn plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        // The high bit of each byte that is below `most`, and possibly of bytes behind such a one.
        let below = |eight: u64, most: u8| eight.wrapping_sub(ONES.wrapping_mul(u64::from(most))) & !eight & HIGH;
        let is_byte = |eight: u64, byte: u8| below(eight ^ ONES.wrapping_mul(u64::from(byte)), 1);
        while let Some(eight) = self.text.as_bytes().get(self.at..).and_then(<[u8]>::first_chunk) {
            let eight = u64::from_le_bytes(*eight);
            let special = below(eight, 0x20) | is_byte(eight, b'"') | is_byte(eight, b'\\');
            if special != 0 {
                // The first one is exact.
                let plain = usize::try_from(special.trailing_zeros() / 8).unwrap_or_default();
                self.at = self.at.saturating_add(plain);
                return;
            }
            self.at = self.at.saturating_add(8);
        }
    }

    /// A string; says whether it has escapes.
    fn string(&mut self, place: &Place<'_, '_>) -> Result<bool, Refused> {
        self.step();
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape(place)?;
                }
                Some(0..=0x1f) => {
                    return Err(self.syntax(place, "a control character in a string was expected to be escaped"));
                }
                Some(_) => self.step(),
                None => return Err(self.syntax(place, "the end of a string was expected")),
            }
        }
    }

    fn escape(&mut self, place: &Place<'_, '_>) -> Result<(), Refused> {
        let start = self.at;
        self.step();
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.step();
                Ok(())
            }
            Some(b'u') => {
                let first = self.unit(place)?;
                let is_pair = match first {
                    0xd800..=0xdbff => {
                        let follows = self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u"));
                        if follows {
                            self.step();
                        }
                        follows && (0xdc00..=0xdfff).contains(&self.unit(place)?)
                    }
                    0xdc00..=0xdfff => false,
                    _ => return Ok(()),
                };
                if is_pair {
                    return Ok(());
                }
                let message = format!(
                    "has `\\u{first:04x}` in it, one half of a surrogate pair, which is not a character: send \
                     both halves, or leave it out"
                );
                Err(self.refused(Rule::Surrogate, place, start, message))
            }
            _ => Err(self.syntax(place, "an escape such as `\\n` was expected")),
        }
    }

    /// The four digits after `u`.
    fn unit(&mut self, place: &Place<'_, '_>) -> Result<u32, Refused> {
        self.step();
        let mut unit = 0_u32;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.syntax(place, "four hexadecimal digits were expected"));
            };
            unit = unit.wrapping_mul(16).wrapping_add(digit);
            self.step();
        }
        Ok(unit)
    }

    fn digits(&mut self, place: &Place<'_, '_>) -> Result<(), Refused> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.syntax(place, "a digit was expected"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        Ok(())
    }

    fn number(&mut self, place: &Place<'_, '_>) -> Result<(), Refused> {
        let start = self.at;
        self.take(b'-');
        // A number has no zero before its other digits.
        if !self.take(b'0') {
            self.digits(place)?;
        }
        if self.take(b'.') {
            self.digits(place)?;
        }
        let mantissa = self.since(start);
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits(place)?;
        }
        let written = self.since(start);
        if written.len() > MAX_NUMBER {
            let message = format!("is a number of {} characters: at most {MAX_NUMBER}", written.len());
            return Err(self.refused(Rule::Number, place, start, message));
        }
        // The shortest number beyond the range has a dozen characters less than an exponent, or hundreds of digits.
        if mantissa.len() == written.len() && written.len() < 300 {
            return Ok(());
        }
        let value: f64 = written.parse().unwrap_or(f64::INFINITY);
        let problem = if !value.is_finite() {
            "too large"
        } else if value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            "too close to zero"
        } else {
            return Ok(());
        };
        let shown: String = written.chars().take(40).collect();
        let message = format!(
            "is `{shown}`, which is {problem} for the numbers that programs read (IEEE 754 double precision): send it \
             as a string"
        );
        Err(self.refused(Rule::Number, place, start, message))
    }
}

/// The names of one object so far.
#[derive(Default)]
struct Names<'t> {
    few: Vec<Cow<'t, str>>,
    many: BTreeSet<Cow<'t, str>>,
}

impl<'t> Names<'t> {
    /// False: it is there already.
    fn add(&mut self, name: Cow<'t, str>) -> bool {
        if self.many.is_empty() {
            if self.few.contains(&name) {
                return false;
            }
            self.few.push(name);
            if self.few.len() > FEW {
                self.many = self.few.drain(..).collect();
            }
            return true;
        }
        self.many.insert(name)
    }
}

/// A string whose escapes were checked, without them.
fn unescaped(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut rest = written.chars();
    let mut high = 0_u32;
    while let Some(one) = rest.next() {
        if one != '\\' {
            text.push(one);
            continue;
        }
        match rest.next() {
            Some('u') => {
                let unit = rest.by_ref().take(4).fold(0, |unit, digit| unit * 16 + digit.to_digit(16).unwrap_or(0));
                match unit {
                    0xd800..=0xdbff => high = unit,
                    0xdc00..=0xdfff => {
                        let point = 0x10000 + ((high & 0x3ff) << 10) + (unit & 0x3ff);
                        text.push(char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    _ => text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Option<(Rule, String)> {
        check(text.as_bytes()).err().map(|refused| (refused.rule, refused.path))
    }

    #[test]
    fn ambiguous_json_is_refused_with_its_position() {
        for (text, rule_, path) in [
            (r#"{"a":"x","e":1e400}"#, Rule::Number, "e"),
            (r#"{"a":[0,-1e309]}"#, Rule::Number, "a[1]"),
            (r#"{"n":1e-400}"#, Rule::Number, "n"),
            (r#"{"a":"x","s":"\ud83d"}"#, Rule::Surrogate, "s"),
            (r#"["\ude00"]"#, Rule::Surrogate, "[0]"),
            (r#"["\ud83dx"]"#, Rule::Surrogate, "[0]"),
            (r#"["\ud83d\ud83d"]"#, Rule::Surrogate, "[0]"),
            (r#"{"\ud83d":1}"#, Rule::Surrogate, ""),
            (r#"{"a":{"b":1,"c":2,"b":3}}"#, Rule::Duplicate, "a.b"),
            (r#"{"ab":1,"a\u0062":2}"#, Rule::Duplicate, r"a\u0062"),
            (r#"{"😀":1,"\ud83d\ude00":2}"#, Rule::Duplicate, r"\ud83d\ude00"),
            (r#"{"x":{"$serde_json::private::RawValue":"{}"}}"#, Rule::Reserved, "x.$serde_json::private::RawValue"),
            (r#"{"$serde_json::private::Numbe\u0072":"1"}"#, Rule::Reserved, r"$serde_json::private::Numbe\u0072"),
            ("", Rule::Syntax, ""),
            ("{", Rule::Syntax, ""),
            (r#"{"a":}"#, Rule::Syntax, "a"),
            (r#"{"a" 1}"#, Rule::Syntax, "a"),
            (r#"{"a":1,}"#, Rule::Syntax, ""),
            ("[1,]", Rule::Syntax, "[1]"),
            ("[1 2]", Rule::Syntax, ""),
            ("01", Rule::Syntax, ""),
            ("1.", Rule::Syntax, ""),
            ("-", Rule::Syntax, ""),
            ("1e", Rule::Syntax, ""),
            ("+1", Rule::Syntax, ""),
            ("nul", Rule::Syntax, ""),
            ("\"\t\"", Rule::Syntax, ""),
            (r#""\x""#, Rule::Syntax, ""),
            (r#""\u12g4""#, Rule::Syntax, ""),
            (r#""abc"#, Rule::Syntax, ""),
            ("1 2", Rule::Syntax, ""),
            ("\u{feff}1", Rule::Syntax, ""),
        ] {
            assert_eq!(rule(text), Some((rule_, path.to_owned())), "{text}");
        }
        assert_eq!(check(b"\"\xff\"").unwrap_err().rule, Rule::Utf8);
        assert_eq!(rule(&"[".repeat(100_000)).unwrap().0, Rule::Depth);
        assert_eq!(rule(&format!("{}{}", "[".repeat(128), "]".repeat(128))), None);
        assert_eq!(rule(&format!("{}{}", "[".repeat(129), "]".repeat(129))).unwrap().0, Rule::Depth);
        assert_eq!(rule(&format!("0.{}", "1".repeat(999))).unwrap().0, Rule::Number);
        assert_eq!(rule(&"9".repeat(400)).unwrap().0, Rule::Number);
        let many: Vec<String> = (0..100).map(|n| format!("\"n{n}\":{n}")).collect();
        assert_eq!(rule(&format!("{{{}}}", many.join(","))), None);
        assert_eq!(rule(&format!("{{{},\"n50\":1}}", many.join(","))).unwrap(), (Rule::Duplicate, "n50".to_owned()));
    }

    #[test]
    fn everything_else_is_accepted() {
        for text in [
            "12345678901234567890123456789",
            "1.10",
            "-0",
            "0e999999",
            "0.0e-999999",
            "1E3",
            "1e308",
            "5e-324",
            r#" {"a": [ ], "b": { }, "c": [ 1 , "x" ] } "#,
            r#""\ud83d\ude00 \" \\ \/ \b\f\n\r\t \u0000""#,
            r#"{"":1,"a":null,"A":true,"é":false}"#,
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
        assert_eq!(crate::without_mark(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(crate::without_mark(b"{}"), b"{}");
    }
}
