//! Event types that spaces register: created, replaced and deleted.

use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{EventType, EventTypeInput, Mistake, Mistakes, SpaceId, event_type};
use hookwright_plugin::DataSchema;
use hookwright_routing::event_types;
use hookwright_routing::event_types::{KnownType, OwnType, Strict};
use hookwright_store::{ConfigChange, Store, Swap};
use serde_json::Value;

use crate::lifecycle::{Lifecycle, Resource};

/// How many types a space may register.
pub(crate) const MAX_TYPES: usize = 1000;

/// Whether a registration may replace a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTypeChange {
    /// The type must be new.
    New,
    /// It replaces the existing type, if there is one.
    Replace,
}

/// An event type with its row in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredType {
    pub(crate) own: OwnType,
    row: Value,
}

impl StoredType {
    /// The type that a row contains.
    pub(crate) fn read(row: Value) -> Result<Self, PipelineError> {
        Ok(Self { own: event_types::read(row.clone())?, row })
    }

    fn of(own: OwnType) -> Result<Self, PipelineError> {
        let row = serde_json::to_value(&own).map_err(|error| PipelineError::Settings(error.to_string()))?;
        Ok(Self { own, row })
    }
}

/// Registers, replaces and deletes event types.
pub struct EventTypes {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) strict: Arc<Strict>,
    pub(crate) lifecycle: Arc<Lifecycle>,
}

impl EventTypes {
    /// Registers a type of event. Returns it, and whether it is new.
    pub async fn put_event_type(
        &self,
        space: &SpaceId,
        input: EventTypeInput,
        strict: bool,
        change: EventTypeChange,
    ) -> Result<(KnownType, bool), PipelineError> {
        let next = || {
            let old = self.stored_type(space, &input.name)?;
            let new = self.new_event_type(input.clone(), strict)?;
            let name = &new.own.event_type.name;
            if old.is_some() && change == EventTypeChange::New {
                return Err(PipelineError::Conflict {
                    code: "event_type.exists",
                    message: format!("the type `{name}` already exists: PUT /v1/event-types/{name} replaces it"),
                });
            }
            if old.is_none() && self.store.event_types.event_types(space)?.len() >= MAX_TYPES {
                return Err(PipelineError::Conflict { code: "event_type.too_many", message: too_many() });
            }
            Ok((old, new))
        };
        let saved = self.lifecycle.put(self, space, "", next).await?;
        Ok((saved.thing.own.into(), saved.was.is_none()))
    }

    fn stored_type(&self, space: &SpaceId, name: &str) -> Result<Option<StoredType>, PipelineError> {
        self.store.event_types.event_type(space, name)?.map(StoredType::read).transpose()
    }

    /// A new, valid type.
    pub(crate) fn new_event_type(&self, input: EventTypeInput, strict: bool) -> Result<StoredType, PipelineError> {
        let event_type = input.accept()?;
        check_own(&event_type.name)?;
        check_schema(&event_type, strict)?;
        let now = self.clock.now();
        StoredType::of(OwnType { event_type, strict, created_at: now, updated_at: now })
    }

    /// Deletes a type that the space registered. Events of it are still accepted, unchecked.
    pub async fn delete_event_type(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let read = || {
            check_own(name)?;
            self.stored_type(space, name)?.ok_or_else(|| PipelineError::not_found("event type", name))
        };
        self.lifecycle.delete(self, space, read).await
    }
}

impl Resource for EventTypes {
    type Thing = StoredType;
    const CHANGED: &'static str = "event_type.changed";

    fn successor(&self, old: Option<&StoredType>, new: StoredType, _by: &str) -> Result<StoredType, PipelineError> {
        let Some(old) = old else { return Ok(new) };
        StoredType::of(OwnType { created_at: old.own.created_at, ..new.own })
    }

    fn changes(Swap { was, is }: Swap<StoredType>) -> Vec<ConfigChange> {
        let Some(one) = is.as_ref().or(was.as_ref()) else { return Vec::new() };
        let name = one.own.event_type.name.clone();
        let row = |stored: StoredType| stored.row;
        vec![ConfigChange::EventType(name, Swap { was: was.map(row), is: is.map(row) })]
    }

    fn follow(&self, space: &SpaceId, change: &ConfigChange) {
        if let ConfigChange::EventType(name, swap) = change {
            self.strict.follow(space, name, swap.is.as_ref());
        }
    }
}

/// Why a space cannot register one more type.
pub(crate) fn too_many() -> String {
    format!("the space has {MAX_TYPES} registered types, the maximum: delete some first")
}

fn check_own(name: &str) -> Result<(), PipelineError> {
    match event_type(name) {
        None => Ok(()),
        Some(_) => Err(PipelineError::Conflict {
            code: "event_type.builtin",
            message: format!("`{name}` is a built-in type, which cannot be changed: choose another name"),
        }),
    }
}

/// Validates the schema, if the type has one. The type's example must match it.
fn check_schema(event_type: &EventType, strict: bool) -> Result<(), PipelineError> {
    let Some(schema) = &event_type.schema else {
        return if strict {
            Err(Mistake::new("strict", "a strict type needs a `schema` to check events against").into())
        } else {
            Ok(())
        };
    };
    let schema = DataSchema::new(schema).map_err(|why| Mistake::new("schema", why))?;
    let wrong = event_type.example.as_ref().map(|example| schema.check("example", example)).unwrap_or_default();
    Ok(Mistakes(wrong).check()?)
}
