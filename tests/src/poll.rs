//! Waiting for something to become true, never for a fixed time.

use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks again and again until `look` finds it; panics with what it last saw when that takes two minutes.
#[track_caller]
pub fn eventually<T>(look: impl FnMut() -> Result<T, String>) -> T {
    within(PATIENCE, look)
}

/// The same with another deadline.
#[track_caller]
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() > patience => panic!("not within {patience:?}: {seen}"),
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
