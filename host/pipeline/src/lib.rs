//! The path of the data: events in, automations matched and executed, effects committed, webhooks delivered.
//!
//! [`Pipeline`] is the interface for the server. It owns nothing durable: the store does, and after a crash everything
//! here is rebuilt from it.

mod clock_watch;
mod delivery;
mod foundation;
mod history;
mod intake;
mod invoke;
mod pipeline;
mod resources;
mod routing;
mod runs;
mod upkeep;

pub use delivery::confirm::Confirmed;
pub use delivery::holds::{DeliveryView, Hold};
pub use delivery::out_of_turn::WebhookTest;
pub use delivery::redeliver::{Redelivery, RedeliveryPreview};
pub use delivery::redelivery_filter::RedeliveryFilter;
pub use foundation::error::PipelineError;
pub use foundation::hops::after_hops;
pub use foundation::job::JobState;
pub use foundation::keyed_locks::{KeyedGuard, KeyedLocks};
pub use foundation::keys::make_key;
pub use foundation::settings::{BreakerSettings, PipelineSettings, SmtpSettings};
pub use foundation::token_bucket::TokenBucket;
pub use history::explain::{Explained, ExplainedCondition, ExplainedWebhook, Explanation, Verdict};
pub use history::not_sent::NotSent;
pub use history::rehearsal::{DryRunReport, DryRunRequest};
pub use history::replay::{ReplayInput, Replayed, Requests};
pub use history::story::Story;
pub use history::version_comparison::{Candidate, CompareInput, Comparison};
pub use hookwright_egress::{EgressError, EgressPolicy, Proxy, is_public};
pub use intake::arrival::Arrival;
pub use intake::idempotency::Once;
pub use intake::inbound::{Received, SourceRefusal};
pub use invoke::comparison::{Counts, Difference};
pub use invoke::logs::LogLine;
pub use pipeline::Pipeline;
pub use resources::configuration::compare::FieldChange;
pub use resources::configuration::document::{
    AppliedConfiguration, ChangeKind, Configuration, ConfigurationInput, ConfigurationPlan, ExportedConfiguration,
    PlannedChange, ShownOnce, Summary,
};
pub use resources::configuration::state::{LeftAlone, Section};
pub use resources::plugin_policies::PolicyView;
pub use resources::plugins::{Installed, Upload, VersionView};
pub use resources::records::Changed;
pub use resources::sources::{NewSource, SourceInput, SourceRotation};
pub use resources::webhook_policies::{RotateInput, ShownKey, WebhookPolicyInput};
pub use resources::webhooks::NewWebhook;
pub use resources::workflows::StartedWorkflow;
pub use routing::catalogue::Catalogue;
pub use routing::event_types::{EventTypeChange, KnownType, OwnType};
