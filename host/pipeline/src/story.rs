//! "Why did it not fire?" The whole story of one event, put together from what was written down while it happened.

use std::collections::HashSet;
use std::sync::Arc;

use hookwright_model::{
    Attempt, Automation, AutomationId, Delivery, DeliveryState, Event, EventPattern, MAX_CHAIN, Progress, Replay, Run,
    RunState, SpaceId, StepOutcome, Timestamp,
};
use hookwright_store::EventLookup;
use serde::Serialize;
use serde_json::Value;

use crate::{Pipeline, PipelineError};

/// How many automations that were not considered are named.
const NAMED: usize = 50;

/// The story of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The event's id.
    pub id: String,
    /// Its place in the journal.
    pub seq: u64,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// `pending` while something is still to be done, then `done`.
    pub state: &'static str,
    /// What happened, in sentences.
    pub summary: Vec<String>,
    /// The event itself, in the JSON format of CloudEvents 1.0.
    pub event: Value,
    /// What made it, if Hookwright did.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub cause: Value,
    /// Each automation whose `on` takes the event's type: decision with reasons, steps with effects.
    pub runs: Vec<Run>,
    /// Automations that were not considered, and why; the first 50.
    pub not_considered: Vec<NotConsidered>,
    /// Deliveries of the event itself to webhooks, with their attempts.
    pub deliveries: Vec<DeliveryStory>,
    /// Events that its runs made, with their deliveries.
    pub caused: Vec<Caused>,
}

/// An event that a run made.
#[derive(Clone, Debug, Serialize)]
pub struct Caused {
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its deliveries to webhooks, with their attempts.
    pub deliveries: Vec<DeliveryStory>,
}

/// An automation that was not considered.
#[derive(Clone, Debug, Serialize)]
pub struct NotConsidered {
    /// Its id.
    pub automation: String,
    /// Its name.
    pub name: String,
    /// Why not.
    pub reason: String,
    /// Whether its types are close to the event's.
    #[serde(skip)]
    pub near: bool,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryStory {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Each attempt: request, answer, duration.
    pub log: Vec<Attempt>,
}

impl Pipeline {
    /// Tells the story of an event.
    pub fn story(&self, space: &SpaceId, seq: u64, event: &Event) -> Result<Story, PipelineError> {
        self.story_with(space, seq, event, &|_| false)
    }

    /// Tells the story of an event; of the automations that were not considered, those come first that are close to it.
    pub(crate) fn story_with(
        &self,
        space: &SpaceId,
        seq: u64,
        event: &Event,
        close: &dyn Fn(&Automation) -> bool,
    ) -> Result<Story, PipelineError> {
        // Looked at first: what is no longer to be decided has all of its runs when they are read.
        let open_work = self.store.work(seq.saturating_sub(1), 1)?.first().is_some_and(|work| work.seq == seq);
        let runs = self.store.runs_of(space, seq)?;
        let runs = runs.into_iter().map(|run| self.with_items(run)).collect::<Result<Vec<_>, _>>()?;
        let deliveries = self.delivery_stories(space, seq)?;
        let caused = self.caused(space, &runs)?;
        let waiting = runs.iter().any(|run| run.state.live());
        let pending =
            open_work || waiting || deliveries.iter().any(|story| story.delivery.state == DeliveryState::Pending);
        let not_considered = self.not_considered(space, event, &runs, close);
        Ok(Story {
            id: event.id.clone(),
            seq,
            received_at: event.received_at,
            state: if pending { "pending" } else { "done" },
            summary: summary(event, &runs, open_work, &not_considered, &deliveries, &caused),
            event: event.to_value(),
            cause: event.cause.as_ref().and_then(|cause| serde_json::to_value(cause).ok()).unwrap_or_default(),
            runs,
            not_considered,
            deliveries,
            caused,
        })
    }

    fn delivery_stories(&self, space: &SpaceId, seq: u64) -> Result<Vec<DeliveryStory>, PipelineError> {
        let mut stories = Vec::new();
        for delivery in self.store.deliveries_of(space, seq)? {
            let log = self.store.attempts(space, delivery.id)?;
            stories.push(DeliveryStory { delivery, log });
        }
        Ok(stories)
    }

    fn caused(&self, space: &SpaceId, runs: &[Run]) -> Result<Vec<Caused>, PipelineError> {
        let mut caused = Vec::new();
        let steps = runs.iter().flat_map(|run| run.steps.iter());
        let made =
            steps.flat_map(|step| step.events.iter().chain(step.items.iter().flat_map(|item| item.events.iter())));
        for made in made.take(NAMED) {
            if let EventLookup::One(seq, event) = self.store.event(space, &made.id, Some(&made.source))? {
                let deliveries = self.delivery_stories(space, seq)?;
                caused.push(Caused { id: event.id, event_type: event.event_type, deliveries });
            }
        }
        Ok(caused)
    }

    /// The first of the automations that were not considered: those whose types take the event's, then those that are
    /// close to it, by name. There may be many, so only the ones that are named are written out.
    fn not_considered(
        &self,
        space: &SpaceId,
        event: &Event,
        runs: &[Run],
        close: &dyn Fn(&Automation) -> bool,
    ) -> Vec<NotConsidered> {
        let considered: HashSet<&AutomationId> = runs.iter().map(|run| &run.automation).collect();
        let mut others: Vec<(bool, bool, Arc<Automation>)> = Vec::new();
        for automation in self.catalogue.automations(space) {
            let takes = automation.on.iter().any(|pattern| pattern.takes(&event.event_type));
            if !considered.contains(&automation.id) && (!takes || why_not(&automation, event).is_some()) {
                others.push((!takes, !close(&automation), automation));
            }
        }
        let order = |a: &(bool, bool, Arc<Automation>), b: &(bool, bool, Arc<Automation>)| {
            (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name))
        };
        if others.len() > NAMED {
            others.select_nth_unstable_by(NAMED, order);
            others.truncate(NAMED);
        }
        others.sort_by(order);
        let named = |(untaken, far, automation): (bool, bool, Arc<Automation>)| NotConsidered {
            reason: why_not(&automation, event).filter(|_| !untaken).unwrap_or_else(|| {
                let on: Vec<&str> = automation.on.iter().take(10).map(EventPattern::as_str).collect();
                format!("the event's type is `{}`, it wants {}", event.event_type, on.join(", "))
            }),
            near: !far,
            automation: automation.id.to_string(),
            name: automation.name.clone(),
        };
        others.into_iter().map(named).collect()
    }
}

/// Why an automation whose types take the event's was not considered all the same.
fn why_not(automation: &Automation, event: &Event) -> Option<String> {
    if !automation.enabled {
        Some("it is switched off".to_owned())
    } else if event.depth() > MAX_CHAIN {
        Some(format!("the event ends a chain of {MAX_CHAIN} that automations made of one another"))
    } else if automation.updated_at > event.received_at {
        Some("it was made or changed after the event was accepted".to_owned())
    } else {
        None
    }
}

fn summary(
    event: &Event,
    runs: &[Run],
    open_work: bool,
    not_considered: &[NotConsidered],
    deliveries: &[DeliveryStory],
    caused: &[Caused],
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(replay) = event.replays() {
        lines.push(told_of_replay(replay));
    }
    if runs.is_empty() {
        lines.push(if open_work {
            "Automations are yet to be asked.".to_owned()
        } else if not_considered.is_empty() {
            "No automation was considered: there is none that could be.".to_owned()
        } else {
            format!("No automation was considered for type `{}`; `not_considered` says why.", event.event_type)
        });
    }
    for run in runs {
        let name = &run.automation_name;
        lines.push(match run.state {
            RunState::Skipped => format!("`{name}` did not fire: {}", run.decision.reason),
            RunState::Failed if !run.decision.fired => format!("`{name}` could not decide: {}", run.decision.reason),
            RunState::Running => {
                format!("`{name}` fired and is under way, {} steps done{}.", run.next_step, items(run))
            }
            RunState::Queued => format!(
                "`{name}` fired and waits until earlier runs with the key `{}` have ended.",
                run.lane.as_ref().map(|lane| lane.key.as_str()).unwrap_or_default()
            ),
            RunState::Cancelled => format!("`{name}` fired and was cancelled after {} steps.", run.next_step),
            RunState::Parked => format!(
                "`{}` waits for the plugin `{}`: {}",
                run.automation_name,
                run.waits_for.as_deref().unwrap_or_default(),
                if run.undecided() { run.decision.reason.as_str() } else { "its next step needs it" }
            ),
            RunState::Waiting if run.undecided() => format!("`{name}` is yet to be decided: {}", run.decision.reason),
            RunState::Waiting if run.waits_for.is_some() => {
                format!("`{name}` fired; its next step waits for its turn.")
            }
            RunState::Waiting if run.wait_until.is_some() => format!(
                "`{name}` fired; step {} waits until {}.",
                run.next_step.saturating_add(1),
                run.wait_until.map(|at| at.to_string()).unwrap_or_default()
            ),
            RunState::Waiting if run.tries == 0 => format!("`{name}` fired and goes on at once."),
            RunState::Waiting => format!(
                "`{name}` fired; step {} failed and is tried again at {}.",
                run.next_step.saturating_add(1),
                run.retry_at.map(|at| at.to_string()).unwrap_or_default()
            ),
            RunState::Done => format!("`{name}` fired and did all of its {} steps.", run.steps.len()),
            RunState::Failed => {
                let failed = run.steps.iter().find_map(|step| match &step.outcome {
                    StepOutcome::Failed { code, message, .. } => {
                        Some(format!("step `{}` failed, {code}: {message}", step.name))
                    }
                    _ => None,
                });
                format!("`{name}` fired; {}", failed.unwrap_or_default())
            }
        });
    }
    lines.extend(deliveries.iter().map(|story| told(&event.event_type, &story.delivery)));
    for made in caused {
        lines.push(format!("It made `{}` ({}).", made.event_type, made.id));
        lines.extend(made.deliveries.iter().map(|story| told(&made.event_type, &story.delivery)));
    }
    lines
}

/// What a replayed event repeats, in a sentence.
fn told_of_replay(replay: &Replay) -> String {
    let mut with: Vec<String> = replay.revision.iter().map(|revision| format!("revision {revision}")).collect();
    let versions = replay.plugins.iter().map(|(name, digest)| (name, digest.get(..12).unwrap_or(digest)));
    with.extend(versions.map(|(name, digest)| format!("`{name}` in the version {digest}")));
    let with = if with.is_empty() { String::new() } else { format!(", with {}", with.join(", ")) };
    format!("It repeats the event {}{with}.", replay.event)
}

/// How far a step with `for_each` is.
fn items(run: &Run) -> String {
    match run.progress {
        Progress { items: 0, .. } => String::new(),
        Progress { item, items } => format!(", {item} of {items} items of the next"),
    }
}

fn told(event_type: &str, delivery: &Delivery) -> String {
    let Delivery { webhook, attempts, .. } = delivery;
    let error = delivery.last_error.as_deref();
    match delivery.state {
        DeliveryState::Delivered => format!("`{event_type}` was delivered to {webhook} at attempt {attempts}."),
        DeliveryState::Pending => {
            let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
            format!("`{event_type}` is on its way to {webhook}, {attempts} attempts so far{error}.")
        }
        DeliveryState::Dead => {
            let error = error.unwrap_or_default();
            format!("`{event_type}` was given up for {webhook} after {attempts} attempts: {error}.")
        }
        DeliveryState::Parked => {
            let error = error.unwrap_or_default();
            format!("`{event_type}` was put aside for {webhook} until somebody redelivers it: {error}.")
        }
        DeliveryState::Dropped => {
            let reason = error.unwrap_or_default();
            format!("`{event_type}` was not sent to {webhook}, which did not want it: {reason}.")
        }
    }
}
