//! The header `Link` (RFC 8288): where what the event is about can be looked at.

use hookwright_sdk::outgoing::{Told, text};

use crate::names::plural;

/// `canonical` for people, `resource` for programs, `related` for a note; none where neither address is known.
pub(crate) fn links(
    noun: &str,
    id: Option<&str>,
    told: &Told<'_>,
    account: Option<&str>,
    api: Option<&str>,
) -> Option<String> {
    let id = id.filter(|id| {
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    })?;
    let place = format!("{}/{id}", plural(noun));
    let link = |base: &str, rest: &str, relation: &str| {
        let base = base.trim_end_matches('/');
        let fits = base.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b"<>\"".contains(&byte));
        fits.then(|| format!("<{base}/{rest}>; rel=\"{relation}\""))
    };
    let note = told.data.object("note").and_then(|note| note.first(&["id"])).and_then(text);
    let note = note.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let links = [
        account.and_then(|account| link(account, &place, "canonical")),
        api.and_then(|api| link(api, &place, "resource")),
        api.zip(note).and_then(|(api, note)| link(api, &format!("{place}/notes/{note}"), "related")),
    ];
    let links: Vec<String> = links.into_iter().flatten().collect();
    (!links.is_empty()).then(|| links.join(", "))
}
