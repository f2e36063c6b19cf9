//! The words of Hookwright: what an event, an automation, a run, a ticket, a webhook and a delivery are.
//!
//! Nothing in this room does I/O. Time comes in through [`Clock`], what is stored through [`StateView`], and every other room
//! depends on this one.

mod automation;
mod clock;
mod concurrency;
mod effects;
mod event;
mod id;
mod input;
mod key;
mod mail;
mod memory;
mod pattern;
mod plan;
mod plugin;
mod policy;
mod run;
mod schedule;
mod secret;
mod source;
mod step;
mod ticket;
mod variables;
mod webhook;
mod workbench;
mod workflow;

pub use automation::{Automation, AutomationInput, Condition, OnUnavailable, When};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use concurrency::{Concurrency, Lane};
pub use effects::{
    Change, Effects, Kept, KvKey, KvSize, KvWrite, NoteDraft, RecordKey, RecordWrite, StateView, StoredRecord, Version,
};
pub use event::{Cause, Data, Event, EventDraft, MAX_CHAIN, json_depth, json_span};
pub use id::{AutomationId, DeliveryId, KeyId, RunId, SourceId, SpaceId, WebhookId, unique};
pub use input::{MAX_DEPTH, Mistake, Mistakes, parse_json};
pub use key::{ApiKey, Role};
pub use mail::{Letter, Mail, MailAttachment, MailState};
pub use memory::MemoryView;
pub use pattern::{EventPattern, PatternIndex};
pub use plan::{NewDelivery, NewEvent, NewLane, Plan, Subscribers};
pub use plugin::{Failure, Kind, Manifest, Outcome, PluginRecord, PluginVersion, Verdict};
pub use policy::{
    Grants, HttpGrant, InstancePolicy, LimitChanges, Limits, PluginPolicy, RecordGrant, SecretGrant, check_secret_name,
    host_fits, is_kind,
};
pub use run::{ConditionRecord, Decision, EmittedEvent, ItemRecord, Progress, Run, RunState, StepOutcome, StepRecord};
pub use schedule::{ForEachRecord, Missed, Past, Schedule, ScheduleId, ScheduleInput, ScheduleStatus};
pub use secret::Secret;
pub use source::Source;
pub use step::{OnError, Step, StepKind, Wait, step_names};
pub use ticket::{Attachment, CustomFieldItem, CustomFieldValue, Note, Person, TICKET, Ticket, TicketChanges};
pub use variables::{Names, Scope, VariableError, check_names, check_variables, has_variables, mentions, render};
pub use webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryState, Header, RetrySchedule, Webhook, WebhookInput, WebhookState,
};
pub use workbench::{KvQuota, NoteInput, Workbench};
pub use workflow::{WORKFLOW_STARTED, Workflow, WorkflowInput, WorkflowStart};
