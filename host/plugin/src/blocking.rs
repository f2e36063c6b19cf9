//! Long work, outside of the threads that answer requests.

use crate::error::LoadError;

/// Runs long work on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::compile_failed(&error))
}
