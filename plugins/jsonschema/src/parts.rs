//! What the keywords for lists and objects need of the check that they are a part of: schemas lie within schemas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::load::Schema;
use crate::violation::{Report, Spot};

/// Which parts of a value a schema looked at, for `unevaluatedProperties` and `unevaluatedItems`.
#[derive(Debug, Default)]
pub(crate) struct Seen<'v> {
    pub(crate) names: BTreeSet<&'v str>,
    pub(crate) items: BTreeSet<usize>,
}

impl<'v> Seen<'v> {
    /// Counts what another schema looked at too.
    pub(crate) fn add(&mut self, other: Seen<'v>) {
        self.names.extend(other.names);
        self.items.extend(other.items);
    }
}

/// Validates values by the schemas within a schema.
pub(crate) trait Parts<'s> {
    /// The whole schema.
    fn schema(&self) -> &'s Schema<'s>;

    /// A schema that speaks of the same value; what it looked at counts if it takes the value.
    fn part<'v>(
        &mut self,
        schema: &'s Value,
        value: &'v Value,
        at: &Spot<'_>,
        report: &mut Report,
        seen: &mut Seen<'v>,
    ) -> bool;

    /// Whether a schema says of a part of the value that it is right.
    fn takes(&mut self, schema: &'s Value, value: &Value, at: &Spot<'_>, report: &mut Report) -> bool;
}
