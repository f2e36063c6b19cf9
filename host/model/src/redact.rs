//! Redacts secrets in foreign output, in the encodings that are cheap to search for: plain, base64, hex,
//! percent-encoded, HTML and JSON. All are searched for in one pass.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The replacement of a secret.
pub const REDACTED: &str = "***";
/// The minimum length of a secret that is searched for: a shorter one occurs in any text by chance.
pub const SHORTEST_REDACTED: usize = 4;
/// The minimum length of an encoded form that is searched for.
const SHORTEST_FORM: usize = 5;

/// Searches for secrets.
#[derive(Debug, Default)]
pub struct Redactor {
    forms: Vec<Vec<u8>>,
    /// The secret of each form.
    owners: Vec<usize>,
    found: Option<AhoCorasick>,
}

impl Redactor {
    /// Searches for these secrets. Those shorter than [`SHORTEST_REDACTED`] bytes are omitted.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self::of(secrets, SHORTEST_REDACTED)
    }

    /// The same with short ones too, which are searched for in plain form only: for readers that must not learn them,
    /// even if other text is redacted as well.
    pub fn strict<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self::of(secrets, 1)
    }

    fn of<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>, shortest: usize) -> Self {
        let (mut forms, mut owners) = (Vec::new(), Vec::new());
        for (place, secret) in secrets.into_iter().enumerate() {
            let secret = secret.as_ref();
            if secret.len() < shortest {
                continue;
            }
            let mut own = if secret.len() < SHORTEST_REDACTED { vec![secret.to_vec()] } else { forms_of(secret) };
            own.sort();
            own.dedup();
            owners.extend(std::iter::repeat_n(place, own.len()));
            forms.extend(own);
        }
        let build = || AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms).ok();
        let found = if forms.is_empty() { None } else { build() };
        Self { found, forms, owners }
    }

    /// The text with secrets replaced by [`REDACTED`].
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes(), false)).into_owned()
    }

    /// The bytes with secrets replaced by [`REDACTED`]. `cut`: they are truncated, so the beginning of a secret at
    /// their end is redacted as well.
    pub fn bytes(&self, bytes: &[u8], cut: bool) -> Vec<u8> {
        self.replace(bytes, cut, |_| REDACTED.as_bytes())
    }

    /// The bytes with each secret replaced by the result of `with` for its index.
    pub fn replace<'a>(&self, bytes: &[u8], cut: bool, with: impl Fn(usize) -> &'a [u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(bytes.len());
        let mut rest = 0;
        if let Some(found) = &self.found {
            for one in found.find_iter(bytes) {
                result.extend_from_slice(bytes.get(rest..one.start()).unwrap_or_default());
                let owner = self.owners.get(one.pattern().as_usize()).copied().unwrap_or_default();
                result.extend_from_slice(with(owner));
                rest = one.end();
            }
        }
        let tail = bytes.get(rest..).unwrap_or_default();
        let begun = if cut { self.begun(tail) } else { None };
        match begun {
            Some((length, owner)) => {
                result.extend_from_slice(tail.get(..tail.len().saturating_sub(length)).unwrap_or_default());
                result.extend_from_slice(with(owner));
            }
            None => result.extend_from_slice(tail),
        }
        result
    }

    /// How many bytes at the end may be the beginning of a secret, and the index of that secret.
    fn begun(&self, tail: &[u8]) -> Option<(usize, usize)> {
        let longest = |form: &Vec<u8>| {
            let most = form.len().saturating_sub(1).min(tail.len());
            (SHORTEST_REDACTED..=most).rev().find(|length| tail.ends_with(form.get(..*length).unwrap_or_default()))
        };
        let all = self.forms.iter().zip(&self.owners).filter_map(|(form, owner)| Some((longest(form)?, *owner)));
        all.max_by_key(|(length, _)| *length)
    }
}

/// The forms of a secret that are searched for.
fn forms_of(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST_FORM {
            forms.push(form);
        }
    };
    add(hex::encode_upper(secret).into_bytes());
    add(hex::encode(secret).into_bytes());
    // Within a longer text that is encoded as a whole, the secret begins at one of three positions of a group.
    for before in 0..3 {
        add(aligned(STANDARD_NO_PAD.encode(padded(before, secret)), before, secret.len()));
        add(aligned(URL_SAFE_NO_PAD.encode(padded(before, secret)), before, secret.len()));
    }
    for lower in [false, true] {
        for space in ["%20", "+"] {
            add(percent(secret, lower, space));
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        for quote in ["&#39;", "&#x27;", "&apos;"] {
            for double in ["&quot;", "&#34;"] {
                let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                add(html.replace('"', double).replace('\'', quote).into_bytes());
            }
        }
        let json = serde_json::Value::from(text).to_string();
        let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
        add(json.replace('/', "\\/").into_bytes());
        let escaped =
            json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027");
        add(escaped.into_bytes());
        add(json.as_bytes().to_vec());
    }
    forms
}

fn padded(before: usize, secret: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret);
    bytes
}

/// The letters of a base64 string that depend on the secret alone, not on the text around it.
fn aligned(encoded: String, before: usize, length: usize) -> Vec<u8> {
    let first = [0, 2, 3].get(before).copied().unwrap_or_default();
    let whole = before.saturating_add(length).saturating_mul(8) / 6;
    encoded.as_bytes().get(first..whole).unwrap_or_default().to_vec()
}

/// Percent-encoded as in a query or a form: all but the unreserved characters (RFC 3986, section 2.3).
fn percent(secret: &[u8], lower: bool, space: &str) -> Vec<u8> {
    let mut text = String::with_capacity(secret.len());
    for &byte in secret {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            b' ' => text.push_str(space),
            _ if lower => text.push_str(&format!("%{byte:02x}")),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "pa/ss w<o>rd&'\"ü?~1";

    #[test]
    fn a_secret_is_found_in_every_form_that_is_cheap_to_find() {
        let redactor = Redactor::new([SECRET]);
        let hex = hex::encode(SECRET);
        let json = serde_json::Value::from(SECRET).to_string();
        let percent: String = url_encoded(SECRET);
        for form in [
            SECRET.to_owned(),
            hex.to_uppercase(),
            hex,
            json.trim_matches('"').replace('/', "\\/"),
            json[1..json.len() - 1].to_owned(),
            percent.to_lowercase(),
            percent.replace("%20", "+"),
            percent,
            "pa/ss w&lt;o&gt;rd&amp;&#39;&quot;ü?~1".to_owned(),
            "pa/ss w&lt;o&gt;rd&amp;&#x27;&#34;ü?~1".to_owned(),
        ] {
            assert_eq!(redactor.text(&format!("a {form} z")), "a *** z", "{form}");
        }
        for text in ["{}", "x{}", "xy{}y", "Bearer {}, and more", "user:{}"] {
            let text = text.replace("{}", SECRET);
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let redacted = redactor.text(&encoded);
                assert!(redacted.contains("***"), "{encoded}");
                let left = redacted.replace("***", "").len();
                let others = (text.len() - SECRET.len()) * 4 / 3;
                assert!(left <= others + 8, "{redacted}: nothing but what stands around it is left");
            }
        }
    }

    fn url_encoded(text: &str) -> String {
        text.bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect()
    }

    #[test]
    fn each_secret_can_have_its_own_replacement_and_short_ones_are_left() {
        let redactor = Redactor::new(["first-secret", "abc", "second-secret"]);
        let names = ["<1>", "<2>", "<3>"];
        let replaced = redactor.replace(b"abc first-secret second-secret", false, |place| names[place].as_bytes());
        assert_eq!(replaced, b"abc <1> <3>");
        assert_eq!(Redactor::strict(["abc"]).text("an abc"), "an ***");
        assert_eq!(Redactor::new(Vec::<String>::new()).text("anything"), "anything");
    }

    #[test]
    fn a_secret_that_was_cut_off_is_found_by_its_beginning() {
        let redactor = Redactor::new(["correct-horse"]);
        assert_eq!(redactor.bytes(b"it is correct-hor", true), b"it is ***");
        assert_eq!(redactor.bytes(b"it is correct-hor", false), b"it is correct-hor");
        assert_eq!(redactor.bytes(b"it is cor", true), b"it is cor", "too little to tell");
    }
}
