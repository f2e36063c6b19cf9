//! The event catalogue of a space: built-in types, types that the space registered, and the check of payloads against the
//! schemas of strict types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookwright_foundation::error::PipelineError;
use hookwright_model::{Event, EventType, Mistake, Mistakes, SpaceId, Timestamp, Vocabulary, event_type, event_types};
use hookwright_plugin::DataSchema;
use hookwright_store::{Store, StoreError};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

type Schemas = HashMap<SpaceId, HashMap<String, Arc<DataSchema>>>;

/// The compiled schemas of strict types.
#[derive(Default)]
pub struct Strict {
    schemas: RwLock<Schemas>,
    /// How many there are. With none, a check takes no lock.
    count: AtomicUsize,
}

impl Strict {
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        let strict = Self::default();
        for space in store.spaces() {
            for (name, about) in store.event_types.event_types(&space)? {
                strict.follow(&space, &name, Some(&about));
            }
        }
        Ok(strict)
    }

    /// Checks the events of a type against its present declaration from now on. `None`: it was deleted.
    pub fn follow(&self, space: &SpaceId, name: &str, about: Option<&Value>) {
        let own = about.and_then(|about| OwnType::deserialize(about).ok()).filter(|own| own.strict);
        match own.and_then(|own| own.event_type.schema).map(|schema| DataSchema::new(&schema)).transpose() {
            Ok(schema) => self.put(space, name, schema),
            Err(why) => {
                tracing::warn!(%space, name, why, "the schema of a strict event type cannot be compiled: its events are not checked")
            }
        }
    }

    fn put(&self, space: &SpaceId, name: &str, schema: Option<DataSchema>) {
        let mut schemas = self.schemas.write();
        let own = schemas.entry(space.clone()).or_default();
        match schema {
            Some(schema) => drop(own.insert(name.to_owned(), Arc::new(schema))),
            None => drop(own.remove(name)),
        }
        self.count.store(schemas.values().map(HashMap::len).sum(), Ordering::Release);
    }

    /// Checks the data of an event whose type is strict. `root` is the path of the data in messages.
    pub fn check(&self, event: &Event, root: &str) -> Result<(), PipelineError> {
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

/// The event types that spaces can use.
pub struct KnownTypes {
    pub(crate) store: Store,
}

impl KnownTypes {
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
}

/// A registered event type, as it is stored.
pub fn read(about: Value) -> Result<OwnType, PipelineError> {
    serde_json::from_value(about)
        .map_err(|error| PipelineError::Settings(format!("a stored event type cannot be read: {error}")))
}
