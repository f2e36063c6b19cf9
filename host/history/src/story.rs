//! "Why did it not fire?" The whole story of one event, from what was recorded while it was processed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use hookwright_delivery::holds::{DeliveryView, Holds};
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{
    Automation, AutomationId, Delivery, DeliveryState, Event, EventPattern, MAX_CHAIN, Progress, Replay, Run, RunState,
    SpaceId, StepOutcome, Timestamp,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_runs::stored::Runs;
use hookwright_store::{EventLookup, Store};
use serde::Serialize;
use serde_json::Value;

use crate::closeness::{Closeness, closeness};
use crate::delivery_story::{DeliveryStory, looping};
use crate::not_sent::{NotSent, not_sent};

/// How many automations that were not considered are listed.
const MAX_NAMED: usize = 50;

/// How many open or failed steps of a run a summary names.
const MAX_STEPS_IN_SUMMARY: usize = 5;

/// The story of an event.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The event's id.
    pub id: String,
    /// Its place in the journal.
    pub seq: u64,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// `pending` while something is in progress, then `done`.
    pub state: &'static str,
    /// What happened, in sentences.
    pub summary: Vec<String>,
    /// The event itself, in the JSON format of CloudEvents 1.0.
    pub event: Value,
    /// Its cause, if Hookwright made it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub cause: Value,
    /// How many descendants of this event automations took.
    #[serde(skip_serializing_if = "is_zero")]
    pub descendants: u64,
    /// Each automation whose `on` takes the event's type: decision with reasons, steps with effects.
    pub runs: Vec<Run>,
    /// Automations that were not considered, and why; the first 50.
    pub not_considered: Vec<NotConsidered>,
    /// Deliveries of the event itself to webhooks, with their attempts.
    pub deliveries: Vec<DeliveryStory>,
    /// Webhooks that the event was not sent to, and why; the first 50.
    pub not_sent: Vec<NotSent>,
    /// Events that its runs made, with their deliveries.
    pub caused: Vec<Caused>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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
    /// How close its types are to the event's, if they do not take it.
    #[serde(skip)]
    pub(crate) closeness: Option<Closeness>,
}

/// What happened to an event, and why.
pub struct Stories {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    pub(crate) holds: Arc<Holds>,
    pub(crate) runs: Arc<Runs>,
}

impl Stories {
    /// The story of an event. Of the automations that were not considered, those come first whose types take the
    /// event's, then those that are close to it.
    pub fn story(&self, space: &SpaceId, seq: u64, event: &Event) -> Result<Story, PipelineError> {
        // Read before the runs: if the event has no open work, all of its runs exist when they are read.
        let open_work = self.store.backlog.work(seq.saturating_sub(1), 1)?.first().is_some_and(|work| work.seq == seq);
        let runs = self.store.runs.runs_of(space, seq)?;
        let runs = runs.into_iter().map(|run| self.runs.with_items(run)).collect::<Result<Vec<_>, _>>()?;
        let deliveries = self.delivery_stories(space, seq)?;
        let caused = self.caused(space, &runs)?;
        let waiting = runs.iter().any(|run| run.state.live());
        let pending =
            open_work || waiting || deliveries.iter().any(|story| story.view.delivery.state == DeliveryState::Pending);
        let not_considered = self.not_considered(space, event, &runs);
        let not_sent = not_sent(&self.catalogue, space, event, &deliveries);
        let descendants = self.store.events.descendants(space, &event.id)?;
        let mut summary = summary(&SummaryInput {
            event,
            runs: &runs,
            open_work,
            not_considered: &not_considered,
            deliveries: &deliveries,
            not_sent: &not_sent,
            caused: &caused,
        });
        if descendants > 0 {
            let most = self.settings.max_descendants;
            summary.push(format!(
                "It has triggered {descendants} events for automations, directly and indirectly; at most {most}."
            ));
        }
        Ok(Story {
            id: event.id.clone(),
            seq,
            received_at: event.received_at,
            state: if pending { "pending" } else { "done" },
            summary,
            event: event.to_value(),
            descendants,
            cause: event.cause.as_ref().and_then(|cause| serde_json::to_value(cause).ok()).unwrap_or_default(),
            runs,
            not_considered,
            deliveries,
            not_sent,
            caused,
        })
    }

    fn delivery_stories(&self, space: &SpaceId, seq: u64) -> Result<Vec<DeliveryStory>, PipelineError> {
        let mut stories = Vec::new();
        for delivery in self.store.deliveries.deliveries_of(space, seq)? {
            let log = self.store.attempts.attempts(space, delivery.id)?;
            stories.push(DeliveryStory { view: self.holds.delivery_view(delivery), log });
        }
        Ok(stories)
    }

    fn caused(&self, space: &SpaceId, runs: &[Run]) -> Result<Vec<Caused>, PipelineError> {
        let mut caused = Vec::new();
        let steps = runs.iter().flat_map(|run| run.steps.iter());
        let made =
            steps.flat_map(|step| step.events.iter().chain(step.items.iter().flat_map(|item| item.events.iter())));
        for made in made.take(MAX_NAMED) {
            if let EventLookup::One(seq, event) = self.store.events.event(space, &made.id, Some(&made.source))? {
                let deliveries = self.delivery_stories(space, seq)?;
                caused.push(Caused { id: event.id, event_type: event.event_type, deliveries });
            }
        }
        Ok(caused)
    }

    /// The first of the automations that were not considered: those whose types take the event's, then those that are
    /// close to it, by name. There may be many, so reasons are only made for those that are listed.
    fn not_considered(&self, space: &SpaceId, event: &Event, runs: &[Run]) -> Vec<NotConsidered> {
        let considered: HashSet<&AutomationId> = runs.iter().map(|run| &run.automation).collect();
        let mut others: Vec<(bool, bool, Arc<Automation>)> = Vec::new();
        for automation in self.catalogue.automations(space) {
            let takes = automation.on.iter().any(|pattern| pattern.takes(&event.event_type));
            if !considered.contains(&automation.id) && (!takes || why_not(&automation, event).is_some()) {
                others.push((!takes, takes || close(&automation, event).is_none(), automation));
            }
        }
        let order = |a: &(bool, bool, Arc<Automation>), b: &(bool, bool, Arc<Automation>)| {
            (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name))
        };
        if others.len() > MAX_NAMED {
            others.select_nth_unstable_by(MAX_NAMED, order);
            others.truncate(MAX_NAMED);
        }
        others.sort_by(order);
        let named = |(untaken, _, automation): (bool, bool, Arc<Automation>)| NotConsidered {
            reason: why_not(&automation, event).filter(|_| !untaken).unwrap_or_else(|| {
                let on: Vec<&str> = automation.on.iter().take(10).map(EventPattern::as_str).collect();
                format!("the event's type is `{}`, the automation takes {}", event.event_type, on.join(", "))
            }),
            closeness: if untaken { close(&automation, event) } else { None },
            automation: automation.id.to_string(),
            name: automation.name.clone(),
        };
        others.into_iter().map(named).collect()
    }
}

fn close(automation: &Automation, event: &Event) -> Option<Closeness> {
    automation.on.iter().find_map(|wanted| closeness(wanted, &event.event_type))
}

/// Why an automation was not considered although it takes the type of the event.
fn why_not(automation: &Automation, event: &Event) -> Option<String> {
    if event.is_looping() {
        Some(looping(event))
    } else if event.depth() > MAX_CHAIN {
        Some(chain_cut())
    } else if !automation.enabled {
        Some(match &automation.switched {
            Some(switched) => format!("it has been disabled since {}, by {}", switched.at, switched.by),
            None => format!("it is disabled; it was last changed at {}", automation.updated_at),
        })
    } else if let Some(switched) = automation.switched.as_ref().filter(|switched| switched.at > event.received_at) {
        Some(format!("it was off when the event was accepted; {} switched it on at {}", switched.by, switched.at))
    } else if automation.updated_at > event.received_at {
        Some("it was created or changed after the event was accepted".to_owned())
    } else {
        None
    }
}

/// The reason at the end of a chain.
fn chain_cut() -> String {
    format!(
        "the chain was cut here: {MAX_CHAIN} events were made by automations one after the other, and such a chain \
         triggers no further automation"
    )
}

/// The input of a summary.
struct SummaryInput<'a> {
    event: &'a Event,
    runs: &'a [Run],
    open_work: bool,
    not_considered: &'a [NotConsidered],
    deliveries: &'a [DeliveryStory],
    not_sent: &'a [NotSent],
    caused: &'a [Caused],
}

fn summary(input: &SummaryInput<'_>) -> Vec<String> {
    let SummaryInput { event, runs, open_work, not_considered, deliveries, not_sent, caused } = *input;
    let mut lines = Vec::new();
    if let Some(replay) = event.replays() {
        lines.push(replay_sentence(replay));
    }
    if event.is_looping() {
        lines.push(format!("Neither automations nor webhooks get it: {}.", looping(event)));
    }
    if runs.is_empty() {
        lines.push(if event.depth() > MAX_CHAIN {
            format!("No automation was considered: {}.", chain_cut())
        } else if open_work {
            "The conditions of automations have not been evaluated yet.".to_owned()
        } else if not_considered.is_empty() {
            "No automation was considered: there are none.".to_owned()
        } else {
            format!("No automation was considered for type `{}`; `not_considered` says why.", event.event_type)
        });
    }
    for run in runs {
        let name = &run.automation_name;
        lines.push(match &run.state {
            RunState::Skipped { .. } => format!("`{name}` did not fire: {}", run.decision.reason),
            RunState::Failed { .. } if !run.decision.fired => {
                format!("the conditions of `{name}` could not be evaluated: {}", run.decision.reason)
            }
            RunState::Running => {
                let mut parts = vec![format!("{} steps done{}", settled(run), items(run))];
                parts.extend(open_steps(run));
                format!("`{name}` fired and is in progress, {}.", parts.join(", "))
            }
            RunState::Queued => format!(
                "`{name}` fired and waits until earlier runs with the key `{}` have ended.",
                run.lane.as_ref().map(|lane| lane.key.as_str()).unwrap_or_default()
            ),
            RunState::Cancelled { .. } => format!("`{name}` fired and was cancelled after {} steps.", run.next_step),
            RunState::Parked { plugin } => format!(
                "`{name}` waits for the plugin `{plugin}`: {}",
                if run.undecided() { run.decision.reason.as_str() } else { "its next step needs it" }
            ),
            RunState::Waiting { .. } if run.undecided() => {
                format!("`{name}` is not decided yet: {}", run.decision.reason)
            }
            RunState::Waiting { plugin: Some(_), .. } => format!("`{name}` fired; its next step waits for its turn."),
            RunState::Waiting { until, .. } => format!("`{name}` fired{}.", waiting_phrase(run, *until)),
            RunState::Done { .. } => format!("`{name}` fired and did all of its {} steps.", run.steps.len()),
            RunState::Failed { .. } => format!("`{name}` fired; {}", failed_steps(run).join("; ")),
        });
    }
    lines.extend(deliveries.iter().map(|story| delivery_sentence(&event.event_type, &story.view)));
    lines.extend(
        not_sent.iter().filter(|one| one.near).map(|one| {
            format!("`{}` was not sent to {} ({}): {}.", event.event_type, one.webhook, one.name, one.reason)
        }),
    );
    for made in caused {
        lines.push(format!("It emitted `{}` ({}).", made.event_type, made.id));
        lines.extend(made.deliveries.iter().map(|story| delivery_sentence(&made.event_type, &story.view)));
    }
    lines
}

/// The sentence about a replay.
fn replay_sentence(replay: &Replay) -> String {
    let mut with: Vec<String> = replay.revision.iter().map(|revision| format!("revision {revision}")).collect();
    let versions = replay.plugins.iter().map(|(name, digest)| (name, digest.get(..12).unwrap_or(digest)));
    with.extend(versions.map(|(name, digest)| format!("`{name}` in the version {digest}")));
    let with = if with.is_empty() { String::new() } else { format!(", with {}", with.join(", ")) };
    format!("It repeats the event {}{with}.", replay.event)
}

/// The phrase about a run that waits for something other than a plugin.
fn waiting_phrase(run: &Run, until: Timestamp) -> String {
    let next = run.next_step.saturating_add(1);
    match run.wait {
        Some(wait) => {
            let mut parts = vec![format!("step {next} waits until {}", wait.until)];
            parts.extend(open_steps(run));
            format!("; {}", parts.join(", "))
        }
        None if !run.open_steps.is_empty() => format!("; {}", open_steps(run).join(", ")),
        None if run.tries > 0 => format!("; step {next} failed and is retried at {until}"),
        None => " and continues at once".to_owned(),
    }
}

/// How many steps have a final outcome.
fn settled(run: &Run) -> usize {
    let open: BTreeSet<u32> =
        run.open_steps.iter().map(|open| open.step).filter(|step| *step < run.next_step).collect();
    usize::try_from(run.next_step).unwrap_or(usize::MAX).saturating_sub(open.len())
}

/// The phrases about open steps.
fn open_steps(run: &Run) -> Vec<String> {
    let shown = run.open_steps.iter().take(MAX_STEPS_IN_SUMMARY).map(|open| {
        let step = open.step.saturating_add(1);
        let item = open.item.map(|item| format!(", item {item},")).unwrap_or_default();
        match open.retry_at {
            Some(at) if open.tries > 0 => format!("step {step}{item} failed and is retried at {at}"),
            Some(_) => format!("step {step}{item} comes next"),
            None => format!("step {step} waits for the result of an earlier one"),
        }
    });
    let more = run.open_steps.len().saturating_sub(MAX_STEPS_IN_SUMMARY);
    shown.chain((more > 0).then(|| format!("{more} more are retried"))).collect()
}

/// The steps of a run that failed, with code and message, and how many more there are.
pub(crate) fn failed_steps(run: &Run) -> Vec<String> {
    let mut failed = run.steps.iter().filter_map(|step| match &step.outcome {
        StepOutcome::Failed { code, message, .. } => Some(format!("step `{}` failed, {code}: {message}", step.name)),
        _ => None,
    });
    let mut shown: Vec<String> = failed.by_ref().take(MAX_STEPS_IN_SUMMARY).collect();
    let more = failed.count();
    if more > 0 {
        shown.push(format!("{more} more failed"));
    }
    shown
}

/// The progress of a step with `for_each`.
fn items(run: &Run) -> String {
    match run.progress {
        Progress { items: 0, .. } => String::new(),
        Progress { item, items, .. } => format!(", {item} of {items} items of the next"),
    }
}

/// The sentence about a delivery.
pub(crate) fn delivery_sentence(event_type: &str, view: &DeliveryView) -> String {
    let DeliveryView { delivery, waiting } = view;
    let Delivery { webhook, attempts, .. } = delivery;
    let error = delivery.last_error.as_deref();
    match delivery.state {
        DeliveryState::Delivered => format!("`{event_type}` was delivered to {webhook} at attempt {attempts}."),
        DeliveryState::Pending => {
            let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
            let waiting = waiting.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
            format!("`{event_type}` is pending for {webhook}, {attempts} attempts so far{error}{waiting}.")
        }
        DeliveryState::Dead => {
            let error = error.unwrap_or_default();
            format!("`{event_type}` was dead-lettered for {webhook} after {attempts} attempts: {error}.")
        }
        DeliveryState::Parked => {
            let error = error.unwrap_or_default();
            format!("`{event_type}` is parked for {webhook} until it is redelivered: {error}.")
        }
        DeliveryState::Dropped => {
            let reason = error.unwrap_or_default();
            format!("`{event_type}` was not sent to {webhook}, whose condition or transform dropped it: {reason}.")
        }
    }
}
