//! The one reader of mail addresses (RFC 5322, section 3.4): how a list of them is split, and what is an address.
//!
//! `host/model` compiles this same file, so that the server and its plugins accept the same addresses. Groups
//! (`Team: a@example.com, b@example.com;`) are not supported.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes that the part before the `@` may have (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Bytes that a domain may have (RFC 1035, section 2.3.4).
const MAX_DOMAIN: usize = 253;
/// Bytes that a label of a domain may have.
const MAX_LABEL: usize = 63;

/// An address with the name before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress<'t> {
    /// The name, without quotes.
    pub name: Option<String>,
    /// The address, `ada@example.com`.
    pub address: &'t str,
}

/// The members of a list, in order and as they were written, without empty ones. They are separated by commas; a comma in
/// a quoted name (`"Doe, Ada" <ada@example.com>`), in a comment or in angle brackets separates nothing.
#[must_use]
pub fn split_addresses(text: &str) -> Vec<&str> {
    let (mut members, mut start, mut bracketed) = (Vec::new(), 0, false);
    for (place, c) in unquoted_characters(text).0 {
        match c {
            '<' => bracketed = true,
            '>' => bracketed = false,
            ',' if !bracketed => {
                members.push(text.get(start..place).unwrap_or_default());
                start = place.saturating_add(1);
            }
            _ => {}
        }
    }
    members.push(text.get(start..).unwrap_or_default());
    members.into_iter().map(str::trim).filter(|member| !member.is_empty()).collect()
}

/// Reads one address, with a name or without: `ada@example.com`, `Ada <ada@example.com>`.
///
/// # Errors
/// What is wrong with it, such as ``it has no `@` ``.
pub fn read_address(text: &str) -> Result<MailAddress<'_>, &'static str> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    let (characters, closed) = unquoted_characters(text);
    if !closed {
        return Err("a quote or a parenthesis is not closed");
    }
    let Some((open, _)) = characters.iter().find(|(_, c)| *c == '<') else {
        check_bare(text)?;
        return Ok(MailAddress { name: None, address: text });
    };
    if characters.iter().any(|(place, c)| place < open && matches!(c, '@' | ';')) {
        return Err("the name before `<` has an `@` or a semicolon outside of quotes");
    }
    let (name, rest) = text.split_at_checked(*open).unwrap_or_default();
    let Some(address) = rest.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) else {
        return Err("it does not end with the `>` of its address");
    };
    check_bare(address)?;
    Ok(MailAddress { name: Some(without_quotes(name)).filter(|name| !name.is_empty()), address })
}

/// The characters that are neither in quotes nor in a comment, with their places, and whether each of those is closed.
fn unquoted_characters(text: &str) -> (Vec<(usize, char)>, bool) {
    let (mut found, mut quoted, mut escaped, mut comments) = (Vec::new(), false, false, 0_usize);
    for (place, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted || comments > 0 => escaped = true,
            '"' if comments == 0 => quoted = !quoted,
            '(' if !quoted => comments = comments.saturating_add(1),
            ')' if !quoted => comments = comments.saturating_sub(1),
            _ if !quoted && comments == 0 => found.push((place, c)),
            _ => {}
        }
    }
    (found, !quoted && comments == 0)
}

/// A name without the quotes in it, and without the backslashes before characters that were quoted.
fn without_quotes(name: &str) -> String {
    let (mut text, mut quoted, mut escaped) = (String::with_capacity(name.len()), false, false);
    for c in name.trim().chars() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => text.push(c),
        }
    }
    text
}

/// Whether a string is an address without a name (`addr-spec`).
fn check_bare(address: &str) -> Result<(), &'static str> {
    let Some((local, domain)) = address.rsplit_once('@') else { return Err("it has no `@`") };
    if !is_local(local) {
        return Err("the part before the `@` is not valid");
    }
    if !is_domain(domain) {
        return Err("the part after the `@` is not a domain");
    }
    Ok(())
}

fn is_local(local: &str) -> bool {
    if local.is_empty() || local.len() > MAX_LOCAL {
        return false;
    }
    if let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return !quoted.is_empty() && !quoted.contains(['"', '\\']);
    }
    let is_letter = |c: char| !c.is_ascii() && !c.is_whitespace() || c.is_ascii_alphanumeric();
    let is_atom =
        |atom: &str| !atom.is_empty() && atom.chars().all(|c| is_letter(c) || "!#$%&'*+-/=?^_`{|}~".contains(c));
    local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.strip_prefix("IPv6:") {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
    }
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || c.is_alphanumeric())
    };
    domain.len() <= MAX_DOMAIN && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_the_commas_between_addresses() {
        for (text, members) in [
            ("a@b", &["a@b"][..]),
            ("a@b, c@d", &["a@b", "c@d"]),
            ("a@b,c@d,", &["a@b", "c@d"]),
            (r#""Doe, Ada" <ada@b>, Bob <bob@d>"#, &[r#""Doe, Ada" <ada@b>"#, "Bob <bob@d>"]),
            (r#""Doe \", Ada" <ada@b>, c@d"#, &[r#""Doe \", Ada" <ada@b>"#, "c@d"]),
            ("Ada (Sales, \\), North) <ada@b>, c@d", &["Ada (Sales, \\), North) <ada@b>", "c@d"]),
            ("Ada <ada@b, c@d", &["Ada <ada@b, c@d"]),
            ("Größe <ü@b>,\u{fc}@d", &["Größe <ü@b>", "\u{fc}@d"]),
            ("", &[]),
            (" , ", &[]),
        ] {
            assert_eq!(split_addresses(text), members, "{text}");
        }
    }

    #[test]
    fn an_address_is_read_with_its_name() {
        for (text, name, address) in [
            (" a@b ", None, "a@b"),
            ("<a@b>", None, "a@b"),
            ("Ada Lovelace <ada@example.com>", Some("Ada Lovelace"), "ada@example.com"),
            (r#""Doe, \"Ada\"" <ada@example.com>"#, Some("Doe, \"Ada\""), "ada@example.com"),
            (r#""ada@home" <ada@example.com>"#, Some("ada@home"), "ada@example.com"),
            ("Dr. Ada (Sales) <ada@example.com>", Some("Dr. Ada (Sales)"), "ada@example.com"),
            ("a.b+c_d@sub-1.example.com", None, "a.b+c_d@sub-1.example.com"),
            ("ü@exämple.com", None, "ü@exämple.com"),
            (r#""a b"@example.com"#, None, r#""a b"@example.com"#),
            ("a@[192.0.2.1]", None, "a@[192.0.2.1]"),
            ("a@[IPv6:2001:db8::1]", None, "a@[IPv6:2001:db8::1]"),
        ] {
            let read = read_address(text);
            assert_eq!(read, Ok(MailAddress { name: name.map(str::to_owned), address }), "{text}");
        }
    }

    #[test]
    fn invalid_addresses_are_refused_with_the_reason() {
        for (text, part) in [
            ("", "no `@`"),
            ("nobody", "no `@`"),
            ("a@b, c@d", "before the `@`"),
            ("a@b c@d", "before the `@`"),
            ("a@b; c@d", "before the `@`"),
            ("a@b; Ada <ada@d>", "semicolon"),
            ("a@b Ada <ada@d>", "outside of quotes"),
            ("Ada <ada@b", "does not end"),
            ("Ada <ada@b> x", "does not end"),
            ("Ada <ada@b>>", "not a domain"),
            ("\"Ada <ada@b>", "not closed"),
            ("@b", "before the `@`"),
            ("a..b@c", "before the `@`"),
            ("a@", "not a domain"),
            ("a@b..c", "not a domain"),
            ("a@-b", "not a domain"),
            ("a@b_c", "not a domain"),
            ("a@[192.0.2]", "not a domain"),
            ("a@b\r\nBcc: c@d", "control character"),
        ] {
            let refused = read_address(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        assert!(read_address(&format!("{}@b", "a".repeat(65))).is_err());
        assert!(read_address(&format!("a@{}", "b".repeat(64))).is_err());
    }
}
