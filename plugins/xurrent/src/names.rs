//! Xurrent's words.

use hookwright_sdk::encoding;

/// Kinds of record that have another name in Xurrent.
const WORDS: [(&str, &str); 5] = [
    ("ticket", "request"),
    ("contact", "person"),
    ("user", "person"),
    ("company", "organization"),
    ("kase", "project"),
];

/// The event's name in Xurrent.
const VERBS: [(&str, &str); 4] =
    [("created", "create"), ("updated", "update"), ("deleted", "delete"), ("moved", "agile-board-column-changed")];

/// A kind of record in Xurrent's words: `ticket` is `request`, `project-task` is `project_task`.
pub(crate) fn noun(kind: &str) -> String {
    WORDS.iter().find(|(own, _)| *own == kind).map_or(kind, |(_, word)| word).replace('-', "_")
}

/// An event's name: `ticket.created` is `request.create`.
pub(crate) fn event(kind: &str, verb: &str) -> String {
    match (kind, verb) {
        ("automation", "called") => "automation_rule".to_owned(),
        (_, "") => noun(kind),
        _ => {
            let verb = VERBS.iter().find(|(own, _)| *own == verb).map_or(verb, |(_, word)| word);
            format!("{}.{verb}", noun(kind))
        }
    }
}

/// The node id of a thing: what it is, where, and its id, in base64 for URLs without padding. Receivers compare it and hand
/// it back, nothing else.
pub(crate) fn node(account: Option<&str>, account_id: Option<&str>, noun: &str, id: &str) -> String {
    let host = account.and_then(|url| url.split("://").last()).unwrap_or("hookwright").trim_end_matches('/');
    let kind: String = noun.split('_').map(capital).collect();
    // One host may serve several accounts.
    let account_id = account_id.map(|id| format!("/{id}")).unwrap_or_default();
    let plain = format!("{host}{account_id}/{kind}/{id}");
    encoding::base64_encode(plain.as_bytes()).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// A noun as the last part of a path: `/requests`, `/out_of_office_periods`.
pub(crate) fn plural(noun: &str) -> String {
    match (noun, noun.strip_suffix('y')) {
        ("person", _) => "people".to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
