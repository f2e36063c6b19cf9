//! Decides and executes runs.

pub(crate) mod advance;
pub(crate) mod attempt;
pub(crate) mod breadth;
pub(crate) mod items;
pub(crate) mod mails;
pub(crate) mod open_steps;
pub(crate) mod recorded;
pub(crate) mod runner;
pub(crate) mod steps;
pub(crate) mod stored;
pub(crate) mod suspects;
