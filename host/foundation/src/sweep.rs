//! Removes expired rows in short commits.

use hookwright_store::StoreError;

/// How many rows one commit removes. The writer does nothing else during a commit, and accepted events wait for it: a row is
/// in up to four tables and takes some tens of microseconds, so a commit takes a few milliseconds.
const MAX_SWEPT_PER_COMMIT: usize = 64;

/// Removes all of `what` by one `commit` after the other: each removes at most as many rows as its argument says, and returns
/// how many it removed. Returns false if one failed, which is logged; the next round tries again.
pub async fn sweep<F>(what: &str, mut commit: impl FnMut(usize) -> F) -> bool
where
    F: Future<Output = Result<usize, StoreError>>,
{
    loop {
        match commit(MAX_SWEPT_PER_COMMIT).await {
            Ok(MAX_SWEPT_PER_COMMIT) => {}
            Ok(_) => return true,
            Err(error) => {
                tracing::warn!(%error, "{what} could not be removed; trying again in the next round");
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn a_sweep_removes_everything_in_short_commits() {
        let (left, removed) = (RefCell::new(1000_usize), RefCell::new(Vec::new()));
        let commit = |limit: usize| {
            let count = limit.min(*left.borrow());
            *left.borrow_mut() -= count;
            removed.borrow_mut().push(count);
            async move { Ok(count) }
        };
        assert!(sweep("rows", commit).await);
        assert_eq!(*left.borrow(), 0);
        assert!(removed.borrow().iter().all(|count| *count <= 100), "{removed:?}");
    }

    #[tokio::test]
    async fn a_sweep_that_fails_ends_until_the_next_round() {
        let tried = RefCell::new(0);
        let commit = |_| {
            *tried.borrow_mut() += 1;
            async { Err(StoreError::Closed) }
        };
        assert!(!sweep("rows", commit).await);
        assert_eq!(*tried.borrow(), 1);
    }
}
