//! Log lines about outcomes that an operator may have to act on: one for each, at `warn`, with ids and a stable code. Never
//! with data: an event's payload, a record, a receiver's answer and a message that may quote them are in the API alone.

use hookwright_model::{
    Attempt, AttemptOutcome, Delivery, Run, RunState, ScheduleId, SpaceId, StepOutcome, Timestamp, Webhook,
};

use crate::error::PipelineError;

/// Deliveries that are not retried.
const DELIVERY: &str = "hookwright::delivery";

/// Webhooks that no longer receive deliveries.
const WEBHOOK: &str = "hookwright::webhook";

/// Runs that have failed.
pub const RUN: &str = "hookwright::run";

/// Schedules that could not emit their event or start their workflow.
const SCHEDULE: &str = "hookwright::schedule";

/// Deliveries that an attempt has dead-lettered, to be logged once the attempt is committed.
pub struct DeadLetters {
    space: SpaceId,
    code: String,
    /// Webhook, delivery, event and number of attempts.
    deliveries: Vec<(String, String, String, u32)>,
}

impl DeadLetters {
    /// The deliveries that this attempt has dead-lettered.
    pub fn of<'d>(webhook: &Webhook, attempt: &Attempt, dead: impl Iterator<Item = &'d Delivery>) -> Self {
        let code = match &attempt.outcome {
            AttemptOutcome::Answered { status, .. } => format!("http.status_{status}"),
            AttemptOutcome::Failed { code, .. } => code.clone(),
        };
        let deliveries =
            dead.map(|dead| (dead.webhook.to_string(), dead.id.to_string(), dead.event.clone(), dead.attempts));
        Self { space: webhook.space.clone(), code, deliveries: deliveries.collect() }
    }

    /// Logs them.
    pub fn log(&self) {
        let Self { space, code, deliveries } = self;
        for (webhook, delivery, event, attempts) in deliveries {
            tracing::warn!(target: DELIVERY, %space, webhook, delivery, event, attempts, code, "delivery dead-lettered");
        }
    }
}

/// Logs deliveries that were dead-lettered without an attempt, because their webhook receives none: one line for all of them.
pub fn queue_dead_lettered(space: &SpaceId, webhook: Option<&Webhook>, number: u64, deliveries: usize) {
    let state = webhook.map_or("deleted", |webhook| webhook.state().name());
    tracing::warn!(target: DELIVERY, %space, number, state, deliveries, "queued deliveries dead-lettered");
}

/// Logs that the server has stopped sending to a webhook: it is `dead`, `disabled` or `deleted`.
pub fn webhook_ended(webhook: &Webhook, state: &str) {
    let Webhook { space, id, number, .. } = webhook;
    tracing::warn!(
        target: WEBHOOK, %space, webhook = %id, number, state,
        "webhook no longer receives deliveries after a permanent failure"
    );
}

/// Logs that a webhook's circuit has opened.
pub fn circuit_opened(webhook: &Webhook, until: Timestamp) {
    let Webhook { space, id, .. } = webhook;
    tracing::warn!(target: WEBHOOK, %space, webhook = %id, %until, "circuit opened: most requests fail");
}

/// Logs a run if it has failed.
pub fn run_ended(run: &Run) {
    if !matches!(run.state, RunState::Failed { .. }) {
        return;
    }
    let Run { space, id, event, automation, .. } = run;
    let failed = run.steps.iter().find_map(|step| match &step.outcome {
        StepOutcome::Failed { code, .. } => Some((step.name.as_str(), step.plugin.as_str(), code.as_str())),
        _ => None,
    });
    match (failed, run.decision.conditions.last()) {
        (Some((step, plugin, code)), _) => {
            tracing::warn!(target: RUN, %space, run = %id, %automation, event, step, plugin, code, "run failed");
        }
        (None, Some(last)) => {
            let (path, plugin, code) = (last.path.as_str(), last.condition.as_str(), code_in(&last.reason));
            tracing::warn!(target: RUN, %space, run = %id, %automation, event, condition = path, plugin, code, "run failed");
        }
        (None, None) => tracing::warn!(target: RUN, %space, run = %id, %automation, event, "run failed"),
    }
}

/// Logs that a schedule failed, wholly or in part, at the time `due`.
pub fn schedule_failed(space: &SpaceId, schedule: ScheduleId, due: Timestamp, error: &PipelineError) {
    let code = error.code();
    tracing::warn!(target: SCHEDULE, %space, %schedule, %due, code, "schedule failed");
}

/// The code that the reason of a failed condition begins with.
fn code_in(reason: &str) -> &str {
    let code = reason.split_once(": ").map_or("", |(code, _)| code);
    let is_code =
        |text: &str| text.contains('.') && text.bytes().all(|b| b.is_ascii_lowercase() || b"._0123456789".contains(&b));
    if is_code(code) { code } else { "unknown" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_as_its_code_alone() {
        for (reason, code) in [
            ("plugin.trap: unreachable", "plugin.trap"),
            ("http.status_500: answered", "http.status_500"),
            ("the customer Smith: owes 5.00", "unknown"),
            ("secret", "unknown"),
        ] {
            assert_eq!(code_in(reason), code);
        }
    }
}
