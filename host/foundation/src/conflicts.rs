//! Retries changes that conflicted with a concurrent write: something that they had read was changed before they were committed.

use hookwright_model::SpaceId;

use crate::error::PipelineError;
use crate::turns::Turns;

/// How many write conflicts a change may have before it is refused.
pub const MAX_CONFLICTS: u32 = 100;

/// The outcome of one try of a change.
pub enum TryOutcome<T> {
    /// The change is committed, or needs no commit.
    Done(T),
    /// A write conflict: this record or value was changed after it was read. The next try waits for its turn at it.
    Conflict(String),
    /// Something else that it read was changed, for which there are no turns. The next try reads it again.
    Superseded,
}

/// Makes a change, and retries it after each write conflict. `None`: it has conflicted [`MAX_CONFLICTS`] times.
///
/// # Errors
/// The error of a try. It is not retried.
pub async fn retry_on_conflict<T, F>(
    turns: &Turns,
    space: &SpaceId,
    mut attempt: impl FnMut() -> F,
) -> Result<Option<T>, PipelineError>
where
    F: Future<Output = Result<TryOutcome<T>, PipelineError>>,
{
    let mut line = turns.line(space);
    for _ in 0..MAX_CONFLICTS {
        line.wait().await;
        match attempt().await? {
            TryOutcome::Done(value) => return Ok(Some(value)),
            TryOutcome::Conflict(key) => line.conflicted(key),
            TryOutcome::Superseded => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_change_is_made_again_until_it_is_committed_and_no_more_often_than_the_bound() {
        let (turns, space, tries) = (Turns::default(), SpaceId::main(), AtomicU32::new(0));
        let until = |last: u32, conflict: fn() -> TryOutcome<u32>| {
            tries.store(0, Ordering::SeqCst);
            let tries = &tries;
            retry_on_conflict(&turns, &space, move || async move {
                let number = tries.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(if number == last { TryOutcome::Done(number) } else { conflict() })
            })
        };
        for conflict in [|| TryOutcome::Conflict("ticket/1".to_owned()), || TryOutcome::Superseded] {
            assert_eq!(until(1, conflict).await.unwrap(), Some(1));
            assert_eq!(until(MAX_CONFLICTS, conflict).await.unwrap(), Some(MAX_CONFLICTS));
            assert_eq!(until(MAX_CONFLICTS + 1, conflict).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn an_error_is_not_repeated() {
        let (turns, space, tries) = (Turns::default(), SpaceId::main(), AtomicU32::new(0));
        let failed = retry_on_conflict(&turns, &space, || async {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<TryOutcome<()>, _>(PipelineError::not_found("ticket", "1"))
        });
        assert!(matches!(failed.await, Err(PipelineError::NotFound { .. })));
        assert_eq!(tries.load(Ordering::SeqCst), 1);
    }
}
