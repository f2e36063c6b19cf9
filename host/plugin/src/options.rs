use std::path::PathBuf;
use std::time::Duration;

use hookwright_model::Limits;

use crate::trust::Trust;

/// The program that compiles: the server's own binary, started with arguments that make it call
/// [`compile_component`](crate::compile_component).
#[derive(Clone, Debug)]
pub struct CompilerProcess {
    /// The program.
    pub program: PathBuf,
    /// The arguments before those of [`CompilerSettings`](crate::CompilerSettings).
    pub arguments: Vec<String>,
}

/// What the engine reserves, and the limits of calls.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The maximum number of concurrent instances. Calls beyond it wait, for as long as a call may take.
    pub instances: u32,
    /// How many of them one plugin may hold, so that one whose calls hang leaves permits for the others.
    pub instances_per_plugin: u32,
    /// Maximum size of a component, in bytes.
    pub max_component_bytes: usize,
    /// Timeout of compiling one component.
    pub compile_wall: Duration,
    /// Maximum memory of all calls together, in bytes: linear memory, their reads and their changes.
    pub memory_total: u64,
    /// The default limits of one call.
    pub limits: Limits,
    /// Maximum computing time of one call of `describe`.
    pub describe_cpu: Duration,
    /// Timeout of one call of `describe`.
    pub describe_wall: Duration,
    /// Stack of a plugin, in bytes.
    pub stack_bytes: usize,
    /// The cache directory of compiled components. `None`: no cache. Nobody else may write there.
    pub cache_dir: Option<PathBuf>,
    /// The process in which components are compiled. `None`: this one.
    pub compiler: Option<CompilerProcess>,
    /// The keys that may sign components.
    pub trust: Trust,
    /// Reserve memory for every instance in advance. Where that is impossible, memory is allocated call by call.
    pub pooling: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            instances: 256,
            instances_per_plugin: 128,
            max_component_bytes: 32 * 1024 * 1024,
            compile_wall: Duration::from_secs(120),
            memory_total: 1024 * 1024 * 1024,
            limits: Limits::default(),
            describe_cpu: Duration::from_secs(2),
            describe_wall: Duration::from_secs(10),
            stack_bytes: 1024 * 1024,
            cache_dir: None,
            compiler: None,
            trust: Trust::default(),
            pooling: true,
        }
    }
}
