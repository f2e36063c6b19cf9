//! Names of webhooks that were created without one, so that configuration as code can refer to every webhook.

use std::collections::HashSet;

/// The longest derived name, in characters.
const MAX_DERIVED_NAME: usize = 100;

/// A name derived from the URL's host and path, which are not secret, and a number if the name is taken. The query is
/// left out: it may contain a token.
pub(crate) fn derived(url: &str, taken: &HashSet<&str>) -> String {
    let parsed = url::Url::parse(url).ok();
    let host_and_path = parsed.as_ref().and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}{}", url.host_str()?, url.path().trim_end_matches('/')))
    });
    let name: String = host_and_path.unwrap_or_else(|| "webhook".to_owned()).chars().take(MAX_DERIVED_NAME).collect();
    if !taken.contains(name.as_str()) {
        return name;
    }
    // One of the first `taken + 2` numbers is free.
    let mut numbered = (2..=taken.len().saturating_add(2)).map(|number| format!("{name} ({number})"));
    numbered.find(|name| !taken.contains(name.as_str())).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_host_and_path_without_the_query_and_is_unique() {
        let none = HashSet::new();
        for (url, name) in [
            ("https://hooks.example.com/in/7?token=secret", "hooks.example.com/in/7"),
            ("https://user:password@example.com:8443/", "example.com:8443"),
            ("not a URL", "webhook"),
        ] {
            assert_eq!(derived(url, &none), name, "{url}");
        }
        let taken = HashSet::from(["example.com", "example.com (2)"]);
        assert_eq!(derived("https://example.com", &taken), "example.com (3)");
        let long = derived(&format!("https://example.com/{}", "a".repeat(300)), &none);
        assert_eq!(long.chars().count(), MAX_DERIVED_NAME);
    }

    #[test]
    fn the_first_free_number_is_taken() {
        for (taken, name) in [
            (vec!["example.com/a"], "example.com"),
            (vec!["example.com"], "example.com (2)"),
            (vec!["example.com", "example.com (3)"], "example.com (2)"),
            (vec!["example.com", "example.com (2)", "example.com (3)", "x"], "example.com (4)"),
        ] {
            let set: HashSet<&str> = taken.iter().copied().collect();
            assert_eq!(derived("https://example.com/", &set), name, "{taken:?}");
        }
    }
}
