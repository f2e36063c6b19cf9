//! New events, accepted when the step commits.

use hookwright_model::Kind;
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link, parameters};
use crate::state::State;
use crate::v0_1_0::{events, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "events",
    kinds: &[Kind::Action],
    links: &[Link {
        version: "0.1.0",
        add: |linker| events::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl events::Host for State {
    fn emit(&mut self, event_type: String, subject: Option<String>, data: String) -> Host<String, types::Failure> {
        self.host_call()?;
        let id = self
            .changing(&CAPABILITY)
            .and_then(|bench| parameters("data", &data).and_then(|data| bench.emit(&event_type, subject, &data)));
        Ok(id.map_err(Into::into))
    }
}
