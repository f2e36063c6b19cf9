//! The event catalogue: which types of event there are, what their data looks like, and what the reference systems call
//! them.
//!
//! A native type is `KIND.VERB`, such as `ticket.updated` or `project-task.note-added`. [`event_types`] lists those that a
//! change of a record of a built-in kind emits; a space can register types of its own ([`EventTypeInput`]). A [`Vocabulary`] is the words of a
//! reference system: what a subscriber may ask for, which native types that stands for, and what a native type is called in
//! its messages. Within one vocabulary a native type has at most one name, so a subscriber hears of a change once.
//!
//! The words stand in `host/model/catalogue/*.json`, the kinds in `host/model/kinds/*.json`.

mod builtin;
mod change;
mod event_type;
mod vocabulary;

pub use builtin::{event_type, event_types};
pub use change::events_of_change;
pub(crate) use change::{Rules, events_by};
pub use event_type::{EventType, EventTypeInput};
pub use vocabulary::Vocabulary;
