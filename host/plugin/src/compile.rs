//! Compiles components in a child process. The time and memory that a compiler needs for hostile bytes are not known in
//! advance; the system can limit both for a process, and end it. The server starts its own binary again with special
//! arguments, passes the component on standard input, and gets machine code on standard output.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use wasmtime::{InstanceAllocationStrategy, OptLevel};

use crate::engine::{self, Inner};
use crate::error::LoadError;
use crate::options::{CompilerProcess, EngineOptions};

/// Maximum size of machine code, in bytes: many times that of the largest accepted component.
const MAX_CODE: u64 = 1024 * 1024 * 1024;
/// Maximum size of the process's error output that is read, in bytes.
const MAX_REASON: u64 = 64 * 1024;
/// SIGHUP, SIGINT, SIGQUIT and SIGTERM, the same on every system: the process is ended from outside, as a service
/// manager does with all processes of a service that stops. Limits of memory and processor time end it by other
/// signals.
const INTERRUPTS: [i32; 4] = [1, 2, 3, 15];

/// What machine code depends on besides the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompilerSettings {
    /// Stack of a plugin, in bytes.
    pub stack_bytes: usize,
    /// Memory that is reserved for each linear memory, in bytes. `None`: wasmtime's default for 64-bit address spaces.
    pub memory_reservation: Option<u64>,
}

impl CompilerSettings {
    /// The same as arguments.
    fn arguments(self) -> Vec<String> {
        let reservation = self.memory_reservation.map(|bytes| bytes.to_string()).unwrap_or_default();
        vec![self.stack_bytes.to_string(), reservation]
    }

    /// Parses them.
    pub fn from_arguments(stack_bytes: &str, memory_reservation: &str) -> Option<Self> {
        let stack_bytes = stack_bytes.parse().ok()?;
        let memory_reservation =
            if memory_reservation.is_empty() { None } else { Some(memory_reservation.parse().ok()?) };
        Some(Self { stack_bytes, memory_reservation })
    }
}

/// Reads a component and writes its machine code. The main function of the process that compiles.
///
/// # Errors
/// What is wrong with the component, or with the settings.
pub fn compile_component(
    settings: CompilerSettings,
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let options = EngineOptions { stack_bytes: settings.stack_bytes, ..EngineOptions::default() };
    let mut config = engine::config(&options);
    if let Some(bytes) = settings.memory_reservation {
        engine::reserve_little(&mut config, bytes);
    }
    // Nothing is executed here, so no memory is reserved for instances.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand).cranelift_opt_level(OptLevel::Speed);
    let code = wasmtime::Engine::new(&config)
        .and_then(|engine| engine.precompile_component(&bytes))
        .map_err(|error| format!("{error:#}"))?;
    output.write_all(&code)?;
    output.flush()?;
    Ok(())
}

/// Compiles `bytes` in the child process. Blocks until it has finished, or until the timeout.
pub(crate) fn compile(inner: &Inner, process: &CompilerProcess, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        LoadError::CompileFailed(format!("the process that compiles {what}: {error}"))
    };
    let settings = CompilerSettings {
        stack_bytes: inner.options.stack_bytes,
        memory_reservation: (!inner.pooled).then_some(inner.options.limits.memory_bytes),
    };
    let mut command = Command::new(&process.program);
    command.args(&process.arguments).args(settings.arguments());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C in a terminal goes to the whole process group of the server, which decides itself what it finishes.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(|error| failed("could not be started", &error))?;
    let wall = inner.options.compile_wall;
    let finished = talk(&mut child, bytes, wall).map_err(|error| failed("could not be heard", &error))?;
    let Some(Finished { status, code, reason }) = finished else {
        let message = format!("it took longer than {} s: make the component smaller", wall.as_secs());
        return Err(LoadError::CompileFailed(message));
    };
    if status.success() {
        return Ok(code);
    }
    let signal = ended_by_signal(status);
    if let Some(signal) = signal.filter(|signal| INTERRUPTS.contains(signal)) {
        return Err(LoadError::CompileInterrupted(signal));
    }
    let reason = crate::cut::cut(reason.trim(), 600);
    Err(LoadError::CompileFailed(match signal {
        Some(signal) => format!(
            "compiling it was ended by the system (signal {signal}), since it took too much memory or processor time: make \
             the component smaller"
        ),
        None if reason.is_empty() => format!("the process that compiles ended with {status}"),
        None => reason,
    }))
}

struct Finished {
    status: ExitStatus,
    code: Vec<u8>,
    reason: String,
}

/// Writes and reads at the same time, because pipes have small buffers. `None`: the timeout has expired.
fn talk(child: &mut Child, bytes: &[u8], wall: Duration) -> std::io::Result<Option<Finished>> {
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may have ended already; its error output has the reason.
            let _ = input.map(|mut input| input.write_all(bytes));
        });
        let (done, heard) = channel();
        scope.spawn(move || {
            let mut code = Vec::new();
            let read = output.map_or(Ok(0), |output| output.take(MAX_CODE).read_to_end(&mut code));
            let _ = done.send(read.map(|_| code));
        });
        let reason = scope.spawn(move || {
            let mut reason = Vec::new();
            let _ = errors.map(|errors| errors.take(MAX_REASON).read_to_end(&mut reason));
            String::from_utf8_lossy(&reason).into_owned()
        });
        let code = match heard.recv_timeout(wall) {
            Ok(code) => code,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
        };
        // Its output is complete, so it may be killed.
        if code.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        let reason = reason.join().unwrap_or_default();
        Ok(Some(Finished { status, code: code?, reason }))
    })
}

#[cfg(unix)]
fn ended_by_signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn ended_by_signal(_: ExitStatus) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;

    #[test]
    fn code_that_was_compiled_apart_fits_the_engine() {
        let bytes = wat::parse_str("(component (core module (func (result i32) i32.const 1)))").unwrap();
        for pooling in [true, false] {
            let engine = Engine::new(&EngineOptions { pooling, instances: 2, ..EngineOptions::default() }).unwrap();
            let inner = engine.inner();
            let settings = CompilerSettings {
                stack_bytes: inner.options.stack_bytes,
                memory_reservation: (!inner.pooled).then_some(inner.options.limits.memory_bytes),
            };
            let [stack, reservation] = settings.arguments().try_into().unwrap();
            assert_eq!(CompilerSettings::from_arguments(&stack, &reservation), Some(settings));
            let mut code = Vec::new();
            compile_component(settings, &bytes[..], &mut code).unwrap();
            crate::cache::load_checked(&inner.wasm, &code).unwrap();
        }
        let error = compile_component(
            CompilerSettings { stack_bytes: 1 << 20, memory_reservation: None },
            &b"\0asm\x0d\0\x01\0\x07"[..],
            Vec::new(),
        );
        assert!(error.is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_signal_from_outside_is_not_reported_as_an_error_of_the_component() {
        let inner = Engine::new(&EngineOptions { pooling: false, instances: 2, ..EngineOptions::default() }).unwrap();
        for (signal, code) in [("TERM", "plugin.compile_interrupted"), ("KILL", "plugin.compile_failed")] {
            let script = format!("kill -{signal} $$; sleep 60");
            let process = CompilerProcess { program: "sh".into(), arguments: vec!["-c".to_owned(), script] };
            assert_eq!(compile(inner.inner(), &process, b"").unwrap_err().code(), code, "{signal}");
        }
    }

    #[test]
    fn a_process_that_does_not_end_is_ended() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(talk(&mut child, &[b'x'; 1_000_000], Duration::from_millis(50)).unwrap().is_none());
        assert!(child.try_wait().unwrap().is_some());
    }
}
