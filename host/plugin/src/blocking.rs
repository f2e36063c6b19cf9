//! Work that takes long, apart from the threads that answer requests.

use crate::error::LoadError;

/// Does what takes long on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| LoadError::compile_failed(&error))
}
