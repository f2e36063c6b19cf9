//! Kinds of record that spaces declare: created, changed and deleted.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{KindInput, RecordKind, SpaceId, builtin_kind, is_kind};
use hookwright_plugin::NameOf;
use hookwright_store::{ConfigChange, Store, Swap};

use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::References;

/// Declares, changes and deletes kinds of record.
pub struct Kinds {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) references: Arc<References>,
}

impl Kinds {
    /// Declares a kind of the space, or changes it. Returns whether it is new.
    pub async fn declare_kind(
        &self,
        space: &SpaceId,
        name: &str,
        input: KindInput,
    ) -> Result<(RecordKind, bool), PipelineError> {
        built_in(name)?;
        let next = || {
            let former = if is_kind(name) { self.store.kinds.own_kind(space, name)? } else { None };
            let kind = RecordKind::declare(name, input.clone(), former.as_ref(), self.clock.now());
            Ok::<_, PipelineError>((former, kind.map_err(PipelineError::Invalid)?))
        };
        let saved = self.lifecycle.put(self, space, "", next).await?;
        Ok((saved.thing, saved.was.is_none()))
    }

    /// Deletes a kind of the space.
    ///
    /// # Errors
    /// It has records, or something refers to it: `kind.in_use`.
    pub async fn delete_kind(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        built_in(name)?;
        let read = || self.store.kinds.own_kind(space, name)?.ok_or_else(|| PipelineError::not_found("kind", name));
        self.lifecycle.delete(self, space, read).await
    }
}

impl Resource for Kinds {
    type Thing = RecordKind;
    const CHANGED: &'static str = "kind.changed";
    const IS_REFERRED_TO: bool = true;

    fn check(&self, space: &SpaceId, pending: &PendingChanges, kind: &mut RecordKind) -> Result<(), PipelineError> {
        Ok(self.references.check_kind_references(space, pending, kind)?)
    }

    fn check_deletion(&self, space: &SpaceId, kind: &RecordKind) -> Result<(), PipelineError> {
        self.references.check_unused(space, NameOf::Kind, kind.name())
    }

    fn changes(swap: Swap<RecordKind>) -> Vec<ConfigChange> {
        vec![ConfigChange::Kind(Box::new(swap))]
    }
}

fn built_in(name: &str) -> Result<(), PipelineError> {
    if builtin_kind(name).is_none() {
        return Ok(());
    }
    let message = format!("the kind `{name}` comes with the server: declare one of another name");
    Err(PipelineError::Conflict { code: "kind.built_in", message })
}
