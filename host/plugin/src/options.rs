use std::path::PathBuf;
use std::time::Duration;

/// What the engine reserves, and what one call may use up at most.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How many instances may live at once. Calls beyond it wait, for as long as a call may take.
    pub instances: u32,
    /// How many of them one plugin may hold, so that one whose calls hang leaves room for the others.
    pub instances_per_plugin: u32,
    /// The largest component that is taken, in bytes.
    pub max_component_bytes: usize,
    /// How long compiling one component may take.
    pub compile_wall: Duration,
    /// Linear memory of one call, in bytes, over all memories of its component.
    pub memory_bytes: usize,
    /// Entries of all tables of one call.
    pub table_elements: usize,
    /// Time that one call may compute, in steps of 10 ms.
    pub cpu: Duration,
    /// Time that one call may take, what it waits for included.
    pub wall: Duration,
    /// As [`EngineOptions::cpu`], for the one call of `describe`.
    pub describe_cpu: Duration,
    /// As [`EngineOptions::wall`], for the one call of `describe`.
    pub describe_wall: Duration,
    /// The largest result, message or reason, in bytes. What a source makes of one request may be four times as large.
    pub output_bytes: usize,
    /// How many lines one call may log. What goes beyond is cut, with a marker.
    pub log_lines: usize,
    /// How many bytes one call may log. What goes beyond is cut, with a marker.
    pub log_bytes: usize,
    /// How often one call may call the host.
    pub host_calls: u32,
    /// How many requests one call may send.
    pub requests: u32,
    /// How many bytes may pass from the plugin to the host at a time.
    pub transfer_bytes: usize,
    /// Stack of a plugin, in bytes.
    pub stack_bytes: usize,
    /// Where compiled components are kept between starts; none: nowhere. Nobody else may write there.
    pub cache_dir: Option<PathBuf>,
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
            memory_bytes: 64 * 1024 * 1024,
            table_elements: 128 * 1024,
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(30),
            describe_cpu: Duration::from_secs(2),
            describe_wall: Duration::from_secs(10),
            output_bytes: 1024 * 1024,
            log_lines: 100,
            log_bytes: 16 * 1024,
            host_calls: 10_000,
            requests: 100,
            transfer_bytes: 16 * 1024 * 1024,
            stack_bytes: 1024 * 1024,
            cache_dir: None,
            pooling: true,
        }
    }
}
