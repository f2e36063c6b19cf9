//! What every engine of the log has to do, as one suite. An engine's tests call [`check`] with a way to make a log that
//! is empty, and to open it again as after a crash.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, EntryHash, EntryId, EntryKind, Partition, Position};
use super::{Appended, Extent, Log, LogError};

/// A log under test.
pub(super) trait Subject {
    /// The open log.
    fn log(&self) -> Arc<dyn Log>;
    /// Opens it again, without closing it first.
    fn crash(&mut self);
}

/// Checks an engine; `subject` makes a log without entries.
pub(super) fn check<S: Subject>(subject: impl Fn() -> S) {
    entries_are_read_as_they_were_appended(&mut subject());
    a_position_is_taken_once(&mut subject());
    an_entry_that_does_not_follow_is_refused(&mut subject());
    of_several_writers_one_wins_each_position(&mut subject());
    a_stale_writer_cannot_append_behind_a_claim(&mut subject());
    reads_have_a_bound_in_bytes(&mut subject());
    partitions_are_independent(&mut subject());
    trimmed_entries_are_gone_and_the_last_one_stays(&mut subject());
}

/// The entry that follows an extent.
pub(super) fn next(partition: Partition, extent: Extent, id: EntryId, body: impl Into<Bytes>) -> Entry {
    Entry {
        partition,
        position: extent.last + 1,
        id,
        time_ms: 1_000 + i64::try_from(extent.last).unwrap(),
        kind: EntryKind::Writes,
        previous: extent.hash,
        body: body.into(),
    }
}

pub(super) fn id(epoch: u64, counter: u64) -> EntryId {
    EntryId { epoch, counter }
}

/// Appends this many entries, and returns them.
pub(super) fn fill(log: &dyn Log, partition: Partition, count: u64, bytes: usize) -> Vec<Entry> {
    (0..count)
        .map(|counter| {
            let extent = log.extent(partition).unwrap();
            let body: Vec<u8> =
                (0..bytes).map(|at| u8::try_from((at + usize::try_from(counter).unwrap()) % 251).unwrap()).collect();
            let entry = next(partition, extent, id(1, extent.last + counter), body);
            assert_eq!(log.append(&entry), Ok(Appended::Stored));
            entry
        })
        .collect()
}

/// Every entry that can be read.
pub(super) fn all(log: &dyn Log, partition: Partition) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut from = log.extent(partition).unwrap().first;
    loop {
        let read = log.read(partition, from, 1 << 20).unwrap();
        let Some(last) = read.last() else { return entries };
        from = last.position + 1;
        entries.extend(read);
    }
}

fn entries_are_read_as_they_were_appended(subject: &mut impl Subject) {
    let log = subject.log();
    assert_eq!(log.extent(0), Ok(Extent::EMPTY));
    assert_eq!(log.read(0, 1, 100), Ok(vec![]));
    let entries = fill(&*log, 0, 20, 1000);
    let positions: Vec<Position> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (1..=20).collect::<Vec<_>>());
    let extent = Extent { first: 1, last: 20, hash: entries[19].hash() };
    assert_eq!((log.extent(0), all(&*log, 0)), (Ok(extent), entries.clone()));
    drop(log);
    subject.crash();
    let log = subject.log();
    assert_eq!((log.extent(0), all(&*log, 0)), (Ok(extent), entries));
    assert_eq!(log.read(0, 21, 100), Ok(vec![]));
    fill(&*log, 0, 1, 0);
    assert_eq!(log.extent(0).unwrap().last, 21);
}

fn a_position_is_taken_once(subject: &mut impl Subject) {
    let log = subject.log();
    let first = next(0, Extent::EMPTY, id(1, 1), "first");
    let other = next(0, Extent::EMPTY, id(1, 2), "other");
    assert_eq!(log.append(&first), Ok(Appended::Stored));
    assert_eq!(log.append(&other), Ok(Appended::Taken(id(1, 1))));
    assert_eq!(log.append(&first), Ok(Appended::Stored), "who does not know the outcome asks again");
    fill(&*log, 0, 3, 10);
    assert_eq!((log.append(&other), log.append(&first)), (Ok(Appended::Taken(id(1, 1))), Ok(Appended::Stored)));
    drop(log);
    subject.crash();
    let log = subject.log();
    assert_eq!((log.append(&other), log.append(&first)), (Ok(Appended::Taken(id(1, 1))), Ok(Appended::Stored)));
    assert_eq!(all(&*log, 0).len(), 4);
}

fn an_entry_that_does_not_follow_is_refused(subject: &mut impl Subject) {
    let log = subject.log();
    fill(&*log, 0, 2, 10);
    let extent = log.extent(0).unwrap();
    let right = next(0, extent, id(1, 9), "right");
    let far = Entry { position: 4, ..right.clone() };
    assert_eq!(log.append(&far), Err(LogError::Gap { position: 4, last: 2 }));
    let forked = Entry { previous: EntryHash::NONE, ..right.clone() };
    assert_eq!(log.append(&forked), Err(LogError::Diverged(3)));
    assert_eq!(log.extent(0), Ok(extent), "nothing was stored");
    assert_eq!(log.append(&right), Ok(Appended::Stored));
}

fn of_several_writers_one_wins_each_position(subject: &mut impl Subject) {
    let log = subject.log();
    let writers = (1..=4).map(|epoch| {
        let log = subject.log();
        std::thread::spawn(move || {
            let mut won = Vec::new();
            for counter in 0..30 {
                let entry = next(0, log.extent(0).unwrap(), id(epoch, counter), format!("{epoch}/{counter}"));
                match log.append(&entry) {
                    Ok(Appended::Stored) => won.push((entry.position, entry.id)),
                    Ok(Appended::Taken(by)) => assert_ne!(by, entry.id),
                    Err(error) => panic!("{error}"),
                }
            }
            won
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut won: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    won.sort();
    let stored: Vec<_> = all(&*log, 0).iter().map(|entry| (entry.position, entry.id)).collect();
    assert_eq!(stored, won, "each position has its one winner, and nobody else");
    assert_eq!(stored.iter().map(|(position, _)| *position).collect::<BTreeSet<_>>().len(), stored.len());
}

fn a_stale_writer_cannot_append_behind_a_claim(subject: &mut impl Subject) {
    let log = subject.log();
    let claim = Entry { kind: EntryKind::Claim, ..next(0, Extent::EMPTY, id(1, 0), "") };
    assert_eq!(log.append(&claim), Ok(Appended::Stored));
    // The old leader has three entries ready, at the positions that it expects.
    let mut expected = log.extent(0).unwrap();
    let stale: Vec<Entry> = (1..=3)
        .map(|counter| {
            let entry = next(0, expected, id(1, counter), "stale");
            expected = Extent { last: entry.position, hash: entry.hash(), ..expected };
            entry
        })
        .collect();
    let taken_over = Entry { kind: EntryKind::Claim, ..next(0, log.extent(0).unwrap(), id(2, 0), "") };
    assert_eq!(log.append(&taken_over), Ok(Appended::Stored));
    let outcomes: Vec<_> = stale.iter().map(|entry| log.append(entry)).collect();
    let gap = LogError::Gap { position: 4, last: 2 };
    assert_eq!(outcomes, [Ok(Appended::Taken(id(2, 0))), Err(LogError::Diverged(3)), Err(gap)]);
    assert_eq!(all(&*log, 0), [claim, taken_over]);
}

fn reads_have_a_bound_in_bytes(subject: &mut impl Subject) {
    let log = subject.log();
    let entries = fill(&*log, 0, 10, 1000);
    let size = entries[0].encoded_len();
    assert_eq!(log.read(0, 3, size * 3 + 1).unwrap(), entries[2..5]);
    assert_eq!(log.read(0, 3, 0).unwrap(), entries[2..3], "one at least");
    assert!(matches!(log.read(0, 0, 10), Err(LogError::Trimmed { position: 0, first: 1 })));
}

fn partitions_are_independent(subject: &mut impl Subject) {
    let log = subject.log();
    let (left, right) = (fill(&*log, 3, 5, 10), fill(&*log, 255, 2, 10));
    assert_eq!((all(&*log, 3), all(&*log, 255)), (left.clone(), right.clone()));
    log.trim(3, 5).unwrap();
    drop(log);
    subject.crash();
    assert_eq!(all(&*subject.log(), 255), right);
    assert_eq!(subject.log().extent(3).unwrap().hash, left[4].hash());
    assert_eq!(subject.log().extent(4), Ok(Extent::EMPTY));
}

fn trimmed_entries_are_gone_and_the_last_one_stays(subject: &mut impl Subject) {
    let log = subject.log();
    let entries = fill(&*log, 0, 40, 60_000);
    log.trim(0, 30).unwrap();
    let extent = log.extent(0).unwrap();
    assert!(extent.first > 1 && extent.first <= 31, "{extent:?}");
    let from = usize::try_from(extent.first - 1).unwrap();
    assert_eq!(all(&*log, 0), entries[from..]);
    let trimmed = LogError::Trimmed { position: 1, first: extent.first };
    assert_eq!(log.read(0, 1, 10), Err(trimmed.clone()));
    assert_eq!(log.append(&entries[0]), Err(trimmed));
    log.trim(0, 10).unwrap();
    log.trim(0, 1_000).unwrap();
    assert_eq!(all(&*log, 0).last(), entries.last());
    drop(log);
    subject.crash();
    let log = subject.log();
    assert_eq!(all(&*log, 0).last(), entries.last());
    assert_eq!(log.extent(0).unwrap().last, 40);
    fill(&*log, 0, 2, 100);
    assert_eq!(log.extent(0).unwrap().last, 42);
}
