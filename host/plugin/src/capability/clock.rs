//! The time, which is constant during a call.

use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Link};
use crate::state::State;
use crate::v0_1_0::clock;

pub(super) const CAPABILITY: Capability = Capability {
    interface: "clock",
    kinds: EVERY_KIND,
    links: &[Link { version: "0.1.0", add: |linker| clock::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

impl clock::Host for State {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds stay exact until the year 287396")]
    fn now_ms(&mut self) -> wasmtime::Result<f64> {
        self.host_call()?;
        Ok(self.call.now.millis() as f64)
    }

    fn now(&mut self) -> wasmtime::Result<String> {
        self.host_call()?;
        Ok(self.call.now.to_string())
    }
}
