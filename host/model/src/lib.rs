//! The words of Hookwright: what an event, an automation, a run, a ticket, a webhook and a delivery are.
//!
//! Nothing in this room does I/O. Time comes in through [`Clock`], records through [`RecordView`], and every other room
//! depends on this one.

mod automation;
mod clock;
mod effects;
mod event;
mod id;
mod input;
mod key;
mod pattern;
mod plan;
mod plugin;
mod run;
mod source;
mod ticket;
mod variables;
mod webhook;

pub use automation::{Automation, AutomationInput, Condition, OnError, Step, StepKind, When};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use effects::{
    Change, Effects, NoteDraft, NoteInput, RecordKey, RecordView, RecordWrite, StoredRecord, Version, Workbench,
};
pub use event::{Cause, Data, Event, EventDraft, MAX_CHAIN, json_depth, json_span};
pub use id::{AutomationId, DeliveryId, KeyId, RunId, SourceId, SpaceId, WebhookId, unique};
pub use input::{MAX_DEPTH, Mistake, Mistakes, parse_json};
pub use key::{ApiKey, Role};
pub use pattern::{EventPattern, PatternIndex};
pub use plan::{NewDelivery, NewEvent, Plan, Subscribers};
pub use plugin::{Failure, Kind, Manifest, Outcome, PluginRecord, Verdict};
pub use run::{ConditionRecord, Decision, EmittedEvent, Run, RunState, StepOutcome, StepRecord};
pub use source::Source;
pub use ticket::{Attachment, CustomFieldItem, CustomFieldValue, Note, Person, TICKET, Ticket, TicketChanges};
pub use variables::{Scope, VariableError, check_variables, has_variables, mentions, render};
pub use webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryState, Header, RetrySchedule, Webhook, WebhookInput, WebhookState,
};
