use std::path::PathBuf;
use std::time::Duration;

use hookwright_model::Limits;

use crate::trust::Trust;

/// The program that compiles: this very server, started with arguments after which it calls
/// [`compile_component`](crate::compile_component).
#[derive(Clone, Debug)]
pub struct CompilerProcess {
    /// The program.
    pub program: PathBuf,
    /// The arguments that come before those of [`CompilerSettings`](crate::CompilerSettings).
    pub arguments: Vec<String>,
}

/// What the engine reserves, and what one call may use up at most.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The maximum number of concurrent instances. Calls beyond it wait, for as long as a call may take.
    pub instances: u32,
    /// How many of them one plugin may hold, so that one whose calls hang leaves room for the others.
    pub instances_per_plugin: u32,
    /// The largest component that is taken, in bytes.
    pub max_component_bytes: usize,
    /// How long compiling one component may take.
    pub compile_wall: Duration,
    /// Memory that all calls together may hold, in bytes: linear memory, what they have read and what they are to change.
    pub memory_total: u64,
    /// What one call may use up, unless a policy says otherwise.
    pub limits: Limits,
    /// Time that one call of `describe` may compute.
    pub describe_cpu: Duration,
    /// Time that it may take.
    pub describe_wall: Duration,
    /// Stack of a plugin, in bytes.
    pub stack_bytes: usize,
    /// Where compiled components are kept between starts; none: nowhere. Nobody else may write there.
    pub cache_dir: Option<PathBuf>,
    /// The process in which components are compiled; none: this one.
    pub compiler: Option<CompilerProcess>,
    /// Who may sign components.
    pub trust: Trust,
    /// Reserve memory for every instance in advance. Where that cannot be had, memory is taken call by call.
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
