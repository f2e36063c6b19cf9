//! Events that a step emits, and workflows that it starts.

use serde_json::Value;

use super::{Workbench, invalid};
use crate::{EventDraft, Failure, MAX_CHAIN, WorkflowStart};

/// Maximum size of the data of an emitted event, in bytes.
const MAX_DATA: usize = 1024 * 1024;

impl Workbench {
    /// Emits an event. Returns its id.
    pub fn emit(&mut self, event_type: &str, subject: Option<String>, data: &Value) -> Result<String, Failure> {
        self.room()?;
        let mut draft =
            EventDraft::json(event_type, &self.origin.source, subject, data, Some(self.origin.signed_cause()));
        if draft.payload.len() > MAX_DATA {
            let message = format!("data has {} bytes: at most {MAX_DATA}", draft.payload.len());
            return Err(Failure::permanent("event.too_large", message));
        }
        self.budget.charge(draft.payload.len())?;
        let id = self.stored.unique("evt");
        draft.id = Some(id.clone());
        // Refused here, where the plugin still gets the error, rather than at the commit of the step.
        draft.clone().accept(self.stored.space(), self.now).map_err(|mistake| invalid(&mistake))?;
        self.emitted.push(draft);
        Ok(id)
    }

    /// Starts a workflow when the step commits. Returns a name of its run.
    pub fn start_workflow(&mut self, start: WorkflowStart, input: &Value) -> Result<String, Failure> {
        self.room()?;
        if self.origin.cause.depth > MAX_CHAIN {
            let message = format!(
                "a chain of {MAX_CHAIN} events that automations emitted because of one another starts no workflow"
            );
            return Err(Failure::permanent("chain.too_long", message));
        }
        let source = format!("hookwright/workflows/{}", start.name);
        let mut draft = EventDraft::start(start, &source, input, Some(self.origin.signed_cause()));
        if draft.payload.len() > MAX_DATA {
            let message = format!("the input has {} bytes: at most {MAX_DATA}", draft.payload.len());
            return Err(Failure::permanent("event.too_large", message));
        }
        self.budget.charge(draft.payload.len())?;
        // The run is identified by its event until the event has a sequence number.
        let id = self.stored.unique("run");
        draft.id = Some(id.clone());
        self.emitted.push(draft);
        Ok(id)
    }
}
