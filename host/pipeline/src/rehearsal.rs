//! Rehearsals: an automation is decided and carried out for an event, and nothing of it is kept.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hookwright_model::{
    Automation, Change, Decision, Event, Failure, ItemRecord, Progress, Run, RunId, RunState, SpaceId, StepRecord,
};
use hookwright_plugin::{Outbound, OutboundRequest, OutboundResponse};
use serde::Serialize;
use serde_json::Value;

use crate::advance::MAX_ITEMS;
use crate::calling::{By, Occasion};
use crate::conditions::decide;
use crate::{Pipeline, PipelineError};

/// The most requests that are told of.
const MAX_REQUESTS: usize = 1000;
/// The most tries of steps and items: 100 steps of as many items as there may be would take too long.
const MAX_TRIES: usize = MAX_ITEMS + 200;

/// What an automation would do.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// Its id.
    pub automation: String,
    /// Its name.
    pub name: String,
    /// The revision that was tried.
    pub revision: u32,
    /// Whether its event types take the event's.
    pub triggered: bool,
    /// Whether it would fire, and why.
    pub decision: Decision,
    /// What each step came to.
    pub steps: Vec<StepRecord>,
    /// What would be changed.
    pub effects: Vec<Change>,
    /// Events that would be made.
    pub events: Vec<Value>,
    /// Requests that would leave, or have left if that was wanted.
    pub requests: Vec<RehearsedRequest>,
    /// What was done otherwise than it would be.
    pub notes: Vec<String>,
}

/// A request that a step asked for. Neither its headers nor its body is shown: they may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RehearsedRequest {
    /// The plugin that asked for it.
    pub plugin: String,
    /// The method.
    pub method: String,
    /// Where it goes, without query and fragment, in which secrets may stand.
    pub url: String,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Whether it left.
    pub sent: bool,
}

/// What a rehearsal keeps while it goes on.
pub(crate) struct Stand {
    pub(crate) items: Vec<(u32, ItemRecord)>,
    pub(crate) outbound: Arc<dyn Outbound>,
}

/// Tells of requests, and sends them only if that is wanted.
struct Gate {
    requests: Mutex<Vec<RehearsedRequest>>,
    send: Option<Arc<dyn Outbound>>,
}

#[async_trait]
impl Outbound for Gate {
    async fn send(&self, space: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
        let shown = RehearsedRequest {
            plugin: request.plugin.clone(),
            method: request.method.clone(),
            url: request.url.split(['?', '#']).next().unwrap_or_default().to_owned(),
            body_bytes: request.body.len(),
            sent: self.send.is_some(),
        };
        {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.len() < MAX_REQUESTS {
                requests.push(shown);
            }
        }
        match &self.send {
            Some(outbound) => outbound.send(space, request).await,
            None => {
                let message = "this is a rehearsal: no request leaves; `\"requests\": \"send\"` lets them";
                Err(Failure::permanent("rehearsal.not_sent", message))
            }
        }
    }
}

impl Pipeline {
    /// Decides and carries out an automation for an event, and keeps nothing of it. Requests leave only if `send`.
    pub async fn rehearse(
        &self,
        space: &SpaceId,
        id: &str,
        event: &Event,
        send: bool,
    ) -> Result<Rehearsal, PipelineError> {
        let automation = self.automation(space, id)?;
        self.rehearse_automation(space, &automation, event, send).await
    }

    /// The same for an automation in any of its revisions.
    pub(crate) async fn rehearse_automation(
        &self,
        space: &SpaceId,
        automation: &Automation,
        event: &Event,
        send: bool,
    ) -> Result<Rehearsal, PipelineError> {
        self.loaded(space, &automation.plugins()).await;
        let triggered = automation.on.iter().any(|pattern| pattern.takes(&event.event_type));
        let occasion = Occasion { space, event, by: By::Nobody };
        let (decision, waits) = decide(self, occasion, automation.when.as_ref(), automation.on_unavailable).await;
        let send = send.then(|| Arc::clone(&self.egress) as Arc<dyn Outbound>);
        let gate = Arc::new(Gate { requests: Mutex::default(), send });
        let mut stand = Stand { items: Vec::new(), outbound: Arc::clone(&gate) as Arc<dyn Outbound> };
        let mut shown = Rehearsal {
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
            shown.notes.push("the automation is switched off: it is not considered for real events".to_owned());
        }
        if !shown.decision.fired {
            return Ok(shown);
        }
        let now = self.now();
        // Of no event in the journal.
        let id = RunId { seq: 0, ordinal: 0 };
        let mut run = Run {
            revision: automation.revision,
            decision: shown.decision.clone(),
            created_at: now,
            ..Run::undecided_for(event, id, automation.id.clone(), automation.name.clone())
        };
        let mut tries = 0_usize;
        while run.state == RunState::Running {
            tries = tries.saturating_add(1);
            if tries > MAX_TRIES {
                shown.notes.push(format!("the rehearsal ended after {MAX_TRIES} tries of steps and items"));
                break;
            }
            let advanced = self.advance(automation, &run, event, Some(&stand)).await?;
            shown.effects.extend(advanced.effects.changes);
            shown.events.extend(advanced.effects.events.iter().map(|new| new.event.to_value()));
            stand.items.extend(advanced.item);
            run = advanced.run;
            if run.state != RunState::Waiting {
                continue;
            }
            if let Some(until) = run.wait_until {
                shown.notes.push(format!("step {} would wait until {until}", run.next_step.saturating_add(1)));
                run.wait_until = Some(now);
                run.state = RunState::Running;
            } else if run.tries > 0 {
                let at = run.retry_at.map(|at| at.to_string()).unwrap_or_default();
                shown.notes.push(format!("step {} would be tried again at {at}", run.next_step.saturating_add(1)));
                run.tries = 0;
                run.progress = Progress::default();
                run.next_step = run.next_step.saturating_add(1);
                run.state = RunState::Running;
            }
        }
        if let Some(plugin) = &run.waits_for {
            shown.notes.push(format!("the run would wait for the plugin `{plugin}`"));
        }
        for (step, item) in stand.items {
            let step = usize::try_from(step).ok().and_then(|step| run.steps.get_mut(step));
            if let Some(step) = step {
                step.items.push(item);
            }
        }
        shown.steps = run.steps;
        shown.requests = std::mem::take(&mut *gate.requests.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(shown)
    }
}
