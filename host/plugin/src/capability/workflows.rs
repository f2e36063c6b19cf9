//! Workflows of the event's own space.

use hookwright_model::{Failure, Kind};
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link, parameters, shown};
use crate::state::State;
use crate::v0_1_0::{types, workflows};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "workflows",
    kinds: &[Kind::Action],
    links: &[Link {
        version: "0.1.0",
        add: |linker| workflows::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl workflows::Host for State {
    fn start(&mut self, name: String, input: String) -> Host<String, types::Failure> {
        self.host_call()?;
        let (space, workflows) = (self.call.space.clone(), self.call.workflows.clone());
        let tape = self.call.tape.clone();
        let started = self.changing(&CAPABILITY).and_then(|bench| {
            let input = parameters("input", &input)?;
            let Some(workflows) = workflows else {
                let message = format!("there is no workflow `{}` in this space", shown(&name));
                return Err(Failure::permanent("workflow.not_found", message));
            };
            let make = || workflows.start(&space, &name, &input);
            let start = match &tape {
                Some(tape) => tape.answer("workflow", || format!("{name} {input}"), make),
                None => make(),
            }?;
            bench.start_workflow(start, &input)
        });
        Ok(started.map_err(Into::into))
    }
}
