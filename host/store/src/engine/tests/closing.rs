//! A store that is closed while its disk fails.

use super::*;

/// The longest time for it, on a machine that has other things to do.
const LONGEST: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_on_a_failed_disk_ends_and_neither_loses_nor_invents_an_event() {
    for kind in [Kind::Full, Kind::WriteFails, Kind::ReadOnly, Kind::Torn, Kind::FlushFails] {
        for after in [0, 1, 2, 3, 6] {
            // With and without attempts to open it again before the end.
            for watch_every in [Duration::from_millis(5), Duration::from_hours(1)] {
                let what = format!("{kind:?} after {after}, {watch_every:?}");
                let dir = tempfile::tempdir().unwrap();
                let store = Store::open(&StoreOptions { watch_every, ..options(dir.path()) }).unwrap();
                let mut sent = vec![("first".to_owned(), send(&store, "first", &payload(0)).await.is_ok())];
                store.db.engine().disk().trouble.begin(kind, after);
                for n in 0..6 {
                    let id = format!("during-{n}");
                    let done = send(&store, &id, &payload(n)).await;
                    sent.push((id, done.is_ok()));
                }
                let waiting = (0..6).map(|n| {
                    let (store, id) = (store.clone(), format!("at-the-end-{n}"));
                    tokio::spawn(async move {
                        let done = send(&store, &id, &payload(n)).await;
                        (id, done.is_ok())
                    })
                });
                let waiting: Vec<_> = waiting.collect();
                tokio::time::timeout(LONGEST, store.close()).await.expect(&what);
                for task in waiting {
                    sent.push(tokio::time::timeout(LONGEST, task).await.expect(&what).unwrap());
                }
                assert!(sent[0].1 && sent.iter().any(|(_, taken)| !taken), "{what}: {sent:?}");
                assert!(send(&store, "later", b"x").await.is_err(), "{what}");
                drop(store);
                // The disk works again.
                let store = Store::open(&options(dir.path())).unwrap();
                for (id, taken) in &sent {
                    assert_eq!(has(&store, id), *taken, "{what}: {id}");
                }
                assert_eq!(store.backlog.count(), sent.iter().filter(|(_, taken)| *taken).count(), "{what}");
                memory_fits(&store);
                store.close().await;
                assert!(check(&dir.path().join("hookwright.redb")).unwrap().intact(), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_last_checkpoint_fails_has_everything_in_its_log() {
    for kind in [Kind::Full, Kind::WriteFails, Kind::Torn, Kind::FlushFails] {
        for after in [0, 1, 2, 4] {
            let what = format!("{kind:?} after {after}");
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&StoreOptions { checkpoint_every: Duration::MAX, ..options(dir.path()) }).unwrap();
            for n in 0..20 {
                send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
            }
            // Nobody has noticed yet.
            store.db.engine().disk().trouble.begin(kind, after);
            tokio::time::timeout(LONGEST, store.close()).await.expect(&what);
            drop(store);
            assert_eq!(read_all(dir.path(), 20).await, Ok(()), "{what}");
        }
    }
}
