//! The engine: its settings, its limits on concurrency, and the thread that counts computing time of plugins.

use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};

use hookwright_model::Limits;
use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::cache::Cache;
use crate::error::EngineError;
use crate::hashed::HashedComponent;
use crate::limits::{CORE_INSTANCES, MEMORIES, TABLES, TICK};
use crate::memory::MemoryBudget;
use crate::options::EngineOptions;
use crate::warm::Warm;

/// Number of ticks between checks of idle instances.
const TIDY: u64 = 100;
/// How much of a returned memory or table stays resident, so that the next call finds it warm.
const KEEP_RESIDENT: usize = 64 * 1024;
/// The stack that a host function may use beyond the plugin's own part.
const HOST_STACK: usize = 1024 * 1024;

/// Compiles and runs plugins. Cheap to clone; dropping the last clone ends the thread that counts time.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) options: EngineOptions,
    /// As many permits as there are instances in the pool, which fails rather than waits.
    pub(crate) slots: Semaphore,
    /// One component is compiled at a time, on all processors.
    pub(crate) compiling: Arc<Semaphore>,
    pub(crate) cache: Option<Cache>,
    pub(crate) warm: Warm,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) pooled: bool,
}

impl Engine {
    /// Sets up the engine, its pool and its clock.
    ///
    /// # Errors
    /// The options cannot be satisfied on this machine, or the cache directory cannot be used.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let (wasm, pooled) = wasm_engine(options)?;
        let cache = options.cache_dir.as_deref().map(|dir| Cache::open(dir, &wasm)).transpose()?;
        let inner = Arc::new(Inner {
            slots: Semaphore::new(permits(options.instances)),
            compiling: Arc::new(Semaphore::new(1)),
            options: options.clone(),
            wasm,
            cache,
            warm: Warm::new(kept(options)),
            memory: MemoryBudget::new(options.memory_total),
            pooled,
        });
        let engine = Arc::downgrade(&inner);
        inner.memory.shed_by(move || {
            if let Some(engine) = engine.upgrade() {
                engine.warm.shed();
            }
        });
        tick(Arc::downgrade(&inner))?;
        Ok(Self(inner))
    }

    /// Whether memory was reserved for every instance in advance.
    pub fn pooled(&self) -> bool {
        self.0.pooled
    }

    /// Its options.
    pub fn options(&self) -> &EngineOptions {
        &self.0.options
    }

    /// Whether loading this component is fast, because its compiled form is cached.
    pub fn is_compiled(&self, component: &HashedComponent) -> bool {
        self.0.cache.as_ref().is_some_and(|cache| cache.has(component.digest()))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

/// Maximum number of idle instances, besides those in use.
fn kept(options: &EngineOptions) -> usize {
    permits(options.instances) / 2
}

/// As many permits as there may be instances, and at least one.
pub(crate) fn permits(instances: u32) -> usize {
    usize::try_from(instances).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

fn wasm_engine(options: &EngineOptions) -> Result<(wasmtime::Engine, bool), EngineError> {
    if options.pooling {
        let mut config = config(options);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
        match wasmtime::Engine::new(&config) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => tracing::warn!(
                reason = %format!("{error:#}"),
                "memory for {} plugin instances cannot be reserved in advance: it is allocated per call, which is slower",
                options.instances
            ),
        }
    }
    let mut config = config(options);
    reserve_little(&mut config, options.limits.memory_bytes);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    let engine = wasmtime::Engine::new(&config).map_err(|error| EngineError::Settings(format!("{error:#}")))?;
    Ok((engine, false))
}

/// Where address space is scarce, no more is reserved for a memory than a call may use.
pub(crate) fn reserve_little(config: &mut Config, bytes: u64) {
    config.memory_reservation(bytes);
    config.memory_guard_size(64 * 1024);
}

pub(crate) fn config(options: &EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true)
        .max_wasm_stack(options.stack_bytes)
        .async_stack_size(options.stack_bytes.saturating_add(HOST_STACK))
        // The same plugin returns the same result on every machine.
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config
}

fn pool(options: &EngineOptions) -> PoolingAllocationConfig {
    let instances = options.instances.max(1).saturating_add(u32::try_from(kept(options)).unwrap_or(u32::MAX));
    // Every instance may have the maximum of a component, so a call with a permit never finds the pool exhausted.
    let each = |count: usize| instances.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let per_component = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(each(CORE_INSTANCES))
        .total_memories(each(MEMORIES))
        .total_tables(each(TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(per_component(CORE_INSTANCES))
        .max_memories_per_component(per_component(MEMORIES))
        .max_tables_per_component(per_component(TABLES))
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .max_memory_size(size(Limits::MOST.memory_bytes))
        .table_elements(size(Limits::MOST.table_elements))
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Counts time until the engine is dropped, and drops instances that were idle for long enough.
fn tick(engine: Weak<Inner>) -> Result<(), EngineError> {
    let count = move || {
        for ticks in 1_u64.. {
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.wasm.increment_epoch();
            if ticks % TIDY == 0 {
                engine.warm.tidy();
            }
        }
    };
    std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(count).map(drop).map_err(EngineError::Thread)
}
