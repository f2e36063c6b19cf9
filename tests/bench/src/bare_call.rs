//! The least that a call of a condition takes: bare wasmtime with the settings that Hookwright's engine has.

use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store};

use hookwright_plugin::EngineOptions;

use crate::Failed;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction)]

    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        world: "hookwright:plugin/condition-plugin",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::exports::hookwright::plugin::condition::GuestIndices;
pub(crate) use bindings::hookwright::plugin::types::Event;

/// A condition without any of the host around it.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<()>,
    indices: GuestIndices,
}

impl Bare {
    /// Compiles a component whose imports are not called in what is measured, as the clock of `match` is not.
    pub(crate) fn new(component: &[u8]) -> Result<Self, Failed> {
        let engine = Engine::new(&config(&EngineOptions::default()))?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        Ok(Self { indices: GuestIndices::new(&pre)?, pre, engine })
    }

    /// A fresh instance, one call, and its end.
    pub(crate) async fn evaluate(&self, event: Event<'_>, parameters: &str) -> Result<bool, Failed> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let guest = self.indices.load(&mut store, &instance)?;
        let verdict = guest.call_evaluate(&mut store, event, parameters).await?;
        verdict.map(|verdict| verdict.holds).map_err(|failure| failure.message.into())
    }
}

/// What `engine.rs` of the plugin room sets.
fn config(options: &EngineOptions) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    let instances = options.instances;
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(32))
        .total_memories(instances.saturating_mul(4))
        .total_tables(instances.saturating_mul(8))
        .total_stacks(instances)
        .max_core_instances_per_component(32)
        .max_memories_per_component(4)
        .max_tables_per_component(8)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .max_memory_size(usize::try_from(options.limits.memory_bytes).unwrap_or(usize::MAX))
        .table_elements(usize::try_from(options.limits.table_elements).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(64 * 1024)
        .table_keep_resident(64 * 1024)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        .max_wasm_stack(options.stack_bytes)
        .async_stack_size(options.stack_bytes.saturating_add(1024 * 1024))
        .relaxed_simd_deterministic(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
