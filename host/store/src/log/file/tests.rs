use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;

use super::super::conformance::{self, Subject, all, fill, id, next};
use super::*;
use crate::disk::trouble::Kind;

struct Files {
    folder: TempDir,
    medium: Medium,
    log: Option<Arc<FileLog>>,
}

impl Files {
    fn new() -> Self {
        let mut files = Self { folder: tempfile::tempdir().unwrap(), medium: Medium::default(), log: None };
        files.crash();
        files
    }

    fn options(&self) -> FileLogOptions {
        FileLogOptions { segment_bytes: 512 * 1024, ..FileLogOptions::new(self.folder.path().join("log")) }
    }

    fn open(&self) -> Result<FileLog, LogError> {
        FileLog::open_on(self.medium.clone(), self.options())
    }

    fn partition(&self) -> PathBuf {
        self.folder.path().join("log/p00000")
    }

    /// The segments, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.partition()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        files.sort();
        files
    }

    fn spares(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.partition()).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("spare-")).collect()
    }

    fn close(&mut self) {
        self.log = None;
    }
}

impl Subject for Files {
    fn log(&self) -> Arc<dyn Log> {
        Arc::clone(self.log.as_ref().unwrap()) as Arc<dyn Log>
    }

    fn crash(&mut self) {
        self.close();
        self.log = Some(Arc::new(self.open().unwrap()));
    }
}

/// Replaces the content of a file.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut content = fs::read(path).unwrap();
    change(&mut content);
    fs::write(path, content).unwrap();
}

#[test]
fn files_keep_the_contract() {
    conformance::check(Files::new);
}

#[test]
fn a_log_is_open_once() {
    let files = Files::new();
    let error = files.open().err().unwrap();
    assert!(matches!(error, LogError::InUse(_)), "{error}");
}

/// After any failure of the disk at any of its operations, what was acknowledged is there, what was not is not, and
/// appends go on.
#[test]
fn a_failed_append_is_decided_by_recovery() {
    for kind in [Kind::Full, Kind::WriteFails, Kind::ReadOnly, Kind::Torn, Kind::FlushFails] {
        for after in 0..12 {
            // Few bytes stay in a segment, many need a new one.
            for bytes in [10, 200_000] {
                let mut files = Files::new();
                let log = files.log();
                let mut entries = fill(&*log, 0, 2, bytes);
                files.medium.trouble.begin(kind, after);
                let refused = loop {
                    let entry = next(0, log.extent(0).unwrap(), id(2, 7), vec![9; bytes]);
                    match log.append(&entry) {
                        Ok(outcome) => assert_eq!(outcome, Appended::Stored),
                        Err(error) => break error,
                    }
                    entries.push(entry);
                };
                assert_eq!(matches!(refused, LogError::Full(_)), kind == Kind::Full, "{kind:?} {after}: {refused}");
                let again = log.append(&next(0, log.extent(0).unwrap(), id(2, 8), "again"));
                assert!(matches!(again, Err(LogError::Failed(_))), "{kind:?} {after}: {again:?}");
                assert_eq!(all(&*log, 0), entries, "{kind:?} {after}: reads go on");
                assert!(log.recover().is_err(), "{kind:?} {after}: the disk still fails");
                files.medium.trouble.end();
                log.recover().unwrap();
                entries.extend(fill(&*log, 0, 3, bytes));
                assert_eq!(all(&*log, 0), entries, "{kind:?} {after} {bytes}");
                drop(log);
                files.crash();
                assert_eq!(all(&*files.log(), 0), entries, "{kind:?} {after} {bytes}");
            }
        }
    }
}

#[test]
fn a_crash_after_a_failed_append_loses_nothing_that_was_acknowledged() {
    for kind in [Kind::Torn, Kind::FlushFails] {
        for after in 0..8 {
            let mut files = Files::new();
            let log = files.log();
            let entries = fill(&*log, 0, 2, 150_000);
            files.medium.trouble.begin(kind, after);
            let mut tried = entries.clone();
            loop {
                tried.push(next(0, log.extent(0).unwrap(), id(2, 7), vec![9; 150_000]));
                if log.append(tried.last().unwrap()).is_err() {
                    break;
                }
            }
            files.medium.trouble.end();
            drop(log);
            files.crash();
            let found = all(&*files.log(), 0);
            assert!(found == tried || found == tried[..tried.len() - 1], "{kind:?} {after}: {}", found.len());
            fill(&*files.log(), 0, 3, 150_000);
        }
    }
}

#[test]
fn a_torn_last_entry_is_cut_off_unless_it_was_acknowledged() {
    let mut files = Files::new();
    let entries = fill(&*files.log(), 0, 3, 100);
    files.close();
    let segment = files.segments().pop().unwrap();
    let (whole, noted) = (fs::read(&segment).unwrap(), fs::read(files.partition().join("acknowledged")).unwrap());
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let frame = entries[2].encoded_len() + 32;
    // Where the last frame begins, give or take the zeros that fill it up.
    let begins = (64..used).rev().find(|at| whole[*at..].starts_with(b"hwle")).unwrap();
    assert!(used - begins <= frame, "{used} {begins}");
    for cut in begins..used {
        for fill_with in [0, 0xa5] {
            let mut torn = whole.clone();
            if torn[cut..used].iter().all(|byte| *byte == fill_with) {
                continue;
            }
            torn[cut..].fill(fill_with);
            fs::write(&segment, torn).unwrap();
            fs::write(files.partition().join("acknowledged"), &noted).unwrap();
            let error = files.open().err().unwrap();
            assert!(error.to_string().contains("position 3 was acknowledged"), "{cut}: {error}");
            fs::remove_file(files.partition().join("acknowledged")).unwrap();
            let log = files.open().unwrap();
            assert_eq!(all(&log, 0), entries[..2], "{cut}");
            assert_eq!(log.append(&entries[2]), Ok(Appended::Stored));
            drop(log);
            assert_eq!(all(&files.open().unwrap(), 0), entries, "{cut}");
        }
    }
}

#[test]
fn damage_in_the_middle_is_refused_with_its_place() {
    let mut files = Files::new();
    fill(&*files.log(), 0, 3, 100);
    files.close();
    let segment = files.segments().pop().unwrap();
    let whole = fs::read(&segment).unwrap();
    let last = (64..whole.len()).rev().find(|at| whole[*at..].starts_with(b"hwle")).unwrap();
    for at in 0..last - 8 {
        change(&segment, |content| {
            content.clone_from(&whole);
            content[at] ^= 0x10;
        });
        // Bytes of the head behind its check, and those that fill up a frame, mean nothing.
        match files.open() {
            Ok(log) => assert_eq!(all(&log, 0).len(), 3, "{at}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("is damaged at byte") && text.contains("Restore a copy"), "{at}: {text}");
                assert!(text.contains(segment.to_str().unwrap()), "{at}: {text}");
            }
        }
    }
    let unnoticed = (0..last - 8).filter(|at| {
        change(&segment, |content| {
            content.clone_from(&whole);
            content[*at] ^= 0x10;
        });
        files.open().is_ok()
    });
    assert!(unnoticed.count() < 8 + 2 * 8, "only what fills up");
}

#[test]
fn a_missing_segment_is_refused() {
    let mut files = Files::new();
    fill(&*files.log(), 0, 40, 60_000);
    files.close();
    let segments = files.segments();
    assert!(segments.len() >= 4, "{segments:?}");
    let hidden = segments[1].with_extension("hidden");
    fs::rename(&segments[1], &hidden).unwrap();
    let error = files.open().err().unwrap().to_string();
    assert!(error.contains("does not follow position"), "{error}");
    fs::rename(&hidden, &segments[1]).unwrap();
    let last = segments.last().unwrap();
    fs::rename(last, &hidden).unwrap();
    let error = files.open().err().unwrap().to_string();
    assert!(error.contains("position 40 was acknowledged"), "{error}");
    fs::rename(&hidden, last).unwrap();
    assert_eq!(all(&files.open().unwrap(), 0).len(), 40);
}

#[test]
fn a_segment_in_another_place_is_refused() {
    let mut files = Files::new();
    fill(&*files.log(), 0, 1, 10);
    fill(&*files.log(), 1, 1, 10);
    files.close();
    let segment = files.segments().pop().unwrap();
    let other = files.folder.path().join("log/p00001").join(segment.file_name().unwrap());
    fs::copy(&segment, other).unwrap();
    let error = files.open().err().unwrap().to_string();
    assert!(error.contains("the segment of another place"), "{error}");
}

#[test]
fn a_later_format_is_refused() {
    let mut files = Files::new();
    fill(&*files.log(), 0, 1, 10);
    files.close();
    change(&files.segments().pop().unwrap(), |content| {
        content[8] = 2;
        let check = twox_hash::XxHash3_64::oneshot(&content[..48]).to_le_bytes();
        content[48..56].copy_from_slice(&check);
    });
    let error = files.open().err().unwrap();
    assert!(error.to_string().contains("log format 2, this version reads 1"), "{error}");
}

#[test]
fn segments_grow_are_used_again_and_do_not_pile_up() {
    let mut files = Files::new();
    let mut names = BTreeSet::new();
    for round in 0..30 {
        let log = files.log();
        let entries = fill(&*log, 0, 10, 40_000);
        log.prepare().unwrap();
        log.trim(0, entries[5].position).unwrap();
        names.extend(files.segments());
        let sizes: Vec<u64> = files.segments().iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        assert!(sizes.len() <= 4 && sizes.iter().all(|size| (256 * 1024..=512 * 1024).contains(size)), "{sizes:?}");
        let files_there = fs::read_dir(files.partition()).unwrap().count();
        assert!(files_there <= sizes.len() + 5, "four spare ones, and what was acknowledged: {files_there}");
        drop(log);
        if round % 7 == 0 {
            // What a reused segment contained before is not taken for entries.
            files.crash();
        }
        let left = all(&*files.log(), 0);
        assert_eq!(left[left.len() - 4..], entries[6..]);
    }
    assert!(names.len() > 10, "{names:?}");
}

#[test]
fn an_entry_can_be_larger_than_a_segment() {
    let mut files = Files::new();
    let log = files.log();
    let small = fill(&*log, 0, 1, 10);
    let large = next(0, log.extent(0).unwrap(), id(1, 5), vec![7; 3 << 20]);
    assert_eq!(log.append(&large), Ok(Appended::Stored));
    let after = fill(&*log, 0, 1, 10);
    drop(log);
    files.crash();
    assert_eq!(all(&*files.log(), 0), [small, vec![large], after].concat());
    let most = super::super::frame::MAX_ENTRY;
    let extent = files.log().extent(0).unwrap();
    let huge = next(0, extent, id(1, 6), Bytes::from(vec![0; most]));
    assert!(matches!(files.log().append(&huge), Err(LogError::TooLarge { .. })));
    fill(&*files.log(), 0, 1, 10);
}

#[test]
fn names_of_files_are_those_of_no_other() {
    assert_eq!(
        (number_of("p00007"), number_of("p7"), number_of("p99999"), number_of("lock")),
        (Some(7), None, None, None)
    );
    assert_eq!(name_of(65535), "p65535");
}

/// The disk as it is on Linux: after a failed flush what was written is read, and no later flush writes it.
#[test]
fn a_power_failure_after_a_failed_flush_loses_nothing_that_was_acknowledged_or_replayed() {
    for after in 0..8 {
        // One is in the page of the entry before it, one in many pages, one needs a new segment.
        for bytes in [10, 20_000, 200_000] {
            for recovers in [true, false] {
                let what = format!("{after} {bytes} {recovers}");
                let mut files = Files::new();
                let mut log = files.log();
                let mut entries = fill(&*log, 0, 3, bytes);
                let trouble = Arc::clone(&files.medium.trouble);
                trouble.tell_apart(files.folder.path());
                trouble.begin(Kind::FlushFails, after);
                let refused = loop {
                    let entry = next(0, log.extent(0).unwrap(), id(2, 7), vec![9; bytes]);
                    if log.append(&entry).is_err() {
                        break entry;
                    }
                    entries.push(entry);
                };
                trouble.end();
                if recovers {
                    log.recover().unwrap();
                } else {
                    // The process is killed, and the next one reads what is in memory.
                    drop(log);
                    files.crash();
                    log = files.log();
                    let read = all(&*log, 0);
                    if read.len() > entries.len() {
                        entries.push(refused);
                    }
                    assert_eq!(read, entries, "{what}");
                }
                entries.extend(fill(&*log, 0, 1, 10));
                drop(log);
                files.close();
                trouble.lose_power(files.folder.path());
                files.crash();
                assert_eq!(all(&*files.log(), 0), entries, "{what}");
                fill(&*files.log(), 0, 2, bytes);
            }
        }
    }
}

#[test]
fn a_replayed_entry_survives_a_power_failure_before_the_next_append() {
    let mut files = Files::new();
    let log = files.log();
    let mut entries = fill(&*log, 0, 2, 20_000);
    let trouble = Arc::clone(&files.medium.trouble);
    trouble.tell_apart(files.folder.path());
    // It is written, and not flushed.
    trouble.begin(Kind::FlushFails, 1);
    entries.push(next(0, log.extent(0).unwrap(), id(2, 7), vec![9; 20_000]));
    assert!(log.append(&entries[2]).is_err());
    drop(log);
    files.close();
    // An opening on which nothing can be built is none.
    assert!(matches!(files.open(), Err(LogError::Io(_))));
    trouble.end();
    files.crash();
    assert_eq!(all(&*files.log(), 0), entries);
    files.close();
    trouble.lose_power(files.folder.path());
    files.crash();
    assert_eq!(all(&*files.log(), 0), entries);
}

/// There are no other files than those of the segments that the log knows, four spare ones, and what was acknowledged.
fn nothing_is_left_behind(files: &Files) {
    let first =
        files.segments().first().map(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(first, Some(files.log().extent(0).unwrap().first));
    let there = fs::read_dir(files.partition()).unwrap().map(|file| file.unwrap().path());
    let others: Vec<_> = there.filter(|path| path.extension().is_none_or(|end| end != "log")).collect();
    let is_known = |path: &PathBuf| path.ends_with("acknowledged") || files.spares().contains(path);
    assert!(others.iter().all(is_known) && files.spares().len() <= 4, "{others:?}");
}

#[test]
fn a_trim_that_fails_halfway_leaves_no_gap_and_the_next_one_succeeds() {
    // With and without a spare segment, since the first file that is not needed becomes one.
    for (kind, prepares) in [(Kind::RemoveFails, true), (Kind::RemoveFails, false), (Kind::FlushFails, false)] {
        for after in [0, 1, 3] {
            for crashes in [false, true] {
                let what = format!("{kind:?} {prepares} {after} {crashes}");
                let mut files = Files::new();
                let mut log = files.log();
                let mut entries = fill(&*log, 0, 90, 60_000);
                if prepares {
                    while files.spares().is_empty() {
                        entries.extend(fill(&*log, 0, 1, 60_000));
                        log.prepare().unwrap();
                    }
                }
                let before = files.segments().len();
                assert!(before >= 10, "{before}");
                files.medium.trouble.begin(kind, after);
                let done = log.trim(0, 85);
                // Names are flushed once.
                assert_eq!(done.is_ok(), kind == Kind::FlushFails && after > 0, "{what}: {done:?}");
                files.medium.trouble.end();
                let removed = before - files.segments().len();
                let spared = usize::try_from(after).unwrap();
                // Up to four more can have become spare ones.
                assert!(kind == Kind::FlushFails || (spared..=spared + 4).contains(&removed), "{what}: {removed}");
                let from = |log: &dyn Log| usize::try_from(log.extent(0).unwrap().first - 1).unwrap();
                assert_eq!(all(&*log, 0), entries[from(&*log)..], "{what}");
                nothing_is_left_behind(&files);
                entries.extend(fill(&*log, 0, 2, 60_000));
                if crashes {
                    drop(log);
                    files.crash();
                    log = files.log();
                }
                assert_eq!(all(&*log, 0), entries[from(&*log)..], "{what}");
                log.trim(0, 85).unwrap();
                assert!(from(&*log) > 70, "{what}: {}", from(&*log));
                nothing_is_left_behind(&files);
                entries.extend(fill(&*log, 0, 20, 60_000));
                drop(log);
                files.crash();
                assert_eq!(all(&*files.log(), 0), entries[from(&*files.log())..], "{what}");
            }
        }
    }
}
