//! Executes one step of a run: evaluates its conditions, fills in its parameters, and calls its plugin on a unit of work
//! whose effects the caller commits.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hookwright_foundation::settings::PipelineSettings;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_invoke::call_result::PluginAnswer;
use hookwright_invoke::callable::{Callable, Role, Unavailable};
use hookwright_invoke::calls::Invoke;
use hookwright_invoke::conditions;
use hookwright_invoke::conditions::evaluation_failed;
use hookwright_invoke::occasion::Occasion;
use hookwright_invoke::recording::Site;
use hookwright_invoke::rendering::{Item, Rendered, Scoping, about, rendered, replaced};
use hookwright_model::{
    Author, Automation, Cause, Effects, EmittedEvent, Event, Failure, Kind, OnUnavailable, Outcome, Run, StateView,
    StepKind, StepOutcome, StepRecord, TapedView, Workbench,
};
use hookwright_plugin::{Access, Message, Plugin, Transformed, Tries};
use hookwright_routing::catalogue::Catalogue;
use hookwright_routing::planning::Routing;
use hookwright_store::Store;
use serde_json::Value;

use crate::attempt::{AttemptResult, StepAttempt};
use crate::breadth::check_breadth;
use crate::recorded;

/// Executes the steps of a run.
pub struct Steps {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) settings: Arc<PipelineSettings>,
    pub(crate) store: Store,
    /// Calls the plugins of the steps.
    pub invoke: Arc<Invoke>,
    pub(crate) routing: Arc<Routing>,
}

impl Steps {
    /// Executes the next step of a run and returns its result. Nothing is committed yet.
    pub(crate) async fn try_step(
        &self,
        at: &StepAttempt<'_>,
        item: Option<Item<'_>>,
    ) -> Result<AttemptResult, Unavailable> {
        let StepAttempt { automation, step, run, event, position, .. } = *at;
        let began = Instant::now();
        let started_at = self.clock.now();
        let bound = at.tries.bound_to();
        // A step that has sent a request does not evaluate its `if` again: another verdict would hide the request, or have it
        // sent again later.
        let skipped = match &bound {
            Some(_) => None,
            None => self.check_if(automation, run, event, position, item).await?,
        };
        let name = automation.step_names().get(position).cloned().unwrap_or_else(|| step.plugin.clone());
        let mut log = Vec::new();
        let mut version = None;
        let result = match skipped {
            Some(outcome) => outcome.map(|outcome| (outcome, Effects::default())),
            None => match self.callable(&Occasion::of_run(run, event), &step.plugin, at.tries, bound) {
                Ok(callable) => {
                    version = Some(callable.plugin.manifest().version.clone());
                    self.call_step(callable, at, item, &mut log).await
                }
                Err(unavailable) if unavailable.busy_until.is_some() => return Err(unavailable),
                Err(unavailable) => match automation.on_unavailable {
                    OnUnavailable::Park => return Err(unavailable),
                    OnUnavailable::Open => {
                        Ok((StepOutcome::Skipped { reason: unavailable.reason }, Effects::default()))
                    }
                    OnUnavailable::Closed => Err(Failure::permanent(Failure::PLUGIN_UNAVAILABLE, unavailable.reason)),
                },
            },
        };
        let (outcome, effects, failure) = match result {
            Ok((outcome, effects)) => (outcome, effects, None),
            Err(failure) => (StepOutcome::failed(&failure), Effects::default(), Some(failure)),
        };
        let changes = recorded::of_step(&effects.changes);
        let events = effects.events.iter().map(|new| EmittedEvent {
            id: new.event.id.clone(),
            event_type: new.event.event_type.clone(),
            source: new.event.source.clone(),
        });
        let record = StepRecord {
            name,
            plugin: step.plugin.clone(),
            kind: step.kind,
            version,
            outcome,
            effects: changes,
            events: events.collect(),
            log,
            items: Vec::new(),
            attempts: run.tries.saturating_add(1),
            reruns: at.tries.reruns(),
            started_at,
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        Ok(AttemptResult { record, failure, effects })
    }

    /// The plugin that one of several tries of a step calls. Once a request is sent, all tries call the same version with the same
    /// access, even if the plugin was deleted or replaced or its circuit opened in between: the step is in progress until it
    /// commits, and another version would send other requests, or the same ones again.
    fn callable(
        &self,
        occasion: &Occasion<'_>,
        name: &str,
        tries: &Tries,
        bound: Option<(Arc<Plugin>, Arc<Access>)>,
    ) -> Result<Callable, Unavailable> {
        let available = self.invoke.available(occasion, name);
        let Some((plugin, access)) = bound else {
            let callable = available?;
            if callable.plugin.sends_requests() && tries.decline() {
                let (plugin, reason) = (name.to_owned(), "it may send requests".to_owned());
                return Err(Unavailable::until(plugin, reason, self.clock.now()));
            }
            tries.calls(&callable.plugin, &callable.access);
            return Ok(callable);
        };
        match available {
            Err(unavailable) if unavailable.busy_until.is_some() => Err(unavailable),
            Ok(callable) if callable.plugin.digest() == plugin.digest() => Ok(Callable { access, ..callable }),
            _ => Ok(Callable { plugin, access, admitted: None, role: Role::Named }),
        }
    }

    async fn call_step(
        &self,
        callable: Callable,
        at: &StepAttempt<'_>,
        item: Option<Item<'_>>,
        log: &mut Vec<String>,
    ) -> Result<(StepOutcome, Effects), Failure> {
        let StepAttempt { step, run, event, .. } = *at;
        let source = match run.workflow() {
            Some(name) => format!("hookwright/workflows/{name}"),
            None => format!("hookwright/automations/{}", run.automation),
        };
        let occasion = Occasion::of_run(run, event);
        let kind = match step.kind {
            StepKind::Action => Kind::Action,
            StepKind::Transform => Kind::Transform,
            StepKind::Wait => return Err(Failure::permanent("internal", "a step that waits calls no plugin")),
        };
        let mut invocation = self.invoke.prepare(callable, occasion, kind)?;
        if kind == Kind::Action {
            self.invoke.start_recording(&mut invocation);
        }
        // The plugin gets the time of the first try, which its requests may contain; changes have the time of this one.
        let (cause, now, changed_at) =
            (Cause::of(event, run.id), at.tries.began(), at.tries.changes_at(self.clock.now()));
        let view = self.invoke.view_of(at.tries);
        let view = match invocation.tape() {
            Some(tape) => Arc::new(TapedView { view, tape: Arc::clone(tape) }) as Arc<dyn StateView>,
            None => view,
        };
        let mut workbench = Workbench::new(view, run.space.clone(), changed_at, &source, cause);
        workbench.sign(Author {
            automation: Some(run.automation.to_string()),
            run: Some(run.id.to_string()),
            plugin: Some(step.plugin.clone()),
            ..Author::default()
        });
        let mut scoping = Scoping::after(run, event, item).at(now);
        let Rendered { parameters, names_from_data } =
            rendered(&self.invoke, invocation.plugin(), &step.with, &mut scoping, &mut workbench)?;
        let call = &mut invocation.call;
        call.names_from_data = names_from_data;
        call.now = now;
        call.tries = Some(Arc::clone(at.tries.retained()));
        call.hops = Some(event.depth());
        let suffix = item.map(|item| format!("-{}", item.index)).unwrap_or_default();
        call.idempotency_key = Some(format!("{}-{}-{}{suffix}", self.store.instance_id(), run.id, run.next_step));
        if let Some(dry_run) = at.dry_run {
            call.outbound = Some(Arc::clone(&dry_run.outbound));
            // A dry run is never a repetition.
            call.idempotency_key = Some(hookwright_model::unique("try"));
        }
        call.timeout = step.timeout_ms.map(|ms| std::time::Duration::from_millis(u64::from(ms)));
        let site =
            || Site { place: at.name(item), automation: Some(run.automation.to_string()), changed_at, source: &source };
        if kind == Kind::Action {
            invocation.call.workbench = Some(workbench);
            let invoked = self.invoke.run(invocation, &parameters, site).await;
            *log = invoked.log;
            let mut effects = invoked.workbench.map(|bench| self.catalogue.finish(bench)).unwrap_or_default();
            effects.held = invoked.held.map(|held| Arc::new(held) as Arc<_>);
            let result = invoked.result.and_then(|outcome| {
                self.routing.check_schemas(&effects)?;
                // A dry run makes no events.
                if at.dry_run.is_none() {
                    check_breadth(&self.store, self.settings.max_descendants, &run.space, &effects)?;
                }
                Ok(outcome)
            });
            let effects = if result.is_ok() { effects } else { Effects::default() };
            self.invoke.record(invoked.record, result.as_ref().map(PluginAnswer::Outcome), &effects);
            let outcome = match result? {
                Outcome::Done(result) => StepOutcome::Done { result },
                Outcome::Skipped(reason) => StepOutcome::Skipped { reason },
            };
            return Ok((outcome, effects));
        }
        let body = match &step.input {
            None => event.data_json().into_owned(),
            Some(input) => {
                let scope = about(&self.invoke, input, &mut scoping, &mut workbench)?;
                replaced(input, scope)?.to_string()
            }
        };
        let message =
            Message { headers: Vec::new(), content_type: "application/json".to_owned(), body: Bytes::from(body) };
        let (result, logged) = self.invoke.apply(invocation, &parameters, message, site).await;
        *log = logged;
        let outcome = match result? {
            Transformed::Send(message) => StepOutcome::Done { result: value_of(&message) },
            Transformed::Drop(reason) => StepOutcome::Skipped { reason },
        };
        // The workbench only has what the variables read: a conflict is detected if one of those records changes.
        Ok((outcome, self.catalogue.finish(workbench)))
    }

    /// Evaluates the `if` of a step. Returns the outcome of a step that is not executed; `None`: it is executed.
    pub(crate) async fn check_if(
        &self,
        automation: &Automation,
        run: &Run,
        event: &Event,
        position: usize,
        item: Option<Item<'_>>,
    ) -> Result<Option<Result<StepOutcome, Failure>>, Unavailable> {
        let Some(when) = automation.then.get(position).and_then(|step| step.when.as_ref()) else { return Ok(None) };
        let path = format!("{}[{position}].if", if run.workflow().is_some() { "steps" } else { "then" });
        let scoping = Scoping::after(run, event, item);
        let (decision, waits) =
            conditions::evaluate_at(&self.invoke, scoping, when, &path, automation.on_unavailable).await;
        if let Some(waits) = waits {
            return Err(waits);
        }
        Ok(match decision.fired {
            true => None,
            false if evaluation_failed(&decision) => Some(Err(Failure::permanent("condition.failed", decision.reason))),
            false => Some(Ok(StepOutcome::Skipped { reason: decision.reason })),
        })
    }
}

/// A message as a value: JSON as such, text as text, anything else in base64.
fn value_of(message: &Message) -> Value {
    use base64::Engine as _;
    if message.content_type.contains("json")
        && let Ok(value) = serde_json::from_slice(&message.body)
    {
        return value;
    }
    match std::str::from_utf8(&message.body) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(base64::engine::general_purpose::STANDARD.encode(&message.body)),
    }
}
