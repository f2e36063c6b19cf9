//! Settings that the operator gave to the plugin.

use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Link};
use crate::state::State;
use crate::v0_1_0::config;

pub(super) const CAPABILITY: Capability = Capability {
    interface: "config",
    kinds: EVERY_KIND,
    links: &[Link {
        version: "0.1.0",
        add: |linker| config::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl config::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.host_call()?;
        Ok(self.taped("config", || key.clone(), || self.call.access.config.get(&key).cloned()))
    }
}
