//! What operators configure: one life cycle for the API and for configuration as code.

pub(crate) mod automations;
pub(crate) mod configuration;
pub(crate) mod outlook;
pub(crate) mod plugin_policies;
pub(crate) mod plugins;
pub(crate) mod records;
pub(crate) mod references;
pub(crate) mod rollouts;
pub(crate) mod schedules;
pub(crate) mod sight;
pub(crate) mod sources;
pub(crate) mod switching;
pub(crate) mod webhook_naming;
pub(crate) mod webhook_policies;
pub(crate) mod webhooks;
pub(crate) mod workflows;
