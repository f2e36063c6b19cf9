use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hookwright_egress::Outgoing;
use hookwright_model::{
    Author, Cause, Change, Effects, EmittedEvent, Event, Failure, Kind, OnUnavailable, Outcome, RecordKey, Run, Scope,
    SpaceId, StateView, StepKind, StepOutcome, StepRecord, TICKET, TapedView, Timestamp, Workbench, has_variables,
    mentions, render,
};
use hookwright_plugin::{Access, Call, Message, Plugin, Secrets, Transformed};
use serde_json::{Map, Value, json};

use crate::Pipeline;
use crate::advance::Place;
use crate::calling::Occasion;
use crate::egress::Egress;
use crate::parking::{Callable, Unavailable};
use crate::replay::{About, Said, TakenMessage, Taping, came_to};

/// What one try of a step came to, before it is committed.
pub(crate) struct Tried {
    pub(crate) record: StepRecord,
    pub(crate) failure: Option<Failure>,
    pub(crate) effects: Effects,
}

/// The item that a step with `for_each` is at.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) value: &'a Value,
    /// Counted from 0.
    pub(crate) index: u32,
}

/// Makes a [`Scope`] when the first variable asks for it: most parameters have none.
pub(crate) struct Scoping<'a> {
    pub(crate) occasion: Occasion<'a>,
    /// The automation whose run it is.
    pub(crate) automation: Option<String>,
    steps: Option<Map<String, Value>>,
    item: Option<Item<'a>>,
    /// Whether the event carries what a workflow was started with.
    input: bool,
    scope: Option<Scope>,
}

impl<'a> Scoping<'a> {
    pub(crate) fn new(occasion: Occasion<'a>) -> Self {
        Self { occasion, automation: None, steps: None, item: None, input: false, scope: None }
    }

    /// With what a run has done so far, for one item of its next step.
    pub(crate) fn after(run: &'a Run, event: &'a Event, item: Option<Item<'a>>) -> Self {
        let results = run.steps.iter().map(|step| {
            let value = match &step.outcome {
                StepOutcome::Done { result } => json!({"outcome": "done", "result": result}),
                StepOutcome::Skipped { reason } => json!({"outcome": "skipped", "result": null, "reason": reason}),
                StepOutcome::Failed { code, message, .. } => {
                    json!({"outcome": "failed", "result": null, "code": code, "reason": message})
                }
            };
            (step.name.clone(), value)
        });
        let input = run.workflow().is_some();
        let automation = Some(run.automation.to_string());
        Self { automation, steps: Some(results.collect()), item, input, ..Self::new(Occasion::of_run(run, event)) }
    }

    pub(crate) fn scope(&mut self, now: Timestamp) -> &mut Scope {
        let (Occasion { space, event, .. }, item, input) = (self.occasion, self.item, self.input);
        let steps = &mut self.steps;
        self.scope.get_or_insert_with(|| {
            let mut scope = Scope::new(event, space, now);
            if let Some(steps) = steps.take() {
                scope.set_steps(steps);
            }
            if let Some(input) = event.data_value().get_mut("input").filter(|_| input) {
                scope.set_input(input.take());
            }
            if let Some(item) = item {
                scope.set_item(item.value.clone(), item.index);
            }
            scope
        })
    }
}

/// The parameters with their variables replaced, checked against the plugin's schema if there were any.
pub(crate) fn rendered(
    pipeline: &Pipeline,
    plugin: &Plugin,
    with: &Map<String, Value>,
    scoping: &mut Scoping<'_>,
    workbench: &mut Workbench,
) -> Result<Value, Failure> {
    let verbatim = plugin.verbatim();
    let open = |name: &String, value: &Value| has_variables(value) && !verbatim.contains(name);
    if !with.iter().any(|(name, value)| open(name, value)) {
        return Ok(Value::Object(with.clone()));
    }
    let whole = Value::Object(with.clone());
    let scope = about(pipeline, &whole, scoping, workbench)?;
    let mut parameters = Map::new();
    for (name, value) in with {
        let value = if open(name, value) { replaced(value, scope)? } else { value.clone() };
        parameters.insert(name.clone(), value);
    }
    let parameters = Value::Object(parameters);
    match plugin.check_parameters(&parameters).first() {
        None => Ok(parameters),
        Some(mistake) => {
            Err(Failure::permanent("parameters.invalid", format!("with its variables filled in, {mistake}")))
        }
    }
}

pub(crate) fn replaced(value: &Value, scope: &Scope) -> Result<Value, Failure> {
    render(value, scope).map_err(|error| {
        Failure::permanent(
            "variable.missing",
            format!("`{{{{{}}}}}` stands for nothing: {}", error.variable, error.message),
        )
    })
}

/// The scope, with the record that the event is about if `value` asks for it. The read counts as the step's own.
fn about<'s>(
    pipeline: &Pipeline,
    value: &Value,
    scoping: &'s mut Scoping<'_>,
    workbench: &mut Workbench,
) -> Result<&'s Scope, Failure> {
    let asked = mentions(value, TICKET) || mentions(value, "record");
    let key = scoping.occasion.event.subject.as_deref().and_then(RecordKey::parse);
    let scope = scoping.scope(pipeline.now());
    if let (true, Some(key)) = (asked, key) {
        match workbench.record(&key.kind, &key.id.to_string()) {
            Ok(Some(record)) => scope.set_record(&key.kind, record),
            Ok(None) => {}
            // The subject of an event from outside need not be a record.
            Err(failure) if failure.code.starts_with("kind.") || failure.code == "record.kind_invalid" => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(scope)
}

impl Pipeline {
    /// What every call of a plugin gets.
    pub(crate) fn call(&self, space: &SpaceId, access: &Arc<Access>) -> Call {
        Call {
            space: space.clone(),
            now: self.clock.now(),
            workbench: None,
            secrets: Secrets::default(),
            access: Arc::clone(access),
            outbound: Some(Arc::clone(&self.egress) as Arc<dyn hookwright_plugin::Outbound>),
            idempotency_key: None,
            workflows: Some(Arc::clone(&self.catalogue) as Arc<dyn hookwright_plugin::Workflows>),
            timeout: None,
            tape: None,
        }
    }

    pub(crate) fn workbench(&self, space: &SpaceId, source: &str, cause: Cause) -> Workbench {
        Workbench::new(Arc::new(self.store.clone()), space.clone(), self.clock.now(), source, cause)
    }

    /// Carries out the next step of a run and says what it came to; nothing is committed yet.
    pub(crate) async fn try_step(&self, at: &Place<'_>, item: Option<Item<'_>>) -> Result<Tried, Unavailable> {
        let Place { automation, step, run, event, place, .. } = *at;
        let began = Instant::now();
        let started_at = self.clock.now();
        let left_out = self.left_out(automation, run, event, place, item).await?;
        let name = automation.step_names().get(place).cloned().unwrap_or_else(|| step.plugin.clone());
        let mut log = Vec::new();
        let mut version = None;
        let result = match left_out {
            Some(outcome) => outcome.map(|outcome| (outcome, Effects::default())),
            None => match self.available(&Occasion::of_run(run, event), &step.plugin) {
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
                    OnUnavailable::Closed => Err(Failure::permanent("plugin.unavailable", unavailable.reason)),
                },
            },
        };
        let (outcome, effects, failure) = match result {
            Ok((outcome, effects)) => (outcome, effects, None),
            Err(failure) => (StepOutcome::failed(&failure), Effects::default(), Some(failure)),
        };
        let changes: Vec<Change> = effects.changes.clone();
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
            started_at,
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        Ok(Tried { record, failure, effects })
    }

    async fn call_step(
        &self,
        callable: Callable,
        at: &Place<'_>,
        item: Option<Item<'_>>,
        log: &mut Vec<String>,
    ) -> Result<(StepOutcome, Effects), Failure> {
        let Place { step, run, event, .. } = *at;
        let source = match run.workflow() {
            Some(name) => format!("hookwright/workflows/{name}"),
            None => format!("hookwright/automations/{}", run.automation),
        };
        let occasion = Occasion::of_run(run, event);
        let taping = self.taping(&callable, &occasion);
        let (cause, now) = (Cause::of(event, run.id), self.clock.now());
        let view: Arc<dyn StateView> = match &taping {
            Some(Taping { tape, .. }) if step.kind == StepKind::Action => {
                Arc::new(TapedView { view: Arc::new(self.store.clone()), tape: Arc::clone(tape) })
            }
            _ => Arc::new(self.store.clone()),
        };
        let mut workbench = Workbench::new(view, run.space.clone(), now, &source, cause);
        workbench.sign(Author {
            automation: Some(run.automation.to_string()),
            run: Some(run.id.to_string()),
            plugin: Some(step.plugin.clone()),
            ..Author::default()
        });
        let mut scoping = Scoping::after(run, event, item);
        let plugin = &callable.plugin;
        let parameters = rendered(self, plugin, &step.with, &mut scoping, &mut workbench)?;
        let mut call = self.call(&run.space, &callable.access);
        call.now = now;
        call.tape = taping.as_ref().map(|taping| Arc::clone(&taping.tape));
        let taken_of = |kind, message| About {
            kind,
            place: at.name(item),
            automation: Some(run.automation.to_string()),
            now,
            source: &source,
            parameters: &parameters,
            message,
        };
        let place = item.map(|item| format!("-{}", item.index)).unwrap_or_default();
        call.idempotency_key = Some(format!("{}-{}-{}{place}", self.store.instance_id(), run.id, run.next_step));
        if let Some(stand) = at.stand {
            call.outbound = Some(Arc::clone(&stand.outbound));
            // A rehearsal is no repetition of anything.
            call.idempotency_key = Some(hookwright_model::unique("try"));
        }
        call.timeout = step.timeout_ms.map(|ms| std::time::Duration::from_millis(u64::from(ms)));
        match step.kind {
            StepKind::Action => {
                right_kind(plugin, Kind::Action, &step.plugin)?;
                call.workbench = Some(workbench);
                let called = plugin.run(call, event, &parameters).await;
                self.note_call(callable, &run.space, &event.id, &called);
                *log = called.log;
                let effects = called.workbench.map(|bench| self.catalogue.finish(bench)).unwrap_or_default();
                let result = called.result.and_then(|outcome| self.strictly(&effects).map(|()| outcome));
                let effects = if result.is_ok() { effects } else { Effects::default() };
                if let Some(taping) = taping {
                    let came_to = came_to(result.as_ref().map(Said::Outcome), &effects, &taping.tape);
                    self.taken_down(taping, &occasion, taken_of(Kind::Action, None), came_to);
                }
                let outcome = match result? {
                    Outcome::Done(result) => StepOutcome::Done { result },
                    Outcome::Skipped(reason) => StepOutcome::Skipped { reason },
                };
                Ok((outcome, effects))
            }
            StepKind::Transform => {
                right_kind(plugin, Kind::Transform, &step.plugin)?;
                let body = match &step.input {
                    None => event.data_json().into_owned(),
                    Some(input) => {
                        let scope = about(self, input, &mut scoping, &mut workbench)?;
                        replaced(input, scope)?.to_string()
                    }
                };
                let message = Message {
                    headers: Vec::new(),
                    content_type: "application/json".to_owned(),
                    body: Bytes::from(body),
                };
                let taken = taping.is_some().then(|| TakenMessage::of(&message));
                let called = plugin.apply(call, event, message, &parameters).await;
                self.note_call(callable, &run.space, &event.id, &called);
                *log = called.log;
                if let Some(taping) = taping {
                    let answer = called.result.as_ref().map(Said::Message);
                    let came_to = came_to(answer, &Effects::default(), &taping.tape);
                    self.taken_down(taping, &occasion, taken_of(Kind::Transform, taken), came_to);
                }
                let outcome = match called.result? {
                    Transformed::Send(message) => StepOutcome::Done { result: value_of(&message) },
                    Transformed::Drop(reason) => StepOutcome::Skipped { reason },
                };
                // The workbench only holds what the variables read: the step must see no change of it.
                Ok((outcome, self.catalogue.finish(workbench)))
            }
            StepKind::Wait => Err(Failure::permanent("internal", "a step that waits calls no plugin")),
        }
    }
}

pub(crate) fn right_kind(plugin: &Plugin, kind: Kind, name: &str) -> Result<(), Failure> {
    if plugin.kinds().contains(&kind) {
        Ok(())
    } else {
        Err(Failure::permanent("plugin.wrong_kind", format!("`{name}` is no {kind}")))
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

/// The most that a plugin gets of an answer, in bytes.
const PLUGIN_ANSWER: usize = 1024 * 1024;
const PLUGIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

#[async_trait::async_trait]
impl hookwright_plugin::Outbound for Egress {
    async fn send(
        &self,
        _space: &SpaceId,
        request: hookwright_plugin::OutboundRequest,
    ) -> Result<hookwright_plugin::OutboundResponse, Failure> {
        let wrong = |what: &str, error: String| Failure::permanent("http.request_invalid", format!("{what}: {error}"));
        let url = self.check(&request.url).map_err(|error| Failure::permanent(error.code(), error.to_string()))?;
        let method: http::Method =
            request.method.parse().map_err(|_| wrong("method", format!("`{}` is none", request.method)))?;
        let mut headers = http::HeaderMap::new();
        for (name, value) in &request.headers {
            let name: http::HeaderName = name.parse().map_err(|_| wrong("headers", format!("`{name}` is no name")))?;
            let value = value.parse().map_err(|_| wrong("headers", format!("the value of `{name}` cannot be sent")))?;
            headers.append(name, value);
        }
        let outgoing = Outgoing {
            repeatable: method.is_idempotent() || headers.contains_key("idempotency-key"),
            headers,
            body: request.body,
            timeout: request.timeout.unwrap_or(PLUGIN_TIMEOUT),
            body_limit: PLUGIN_ANSWER,
            ..Outgoing::new(method, url)
        };
        let sent = self.send_for_plugin(&request.plugin, request.allowed, outgoing).await;
        let answer = sent.map_err(|error| {
            if error.may_pass() {
                Failure::transient(error.code(), error.to_string())
            } else {
                Failure::permanent(error.code(), error.to_string())
            }
        })?;
        if answer.truncated {
            let message = format!("the answer has more than {PLUGIN_ANSWER} bytes");
            return Err(Failure::permanent("http.answer_too_large", message));
        }
        Ok(hookwright_plugin::OutboundResponse {
            status: answer.status,
            headers: crate::webhooks::header_list(&answer.headers),
            body: answer.body,
        })
    }
}
