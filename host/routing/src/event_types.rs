//! The event catalogue of a space: built-in types, types that the space registered, and the check of payloads against the
//! schemas of strict types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Event, EventType, EventTypeInput, Mistake, Mistakes, SpaceId, Timestamp, Vocabulary, event_type, event_types,
};
use hookwright_plugin::DataSchema;
use hookwright_store::{Store, StoreError};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many types a space may register.
pub(crate) const MAX_TYPES: usize = 1000;

/// A type of event that a space registered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnType {
    /// The type.
    #[serde(flatten)]
    pub event_type: EventType,
    /// Whether events of it whose data does not match the schema are refused.
    #[serde(default)]
    pub strict: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A type of event that a space can use.
#[derive(Clone, Debug, Serialize)]
pub struct KnownType {
    /// The type.
    #[serde(flatten)]
    pub event_type: EventType,
    /// Whether it is built in.
    pub builtin: bool,
    /// Whether events of it whose data does not match the schema are refused.
    pub strict: bool,
    /// When the space registered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the space last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl From<&EventType> for KnownType {
    fn from(event_type: &EventType) -> Self {
        Self { event_type: event_type.clone(), builtin: true, strict: false, created_at: None, updated_at: None }
    }
}

impl From<OwnType> for KnownType {
    fn from(own: OwnType) -> Self {
        let OwnType { mut event_type, strict, created_at, updated_at } = own;
        event_type.vocabularies = Vocabulary::words_for(&event_type.name);
        Self { event_type, builtin: false, strict, created_at: Some(created_at), updated_at: Some(updated_at) }
    }
}

/// Whether a registration may replace a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventTypeChange {
    /// The type must be new.
    New,
    /// It replaces the existing type, if there is one.
    Replace,
}

type Schemas = HashMap<SpaceId, HashMap<String, Arc<DataSchema>>>;

/// The compiled schemas of strict types.
#[derive(Default)]
pub(crate) struct Strict {
    schemas: RwLock<Schemas>,
    /// How many there are. With none, a check takes no lock.
    count: AtomicUsize,
}

impl Strict {
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let strict = Self::default();
        for space in store.spaces() {
            for (name, about) in store.event_types.event_types(&space)? {
                let Ok(own) = serde_json::from_value::<OwnType>(about) else { continue };
                let Some(schema) = own.event_type.schema.filter(|_| own.strict) else { continue };
                match DataSchema::new(&schema) {
                    Ok(schema) => strict.put(&space, &name, Some(schema)),
                    Err(why) => {
                        tracing::warn!(%space, name, why, "the schema of a strict event type cannot be compiled: its events are not checked")
                    }
                }
            }
        }
        Ok(strict)
    }

    pub(crate) fn put(&self, space: &SpaceId, name: &str, schema: Option<DataSchema>) {
        let mut schemas = self.schemas.write();
        let own = schemas.entry(space.clone()).or_default();
        match schema {
            Some(schema) => drop(own.insert(name.to_owned(), Arc::new(schema))),
            None => drop(own.remove(name)),
        }
        self.count.store(schemas.values().map(HashMap::len).sum(), Ordering::Release);
    }

    /// Checks the data of an event whose type is strict. `root` is the path of the data in messages.
    pub(crate) fn check(&self, event: &Event, root: &str) -> Result<(), PipelineError> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let schema = {
            let schemas = self.schemas.read();
            schemas.get(&event.space).and_then(|own| own.get(&event.event_type)).cloned()
        };
        let Some(schema) = schema else { return Ok(()) };
        let data: Value = serde_json::from_str(&event.data_json())
            .map_err(|error| Mistake::new(root, format!("cannot be read: {error}")))?;
        let mistakes = schema.check(root, &data);
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(PipelineError::Mismatch { event_type: event.event_type.clone(), mistakes: Mistakes(mistakes) })
    }
}

/// The event types of spaces.
pub struct EventTypes {
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) strict: Arc<Strict>,
}

impl EventTypes {
    /// Every type of event of a space, by name.
    pub fn event_types(&self, space: &SpaceId) -> Result<BTreeMap<String, KnownType>, PipelineError> {
        let mut all = BTreeMap::new();
        for (name, about) in self.store.event_types.event_types(space)? {
            all.insert(name, read(about)?.into());
        }
        for kind in self.store.kinds.own_kinds(space)? {
            all.extend(kind.event_types().iter().map(|one| (one.name.clone(), one.into())));
        }
        all.extend(event_types().iter().map(|one| (one.name.clone(), one.into())));
        Ok(all)
    }

    /// A type of event, if it is known.
    pub fn find_event_type(&self, space: &SpaceId, name: &str) -> Result<Option<KnownType>, PipelineError> {
        if let Some(builtin) = event_type(name) {
            return Ok(Some(builtin.into()));
        }
        let own = self.store.event_types.event_type(space, name)?.map(read).transpose()?.map(KnownType::from);
        if own.is_some() {
            return Ok(own);
        }
        let kinds = self.store.kinds.own_kinds(space)?;
        Ok(kinds.iter().flat_map(|kind| kind.event_types()).find(|one| one.name == name).map(|one| (&one).into()))
    }

    /// Registers a type of event. Returns it, and whether it is new.
    pub async fn put_event_type(
        &self,
        space: &SpaceId,
        input: EventTypeInput,
        strict: bool,
        change: EventTypeChange,
    ) -> Result<(KnownType, bool), PipelineError> {
        let _changing = self.changing.lock(space).await;
        let old = self.own_type(space, &input.name)?;
        let (own, schema) = self.new_event_type(input, strict, old.as_ref())?;
        let name = own.event_type.name.clone();
        if old.is_some() && change == EventTypeChange::New {
            return Err(PipelineError::Conflict {
                code: "event_type.exists",
                message: format!("the type `{name}` already exists: PUT /v1/event-types/{name} replaces it"),
            });
        }
        if old.is_none() && self.store.event_types.event_types(space)?.len() >= MAX_TYPES {
            return Err(PipelineError::Conflict {
                code: "event_type.too_many",
                message: format!("the space has {MAX_TYPES} registered types, the maximum: delete some first"),
            });
        }
        let about = serde_json::to_value(&own).map_err(|error| PipelineError::Settings(error.to_string()))?;
        self.store.event_types.put_event_type(space, &name, &about).await?;
        self.strict.put(space, &name, schema);
        Ok((own.into(), old.is_none()))
    }

    /// A type of the space's own.
    pub(crate) fn own_type(&self, space: &SpaceId, name: &str) -> Result<Option<OwnType>, PipelineError> {
        self.store.event_types.event_type(space, name)?.map(read).transpose()
    }

    /// A checked type that replaces `old`, and the schema that its events must match if it is strict.
    pub(crate) fn new_event_type(
        &self,
        input: EventTypeInput,
        strict: bool,
        old: Option<&OwnType>,
    ) -> Result<(OwnType, Option<DataSchema>), PipelineError> {
        let event_type = input.accept()?;
        check_own(&event_type.name)?;
        let schema = check_schema(&event_type, strict)?;
        let now = self.clock.now();
        let own = OwnType { event_type, strict, created_at: old.map_or(now, |old| old.created_at), updated_at: now };
        Ok((own, schema.filter(|_| strict)))
    }

    /// Deletes a type that the space registered. Events of it are still accepted, unchecked.
    pub async fn delete_event_type(&self, space: &SpaceId, name: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        check_own(name)?;
        if !self.store.event_types.delete_event_type(space, name).await? {
            return Err(PipelineError::not_found("event type", name));
        }
        self.strict.put(space, name, None);
        Ok(())
    }
}

pub(crate) fn read(about: Value) -> Result<OwnType, PipelineError> {
    serde_json::from_value(about)
        .map_err(|error| PipelineError::Settings(format!("a stored event type cannot be read: {error}")))
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

/// The compiled schema, if the type has one. The type's example must match it.
fn check_schema(event_type: &EventType, strict: bool) -> Result<Option<DataSchema>, PipelineError> {
    let Some(schema) = &event_type.schema else {
        return if strict {
            Err(Mistake::new("strict", "a strict type needs a `schema` to check events against").into())
        } else {
            Ok(None)
        };
    };
    let schema = DataSchema::new(schema).map_err(|why| Mistake::new("schema", why))?;
    let wrong = event_type.example.as_ref().map(|example| schema.check("example", example)).unwrap_or_default();
    Mistakes(wrong).check()?;
    Ok(Some(schema))
}
