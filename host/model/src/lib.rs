//! The domain types of Hookwright: events, automations, runs, records, webhooks, deliveries, and their rules.
//!
//! This crate does no I/O. It gets the time through [`Clock`] and the stored state through [`StateView`]. Every other
//! crate depends on it.

mod abridge;
#[path = "../../../plugins/sdk/src/addresses.rs"]
mod addresses;
mod author;
mod automation;
mod catalogue;
mod clock;
mod concurrency;
mod condition;
#[path = "../../../plugins/sdk/src/dates.rs"]
mod dates;
mod display_name;
mod effects;
mod event;
mod failure;
mod id;
mod idempotency;
mod input;
mod issued;
mod key;
mod kind;
mod mail;
mod memory;
mod mistake;
pub mod nullable;
mod pattern;
mod plan;
mod plugin;
mod policy;
mod polling;
mod proposal;
mod query;
mod redact;
mod request;
mod rollout;
mod run;
mod run_row;
mod schedule;
mod secret;
mod shape_errors;
mod signing;
mod size;
mod source;
mod step;
mod stored_note;
mod tape;
mod ticket;
mod tools;
mod user;
mod variables;
mod version_name;
mod webhook;
mod whole;
mod workbench;
mod workflow;

pub use abridge::{abridged, abridged_message};
pub use addresses::{MailAddress, read_address, split_addresses};
pub use author::Author;
pub use automation::{Automation, AutomationInput, OnUnavailable, Switched};
pub use catalogue::{EventType, EventTypeInput, Vocabulary, event_type, event_types, events_of_change};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use concurrency::{Concurrency, Lane};
pub use condition::{Condition, When};
pub use dates::{DAY_SECONDS, Day, Instant};
pub use display_name::{breaks_line, check_display_name, check_line};
pub use effects::{
    Change, Effects, HistoryEntry, Kept, KvKey, KvSize, KvWrite, NoteDraft, RecordAddition, RecordKey, RecordRemoval,
    RecordWrite, StateView, StoredRecord, Version,
};
pub use event::{Cause, Data, Event, EventDraft, HOPS_HEADER, Ingress, MAX_CHAIN, Replay, hops_of, scoped_source};
pub use failure::{Failure, FailureKind};
pub use hookwright_json as json;
pub use id::{AutomationId, DeliveryId, KeyId, RunId, SourceId, SpaceId, WebhookId, unique};
pub use idempotency::{IdempotencyKey, KeyedRequest, Made};
pub use input::{Creates, MAX_DEPTH, json_span, parse_json, parse_json_briefly, parse_new};
pub use issued::{IssuedIds, ReissuingView};
pub use key::{ApiKey, KeyChange, Role};
pub use kind::{
    Field, FieldType, Fields, IndexEntry, KindInput, Merge, RecordKind, Types, Verbs, builtin_kind, builtin_kinds,
    index_value,
};
pub use mail::{Letter, Mail, MailAttachment, MailState};
pub use memory::MemoryView;
pub use mistake::{Mistake, Mistakes};
pub use pattern::{EventPattern, PatternIndex};
pub use plan::{NewDelivery, NewEvent, NewLane, Plan, Subscribers};
pub use plugin::{Kind, Manifest, Outcome, PluginRecord, PluginVersion, Verdict};
pub use policy::{
    Grants, HttpGrant, InstancePolicy, LimitChanges, Limits, PluginPolicy, RecordGrant, SecretGrant, check_secret_name,
    host_fits, is_kind,
};
pub use polling::{PollStatus, PollTimes, Polling};
pub use proposal::proposed_automation;
pub use query::{Query, SortKey};
pub use redact::{REDACTED, Redactor, SHORTEST_REDACTED};
pub use request::{API_REQUESTS, KeptBody, RequestEntry, RequestNote, Told};
pub use rollout::{CallCounts, EndedRollout, RollbackWhen, Rollout, RolloutInput, RolloutMode, RolloutOutcome};
pub use run::{
    ConditionRecord, Decision, EmittedEvent, Found, ItemRecord, OpenStep, Progress, Run, RunState, RunStateName,
    StepOutcome, StepRecord, StepWait,
};
pub use schedule::{ForEachRecord, Missed, Past, Schedule, ScheduleId, ScheduleInput, ScheduleStatus};
pub use secret::Secret;
pub use signing::{
    GithubPolicy, HmacAlgorithm, HmacEncoding, HmacPolicy, JwtAlgorithm, JwtPolicy, MessageAlgorithm, MessagePolicy,
    SigningPolicy, SnsPolicy, SnsVersion,
};
pub use size::json_size;
pub use source::{FormerUrl, INCOMING, Source};
pub use step::{OnError, Step, StepKind, Wait, step_names};
pub use stored_note::StoredNote;
pub use tape::{Played, Tape, TapeEntry, TapedView};
pub use ticket::{Attachment, Note, Person, TICKET, TicketChanges, check_ticket};
pub use tools::{ACCESS_WORDS, Tool, ToolPath};
pub use user::{User, UserId};
pub use variables::{
    Names, Scope, VariableError, check_names, check_variables, has_variables, mentions, named, names_step, render,
    written,
};
pub use version_name::VersionNotFound;
pub use webhook::{
    ANSWERED, Attempt, AttemptOutcome, Batching, CONNECTION_FIELDS, Confirmation, CustomHeader, Delivery,
    DeliveryState, Exhausted, Gone, Handshake, HeadOfLine, Header, MAX_HEADER_VALUE, OauthSettings, Order, Pause,
    Profile, Purpose, Rate, RetrySchedule, SigningKey, Timing, TransportSettings, Webhook, WebhookInput, WebhookPolicy,
    WebhookState,
};
pub use workbench::{Expected, KvQuota, NoteInput, Refused, Workbench};
pub use workflow::{WORKFLOW_STARTED, Workflow, WorkflowInput, WorkflowStart};
