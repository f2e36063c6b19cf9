//! The event catalogue: the event types, the schemas of their data, and their names in the reference systems.
//!
//! A native type is `KIND.VERB`, such as `ticket.updated` or `project-task.note-added`. [`event_types`] lists those that
//! a change of a record of a built-in kind emits; a space can register its own ([`EventTypeInput`]). A [`Vocabulary`]
//! contains the names of a reference system: which names a subscriber may use, which native types they denote, and the
//! name of a native type in messages. Within one vocabulary a native type has at most one name, so a subscriber gets a
//! change once.
//!
//! The names are in `host/model/catalogue/*.json`, the kinds in `host/model/kinds/*.json`.

mod builtin;
mod change;
mod event_type;
mod vocabulary;

pub use builtin::{event_type, event_types};
pub use change::events_of_change;
pub(crate) use change::{Rules, events_by};
pub use event_type::{EventType, EventTypeInput};
pub use vocabulary::Vocabulary;
