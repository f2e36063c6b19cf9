//! Tickets of the event's own space. Changes are made on the call's workbench and commit with the step.

use hookwright_model::{Failure, Kind, NoteInput, TicketChanges};
use serde_json::Value;
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link, parameters};
use crate::state::State;
use crate::v0_1_0::{tickets, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "tickets",
    kinds: &[Kind::Action],
    links: &[Link {
        version: "0.1.0",
        add: |linker| tickets::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl tickets::Host for State {
    fn get(&mut self, id: String) -> Host<Option<String>, types::Failure> {
        self.host_call()?;
        let ticket = self.changing(&CAPABILITY).and_then(|bench| bench.ticket(&id));
        Ok(ticket.map(|ticket| ticket.map(|ticket| ticket.to_string())).map_err(Into::into))
    }

    fn update(&mut self, id: String, changes: String) -> Host<String, types::Failure> {
        self.host_call()?;
        Ok(self.update_ticket(&id, &changes).map(|ticket| ticket.to_string()).map_err(Into::into))
    }

    fn add_note(&mut self, id: String, text: String, is_public: bool) -> Host<String, types::Failure> {
        self.host_call()?;
        let input = NoteInput { text, public: is_public, ..NoteInput::default() };
        let note = self.changing(&CAPABILITY).and_then(|bench| bench.add_note(&id, input));
        Ok(note.map(|note| note.get("id").map(Value::to_string).unwrap_or_default()).map_err(Into::into))
    }
}

impl State {
    fn update_ticket(&mut self, id: &str, changes: &str) -> Result<Value, Failure> {
        let bench = self.changing(&CAPABILITY)?;
        let changes = parameters("changes", changes)?;
        let changes = TicketChanges::from_value(&changes)
            .map_err(|mistake| Failure::permanent(Failure::PARAMETERS_INVALID, mistake.to_string()))?;
        bench.update_ticket(id, changes)
    }
}
