//! The header `Link` (RFC 8288): where what the event is about can be looked at.

use hookwright_sdk::outgoing::{Told, text};

use crate::names::plural;

/// Addresses that links begin with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bases<'a> {
    /// The account's URL.
    pub(crate) account: Option<&'a str>,
    /// Where the API begins.
    pub(crate) api: Option<&'a str>,
    /// The record's own address in it, where it is not made of its kind and id.
    pub(crate) resource: Option<&'a str>,
}

/// `canonical` for people, `resource` for programs, `related` for a note. `None` where no address is known.
pub(crate) fn links(noun: &str, id: Option<&str>, told: &Told<'_>, bases: Bases<'_>) -> Option<String> {
    let Bases { account, api, resource } = bases;
    let id = id.filter(|id| {
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    })?;
    let place = format!("{}/{id}", plural(noun));
    let link = |base: &str, rest: &str, relation: &str| {
        let base = base.trim_end_matches('/');
        // A relative one would mean a place at the receiver.
        let absolute = base.starts_with("https://") || base.starts_with("http://");
        let fits = absolute && base.bytes().all(|byte| (0x21..0x7f).contains(&byte) && !b"<>\"".contains(&byte));
        fits.then(|| format!("<{base}{rest}>; rel=\"{relation}\""))
    };
    let note = told.data.object("note").and_then(|note| note.first(&["id"])).and_then(text);
    let note = note.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let made = api.map(|api| format!("{}/{place}", api.trim_end_matches('/')));
    let resource = resource.or(made.as_deref());
    let links = [
        account.and_then(|account| link(account, &format!("/{place}"), "canonical")),
        resource.and_then(|resource| link(resource, "", "resource")),
        resource.zip(note).and_then(|(resource, note)| link(resource, &format!("/notes/{note}"), "related")),
    ];
    let links: Vec<String> = links.into_iter().flatten().collect();
    (!links.is_empty()).then(|| links.join(", "))
}
