//! A disk that is slower than the log, and a file that gets shorter or longer behind it.

use super::*;

/// Writes rows of a MiB until the end of the test.
fn pour(store: &Store, bytes: usize) -> (Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let done = Arc::new(AtomicU64::new(0));
    let (store, count) = (store.clone(), Arc::clone(&done));
    let task = tokio::spawn(async move {
        for n in 0.. {
            let name = format!("row-{n}");
            let put = store.db.write(None, bytes, move |batch| {
                batch.components()?.insert(name.as_str(), vec![7; bytes].as_slice())?;
                Ok(())
            });
            if put.await.is_err() {
                return;
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (done, task)
}

fn rows(store: &Store) -> u64 {
    store.db.engine().begin_read().unwrap().open_table(tables::COMPONENTS).unwrap().len().unwrap()
}

/// Waits until no more rows are written; returns how many there are.
async fn stands_still(done: &AtomicU64) -> u64 {
    let mut before = 0;
    until("writes wait", async || {
        let now = done.load(Ordering::SeqCst);
        assert!(now < 1000, "they go on without end");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let still = now > 0 && now == before && now == done.load(Ordering::SeqCst);
        before = now;
        still
    })
    .await;
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_wait_once_four_checkpoints_are_in_the_log_and_the_disk_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let limits = StoreOptions { checkpoint_bytes: 1_000_000, checkpoint_every: Duration::MAX, ..options(dir.path()) };
    let store = Store::open(&limits).unwrap();
    let trouble = Arc::clone(&store.db.engine().disk().trouble);
    trouble.hold();
    let (done, task) = pour(&store, 100_000);
    // One checkpoint waits for the disk, and four times as much is behind it.
    let written = stands_still(&done).await;
    assert!((40..=70).contains(&written), "{written} rows of 100,000 bytes");
    assert!(has(&store, "nothing") || store.health() == StorageHealth::Writable, "a slow disk has not failed");
    trouble.release();
    until("writes go on", async || done.load(Ordering::SeqCst) > written + 20).await;
    task.abort();
    let _ = task.await;
    let sure = done.load(Ordering::SeqCst);
    store.close().await;
    let store = Store::open(&limits).unwrap();
    // The last one may not have been answered.
    assert!((sure..=sure + 1).contains(&rows(&store)), "{sure} {}", rows(&store));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_wait_once_four_times_the_most_is_behind_and_the_disk_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let limits = StoreOptions {
        checkpoint_bytes: u64::MAX,
        checkpoint_every: Duration::MAX,
        // What is written is not kept in the cache.
        cache_bytes: 0,
        ..options(dir.path())
    };
    let store = Store::open(&limits).unwrap();
    let engine = store.db.engine();
    // Room in the file: whenever it grows, the database flushes.
    for part in 0..8 {
        put(&store, part * 25..part * 25 + 25).await;
    }
    make_checkpoint(&store);
    let removed = store.db.write(None, 1, |batch| {
        (0..200).try_for_each(|n| batch.components()?.remove(format!("row-{n}").as_str()).map(drop).map_err(Into::into))
    });
    removed.await.unwrap();
    make_checkpoint(&store);
    make_checkpoint(&store);
    engine.disk().settle().unwrap();
    let room = std::fs::metadata(dir.path().join("hookwright.redb")).unwrap().len();
    assert!(room > 200 << 20, "{room}");
    let trouble = Arc::clone(&engine.disk().trouble);
    trouble.hold();
    let (done, task) = pour(&store, 1024 * 1024);
    let written = stands_still(&done).await;
    let behind = engine.disk().behind_bytes();
    assert!((4 * MOST_BEHIND..5 * MOST_BEHIND).contains(&behind), "{behind} bytes, {written} rows");
    trouble.release();
    until("writes go on", async || done.load(Ordering::SeqCst) > written + 20).await;
    task.abort();
    let _ = task.await;
    let sure = done.load(Ordering::SeqCst);
    store.close().await;
    let store = Store::open(&limits).unwrap();
    assert!((sure..=sure + 1).contains(&rows(&store)), "{sure} {}", rows(&store));
}

/// Makes a checkpoint, which stays behind if the disk is held.
fn make_checkpoint(store: &Store) {
    let engine = store.db.engine();
    engine.checkpoint_with(&mut engine.appender.lock(), false).unwrap();
}

async fn put(store: &Store, numbers: std::ops::Range<usize>) {
    let put = store.db.write(None, 1, move |batch| {
        for n in numbers {
            batch.components()?.insert(format!("row-{n}").as_str(), vec![7; 1024 * 1024].as_slice())?;
        }
        Ok(())
    });
    put.await.unwrap();
}

#[tokio::test]
async fn a_file_that_shrinks_behind_writes_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hookwright.redb");
    let store = Store::open(&StoreOptions { checkpoint_every: Duration::MAX, ..options(dir.path()) }).unwrap();
    let engine = store.db.engine();
    put(&store, 0..24).await;
    for n in 0..20 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
    }
    make_checkpoint(&store);
    engine.disk().settle().unwrap();
    let long = std::fs::metadata(&file).unwrap().len();
    let removed = store.db.write(None, 1, |batch| {
        (0..24).try_for_each(|n| batch.components()?.remove(format!("row-{n}").as_str()).map(drop).map_err(Into::into))
    });
    removed.await.unwrap();
    make_checkpoint(&store);
    engine.disk().settle().unwrap();
    let trouble = Arc::clone(&engine.disk().trouble);
    trouble.hold();
    for n in 20..30 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
    }
    {
        let _no_commit = engine.appender.lock();
        assert!(engine.opened.write().as_mut().unwrap().compact().unwrap());
    }
    for n in 30..40 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
    }
    assert!((0..40).all(|n| has(&store, &format!("e{n}"))));
    let crashed = tempfile::tempdir().unwrap();
    copy_store(dir.path(), crashed.path());
    trouble.release();
    engine.disk().settle().unwrap();
    assert!(std::fs::metadata(&file).unwrap().len() < long / 2, "{long}");
    let later = tempfile::tempdir().unwrap();
    copy_store(dir.path(), later.path());
    store.close().await;
    for dir in [&dir, &crashed, &later] {
        let checked = check(&dir.path().join("hookwright.redb")).unwrap();
        assert!(checked.intact(), "{checked:?}");
        assert_eq!(read_all(dir.path(), 40).await, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_go_on_while_a_checkpoint_would_wait_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    // No commit waits because the log is long.
    let limits = StoreOptions {
        checkpoint_bytes: u64::MAX,
        checkpoint_every: Duration::MAX,
        cache_bytes: 0,
        ..options(dir.path())
    };
    let store = Store::open(&limits).unwrap();
    let engine = store.db.engine();
    engine.disk().trouble.hold();
    // The file grows, and its length is flushed before there is any checkpoint.
    let mut rows = 0;
    until("a checkpoint is due", async || {
        put(&store, rows..rows + 2).await;
        rows += 2;
        engine.disk().behind_bytes() >= MOST_BEHIND
    })
    .await;
    assert!(engine.disk().flushes() > engine.disk().flushed());
    for n in 0..5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sent = tokio::time::timeout(Duration::from_secs(30), send(&store, &format!("e{n}"), b"x")).await;
        assert!(matches!(sent, Ok(Ok(_))), "{n}: {sent:?}");
    }
    engine.disk().trouble.release();
    store.close().await;
}
