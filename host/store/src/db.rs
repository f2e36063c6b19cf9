//! The open store as its parts use it: reads, and operations for the writer.

use std::sync::Arc;
use std::thread::JoinHandle;

use hookwright_model::SpaceId;
use parking_lot::Mutex;
use redb::ReadTransaction;
use tokio::sync::{oneshot, watch};

use crate::admission::{Admission, Admitted};
use crate::batch::{Answer, Apply, Batch, Faults, Write};
use crate::engine::{self, Engine};
use crate::inbox::{self, Letterbox};
use crate::shared::Shared;
use crate::{OpenError, StorageHealth, StoreError, StoreOptions, writer};

/// The open store. Clones share it.
#[derive(Clone)]
pub(crate) struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    letters: Letterbox,
    admission: Arc<Admission>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Db {
    /// Opens the file, or creates it, and starts its writer. Also returns the instance's id.
    pub(crate) fn open(options: &StoreOptions) -> Result<(Self, String), OpenError> {
        let (engine, instance) = Engine::open(options)?;
        let engine = Arc::new(engine);
        let no_thread = |error: std::io::Error| OpenError::Io {
            path: options.path.display().to_string(),
            reason: format!("a thread for it: {error}"),
        };
        engine::watch_over(&engine, options.watch_every).map_err(no_thread)?;
        let (letters, inbox) = inbox::lines(options.queue.max(1));
        let writing = Arc::clone(&engine);
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer::run(&writing, inbox))
            .map_err(no_thread)?;
        let admission = Admission::new(options.queue.max(1));
        let inner = Inner { engine, letters, admission, writer: Mutex::new(Some(writer)) };
        Ok((Self { inner: Arc::new(inner) }, instance))
    }

    /// Commits the waiting operations, ends the writer and closes the file.
    pub(crate) async fn close(&self) {
        self.inner.engine.begin_to_close();
        self.inner.letters.close().await;
        let writer = self.inner.writer.lock().take();
        if let Some(writer) = writer
            && tokio::task::spawn_blocking(move || writer.join()).await.is_err()
        {
            tracing::error!("the store's writer failed");
        }
        let engine = Arc::clone(&self.inner.engine);
        if tokio::task::spawn_blocking(move || engine.close()).await.is_err() {
            tracing::error!("the store's file was not closed cleanly");
        }
    }

    pub(crate) fn health(&self) -> &watch::Sender<StorageHealth> {
        self.inner.engine.health()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.engine.shared
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The number of a space, if it exists.
    pub(crate) fn number(&self, space: &SpaceId) -> Option<u32> {
        self.shared().number(space)
    }

    /// All spaces, by name.
    pub(crate) fn spaces(&self) -> Vec<SpaceId> {
        let mut spaces: Vec<SpaceId> = self.shared().names().into_values().collect();
        spaces.sort();
        spaces
    }

    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.inner.engine.begin_read()
    }

    /// An error if new events and changes from outside are refused at present: little space is left, or the file cannot
    /// be written.
    pub(crate) fn takes_changes(&self) -> Result<(), StoreError> {
        self.health().borrow().refuses_events().map_or(Ok(()), Err)
    }

    /// An error if nothing is written at present.
    fn refuses_writes(&self) -> Result<(), StoreError> {
        self.health().borrow().refuses_writes().map_or(Ok(()), Err)
    }

    /// Sends an operation to the writer and waits for the commit.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        fault: Option<Faults>,
        bytes: usize,
        apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.refuses_writes()?;
        let admitted = self.inner.admission.wait(bytes).await?;
        let (write, answer) = operation(fault, bytes, admitted, apply);
        self.inner.letters.other(write).await?;
        answer.await.unwrap_or_else(|_| Err(self.inner.engine.refusal()))
    }

    /// The same for an operation from outside in a space: refused at once if too many operations wait, or too many of
    /// this space.
    pub(crate) async fn write_now<T: Send + 'static>(
        &self,
        space: &SpaceId,
        fault: Option<Faults>,
        bytes: usize,
        apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.takes_changes()?;
        let admitted = self.inner.admission.now(space, bytes)?;
        let (write, answer) = operation(fault, bytes, admitted, apply);
        self.inner.letters.events(write)?;
        answer.await.unwrap_or_else(|_| Err(self.inner.engine.refusal()))
    }
}

fn operation<T: Send + 'static>(
    fault: Option<Faults>,
    bytes: usize,
    admitted: Admitted,
    apply: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError> + Send + 'static,
) -> (Write, oneshot::Receiver<Result<T, StoreError>>) {
    let (sender, receiver) = oneshot::channel();
    let apply: Apply = Box::new(move |batch| {
        let value = match apply(batch) {
            Ok(value) => value,
            Err(error) => {
                let _ = sender.send(Err(error.clone()));
                return Err(error);
            }
        };
        let answer: Answer = Box::new(move |committed| {
            drop(admitted);
            let _ = sender.send(committed.map(|()| value).map_err(StoreError::clone));
        });
        Ok(answer)
    });
    (Write { apply, bytes, fault }, receiver)
}
