//! Addresses of pages: joined, and added to.

use hookwright_sdk::inbound::fields;
use hookwright_sdk::{Failure, shorten};

/// Scheme and host of an address, with its port if it names one.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at.saturating_add(3));
    let end = url.get(host..).and_then(|rest| rest.find(['/', '?', '#']));
    end.and_then(|end| url.get(..host.saturating_add(end))).unwrap_or(url)
}

/// The address that `next` is, seen from `base` (RFC 3986, section 5, as far as links to pages go).
///
/// # Errors
/// It leads to another server: what is sent along is not meant for that one.
pub(crate) fn joined(base: &str, next: &str) -> Result<String, Failure> {
    let next = next.trim().split('#').next().unwrap_or_default();
    let own = origin(base);
    let path = base.split(['?', '#']).next().unwrap_or_default();
    if next.contains("://") || next.starts_with("//") {
        let scheme = own.split("//").next().unwrap_or_default();
        let whole = if next.starts_with("//") { format!("{scheme}{next}") } else { next.to_owned() };
        if origin(&whole).eq_ignore_ascii_case(own) && !whole.chars().any(char::is_whitespace) {
            return Ok(whole);
        }
        let message = format!(
            "the next page is at {}, which is another server than {own}: only pages of the same one are read",
            shorten(&whole, 200)
        );
        return Err(Failure::permanent("poll.next_elsewhere", message));
    }
    Ok(match next.chars().next() {
        None | Some('?') => format!("{path}{next}"),
        Some('/') => format!("{own}{next}"),
        Some(_) => {
            let folder = path.get(..path.rfind('/').unwrap_or_default()).filter(|folder| folder.len() >= own.len());
            format!("{}/{next}", folder.unwrap_or(own))
        }
    })
}

/// Whether the query has a parameter of this name.
pub(crate) fn has(url: &str, name: &str) -> bool {
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    fields(query.as_bytes()).iter().any(|(key, _)| key == name)
}

/// Adds a parameter to the query.
pub(crate) fn add(url: &mut String, parameter: &str) {
    match url.split_once('?') {
        None => url.push('?'),
        Some((_, query)) if query.is_empty() || query.ends_with('&') => {}
        Some(_) => url.push('&'),
    }
    url.push_str(parameter);
}

/// The target of `rel="next"` in `Link` headers (RFC 8288).
pub(crate) fn next_link(headers: &[(String, String)]) -> Option<String> {
    let links = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    links.flat_map(|(_, value)| value.split('<').skip(1)).find_map(|link| {
        let (target, attributes) = link.split_once('>')?;
        let is_next = attributes.split([';', ',']).filter_map(|attribute| attribute.trim().split_once('=')).any(
            |(name, value)| {
                let mut words = value.trim().trim_matches('"').split_ascii_whitespace();
                name.trim().eq_ignore_ascii_case("rel") && words.any(|word| word.eq_ignore_ascii_case("next"))
            },
        );
        is_next.then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_page_is_found_from_where_one_is() {
        let base = "https://a.example:8443/v1/items?limit=5";
        for (next, wanted) in [
            ("https://a.example:8443/v1/items?page=2", Some("https://a.example:8443/v1/items?page=2")),
            ("//a.example:8443/x", Some("https://a.example:8443/x")),
            ("/v2/items?page=2#top", Some("https://a.example:8443/v2/items?page=2")),
            ("?page=2", Some("https://a.example:8443/v1/items?page=2")),
            ("more", Some("https://a.example:8443/v1/more")),
            ("https://a.example/v1/items", None),
            ("http://a.example:8443/v1/items", None),
            ("https://evil.example/?u=https://a.example:8443", None),
        ] {
            assert_eq!(joined(base, next).ok().as_deref(), wanted, "{next}");
        }
        assert_eq!(joined("https://a.example", "more").ok().as_deref(), Some("https://a.example/more"));
    }

    #[test]
    fn a_link_header_names_the_next_page() {
        let link = |text: &str| next_link(&[("Link".to_owned(), text.to_owned())]);
        assert_eq!(link(r#"</a?p=1>; rel="prev", </a?p=3>; rel="next last""#).as_deref(), Some("/a?p=3"));
        assert_eq!(link("</a>; title=x; REL=Next").as_deref(), Some("/a"));
        assert_eq!(link(r#"</a>; rel="prev""#), None);
        assert_eq!(link("no link"), None);
    }

    #[test]
    fn parameters_are_added_once() {
        let mut url = "https://a.example/x?a=1".to_owned();
        assert!(has(&url, "a") && !has(&url, "b"));
        add(&mut url, "b=2");
        assert_eq!(url, "https://a.example/x?a=1&b=2");
    }
}
