//! Failing disks and damaged files: no acknowledged data is lost, no wrong data is served.

#[cfg(target_os = "linux")]
#[path = "../../../../tests/src/small_disk.rs"]
#[allow(unreachable_pub, reason = "it is public for the tests of others")]
mod small_disk;

mod closing;
mod commits;
mod log;
mod pace;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{AutomationId, EventDraft, NewEvent, Plan, SpaceId, Timestamp};
use redb::ReadableTableMetadata as _;

use super::*;
use crate::disk::trouble::Kind;
use crate::{EventLookup, Page, Store, Vault, VaultError, check};

fn options(folder: &Path) -> StoreOptions {
    StoreOptions { watch_every: Duration::from_millis(20), ..StoreOptions::new(folder.join("hookwright.redb")) }
}

fn event(id: &str, payload: &[u8]) -> NewEvent {
    let event = EventDraft {
        id: Some(id.to_owned()),
        event_type: "test.made".into(),
        source: "test".into(),
        content_type: Some("application/octet-stream".into()),
        payload: Bytes::copy_from_slice(payload),
        ..EventDraft::default()
    }
    .accept(&SpaceId::main(), Timestamp::from_millis(1000))
    .unwrap();
    NewEvent { event, plan: Plan { automations: vec![AutomationId::from("aut_1")], ..Plan::default() } }
}

fn payload(n: usize) -> Vec<u8> {
    (0..2000).map(|byte| u8::try_from((byte * 7 + n * 13) % 251).unwrap()).collect()
}

async fn send(store: &Store, id: &str, payload: &[u8]) -> Result<u64, StoreError> {
    Ok(store.events.append(vec![event(id, payload)]).await?[0].seq)
}

fn has(store: &Store, id: &str) -> bool {
    matches!(store.events.event(&SpaceId::main(), id, None), Ok(EventLookup::One(..)))
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !done().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The state in memory must equal the state that a fresh start would load.
fn memory_fits(store: &Store) {
    let read = store.db.engine().begin_read().unwrap();
    let work = read.open_table(tables::WORK).unwrap().len().unwrap();
    assert_eq!(u64::try_from(store.backlog.count()).unwrap(), work);
    let seq = read.open_table(tables::COUNTERS).unwrap().get(tables::SEQ).unwrap().map_or(1, |row| row.value());
    assert_eq!(store.db.engine().next_seq.load(Ordering::Relaxed), seq);
    let spaces = read.open_table(tables::SPACES).unwrap().len().unwrap();
    assert_eq!(u64::try_from(store.spaces().len()).unwrap(), spaces);
}

#[tokio::test]
async fn a_store_whose_disk_failed_refuses_and_recovers_by_itself_without_losing_or_inventing_an_event() {
    for kind in [Kind::Full, Kind::WriteFails, Kind::ReadOnly, Kind::Torn, Kind::FlushFails] {
        // At whatever write of the commit it fails.
        for after in [0, 1, 2, 3, 5, 9] {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&options(dir.path())).unwrap();
            let what = format!("{kind:?} after {after}");
            let mut taken = vec![("first".to_owned(), send(&store, "first", &payload(0)).await.unwrap())];
            let trouble = Arc::clone(&store.db.engine().disk().trouble);
            trouble.begin(kind, after);
            let mut refused = Vec::new();
            for n in 0..8 {
                let id = format!("during-{n}");
                match send(&store, &id, &payload(n)).await {
                    Ok(seq) => taken.push((id, seq)),
                    Err(error) => {
                        let fits = match kind {
                            Kind::Full => matches!(error, StoreError::Full(_) | StoreError::Unavailable(_)),
                            _ => matches!(error, StoreError::Unavailable(_)),
                        };
                        assert!(fits, "{what}: {error:?}");
                        refused.push(id);
                    }
                }
            }
            assert!(!refused.is_empty(), "{what}");
            let wanted = if kind == Kind::Full { "full" } else { "unavailable" };
            until(&format!("{what}: health"), async || store.health().name() == wanted).await;
            trouble.end();
            until(&format!("{what}: recovery"), async || store.health() == StorageHealth::Writable).await;
            memory_fits(&store);
            for (id, _) in &taken {
                assert!(has(&store, id), "{what}: {id} was acknowledged");
            }
            for id in &refused {
                assert!(!has(&store, id), "{what}: {id} was refused");
            }
            let seq = send(&store, "last", &payload(9)).await.unwrap();
            assert_eq!(seq, taken.last().unwrap().1 + 1, "{what}: the journal has no gap");
            store.close().await;
            drop(store);
            let store = Store::open(&options(dir.path())).unwrap();
            assert_eq!(store.backlog.count(), taken.len() + 1, "{what}");
            memory_fits(&store);
        }
    }
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again_once_the_disk_answers() {
    let dir = tempfile::tempdir().unwrap();
    let small = StoreOptions { cache_bytes: 0, ..options(dir.path()) };
    let store = Store::open(&small).unwrap();
    for n in 0..50 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
    }
    let engine = store.db.engine();
    engine.checkpoint_with(&mut engine.appender.lock(), false).unwrap();
    engine.disk.settle().unwrap();
    let trouble = Arc::clone(&engine.disk().trouble);
    trouble.begin(Kind::ReadFails, 0);
    assert!(store.events.event(&SpaceId::main(), "e7", None).is_err());
    until("health", async || store.health().name() == "unavailable").await;
    trouble.end();
    until("recovery", async || send(&store, "more", b"x").await.is_ok()).await;
    assert!(has(&store, "e7"));
}

#[tokio::test]
async fn a_slow_disk_delays_answers_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&options(dir.path())).unwrap();
    store.db.engine().disk().trouble.begin(Kind::Slow(50), 0);
    let sent = futures_util::future::join_all((0..20).map(|n| {
        let store = store.clone();
        async move { send(&store, &format!("e{n}"), b"x").await }
    }));
    assert!(sent.await.into_iter().all(|sent| sent.is_ok()));
    assert_eq!((store.health(), store.backlog.count()), (StorageHealth::Writable, 20));
}

#[tokio::test]
async fn an_operation_that_panics_costs_its_own_commit_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&options(dir.path())).unwrap();
    send(&store, "before", b"x").await.unwrap();
    let died = store.db.write::<()>(None, 1, |_| panic!("as the test wants")).await;
    assert!(matches!(died, Err(StoreError::Unavailable(_))), "{died:?}");
    until("recovery", async || send(&store, "after", b"x").await.is_ok()).await;
    // Reads fail while the file is reopened.
    until("reading", async || has(&store, "before") && has(&store, "after")).await;
    memory_fits(&store);
}

#[tokio::test]
async fn new_events_are_refused_before_the_disk_is_full_and_what_is_in_progress_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let free = space(dir.path()).unwrap().free;
    let store = Store::open(&StoreOptions { min_free_bytes: Some(0), ..options(dir.path()) }).unwrap();
    let seq = send(&store, "before", b"x").await.unwrap();
    store.close().await;
    drop(store);

    // Raise the limit above the free space, since a test cannot fill the disk.
    let store = Store::open(&StoreOptions { min_free_bytes: Some(free * 2), ..options(dir.path()) }).unwrap();
    assert_eq!(store.health().name(), "low");
    let refused = send(&store, "refused", b"x").await;
    assert!(matches!(&refused, Err(StoreError::Full(reason)) if reason.contains("min_free_bytes")), "{refused:?}");
    store.backlog.close_work(seq).await.unwrap();
    store.close().await;
    drop(store);

    let store = Store::open(&StoreOptions { min_free_bytes: Some(free * 16), ..options(dir.path()) }).unwrap();
    assert_eq!(store.health().name(), "full");
    assert!(matches!(store.backlog.close_work(seq).await, Err(StoreError::Full(_))));
    assert!(has(&store, "before"), "what is there is read all the same");
}

/// How the process that used a store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was shut down.
    Closed,
    /// It was killed before a checkpoint: the events are in the log only.
    Killed,
    /// It was killed after one: half of them are in the file.
    KilledLater,
}

/// Fills a store and returns its folder.
async fn filled(end: End) -> (tempfile::TempDir, usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreOptions { checkpoint_every: Duration::MAX, ..options(dir.path()) }).unwrap();
    for n in 0..40 {
        send(&store, &format!("e{n}"), &payload(n)).await.unwrap();
        if n == 20 && end == End::KilledLater {
            let engine = store.db.engine();
            engine.checkpoint_with(&mut engine.appender.lock(), false).unwrap();
            engine.disk.settle().unwrap();
        }
    }
    if end == End::Closed {
        store.close().await;
        return (dir, 40);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_store(dir.path(), copy.path());
    store.close().await;
    (copy, 40)
}

/// Copies a folder with everything in it.
fn copy_store(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_store(&file.path(), &to);
        } else {
            std::fs::copy(file.path(), to).unwrap();
        }
    }
}

fn flip(file: &Path, byte: u64, bit: u8) {
    // In place, because a store may have it open.
    let wanted = std::fs::read(file).unwrap()[usize::try_from(byte).unwrap()] ^ (1 << bit);
    let mut file = std::fs::File::options().write(true).open(file).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(byte)).unwrap();
    std::io::Write::write_all(&mut file, &[wanted]).unwrap();
}

/// Opens a store and reads all of it; returns the error if it is refused.
async fn read_all(folder: &Path, count: usize) -> Result<(), String> {
    let store = Store::open(&options(folder)).map_err(|error| error.to_string())?;
    let read = async || -> Result<(), StoreError> {
        for n in 0..count {
            let id = format!("e{n}");
            let EventLookup::One(_, event) = store.events.event(&SpaceId::main(), &id, None)? else {
                panic!("{id} is missing and nothing was said")
            };
            assert_eq!(event.payload.as_ref(), payload(n), "{id} is wrong and nothing was said");
        }
        let listed = store.events.events(&SpaceId::main(), Page { before: None, limit: 1000 }, &|_| true)?;
        assert_eq!(listed.items.len(), count);
        assert_eq!(store.backlog.work(0, 1000)?.len(), count);
        send(&store, "new", b"x").await?;
        Ok(())
    };
    let result = read().await.map_err(|error| error.to_string());
    store.close().await;
    result
}

#[tokio::test]
async fn a_bit_that_flipped_is_refused_or_does_no_harm_but_is_never_served() {
    for end in [End::Closed, End::Killed, End::KilledLater] {
        let (origin, count) = filled(end).await;
        let log = "commit-log/p00000/00000000000000000001.log";
        let mut refused = 0;
        for file in ["hookwright.redb", log] {
            let length = std::fs::metadata(origin.path().join(file)).unwrap().len();
            // The whole header, and three positions in every block.
            let places = (0..320).chain((1..length / 4096).flat_map(|block| {
                [block * 4096 + 3, block * 4096 + 40 + block % 900, block * 4096 + 2000 + (block * 37) % 2000]
            }));
            for (n, place) in places.enumerate() {
                if n % if place < 320 { 5 } else { 11 } != 0 {
                    continue;
                }
                let copy = tempfile::tempdir().unwrap();
                copy_store(origin.path(), copy.path());
                flip(&copy.path().join(file), place, u8::try_from(n / 4 % 8).unwrap());
                if let Err(reason) = read_all(copy.path(), count).await {
                    refused += 1;
                    assert!(reason.contains("damaged"), "{file}, byte {place}, {end:?}: {reason}");
                    // It stays refused, or all data is intact.
                    if let Err(reason) = read_all(copy.path(), count).await {
                        assert!(reason.contains("damaged"), "{file}, byte {place}, {end:?}: {reason}");
                    }
                }
            }
        }
        assert!(refused > 10, "{refused} of the flips hit something, {end:?}");
    }
}

#[tokio::test]
async fn damage_that_comes_to_light_while_the_store_serves_ends_it() {
    let (dir, count) = filled(End::Closed).await;
    let file = dir.path().join("hookwright.redb");
    let bytes = std::fs::read(&file).unwrap();
    let needle = payload(3);
    let place = bytes.windows(needle.len()).position(|part| part == needle).unwrap();
    let store = Store::open(&StoreOptions { cache_bytes: 0, ..options(dir.path()) }).unwrap();
    flip(&file, u64::try_from(place + 100).unwrap(), 3);
    let found = (0..count).find_map(|n| store.events.event(&SpaceId::main(), &format!("e{n}"), None).err());
    assert!(matches!(found, Some(StoreError::Damaged(_))), "{found:?}");
    until("health", async || store.health().name() == "damaged").await;
    assert!(matches!(send(&store, "new", b"x").await, Err(StoreError::Damaged(_))));
    store.close().await;
    // It is not opened again, although nothing has read that place yet, until the file is intact.
    let refused = Store::open(&options(dir.path())).err().unwrap().to_string();
    assert!(refused.contains("is damaged: the block at byte"), "{refused}");
    drop(store);
    flip(&file, u64::try_from(place + 100).unwrap(), 3);
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
}

#[tokio::test]
async fn what_a_crash_left_in_the_log_only_is_there_at_the_next_start() {
    for end in [End::Closed, End::Killed, End::KilledLater] {
        let (dir, count) = filled(end).await;
        assert_eq!(read_all(dir.path(), count).await, Ok(()), "{end:?}");
    }
}

#[tokio::test]
async fn a_store_without_its_checksums_is_read_as_a_whole_once() {
    let (dir, count) = filled(End::Closed).await;
    std::fs::remove_file(dir.path().join("hookwright.redb.sums")).unwrap();
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
    // The checksums exist again, so that damage is noticed without verifying the whole file.
    let file = dir.path().join("hookwright.redb");
    let bytes = std::fs::read(&file).unwrap();
    let needle = payload(2);
    let place = bytes.windows(needle.len()).position(|part| part == needle).unwrap();
    flip(&file, u64::try_from(place).unwrap(), 1);
    assert!(read_all(dir.path(), count).await.unwrap_err().contains("damaged"));
    std::fs::remove_file(dir.path().join("hookwright.redb.sums")).unwrap();
    assert!(read_all(dir.path(), count).await.unwrap_err().contains("damaged"));
}

#[tokio::test]
async fn a_check_finds_damage_and_changes_nothing() {
    for end in [End::Closed, End::Killed, End::KilledLater] {
        let (dir, count) = filled(end).await;
        let file = dir.path().join("hookwright.redb");
        let before = std::fs::read(&file).unwrap();
        let checked = check(&file).unwrap();
        assert!(checked.intact(), "{checked:?}");
        assert_eq!(checked.closed, end == End::Closed);
        let events = checked.tables.iter().find(|(name, _)| name == "events").unwrap().1;
        assert_eq!(events, u64::try_from(count).unwrap());
        for n in [0, count / 2, count - 1] {
            if end == End::Killed || (end == End::KilledLater && n > 20) {
                continue;
            }
            let place = before.windows(2000).position(|part| part == payload(n)).unwrap();
            flip(&file, u64::try_from(place + 700).unwrap(), 2);
            let checked = check(&file).unwrap();
            assert!(!checked.intact(), "{n}: {checked:?}");
            let block = u64::try_from(place + 700).unwrap() / 4096 * 4096;
            assert_eq!(checked.damaged, [block]);
            flip(&file, u64::try_from(place + 700).unwrap(), 2);
        }
        assert_eq!(std::fs::read(&file).unwrap(), before);
        let store = Store::open(&options(dir.path())).unwrap();
        assert!(matches!(check(&file), Err(OpenError::InUse(_))));
        store.close().await;
    }
}

#[tokio::test]
async fn checksums_that_the_file_system_does_not_let_be_read_are_an_error_with_their_path() {
    let (dir, count) = filled(End::Closed).await;
    let (file, sums) = (dir.path().join("hookwright.redb"), dir.path().join("hookwright.redb.sums"));
    let written = std::fs::read(&sums).unwrap();
    std::fs::remove_file(&sums).unwrap();
    // A folder cannot be read as a file, not even by root.
    std::fs::create_dir(&sums).unwrap();
    let failed = |error: OpenError| match error {
        OpenError::Io { path, .. } => path,
        other => panic!("{other}"),
    };
    let path = sums.display().to_string();
    assert_eq!(failed(check(&file).unwrap_err()), path);
    assert_eq!(failed(Store::open(&options(dir.path())).err().unwrap()), path);
    std::fs::remove_dir(&sums).unwrap();
    assert!(check(&file).unwrap().intact());
    std::fs::write(&sums, &written).unwrap();
    assert!(check(&file).unwrap().closed);
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
}

#[tokio::test]
async fn a_file_that_is_not_the_one_that_was_closed_is_refused_with_the_remedy() {
    let (dir, count) = filled(End::Closed).await;
    let (other, _) = filled(End::Closed).await;
    std::fs::copy(other.path().join("hookwright.redb"), dir.path().join("hookwright.redb")).unwrap();
    let sums = dir.path().join("hookwright.redb.sums");
    let error = Store::open(&options(dir.path())).err().unwrap().to_string();
    assert!(error.contains("hookwright.redb.sums") && error.contains("delete"), "{error}");
    std::fs::remove_file(sums).unwrap();
    let error = read_all(dir.path(), count).await.unwrap_err();
    assert!(error.contains("does not fit its commit log in"), "{error}");
    copy_store(other.path(), dir.path());
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
}

#[tokio::test]
async fn an_empty_file_where_there_was_a_store_is_refused() {
    let (dir, count) = filled(End::Closed).await;
    let (file, sums) = (dir.path().join("hookwright.redb"), dir.path().join("hookwright.redb.sums"));
    std::fs::write(&file, b"").unwrap();
    let refused = || Store::open(&options(dir.path())).err().unwrap().to_string();
    assert!(refused().contains("hookwright.redb.sums shows that there was a store"), "{}", refused());
    std::fs::remove_file(&file).unwrap();
    assert!(refused().contains("shows that there was a store"));
    std::fs::remove_file(&sums).unwrap();
    assert!(refused().contains("commit-log shows that there was a store"), "{}", refused());
    std::fs::remove_dir_all(dir.path().join("commit-log")).unwrap();
    std::fs::write(&file, b"").unwrap();
    std::fs::write(dir.path().join("secret.key"), b"x").unwrap();
    assert!(refused().contains("secret.key shows that there was a store"), "{}", refused());
    std::fs::remove_file(dir.path().join("secret.key")).unwrap();
    assert!(Store::open(&options(dir.path())).is_ok(), "an empty file alone is a new store");
    assert!(count > 0);
}

#[tokio::test]
async fn a_missing_or_wrong_secret_key_is_refused_and_a_new_one_is_made_for_a_new_store_only() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("secret.key");
    let store = Store::open(&options(dir.path())).unwrap();
    let vault = store.secrets.open_vault(&key, None).await.unwrap();
    let sealed = vault.seal(b"hush").unwrap();
    let text = std::fs::read_to_string(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let missing = store.secrets.open_vault(&key, None).await.unwrap_err();
    assert!(matches!(missing, VaultError::Missing(_)) && missing.to_string().contains("secret.key"), "{missing}");
    assert!(!key.exists(), "no new key is made");
    let other = Vault::open(&dir.path().join("other.key"), None).unwrap();
    assert!(other.open_sealed(&sealed).is_err());
    std::fs::rename(dir.path().join("other.key"), &key).unwrap();
    let wrong = store.secrets.open_vault(&key, None).await.unwrap_err();
    assert!(matches!(wrong, VaultError::Wrong(_)) && wrong.to_string().contains("secret.key"), "{wrong}");
    let wrong = store.secrets.open_vault(&key, Some(&"ab".repeat(32))).await.unwrap_err().to_string();
    assert!(wrong.contains("HOOKWRIGHT_SECRET_KEY"), "{wrong}");
    let vault = store.secrets.open_vault(&key, Some(&text)).await.unwrap();
    assert_eq!(vault.open_sealed(&sealed).unwrap(), b"hush", "the key in the variable counts before the file");

    store.secrets.reset_secret_key(&key, None).await.unwrap();
    assert!(store.secrets.open_vault(&key, None).await.unwrap().open_sealed(&sealed).is_err());
    assert!(store.secrets.open_vault(&key, Some(&text)).await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn the_store_s_files_are_accessible_to_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, count) = filled(End::Closed).await;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for file in ["hookwright.redb", "hookwright.redb.sums"] {
        std::fs::set_permissions(dir.path().join(file), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    assert_eq!(read_all(dir.path(), count).await, Ok(()));
    for file in ["hookwright.redb", "hookwright.redb.sums"] {
        let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// A real full disk: a small file system that another program fills.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_file_system_is_refused_and_used_again_when_there_is_space() {
    let disk = small_disk::SmallDisk::mount("24m");
    let folder = disk.path();
    for min_free_bytes in [None, Some(0)] {
        let store = Store::open(&StoreOptions { min_free_bytes, ..options(&folder) }).unwrap();
        let before = store.backlog.count();
        send(&store, &format!("before-{before}"), b"x").await.unwrap();
        let ballast = disk.fill();
        let mut taken = 0;
        let mut n = 0;
        let refused = loop {
            match send(&store, &format!("during-{before}-{n}"), &vec![7; 50_000]).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            n += 1;
            assert!(n < 2000, "it takes what has no place");
        };
        assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
        until("health", async || store.health().name() == "full").await;
        std::fs::remove_file(&ballast).unwrap();
        until("recovery", async || send(&store, &format!("after-{before}"), b"x").await.is_ok()).await;
        assert_eq!(store.backlog.count(), before + taken + 2);
        memory_fits(&store);
        store.close().await;
        drop(store);
        let store = Store::open(&options(&folder)).unwrap();
        assert_eq!(store.backlog.count(), before + taken + 2);
        store.close().await;
    }
}
