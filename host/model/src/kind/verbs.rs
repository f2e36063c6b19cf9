//! What can happen to records.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A verb: a change that can happen to a record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verb {
    /// The predicate of a sentence, such as `was closed`.
    pub(super) happened: String,
    /// What the data contains besides the record.
    pub(crate) tells: Tells,
}

/// What an event contains besides its record.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tells {
    Nothing,
    /// `changes`: each field with its previous and its new value.
    Changes,
    /// `from` and `to` of the one field.
    FromTo,
    /// `note`.
    Note,
}

/// What can happen to records. A test reads the file.
static VERBS: LazyLock<BTreeMap<&'static str, Verb>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../catalogue/verbs.json")).unwrap_or_default());

/// Every verb.
pub(crate) fn verbs() -> &'static BTreeMap<&'static str, Verb> {
    &VERBS
}
