//! Dry runs: an automation is decided and executed for an event, and nothing is stored.

use std::sync::Arc;

use async_trait::async_trait;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::conditions::decide;
use hookwright_invoke::egress::Egress;
use hookwright_invoke::loading::Loading;
use hookwright_invoke::occasion::{By, Occasion};
use hookwright_model::{
    Automation, Change, Decision, Event, Failure, Progress, Run, RunId, RunState, SpaceId, StepRecord,
};
use hookwright_plugin::{Outbound, OutboundRequest, OutboundResponse, Tries};
use hookwright_resources::automations::Automations;
use hookwright_runs::attempt::{DryRun, MAX_ITEMS};
use hookwright_runs::open_steps::is_next;
use hookwright_runs::steps::Steps;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

/// How many requests are reported.
const MAX_REQUESTS: usize = 1000;

/// How many attempts of steps and items a dry run makes: 100 steps with the most items would take too long.
const MAX_ATTEMPTS: usize = MAX_ITEMS + 200;

/// The report of a dry run.
#[derive(Clone, Debug, Serialize)]
pub struct DryRunReport {
    /// Its id.
    pub automation: String,
    /// Its name.
    pub name: String,
    /// The revision that was run.
    pub revision: u32,
    /// Whether its event types take the event's.
    pub triggered: bool,
    /// Whether it would fire, and why.
    pub decision: Decision,
    /// The record of each step.
    pub steps: Vec<StepRecord>,
    /// The changes that it would make.
    pub effects: Vec<Change>,
    /// The events that it would make.
    pub events: Vec<Value>,
    /// The requests that it would send, or has sent if that was requested.
    pub requests: Vec<DryRunRequest>,
    /// How the dry run differs from a real run.
    pub notes: Vec<String>,
}

/// A request of a step. Neither its headers nor its body is shown: they may contain secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryRunRequest {
    /// The plugin that made it.
    pub plugin: String,
    /// The method.
    pub method: String,
    /// Its URL without query and fragment, which may contain secrets.
    pub url: String,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Whether it was sent.
    pub sent: bool,
}

/// Records requests, and sends them only if that was requested.
struct RequestGate {
    requests: Mutex<Vec<DryRunRequest>>,
    send: Option<Arc<dyn Outbound>>,
}

#[async_trait]
impl Outbound for RequestGate {
    async fn send(&self, space: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let shown = DryRunRequest {
            plugin: request.plugin.clone(),
            method: request.method.clone(),
            url: request.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            body_bytes: request.body.len(),
            sent: self.send.is_some(),
        };
        {
            let mut requests = self.requests.lock();
            if requests.len() < MAX_REQUESTS {
                requests.push(shown);
            }
        }
        match &self.send {
            Some(outbound) => outbound.send(space, request).await,
            None => {
                let message = "this is a dry run, which sends no requests; give `\"requests\": \"send\"` to send them";
                Err(Failure::permanent("rehearsal.not_sent", message))
            }
        }
    }
}

/// Runs automations for events without storing anything.
pub struct DryRuns {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) automations: Arc<Automations>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) steps: Arc<Steps>,
}

impl DryRuns {
    /// Decides and executes an automation for an event, and stores nothing. Requests are sent only if `send`.
    pub async fn run(
        &self,
        space: &SpaceId,
        id: &str,
        event: &Event,
        send: bool,
    ) -> Result<DryRunReport, PipelineError> {
        let automation = self.automations.automation(space, id)?;
        self.run_automation(space, &automation, event, send).await
    }

    /// The same for an automation in any of its revisions.
    pub(crate) async fn run_automation(
        &self,
        space: &SpaceId,
        automation: &Automation,
        event: &Event,
        send: bool,
    ) -> Result<DryRunReport, PipelineError> {
        self.loading.loaded(space, &automation.plugins()).await;
        let triggered = automation.on.iter().any(|pattern| pattern.takes(&event.event_type));
        let occasion = Occasion { space, event, by: By::DryRun, shared: None };
        let (decision, waits) =
            decide(&self.steps.invoke, occasion, automation.when.as_ref(), automation.on_unavailable).await;
        let send = send.then(|| Arc::clone(&self.egress) as Arc<dyn Outbound>);
        let gate = Arc::new(RequestGate { requests: Mutex::default(), send });
        let mut dry_run = DryRun { items: Vec::new(), outbound: Arc::clone(&gate) as Arc<dyn Outbound> };
        let mut shown = DryRunReport {
            automation: automation.id.to_string(),
            name: automation.name.clone(),
            revision: automation.revision,
            triggered,
            steps: Vec::new(),
            effects: Vec::new(),
            events: Vec::new(),
            requests: Vec::new(),
            notes: waits.into_iter().map(|waits| waits.reason).collect(),
            decision,
        };
        if !automation.enabled {
            shown.notes.push("the automation is disabled: it does not fire for real events".to_owned());
        }
        if !shown.decision.fired {
            return Ok(shown);
        }
        let now = self.clock.now();
        let mut run = Run {
            revision: automation.revision,
            decision: shown.decision.clone(),
            created_at: now,
            ..Run::undecided_for(event, RunId::DRY_RUN, automation.id.clone(), automation.name.clone())
        };
        let mut tries = 0_usize;
        while run.state == RunState::Running {
            tries = tries.saturating_add(1);
            if tries > MAX_ATTEMPTS {
                shown.notes.push(format!("the dry run ended after {MAX_ATTEMPTS} attempts of steps and items"));
                break;
            }
            let tries = Arc::new(Tries::new(self.clock.now()));
            let advanced = self.steps.advance(automation, &run, event, Some(&dry_run), &tries).await?;
            shown.effects.extend(advanced.effects.changes);
            shown.events.extend(advanced.effects.events.iter().map(|new| new.event.to_value()));
            dry_run.items.extend(advanced.item);
            run = advanced.run;
            if !matches!(run.state, RunState::Waiting { .. }) {
                continue;
            }
            if let Some(wait) = &mut run.wait {
                let step = run.next_step.saturating_add(1);
                shown.notes.push(format!("step {step} would wait until {}", wait.until));
                wait.until = now;
                run.state = RunState::Running;
            } else if !run.open_steps.is_empty() {
                let held = run.open_steps.iter().any(|open| is_next(&run, open));
                run.open_steps.retain_mut(|open| {
                    let Some(at) = open.retry_at.filter(|at| *at > now) else { return true };
                    let item = open.item.map(|item| format!(", item {item},")).unwrap_or_default();
                    let step = open.step.saturating_add(1);
                    shown.notes.push(format!("step {step}{item} would be retried at {at}"));
                    false
                });
                // Steps that wait for the results of the dropped ones continue with the results that there are.
                for open in &mut run.open_steps {
                    open.retry_at = Some(now);
                }
                if held {
                    run.tries = 0;
                    run.progress = Progress::default();
                    run.next_step = run.next_step.saturating_add(1);
                }
                run.state = RunState::Running;
            }
        }
        if let RunState::Parked { plugin } | RunState::Waiting { plugin: Some(plugin), .. } = &run.state {
            shown.notes.push(format!("the run would wait for the plugin `{plugin}`"));
        }
        for (step, item) in dry_run.items {
            let step = usize::try_from(step).ok().and_then(|step| run.steps.get_mut(step));
            if let Some(step) = step {
                step.items.push(item);
            }
        }
        shown.steps = run.steps;
        shown.requests = std::mem::take(&mut *gate.requests.lock());
        Ok(shown)
    }
}
