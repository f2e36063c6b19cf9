//! Fills the variables in parameters.

use hookwright_model::{
    Event, Failure, FailureKind, RecordKey, Run, Scope, StepOutcome, TICKET, Timestamp, VariableError, Workbench,
    has_variables, mentions, render,
};
use hookwright_plugin::Plugin;
use serde_json::{Map, Value, json};

use crate::calls::Invoke;
use crate::occasion::Occasion;

/// The current item of a step with `for_each`.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The item.
    pub value: &'a Value,
    /// Counted from 0.
    pub index: u32,
}

/// Builds a [`Scope`] when the first variable needs it: most parameters have no variables.
pub struct Scoping<'a> {
    pub(crate) occasion: Occasion<'a>,
    /// The automation of the run.
    pub(crate) automation: Option<String>,
    steps: Option<Map<String, Value>>,
    item: Option<Item<'a>>,
    /// The value of `now`. `None`: the present time.
    now: Option<Timestamp>,
    /// Whether the event carries the input of a workflow.
    input: bool,
    scope: Option<Scope>,
}

impl<'a> Scoping<'a> {
    /// Variables of a call without a run.
    pub fn new(occasion: Occasion<'a>) -> Self {
        Self { occasion, automation: None, steps: None, item: None, now: None, input: false, scope: None }
    }

    /// With the results of a run so far, for one item of its next step.
    pub fn after(run: &'a Run, event: &'a Event, item: Option<Item<'a>>) -> Self {
        let results = run.steps.iter().map(|step| {
            let value = match &step.outcome {
                StepOutcome::Done { result } => json!({"outcome": "done", "result": result}),
                StepOutcome::Skipped { reason } => json!({"outcome": "skipped", "result": null, "reason": reason}),
                StepOutcome::Waiting { .. } => json!({"outcome": "waiting", "result": null}),
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

    /// With another time for `now` than the present one.
    pub fn at(self, now: Timestamp) -> Self {
        Self { now: Some(now), ..self }
    }

    /// The variables; `now` is the present time unless another was set.
    pub fn scope(&mut self, now: Timestamp) -> &mut Scope {
        let now = self.now.unwrap_or(now);
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

/// Parameters with their variables filled in.
pub struct Rendered {
    /// The parameters.
    pub parameters: Value,
    /// See [`hookwright_plugin::Call::names_from_data`].
    pub names_from_data: Vec<String>,
}

/// The parameters with their variables replaced, checked against the plugin's schema if there were any.
///
/// # Errors
/// `parameters.invalid` where the value of a variable is not valid at its place: the value of a variable is data, so it cannot
/// name a secret and is not an instruction to the plugin.
pub fn rendered(
    invoke: &Invoke,
    plugin: &Plugin,
    with: &Map<String, Value>,
    scoping: &mut Scoping<'_>,
    workbench: &mut Workbench,
) -> Result<Rendered, Failure> {
    let verbatim = plugin.verbatim();
    let open = |name: &String, value: &Value| has_variables(value) && !verbatim.contains(name);
    if !with.iter().any(|(name, value)| open(name, value)) {
        return Ok(Rendered { parameters: Value::Object(with.clone()), names_from_data: Vec::new() });
    }
    let whole = Value::Object(with.clone());
    let scope = about(invoke, &whole, scoping, workbench)?;
    let mut parameters = Map::new();
    for (name, value) in with {
        let value = if open(name, value) { replaced(value, scope)? } else { value.clone() };
        parameters.insert(name.clone(), value);
    }
    let parameters = Value::Object(parameters);
    match plugin.check_filled_parameters(&whole, &parameters).first() {
        None => Ok(Rendered { names_from_data: plugin.names_from_data(&whole, &parameters), parameters }),
        Some(mistake) => {
            Err(Failure::permanent(Failure::PARAMETERS_INVALID, format!("with its variables filled in, {mistake}")))
        }
    }
}

/// The value with its variables replaced.
pub fn replaced(value: &Value, scope: &Scope) -> Result<Value, Failure> {
    render(value, scope).map_err(|error| match error {
        VariableError::Missing { variable, message } => {
            let message = format!("`{{{{{variable}}}}}` has no value: {message}");
            Failure::permanent("variable.missing", message)
        }
        VariableError::TooLarge => Failure::permanent("parameters.too_large", error.to_string()),
    })
}

/// The scope, with the record that the event is about if `value` uses it. The read counts as one of the step.
pub fn about<'s>(
    invoke: &Invoke,
    value: &Value,
    scoping: &'s mut Scoping<'_>,
    workbench: &mut Workbench,
) -> Result<&'s Scope, Failure> {
    let uses_record = mentions(value, TICKET) || mentions(value, "record");
    let key = scoping.occasion.event.subject.as_deref().and_then(RecordKey::parse);
    let scope = scoping.scope(invoke.clock.now());
    if let (true, Some(key)) = (uses_record, key) {
        match workbench.record(&key.kind, &key.id.to_string()) {
            Ok(Some(record)) => scope.set_record(&key.kind, record),
            Ok(None) => {}
            // The subject of an event from outside need not be a record.
            Err(failure) if failure.kind() == FailureKind::NoSuchRecordKind => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(scope)
}
