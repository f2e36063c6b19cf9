//! The file as redb sees it, and what of it is on the disk.

use super::*;

const MOST: u64 = 24;

struct File {
    folder: tempfile::TempDir,
    disk: Arc<Disk>,
    seen: DiskBackend,
    /// The content that it must have.
    wanted: Vec<u8>,
}

impl File {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let disk = Arc::new(Disk::new(&path, Sums::load(&path).unwrap().0));
        let seen = disk.backend(true).unwrap();
        disk.start().unwrap();
        Self { folder, disk, seen, wanted: Vec::new() }
    }

    fn set_len(&mut self, blocks: u64) {
        self.wanted.resize(usize::try_from(blocks * BLOCK).unwrap(), 0);
        self.seen.set_len(blocks * BLOCK).unwrap();
    }

    fn write(&mut self, block: u64, byte: u8) {
        let from = usize::try_from(block * BLOCK).unwrap();
        self.wanted[from..from + block_len()].fill(byte);
        self.seen.write(block * BLOCK, &vec![byte; block_len()]).unwrap();
    }

    /// What redb reads must be right, whatever of it is on the disk.
    fn reads_right(&self, when: &str) {
        assert_eq!(self.seen.len().unwrap(), u64::try_from(self.wanted.len()).unwrap(), "{when}");
        let mut read = vec![7; self.wanted.len()];
        self.seen.read(0, &mut read).unwrap();
        assert!(read == self.wanted, "{when}: {:?}", first_bytes(&read));
    }

    /// And so must the file, its checksums, and those that the next start reads.
    fn is_right(&self, when: &str) {
        self.disk.settle().unwrap();
        self.reads_right(when);
        let path = self.folder.path().join("store");
        let found = std::fs::read(&path).unwrap();
        assert!(found == self.wanted, "{when}: {:?}", first_bytes(&found));
        let again = Sums::load(&path).unwrap().0;
        for sums in [self.disk.sums(), &again] {
            assert!(sums.fits(&path).unwrap(), "{when}");
            assert_eq!(sums.compare(&path).unwrap(), [0; 0], "{when}");
            assert!(sums.wrong(0, &found).is_none(), "{when}");
            assert!(found.is_empty() || sums.wrong(0, &vec![0xee; block_len()]) == Some(0), "{when}: it is known");
        }
    }
}

fn first_bytes(content: &[u8]) -> Vec<u8> {
    content.chunks(block_len()).map(|block| block[0]).collect()
}

#[test]
fn what_is_behind_the_end_is_gone_when_the_file_shrinks_while_writes_are_behind() {
    for (flushes, grows) in [(false, 0), (true, 0), (false, 12), (true, 12), (true, MOST), (false, MOST)] {
        let when = format!("flushes {flushes}, grows to {grows}");
        let mut file = File::new();
        file.set_len(20);
        (0..20).for_each(|block| file.write(block, 1));
        file.seen.sync_data().unwrap();
        file.is_right(&when);
        file.disk.trouble.hold();
        // Blocks of a batch that waits, and of one that is open.
        [3, 7, 9, 15, 19].into_iter().for_each(|block| file.write(block, 2));
        file.seen.sync_data().unwrap();
        [4, 8, 10, 16].into_iter().for_each(|block| file.write(block, 3));
        file.set_len(8);
        file.reads_right(&when);
        if flushes {
            file.seen.sync_data().unwrap();
        }
        if grows > 0 {
            file.set_len(grows);
            file.reads_right(&when);
            file.write(9, 4);
            file.reads_right(&when);
        }
        file.seen.sync_data().unwrap();
        file.reads_right(&when);
        file.disk.trouble.release();
        file.is_right(&when);
        file.write(2, 5);
        file.seen.sync_data().unwrap();
        file.is_right(&when);
    }
}

#[test]
fn a_file_of_any_history_is_what_was_written_to_it() {
    let mut random = 7_u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for round in 0..60 {
        let mut file = File::new();
        file.set_len(4);
        for step in 0..80 {
            let when = format!("round {round}, step {step}");
            let blocks = u64::try_from(file.wanted.len()).unwrap() / BLOCK;
            match next(10) {
                0 => file.set_len(1 + next(MOST)),
                1 => file.disk.trouble.hold(),
                2 => file.disk.trouble.release(),
                3 | 4 => file.seen.sync_data().unwrap(),
                _ => file.write(next(blocks), u8::try_from(1 + next(250)).unwrap()),
            }
            file.reads_right(&when);
        }
        file.disk.trouble.release();
        file.write(0, 9);
        file.seen.sync_data().unwrap();
        file.is_right(&format!("round {round}"));
    }
}

#[test]
fn nobody_waits_for_a_writer_that_panicked() {
    let mut file = File::new();
    file.set_len(2);
    file.write(1, 1);
    file.disk.trouble.begin(trouble::Kind::WritePanics, 0);
    file.seen.sync_data().unwrap();
    let (told, answer) = std::sync::mpsc::channel();
    let disk = Arc::clone(&file.disk);
    std::thread::spawn(move || told.send(disk.settle().is_err()));
    assert_eq!(answer.recv_timeout(Duration::from_secs(60)), Ok(true));
    assert!(matches!(file.disk.failure(), Some(DiskFailure::Io(_))));
}

#[test]
fn what_a_killed_process_had_begun_to_write_is_written_again_at_the_next_opening() {
    let mut file = File::new();
    file.set_len(4);
    (0..4).for_each(|block| file.write(block, 1));
    file.seen.sync_data().unwrap();
    file.is_right("before");
    [1, 3].into_iter().for_each(|block| file.write(block, 2));
    file.disk.trouble.begin(trouble::Kind::FlushFails, 0);
    file.seen.sync_data().unwrap();
    assert!(file.disk.settle().is_err() && file.disk.has_unsure_blocks());
    // What the killed process knew is gone.
    let path = file.folder.path().join("store");
    let next = Disk::new(&path, Sums::load(&path).unwrap().0);
    assert_eq!(*next.unsure.lock(), BTreeSet::from([1, 3]));
    next.write_again().unwrap();
    assert!(!next.has_unsure_blocks());
    let after = Sums::load(&path).unwrap().0;
    assert_eq!((after.begun(), after.compare(&path).unwrap()), (Vec::new(), Vec::new()));
    assert_eq!(after.wrong(BLOCK, &vec![9; block_len()]), Some(1), "its checksum is known");
}
