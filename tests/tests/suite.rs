//! The server as its users meet it: each module starts the program that is shipped and speaks to it over the network.
//!
//! They are one program because linking is what takes time, and because its tests wait for the server most of the time, so
//! that many run side by side. What loads the machine by itself (`hostile`, `readme`, `command_line`, `crash`) is a program
//! of its own.

mod attempts;
mod automations;
mod bad_input;
mod clock;
mod cloudevents;
mod conditions;
mod configuration;
mod confirmations;
mod conflicts;
mod data;
mod destinations;
mod event_types;
mod github;
mod golden;
mod idempotency;
mod inbound;
mod inbox;
mod incoming;
mod jira;
mod jira_source;
mod json;
mod keys;
mod loops;
mod mails;
mod names;
mod outcome_log;
mod outgoing_cloudevents;
mod packets;
mod paging;
mod platform;
mod plugins;
mod polling;
mod providers;
mod records;
mod replay;
mod resthooks;
mod rollout;
mod schedules;
mod signatures;
mod spaces;
mod start;
mod steps;
mod storage;
mod strictness;
mod swap;
mod ticket_triggers;
mod trials;
mod unsendable;
mod webhooks;
mod workflows;
mod xurrent_webhooks;
