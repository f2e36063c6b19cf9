//! The words of Hookwright: what an event, an automation, a run, a ticket, a webhook and a delivery are.
//!
//! Nothing in this room does I/O. Time comes in through [`Clock`], what is stored through [`StateView`], and every other room
//! depends on this one.

mod automation;
mod catalogue;
mod clock;
mod concurrency;
mod effects;
mod event;
mod id;
mod input;
mod key;
mod kind;
mod mail;
mod memory;
mod pattern;
mod plan;
mod plugin;
mod policy;
mod polling;
mod proposal;
mod query;
mod request;
mod rollout;
mod run;
mod schedule;
mod secret;
mod signing;
mod source;
mod step;
mod tape;
mod ticket;
mod tools;
mod variables;
mod webhook;
mod workbench;
mod workflow;

pub use automation::{Automation, AutomationInput, Condition, OnUnavailable, When};
pub use catalogue::{EventType, EventTypeInput, Vocabulary, event_type, event_types, events_of_change};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use concurrency::{Concurrency, Lane};
pub use effects::{
    Author, Change, Effects, HistoryEntry, Kept, KvKey, KvSize, KvWrite, NoteDraft, RecordKey, RecordRemoval,
    RecordWrite, StateView, StoredRecord, Version,
};
pub use event::{Cause, Data, Event, EventDraft, MAX_CHAIN, Replay, json_depth, json_span};
pub use id::{AutomationId, DeliveryId, KeyId, RunId, SourceId, SpaceId, WebhookId, unique};
pub use input::{MAX_DEPTH, Mistake, Mistakes, parse_json};
pub use key::{ApiKey, Role};
pub use kind::{
    Field, FieldType, Fields, IndexEntry, KindInput, Merge, RecordKind, Types, Verbs, builtin_kind, builtin_kinds,
    index_value,
};
pub use mail::{Letter, Mail, MailAttachment, MailState};
pub use memory::MemoryView;
pub use pattern::{EventPattern, PatternIndex};
pub use plan::{NewDelivery, NewEvent, NewLane, Plan, Subscribers};
pub use plugin::{Failure, Kind, Manifest, Outcome, PluginRecord, PluginVersion, Verdict};
pub use policy::{
    Grants, HttpGrant, InstancePolicy, LimitChanges, Limits, PluginPolicy, RecordGrant, SecretGrant, check_secret_name,
    host_fits, is_kind,
};
pub use polling::{PollStatus, PollTimes, Polling};
pub use proposal::proposed_automation;
pub use query::{Query, SortKey};
pub use request::{KeptBody, RequestEntry, RequestNote, Told};
pub use rollout::{CallCounts, EndedRollout, RollbackWhen, Rollout, RolloutInput, RolloutMode};
pub use run::{
    ConditionRecord, Decision, EmittedEvent, Found, ItemRecord, Progress, Run, RunState, StepOutcome, StepRecord,
};
pub use schedule::{ForEachRecord, Missed, Past, Schedule, ScheduleId, ScheduleInput, ScheduleStatus};
pub use secret::Secret;
pub use signing::{
    GithubPolicy, HmacAlgorithm, HmacEncoding, HmacPolicy, JwtAlgorithm, JwtPolicy, MessageAlgorithm, MessagePolicy,
    SigningPolicy, SnsPolicy, SnsVersion,
};
pub use source::{FormerUrl, INCOMING, Source};
pub use step::{OnError, Step, StepKind, Wait, step_names};
pub use tape::{Played, Tape, TapeEntry, TapedView};
pub use ticket::{Attachment, Note, Person, TICKET, TicketChanges, check_ticket};
pub use tools::{ACCESS_WORDS, Tool, ToolPath};
pub use variables::{
    Names, Scope, VariableError, check_names, check_variables, has_variables, mentions, named, render,
};
pub use webhook::{
    Attempt, AttemptOutcome, Batching, Confirmation, CustomHeader, Delivery, DeliveryState, Exhausted, Gone, Handshake,
    HeadOfLine, Header, OauthSettings, Order, Profile, Purpose, Rate, RetrySchedule, SigningKey, Timing,
    TransportSettings, Webhook, WebhookInput, WebhookPolicy, WebhookState,
};
pub use workbench::{Expected, KvQuota, NoteInput, Refused, Workbench};
pub use workflow::{WORKFLOW_STARTED, Workflow, WorkflowInput, WorkflowStart};
