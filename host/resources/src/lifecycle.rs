//! The life cycle of what users set up. Each resource defines its steps once; their order for one object, which the API
//! changes, is here. Configuration as code takes the same steps for a document, whose objects are validated against the
//! state that results from all of them, and committed at once.
//!
//! ```text
//! space locked ──> old one read ──> new one made ──> successor ──> plugins loaded ──> check ──> commit ──> follow
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_foundation::conflicts::{TryOutcome, retry_on_conflict};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::turns::Turns;
use hookwright_invoke::loading::Loading;
use hookwright_model::{ScheduleId, SpaceId, StateView as _};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{ConfigChange, Configured, KindRefused, Store, Swap};

use crate::pending_changes::PendingChanges;

/// A type of object that users set up.
pub(crate) trait Resource: Sync {
    /// The objects.
    type Thing: Clone + Send + Sync + 'static;

    /// The code of a write conflict; its first part names the resource.
    const CHANGED: &'static str = "configuration.changed";

    /// Whether other objects name it in parameters of plugins, which are known once all plugins are loaded.
    const IS_REFERRED_TO: bool = false;

    /// `thing` with what it takes over from the object that it replaces: identity, state, counted changes. `by` is who
    /// makes the change.
    fn successor(
        &self,
        _old: Option<&Self::Thing>,
        thing: Self::Thing,
        _by: &str,
    ) -> Result<Self::Thing, PipelineError> {
        Ok(thing)
    }

    /// The plugins that it is validated against.
    fn plugins(_thing: &Self::Thing) -> BTreeSet<&str> {
        BTreeSet::new()
    }

    /// Whether `new` is `old`, disabled, which the API never refuses. A document can delete what the object refers to at
    /// the same time, so it is validated there.
    fn is_only_disabled(_old: &Self::Thing, _new: &Self::Thing) -> bool {
        false
    }

    /// Validates a new or changed object against the state after the changes, and completes it with what follows from
    /// that state.
    fn check(
        &self,
        _space: &SpaceId,
        _pending: &PendingChanges,
        _thing: &mut Self::Thing,
    ) -> Result<(), PipelineError> {
        Ok(())
    }

    /// Fails if the object is in use. A document's deletions are validated together instead.
    fn check_deletion(&self, _space: &SpaceId, _thing: &Self::Thing) -> Result<(), PipelineError> {
        Ok(())
    }

    /// The changes for the store.
    fn changes(swap: Swap<Self::Thing>) -> Vec<ConfigChange>;

    /// Sets the number that a committed change assigned to a new object.
    fn set_number(_thing: &mut Self::Thing, _change: &ConfigChange) {}

    /// Updates what is in memory besides the catalogue after a change, which may be one of another resource.
    fn follow(&self, _space: &SpaceId, _change: &ConfigChange) {}
}

/// Makes changes of resources.
pub(crate) struct Lifecycle {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) store: Store,
    pub(crate) turns: Arc<Turns>,
    pub(crate) loading: Arc<Loading>,
}

impl Lifecycle {
    /// Creates or changes an object. `next` returns the old one, if there is one, and the new one; it is called again
    /// after a write conflict.
    pub(crate) async fn put<R: Resource>(
        &self,
        resource: &R,
        space: &SpaceId,
        by: &str,
        next: impl Fn() -> Result<(Option<R::Thing>, R::Thing), PipelineError> + Sync,
    ) -> Result<Saved<R::Thing>, PipelineError> {
        let _changing = self.changing.lock(space).await;
        let saved = retry_on_conflict(&self.turns, space, || async {
            let (old, thing) = next()?;
            let thing = self.prepare(resource, space, old.as_ref(), thing, by).await?;
            self.swap(resource, space, Swap { was: old, is: Some(thing) }).await
        });
        let Some(Swap { was, is: Some(thing) }) = saved.await? else { return Err(changed::<R>()) };
        Ok(Saved { was, thing })
    }

    /// Deletes the object that `read` returns; it is called again after a write conflict.
    pub(crate) async fn delete<R: Resource>(
        &self,
        resource: &R,
        space: &SpaceId,
        read: impl Fn() -> Result<R::Thing, PipelineError> + Sync,
    ) -> Result<(), PipelineError> {
        if R::IS_REFERRED_TO {
            read()?;
            // Nothing else of the space waits for plugins that are being compiled.
            self.loading.all_loaded().await;
        }
        let _changing = self.changing.lock(space).await;
        let deleted = retry_on_conflict(&self.turns, space, || async {
            let old = read()?;
            resource.check_deletion(space, &old)?;
            self.swap(resource, space, Swap { was: Some(old), is: None }).await
        });
        deleted.await?.map(|_| ()).ok_or_else(changed::<R>)
    }

    /// The object that replaces `old`, validated against what the space has. The caller holds `changing`.
    pub(crate) async fn prepare<R: Resource>(
        &self,
        resource: &R,
        space: &SpaceId,
        old: Option<&R::Thing>,
        thing: R::Thing,
        by: &str,
    ) -> Result<R::Thing, PipelineError> {
        let mut thing = resource.successor(old, thing, by)?;
        if !old.is_some_and(|old| R::is_only_disabled(old, &thing)) {
            self.loading.loaded(space, &R::plugins(&thing)).await;
            resource.check(space, &PendingChanges::default(), &mut thing)?;
        }
        Ok(thing)
    }

    /// Makes a prepared change durable that is not repeated after a write conflict: everything that writes the object
    /// holds `changing`, and so does the caller.
    pub(crate) async fn save<R: Resource>(
        &self,
        resource: &R,
        space: &SpaceId,
        was: Option<R::Thing>,
        thing: R::Thing,
    ) -> Result<R::Thing, PipelineError> {
        match self.swap(resource, space, Swap { was, is: Some(thing) }).await? {
            TryOutcome::Done(Swap { is: Some(thing), .. }) => Ok(thing),
            _ => Err(changed::<R>()),
        }
    }

    /// Makes a change durable, and updates what is in memory. The caller holds `changing`.
    async fn swap<R: Resource>(
        &self,
        resource: &R,
        space: &SpaceId,
        mut swap: Swap<R::Thing>,
    ) -> Result<TryOutcome<Swap<R::Thing>>, PipelineError> {
        let TryOutcome::Done(changes) = self.commit(space, R::changes(swap.clone())).await? else {
            return Ok(TryOutcome::Superseded);
        };
        self.catalogue.follow(space, &changes);
        for change in &changes {
            if let Some(thing) = &mut swap.is {
                R::set_number(thing, change);
            }
            resource.follow(space, change);
        }
        Ok(TryOutcome::Done(swap))
    }

    /// Makes changes durable, all or none. New objects get their numbers.
    pub(crate) async fn commit(
        &self,
        space: &SpaceId,
        mut changes: Vec<ConfigChange>,
    ) -> Result<TryOutcome<Vec<ConfigChange>>, PipelineError> {
        for change in &mut changes {
            match change {
                ConfigChange::Schedule(Swap { was: None, is: Some(schedule) }) => {
                    schedule.id = ScheduleId(self.store.next_id(space, "schedule")?);
                }
                ConfigChange::Polling(Swap { was: None, is: Some(polling) }) => {
                    polling.number = self.store.next_id(space, "polling")?;
                }
                _ => {}
            }
        }
        match self.store.configuration.configure(space, changes).await? {
            Configured::Done(changes) => Ok(TryOutcome::Done(changes)),
            Configured::Conflict => Ok(TryOutcome::Superseded),
            Configured::Refused(kind, why) => Err(refused(&kind, why)),
        }
    }
}

/// A committed object.
pub(crate) struct Saved<T> {
    /// The object that it replaced.
    pub(crate) was: Option<T>,
    /// As it is stored.
    pub(crate) thing: T,
}

fn changed<R: Resource>() -> PipelineError {
    let noun = R::CHANGED.split('.').next().unwrap_or_default().replace('_', " ");
    let message = format!("the {noun} was changed concurrently: read it again and repeat the change");
    PipelineError::Conflict { code: R::CHANGED, message }
}

fn refused(kind: &str, why: KindRefused) -> PipelineError {
    let (code, message) = match why {
        KindRefused::InUse => ("kind.in_use", format!("there are records of the kind `{kind}`: delete them first")),
        KindRefused::TooMany(most) => {
            ("kind.too_many", format!("the space may have at most {most} kinds of its own: delete some first"))
        }
        KindRefused::TooManyRecords(most) => (
            "kind.too_many_records",
            format!("`{kind}` has more than {most} records: its indexed fields cannot change any more"),
        ),
    };
    PipelineError::Conflict { code, message }
}
