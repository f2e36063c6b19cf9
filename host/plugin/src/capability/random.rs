//! Randomness of the operating system's quality.

use rand::{RngCore, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Link};
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

/// Maximum number of bytes of one call.
const MOST: u32 = 65_536;

impl random::Host for State {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.host_call()?;
        if count > MOST {
            return Err(Stop::Misuse(format!(
                "the plugin requested {count} random bytes at once: at most {MOST} per call"
            ))
            .into());
        }
        let mut bytes = vec![0; usize::try_from(count)?];
        self.randomness(|random| random.fill_bytes(&mut bytes));
        Ok(bytes)
    }

    fn uuid(&mut self) -> wasmtime::Result<String> {
        self.host_call()?;
        let mut bytes = [0; 16];
        self.randomness(|random| random.fill_bytes(&mut bytes));
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    fn bits(&mut self) -> wasmtime::Result<u32> {
        self.host_call()?;
        Ok(self.randomness(|random| random.next_u32()))
    }
}

impl State {
    /// The operating system's randomness. A call that may be repeated draws all of its numbers from one seed, which is
    /// recorded and shared with the re-runs.
    fn randomness<T>(&mut self, draw: impl FnOnce(&mut dyn RngCore) -> T) -> T {
        if self.call.tape.is_none() && self.call.tries.is_none() {
            return draw(&mut rand::rng());
        }
        if self.repeatable.is_none() {
            let seed = self.taped("random", String::new, || match &self.call.tries {
                Some(tries) => tries.seed(),
                None => rand::random(),
            });
            self.repeatable = Some(ChaCha20Rng::from_seed(seed));
        }
        match &mut self.repeatable {
            Some(repeatable) => draw(repeatable),
            None => draw(&mut rand::rng()),
        }
    }
}
