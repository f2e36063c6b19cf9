//! Runs long validations with limited concurrency, outside of the threads that answer requests.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Number of applied subschemas from which a validation counts as long.
pub(super) const LONG: u32 = 20_000;
/// Maximum number of concurrent long validations.
const AT_ONCE: usize = 2;
/// Maximum number of waiting validations.
const WAITING: usize = 64;
/// Maximum waiting time.
const PATIENCE: Duration = Duration::from_secs(5);

struct Places {
    taken: usize,
    waiting: usize,
}

static PLACES: Mutex<Places> = Mutex::new(Places { taken: 0, waiting: 0 });
static FREED: Condvar = Condvar::new();

/// A validation in progress.
struct Place;

impl Place {
    /// `None`: too many are waiting.
    fn take() -> Option<Self> {
        let mut places = PLACES.lock();
        let until = Instant::now() + PATIENCE;
        if places.taken >= AT_ONCE && places.waiting >= WAITING {
            return None;
        }
        places.waiting = places.waiting.saturating_add(1);
        while places.taken >= AT_ONCE {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                places.waiting = places.waiting.saturating_sub(1);
                return None;
            }
            FREED.wait_for(&mut places, left);
        }
        places.waiting = places.waiting.saturating_sub(1);
        places.taken = places.taken.saturating_add(1);
        Some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = PLACES.lock();
        places.taken = places.taken.saturating_sub(1);
        FREED.notify_one();
    }
}

/// Runs a validation with this amount of work. `None` if too many long ones are in progress.
pub(super) fn check<T>(work: u32, check: impl FnOnce() -> T) -> Option<T> {
    if work < LONG {
        return Some(check());
    }
    let check = || Place::take().map(|_place| check());
    // A runtime with one thread cannot move work to another one.
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(check),
        _ => check(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_long_validation_does_not_delay_others() {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let long = tokio::spawn(async move {
            check(LONG, || {
                let _ = begin.send(());
                told.recv_timeout(Duration::from_secs(60)).is_ok()
            })
        });
        begun.await.unwrap();
        // Runs on the only thread while the validation waits for it.
        let other = tokio::spawn(async move { tell.send(()).is_ok() });
        assert_eq!(long.await.unwrap(), Some(true), "the other task had to wait for the check");
        assert!(other.await.unwrap());
    }
}
