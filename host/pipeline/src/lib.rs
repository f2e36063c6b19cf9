//! The path of the data: events in, automations matched and executed, effects committed, webhooks delivered.
//!
//! [`Pipeline`] is the interface for the server. It owns nothing durable: the store does, and after a crash everything
//! here is rebuilt from it.

mod clock_watch;
mod pipeline;
mod upkeep;

pub use hookwright_delivery::confirm::Confirmed;
pub use hookwright_delivery::holds::{DeliveryView, Hold};
pub use hookwright_delivery::out_of_turn::WebhookTest;
pub use hookwright_delivery::redeliver::{Redelivery, RedeliveryPreview};
pub use hookwright_delivery::redelivery_filter::RedeliveryFilter;
pub use hookwright_egress::{EgressError, EgressPolicy, Proxy, is_public};
pub use hookwright_foundation::error::PipelineError;
pub use hookwright_foundation::hops::after_hops;
pub use hookwright_foundation::job::JobState;
pub use hookwright_foundation::settings::{BreakerSettings, PipelineSettings, SmtpSettings};
pub use hookwright_foundation::token_bucket::TokenBucket;
pub use hookwright_history::dry_run::{DryRunReport, DryRunRequest};
pub use hookwright_history::explain::{Explained, ExplainedCondition, ExplainedWebhook, Explanation, Verdict};
pub use hookwright_history::not_sent::NotSent;
pub use hookwright_history::replay::{ReplayInput, Replayed, Requests};
pub use hookwright_history::story::Story;
pub use hookwright_history::version_comparison::{Candidate, CompareInput, Comparison};
pub use hookwright_intake::arrival::Arrival;
pub use hookwright_intake::idempotency::Once;
pub use hookwright_intake::inbound::{Received, SourceRefusal};
pub use hookwright_invoke::comparison::{Counts, Difference};
pub use hookwright_invoke::logs::LogLine;
pub use hookwright_resources::api_keys::{ApiKeys, NewApiKey};
pub use hookwright_resources::configuration::compare::FieldChange;
pub use hookwright_resources::configuration::document::{
    AppliedConfiguration, ChangeKind, Configuration, ConfigurationInput, ConfigurationPlan, ExportedConfiguration,
    PlannedChange, ShownOnce, Summary,
};
pub use hookwright_resources::configuration::state::{LeftAlone, Section};
pub use hookwright_resources::event_types::EventTypeChange;
pub use hookwright_resources::plugin_policies::PolicyView;
pub use hookwright_resources::plugins::{Installed, Upload, VersionView};
pub use hookwright_resources::records::Changed;
pub use hookwright_resources::sources::{NewSource, SourceInput, SourceRotation};
pub use hookwright_resources::webhook_policies::{RotateInput, ShownKey, WebhookPolicyInput};
pub use hookwright_resources::webhooks::NewWebhook;
pub use hookwright_resources::workflows::StartedWorkflow;
pub use hookwright_routing::event_types::{KnownType, OwnType};
pub use hookwright_store::{Appended, AttemptQuery, Listing, LogCursor, Page, StorageHealth, StoreError};
pub use pipeline::Pipeline;
