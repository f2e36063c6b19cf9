//! The store and its commit log: what belongs together, and what is kept how long.

use super::*;

#[tokio::test]
async fn a_log_that_does_not_belong_to_the_store_is_refused() {
    for (end, reason) in [
        (End::Killed, "the log is that of the store `hw_"),
        (End::KilledLater, "the log has another entry at position"),
        (End::Closed, "the log has another entry at position"),
    ] {
        let (dir, count) = filled(end).await;
        // One of another store, with as many entries.
        let (other, _) = filled(end).await;
        let (log, kept) = (dir.path().join("commit-log"), dir.path().join("kept"));
        std::fs::rename(&log, &kept).unwrap();
        copy_store(&other.path().join("commit-log"), &log);
        let error = read_all(dir.path(), count).await.unwrap_err();
        assert!(error.contains(reason) && error.contains("restore the file, its .sums"), "{end:?}: {error}");
        let checked = check(&dir.path().join("hookwright.redb")).unwrap();
        assert!(checked.problem.is_some_and(|problem| problem.contains(reason)), "{end:?}");
        std::fs::remove_dir_all(&log).unwrap();
        std::fs::rename(&kept, &log).unwrap();
        assert_eq!(read_all(dir.path(), count).await, Ok(()), "{end:?}");
    }
}

#[tokio::test]
async fn a_store_that_was_not_closed_is_refused_without_its_log_and_a_log_without_its_store() {
    let (dir, count) = filled(End::KilledLater).await;
    let (file, log) = (dir.path().join("hookwright.redb"), dir.path().join("commit-log"));
    let kept = dir.path().join("kept");
    std::fs::rename(&log, &kept).unwrap();
    let checked = check(&file).unwrap();
    assert!(checked.problem.is_some_and(|problem| problem.contains("the log is missing")) && !checked.closed);
    let error = read_all(dir.path(), count).await.unwrap_err();
    assert!(error.contains("the log is missing, and the store, which was not closed, has everything up to"), "{error}");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&kept, &log).unwrap();
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(dir.path().join("hookwright.redb.sums")).unwrap();
    let error = read_all(dir.path(), count).await.unwrap_err();
    assert!(error.contains("commit-log shows that there was a store"), "{error}");
}

#[tokio::test]
async fn a_copy_of_a_closed_store_needs_no_log() {
    let (dir, count) = filled(End::Closed).await;
    let file = dir.path().join("hookwright.redb");
    for _ in 0..2 {
        std::fs::remove_dir_all(dir.path().join("commit-log")).unwrap();
        let checked = check(&file).unwrap();
        assert!(checked.closed && checked.intact(), "{checked:?}");
        let store = Store::open(&options(dir.path())).unwrap();
        assert!((0..count).all(|n| has(&store, &format!("e{n}"))));
        send(&store, "after", b"x").await.unwrap();
        // As a crash leaves it.
        let copy = tempfile::tempdir().unwrap();
        copy_store(dir.path(), copy.path());
        store.close().await;
        assert!(!check(&copy.path().join("hookwright.redb")).unwrap().closed);
        assert!(has(&Store::open(&options(copy.path())).unwrap(), "after"));
    }
}

#[tokio::test]
async fn an_older_copy_of_the_store_catches_up_with_its_log_if_that_still_has_everything() {
    let (dir, count) = filled(End::Closed).await;
    let early = tempfile::tempdir().unwrap();
    copy_store(dir.path(), early.path());
    let store = Store::open(&options(dir.path())).unwrap();
    send(&store, "later", b"x").await.unwrap();
    store.close().await;
    for file in ["hookwright.redb", "hookwright.redb.sums"] {
        std::fs::copy(early.path().join(file), dir.path().join(file)).unwrap();
    }
    let store = Store::open(&options(dir.path())).unwrap();
    assert!(has(&store, "later") && (0..count).all(|n| has(&store, &format!("e{n}"))));
    store.close().await;
    drop(store);
    // A copy of an earlier format was never behind a log.
    set_format(&dir.path().join("hookwright.redb"), "4");
    let error = read_all(dir.path(), count).await.unwrap_err();
    assert!(error.contains("the store has format 4, which has no log"), "{error}");
}

/// Sets the format of a closed store.
fn set_format(file: &Path, format: &str) {
    let db = Database::open(file).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(tables::META).unwrap().insert("format", format).unwrap();
    transaction.commit().unwrap();
    drop(db);
    std::fs::remove_file(file.with_file_name("hookwright.redb.sums")).unwrap();
}

#[tokio::test]
async fn checkpoints_let_the_log_forget_and_happen_by_bytes_and_by_time() {
    for options in [
        |folder: &Path| StoreOptions { checkpoint_bytes: 100_000, checkpoint_every: Duration::MAX, ..options(folder) },
        |folder: &Path| StoreOptions { checkpoint_every: Duration::from_millis(50), ..options(folder) },
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&options(dir.path())).unwrap();
        let first = || store.db.engine().log.extent(PARTITION).unwrap().first;
        let mut sent = 0;
        until("trimmed", async || {
            send(&store, &format!("e{sent}"), &[7; 20_000]).await.unwrap();
            sent += 1;
            first() > 1
        })
        .await;
        store.close().await;
        let store = Store::open(&options(dir.path())).unwrap();
        assert_eq!(store.backlog.count(), sent);
    }
}

#[tokio::test]
async fn a_creation_that_was_interrupted_begins_anew() {
    let (dir, _) = filled(End::Closed).await;
    let file = dir.path().join("hookwright.redb");
    // As after its first writes, whatever they were.
    for content in [&b""[..], b"redb", &[7; 10_000]] {
        let new = tempfile::tempdir().unwrap();
        let path = new.path().join("hookwright.redb");
        std::fs::write(&path, content).unwrap();
        std::fs::copy(file.with_file_name("hookwright.redb.sums"), new.path().join("hookwright.redb.sums")).unwrap();
        assert!(Store::open(&options(new.path())).is_err(), "it could be a store that was damaged");
        std::fs::write(new.path().join("hookwright.redb.new"), b"").unwrap();
        // Another server may be about to create it.
        let other = FileLog::open(FileLogOptions::new(new.path().join("commit-log"))).unwrap();
        assert!(matches!(Store::open(&options(new.path())), Err(OpenError::InUse(_))));
        assert_eq!(std::fs::read(&path).unwrap(), content, "nothing is removed from under it");
        drop(other);
        let store = Store::open(&options(new.path())).unwrap();
        assert!(!new.path().join("hookwright.redb.new").exists());
        send(&store, "first", b"x").await.unwrap();
        store.close().await;
        assert!(has(&Store::open(&options(new.path())).unwrap(), "first"));
    }
}

#[tokio::test]
async fn what_was_refused_does_not_come_back_after_a_stop_during_the_failure() {
    for kind in [Kind::FlushFails, Kind::Torn] {
        let dir = tempfile::tempdir().unwrap();
        // Nothing is opened again before the end.
        let store = Store::open(&StoreOptions { watch_every: Duration::from_hours(1), ..options(dir.path()) }).unwrap();
        send(&store, "first", b"x").await.unwrap();
        let trouble = Arc::clone(&store.db.engine().disk().trouble);
        trouble.begin(kind, 0);
        assert!(send(&store, "refused", b"x").await.is_err(), "{kind:?}");
        trouble.end();
        store.close().await;
        drop(store);
        let store = Store::open(&options(dir.path())).unwrap();
        assert!(has(&store, "first") && !has(&store, "refused"), "{kind:?}");
        memory_fits(&store);
    }
}

#[tokio::test]
async fn blocks_whose_flush_failed_are_written_again_before_the_file_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&options(dir.path())).unwrap();
    for n in 0..20 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
    }
    let engine = store.db.engine();
    let trouble = Arc::clone(&engine.disk().trouble);
    trouble.begin(Kind::FlushFails, 0);
    {
        // The disk fails behind it, and nothing is reopened meanwhile.
        let mut appender = engine.appender.lock();
        let _ = engine.checkpoint_with(&mut appender, false);
        let failed = || engine.disk().failure().is_some() && engine.disk().has_unsure_blocks();
        assert!((0..10_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            failed()
        }));
        trouble.end();
    }
    // Commits may go on until the failure is noticed.
    until("writing again", async || !engine.disk().has_unsure_blocks()).await;
    until("recovery", async || store.health() == StorageHealth::Writable && send(&store, "more", b"x").await.is_ok())
        .await;
    assert!((0..20).all(|n| has(&store, &format!("e{n}"))));
}
