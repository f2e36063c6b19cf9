//! Resolving references between the schemas of one document (RFC 3986, section 5).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A reference without its fragment, and the fragment.
pub(crate) fn split(reference: &str) -> (&str, &str) {
    reference.split_once('#').unwrap_or((reference, ""))
}

/// The URI that a reference without fragment stands for where `base` holds. Without a base it stands for itself.
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    if scheme(reference).is_some() {
        return reference.to_owned();
    }
    let Some(scheme) = scheme(base) else {
        let folder = base.rfind('/').and_then(|at| base.get(..=at)).unwrap_or_default();
        return if reference.starts_with('/') {
            reference.to_owned()
        } else {
            without_dots(&format!("{folder}{reference}"))
        };
    };
    let after_scheme = base.get(scheme.len() + 1..).unwrap_or_default();
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let (authority, path) = match after_scheme.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            (format!("//{host}"), path)
        }
        None => (String::new(), after_scheme),
    };
    let path = path.split('?').next().unwrap_or_default();
    let merged = if reference.starts_with('/') {
        reference.to_owned()
    } else {
        let folder = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("/");
        format!("{folder}{reference}")
    };
    format!("{scheme}:{authority}{}", without_dots(&merged))
}

/// What stands before the first colon, if it is a scheme.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let is_one = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_one.then_some(scheme)
}

/// The path without `.` and `..` (section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                // The empty segment before a leading slash stays.
                if segment == ".." && kept.len() > 1 {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    kept.join("/")
}

/// A fragment with its percent-encoded bytes decoded (section 2.1). None where it is not UTF-8 then.
pub(crate) fn decoded(fragment: &str) -> Option<String> {
    percent_decode_str(fragment).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_resolved_by_its_own_base() {
        for (base, reference, expected) in [
            ("https://a.example/dir/schema.json", "other.json", "https://a.example/dir/other.json"),
            ("https://a.example/dir/schema.json", "/other.json", "https://a.example/other.json"),
            ("https://a.example/dir/schema.json", "../other.json", "https://a.example/other.json"),
            ("https://a.example/dir/schema.json", "./x/../y", "https://a.example/dir/y"),
            ("https://a.example/dir/schema.json", "//b.example/x", "https://b.example/x"),
            ("https://a.example", "x", "https://a.example/x"),
            ("https://a.example/a?q=/x/y", "b", "https://a.example/b"),
            ("https://a.example/a", "urn:x:y", "urn:x:y"),
            ("https://a.example/a", "", "https://a.example/a"),
            ("", "item", "item"),
            ("dir/a", "b", "dir/b"),
            ("dir/a", "/b", "/b"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{base} {reference}");
        }
    }

    #[test]
    fn a_fragment_is_decoded() {
        for (fragment, expected) in [
            ("/a%20b", Some("/a b")),
            ("%C3%BC", Some("ü")),
            ("%", Some("%")),
            ("%zz", Some("%zz")),
            ("%+1", Some("%+1")),
            ("%FF", None),
        ] {
            assert_eq!(decoded(fragment).as_deref(), expected, "{fragment}");
        }
    }
}
