//! The key-value store of a plugin in each space. Changes are made on the call's workbench and commit with the step.

use bytes::Bytes;
use hookwright_model::{Failure, Kind, KvQuota, Workbench};
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link};
use crate::state::State;
use crate::v0_1_0::{kv, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "kv",
    kinds: &[Kind::Action, Kind::Source],
    links: &[Link { version: "0.1.0", add: |linker| kv::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

impl kv::Host for State {
    fn get(&mut self, key: String) -> Host<Option<Vec<u8>>, types::Failure> {
        self.host_call()?;
        let value = self.with_kept(|bench, plugin, _| bench.kept(plugin, &key));
        Ok(value.map(|value| value.map(Into::into)).map_err(Into::into))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_seconds: Option<u32>) -> Host<(), types::Failure> {
        self.host_call()?;
        let value = Bytes::from(value);
        let kept = self.with_kept(|bench, plugin, quota| bench.keep(plugin, &key, value, ttl_seconds, quota));
        Ok(kept.map_err(Into::into))
    }

    fn remove(&mut self, key: String) -> Host<(), types::Failure> {
        self.host_call()?;
        Ok(self.with_kept(|bench, plugin, _| bench.forget(plugin, &key)).map_err(Into::into))
    }

    fn keys(&mut self, prefix: String, limit: u32) -> Host<Vec<String>, types::Failure> {
        self.host_call()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.with_kept(|bench, plugin, _| bench.kept_keys(plugin, &prefix, limit)).map_err(Into::into))
    }
}

impl State {
    fn with_kept<T>(
        &mut self,
        work: impl FnOnce(&mut Workbench, &str, KvQuota) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let access = std::sync::Arc::clone(&self.call.access);
        let quota = KvQuota { bytes: access.limits.kv_bytes, keys: access.limits.kv_keys };
        work(self.changing(&CAPABILITY)?, &access.plugin, quota)
    }
}
