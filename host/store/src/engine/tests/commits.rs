//! Groups of operations: what is in the log is stored and answered so, and what is refused has no effect.

use super::*;
use crate::batch::Batch;

/// A store without checkpoints by time.
fn open(dir: &Path) -> Store {
    Store::open(&StoreOptions { checkpoint_every: Duration::MAX, checkpoint_bytes: u64::MAX, ..options(dir) }).unwrap()
}

/// Writes a row of this many bytes.
fn put(batch: &mut Batch<'_>, name: &str, bytes: usize) -> Result<(), StoreError> {
    batch.components()?.insert(name, vec![7; bytes].as_slice())?;
    Ok(())
}

fn size_of(store: &Store, name: &str) -> Option<usize> {
    let read = store.db.engine().begin_read().unwrap();
    let row = read.open_table(tables::COMPONENTS).unwrap().get(name).unwrap();
    row.map(|row| row.value().len())
}

fn last(store: &Store) -> u64 {
    store.db.engine().log.extent(PARTITION).unwrap().last
}

/// An operation that reports fewer bytes than it writes, in the line of events, which a commit takes as a whole.
async fn row(store: Store, name: String, bytes: usize) -> Result<(), StoreError> {
    store.db.write_now(&SpaceId::main(), None, 1, move |batch| put(batch, &name, bytes)).await
}

/// Runs operations that all wait, in this order, when the first commit begins.
async fn together<T: Send + 'static>(
    store: &Store,
    operations: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let engine = store.db.engine();
    let tasks: Vec<_> = {
        // Commits wait for this.
        let held = engine.appender.lock();
        let mut tasks = Vec::new();
        for operation in operations {
            tasks.push(tokio::spawn(operation));
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        drop(held);
        tasks
    };
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_operations_that_wait_together_are_divided_into_several_entries() {
    const MIB: usize = 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    send(&store, "first", b"x").await.unwrap();
    let before = last(&store);
    let operations = (0..40).map(|n| row(store.clone(), format!("row-{n}"), 2 * MIB)).collect();
    let done = together(&store, operations).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    // 16 of them have 32 MiB, and the next one is not added.
    assert_eq!(last(&store) - before, 3);
    // As many small ones have one entry, or two if the first one was alone.
    let before = last(&store);
    let operations = (0..40).map(|n| row(store.clone(), format!("small-{n}"), 10)).collect();
    assert!(together(&store, operations).await.iter().all(Result::is_ok));
    assert!(last(&store) - before <= 2);
    let copy = tempfile::tempdir().unwrap();
    copy_store(dir.path(), copy.path());
    store.close().await;
    for dir in [&dir, &copy] {
        let store = open(dir.path());
        assert!((0..40).all(|n| size_of(&store, &format!("row-{n}")) == Some(2 * MIB)));
        assert!((0..40).all(|n| size_of(&store, &format!("small-{n}")) == Some(10)));
        memory_fits(&store);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_with_too_many_rows_is_refused_alone() {
    const PART: usize = 16 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    send(&store, "first", b"x").await.unwrap();
    let before = last(&store);
    let (first, second, third) = (store.clone(), store.clone(), store.clone());
    let too_large = async move {
        let space = SpaceId::main();
        let done = first.db.write_now(&space, None, 1, |batch| {
            // What is kept in memory has to be undone as well.
            let space = batch.number(&"other".parse().unwrap())?;
            batch.work_opened.push((space, batch.next_seq));
            batch.work_closed.push(space);
            batch.next_seq += 3;
            let main = batch.number(&SpaceId::main())?;
            batch.next(main, "undone")?;
            (0..15).try_for_each(|n| put(batch, &format!("huge-{n}"), PART))
        });
        done.await.err()
    };
    let before_it = async move { send(&second, "before", b"x").await.err() };
    let after_it = async move {
        let space = SpaceId::main();
        let done = third.db.write_now(&space, None, 1, |batch| {
            let seen = batch.components()?.get("huge-0")?.is_some();
            put(batch, "after", if seen { 2 } else { 1 })
        });
        done.await.err()
    };
    let operations: Vec<std::pin::Pin<Box<dyn Future<Output = Option<StoreError>> + Send>>> =
        vec![Box::pin(before_it), Box::pin(too_large), Box::pin(after_it)];
    let done = together(&store, operations).await;
    let Some(StoreError::TooLarge { bytes, most }) = done[1] else { panic!("{done:?}") };
    assert!(bytes > 15 * PART && most < bytes && most > 200 * 1024 * 1024, "{bytes} {most}");
    let text = done[1].as_ref().unwrap().to_string();
    assert!(text.contains(&bytes.to_string()) && text.contains(&most.to_string()), "{text}");
    assert_eq!((&done[0], &done[2]), (&None, &None));
    assert_eq!(last(&store) - before, 2);
    let right = |store: &Store| {
        assert!(has(store, "first") && has(store, "before"));
        assert_eq!((size_of(store, "huge-0"), size_of(store, "huge-14")), (None, None));
        assert_eq!(size_of(store, "after"), Some(1), "it saw rows that were refused");
        memory_fits(store);
    };
    right(&store);
    let counted = store.db.write(None, 1, |batch| {
        let main = batch.number(&SpaceId::main())?;
        batch.next(main, "undone")
    });
    assert_eq!(counted.await, Ok(1), "what was refused is not counted");
    send(&store, "last", b"x").await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_store(dir.path(), copy.path());
    store.close().await;
    [&dir, &copy].into_iter().for_each(|dir| right(&open(dir.path())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_operation_fits_behind_a_full_group() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let most = crate::writer::MOST_OF_ONE;
    let before = last(&store);
    let large = |over: usize| {
        let store = store.clone();
        async move {
            let space = SpaceId::main();
            let done = store.db.write_now(&space, None, 1, move |batch| {
                let begins = batch.bytes();
                put(batch, "large", most / 2)?;
                // The length of a value has four bytes, and there are three others and the name.
                let left = most - (batch.bytes() - begins) - 4 - 3 - "large-too".len();
                put(batch, "large-too", left + over)?;
                assert_eq!(batch.bytes() - begins, most + over);
                Ok(())
            });
            done.await
        }
    };
    let group = row(store.clone(), "group".to_owned(), 32 * 1024 * 1024 - 100);
    type Operation = std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;
    let operations: Vec<Operation> = vec![Box::pin(group), Box::pin(large(0))];
    assert_eq!(together(&store, operations).await, [Ok(()), Ok(())]);
    assert_eq!(last(&store) - before, 1, "they are one group");
    assert_eq!(large(1).await, Err(StoreError::TooLarge { bytes: most + 1, most }));
    assert_eq!(last(&store) - before, 1, "nothing was written");
    send(&store, "last", b"x").await.unwrap();
    assert!(size_of(&store, "large-too").is_some() && has(&store, "last"));
    store.close().await;
}

#[tokio::test]
async fn what_the_log_has_is_stored_though_the_database_did_not_commit_it() {
    for kind in [Kind::CommitFails, Kind::CommitPanics] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let first = send(&store, "first", b"x").await.unwrap();
        let before = last(&store);
        let trouble = Arc::clone(&store.db.engine().disk().trouble);
        trouble.begin(kind, 1);
        assert_eq!(send(&store, "second", b"x").await, Ok(first + 1), "{kind:?}");
        let third = send(&store, "third", b"x").await;
        trouble.end();
        // It was answered once it could be read.
        assert!(has(&store, "third"), "{kind:?}");
        assert_eq!(third, Ok(first + 2), "{kind:?}");
        assert_eq!(last(&store) - before, 3, "{kind:?}: two events, and the claim after the failure");
        assert_eq!(send(&store, "fourth", b"x").await, Ok(first + 3), "{kind:?}");
        memory_fits(&store);
        store.close().await;
        let store = open(dir.path());
        assert!(["first", "second", "third", "fourth"].iter().all(|id| has(&store, id)), "{kind:?}");
        assert_eq!(store.backlog.count(), 4, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_has_is_stored_though_the_store_is_closed_before_it_is_opened_again() {
    for kind in [Kind::CommitFails, Kind::CommitPanics] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        send(&store, "first", b"x").await.unwrap();
        let engine = store.db.engine();
        engine.attempts.lock().next = Instant::now() + Duration::from_hours(1);
        engine.disk().trouble.begin(kind, 0);
        let waits = tokio::spawn({
            let store = store.clone();
            async move { send(&store, "second", b"x").await }
        });
        until("the failure", async || engine.disk().failure().is_some()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waits.is_finished(), "{kind:?}: it cannot be read");
        store.close().await;
        let answered = waits.await.unwrap();
        let again = open(dir.path());
        assert!(has(&again, "first"), "{kind:?}");
        assert_eq!((answered.is_ok(), has(&again, "second")), (true, true), "{kind:?}: {answered:?}");
    }
}

#[tokio::test]
async fn no_checkpoint_says_that_the_database_has_what_it_failed_to_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    send(&store, "first", b"x").await.unwrap();
    let engine = store.db.engine();
    let mut appender = engine.appender.lock();
    engine.disk().fail(DiskFailure::Io("as the test wants".to_owned()));
    assert!(engine.checkpoint_with(&mut appender, false).is_err());
}

#[tokio::test]
async fn an_append_that_panics_is_refused_and_cut_off() {
    for after in [0, 1, 2] {
        for reopens in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            send(&store, "first", b"x").await.unwrap();
            if !reopens {
                store.db.engine().attempts.lock().next = Instant::now() + Duration::from_hours(1);
            }
            // An append is a write and a flush.
            store.db.engine().disk().trouble.begin(Kind::WritePanics, after * 2);
            let mut sent = vec!["first".to_owned()];
            let (refused, error) = loop {
                let id = format!("e{}", sent.len());
                match send(&store, &id, &payload(1)).await {
                    Ok(_) => sent.push(id),
                    Err(error) => break (id, error),
                }
            };
            assert!(matches!(&error, StoreError::Unavailable(reason) if reason.contains("panicked")), "{error:?}");
            if reopens {
                until("a new event", async || send(&store, "new", b"x").await.is_ok()).await;
                memory_fits(&store);
            }
            store.close().await;
            let store = open(dir.path());
            assert!(sent.iter().all(|id| has(&store, id)) && has(&store, "new") == reopens, "{after}");
            assert!(!has(&store, &refused), "{after} {reopens}");
        }
    }
}
