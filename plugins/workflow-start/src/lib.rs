//! The action `workflow-start`: starts a workflow of the space.
//!
//! `{"name": "onboard-customer", "input": {"lead": 7}}`. The result is `{"run": ID}`. Without `input` the workflow is
//! given the event's data. It starts when the step commits.

use hookwright_sdk::{Action, Event, Failure, Manifest, Outcome, Plugin, workflows};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

struct WorkflowStart;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    name: String,
    /// Kept as the text that it is, so that no number loses a digit.
    #[serde(default)]
    input: Option<Box<RawValue>>,
}

impl Plugin for WorkflowStart {
    const MANIFEST: Manifest = Manifest {
        name: "workflow-start",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Starts a workflow",
        parameters: include_str!("parameters.json"),
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for WorkflowStart {
    fn run(event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { name, input } = parameters;
        if name.trim().is_empty() {
            return Err(Failure::permanent(
                "parameters.invalid",
                "parameter `name` is empty: name the workflow to start",
            ));
        }
        let run = match input {
            Some(input) => workflows::start(&name, &input)?,
            None => match serde_json::from_str::<&RawValue>(&event.data_json) {
                Ok(data) => workflows::start(&name, &data)?,
                Err(_) => workflows::start(&name, event.data())?,
            },
        };
        Outcome::done(&json!({"run": run}))
    }
}

hookwright_sdk::export_action!(WorkflowStart);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, Started, run};
    use serde_json::Value;

    fn outcome(parameters: Value) -> Result<Outcome, Failure> {
        run::<WorkflowStart>(&testing::event("x", json!({"lead": 7})), parameters)
    }

    #[test]
    fn the_workflow_is_started_with_its_input_or_the_events_data() {
        Host::default().install();
        assert_eq!(outcome(json!({"name": "a", "input": [1, null]})), Ok(Outcome::Done(r#"{"run":"wfr_1"}"#.into())));
        assert!(outcome(json!({"name": "größe"})).is_ok());
        let started = |name: &str, input| Started { name: name.into(), input };
        assert_eq!(testing::started(), [started("a", json!([1, null])), started("größe", json!({"lead": 7}))]);
    }

    #[test]
    fn parameters_that_cannot_be_meant_are_refused() {
        Host::default().install();
        for (parameters, said) in [
            (json!({}), "`name`"),
            (json!({"name": " "}), "`name` is empty"),
            (json!({"name": 7}), "`name`"),
            (json!({"name": "a", "data": {}}), "`data`"),
        ] {
            let failure = outcome(parameters).unwrap_err();
            assert_eq!(failure.code, "parameters.invalid");
            assert!(failure.message.contains(said), "{}", failure.message);
        }
        assert!(testing::started().is_empty());
    }
}
