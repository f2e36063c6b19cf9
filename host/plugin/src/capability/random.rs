//! Randomness of the operating system's quality.

use rand::RngCore as _;
use wasmtime::component::HasSelf;

use super::{Capability, EVERY_KIND, Link};
use crate::state::State;
use crate::stop::Stop;
use crate::v0_1_0::random;

pub(super) const CAPABILITY: Capability = Capability {
    interface: "random",
    kinds: EVERY_KIND,
    links: &[Link {
        version: "0.1.0",
        add: |linker| random::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

/// How many bytes one call gives at most.
const MOST: u32 = 65_536;

impl random::Host for State {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.host_call()?;
        if count > MOST {
            return Err(
                Stop::Misuse(format!("the plugin wanted {count} random bytes at once: at most {MOST} a call")).into()
            );
        }
        let mut bytes = vec![0; usize::try_from(count)?];
        rand::rng().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn uuid(&mut self) -> wasmtime::Result<String> {
        self.host_call()?;
        Ok(uuid::Uuid::new_v4().to_string())
    }

    fn bits(&mut self) -> wasmtime::Result<u32> {
        self.host_call()?;
        Ok(rand::rng().next_u32())
    }
}
