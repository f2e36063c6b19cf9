use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every point at which tests can end the process.
pub const FAULT_POINTS: [&str; 34] = [
    "append.before-commit",
    "append.after-commit",
    "run.before-conditions",
    "run.after-conditions",
    "decide.before-commit",
    "decide.after-commit",
    "step.before-call",
    "step.after-call",
    "step.before-commit",
    "step.after-commit",
    "effects.before-commit",
    "effects.after-commit",
    "delivery.before-send",
    "delivery.after-send",
    "attempt.before-commit",
    "attempt.after-commit",
    "configuration.before-commit",
    "configuration.after-commit",
    "install.before-commit",
    "install.after-commit",
    "uninstall.before-commit",
    "uninstall.after-commit",
    "move-up.before-commit",
    "move-up.after-commit",
    "log.before-append",
    "log.after-append",
    "log.after-apply",
    "log.before-rotate",
    "log.after-rotate",
    "log.before-trim",
    "log.after-trim",
    "checkpoint.before-write",
    "checkpoint.before-flush",
    "checkpoint.after-flush",
];

/// Ends the process, like a crash, if `HOOKWRIGHT_FAULT_POINT` is `NAME` or `NAME@N` and this is the Nth pass. For
/// crash tests: without the variable it does nothing.
pub fn fault_point(name: &str) {
    static CHOSEN: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSES: AtomicU32 = AtomicU32::new(0);
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("HOOKWRIGHT_FAULT_POINT").ok()?;
        match text.split_once('@') {
            Some((name, pass)) => Some((name.to_owned(), pass.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    if let Some((chosen, pass)) = chosen
        && chosen == name
        && PASSES.fetch_add(1, Ordering::SeqCst).saturating_add(1) == *pass
    {
        tracing::error!(name, "aborting at a fault point, as configured");
        std::process::abort();
    }
}
