//! Frames: entries in a segment's file.
//!
//! ```text
//! magic 4 | length of the entry 4 | hash of the entry 16 | check 8 | entry | zeros to a multiple of 8
//! ```
//!
//! The check is the XXH3 (64 bits) of the 24 bytes before it, with the segment's seed. The seed is random, so that
//! neither what the file contained before, nor an event that contains bytes like these, is ever taken for a frame.

use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::entry::{Entry, EntryHash, chunk};

const MAGIC: [u8; 4] = *b"hwle";
/// The number of bytes before the entry.
pub(super) const FRAME_HEAD: usize = 32;
/// Frames begin at multiples of this.
const ALIGN: usize = 8;
/// The largest entry. The writer keeps a group of operations below it.
pub(crate) const MAX_ENTRY: usize = 256 * 1024 * 1024;

/// The number of bytes of the frame of an entry of this size.
pub(super) fn frame_len(entry: usize) -> usize {
    FRAME_HEAD.saturating_add(entry).next_multiple_of(ALIGN)
}

/// Writes the frame of an entry into a buffer, in place of what is there; returns the entry's hash.
pub(super) fn write_frame(entry: &Entry, seed: u64, frame: &mut Vec<u8>) -> EntryHash {
    frame.clear();
    frame.reserve(frame_len(entry.encoded_len()));
    frame.resize(FRAME_HEAD, 0);
    entry.encode(frame);
    let encoded = frame.get(FRAME_HEAD..).unwrap_or_default();
    let (length, hash) = (u32::try_from(encoded.len()).unwrap_or(u32::MAX), EntryHash::of(encoded));
    let head = head(length, hash, seed);
    for (byte, new) in frame.iter_mut().zip(head) {
        *byte = new;
    }
    frame.resize(frame.len().next_multiple_of(ALIGN), 0);
    hash
}

fn head(length: u32, hash: EntryHash, seed: u64) -> [u8; FRAME_HEAD] {
    let mut head = [0; FRAME_HEAD];
    let checked = MAGIC.into_iter().chain(length.to_le_bytes()).chain(hash.to_bytes());
    for (byte, new) in head.iter_mut().zip(checked) {
        *byte = new;
    }
    let check = XxHash3_64::oneshot_with_seed(seed, head.get(..24).unwrap_or_default());
    for (byte, new) in head.iter_mut().skip(24).zip(check.to_le_bytes()) {
        *byte = new;
    }
    head
}

/// A frame that was read.
pub(super) struct Frame {
    pub(super) entry: Entry,
    pub(super) hash: EntryHash,
    /// The offset of the next one.
    pub(super) next: usize,
}

/// The frame at an offset of a segment's content. `None`: there is none that is intact.
pub(super) fn frame_at(content: &Bytes, offset: usize, seed: u64) -> Option<Frame> {
    let found: [u8; FRAME_HEAD] = chunk(content, offset)?;
    let length = chunk(&found, 4).map(u32::from_le_bytes)?;
    let hash = EntryHash::from_bytes(chunk(&found, 8)?);
    if found != head(length, hash, seed) {
        return None;
    }
    let from = offset.checked_add(FRAME_HEAD)?;
    let to = from.checked_add(usize::try_from(length).ok()?)?;
    if to > content.len() {
        return None;
    }
    let encoded = content.slice(from..to);
    if EntryHash::of(&encoded) != hash {
        return None;
    }
    Some(Frame { entry: Entry::decode(&encoded)?, hash, next: to.next_multiple_of(ALIGN) })
}

/// The first frame after an offset at which none is intact.
pub(super) fn frame_after(content: &Bytes, offset: usize, seed: u64) -> Option<(usize, Frame)> {
    let mut at = offset.next_multiple_of(ALIGN);
    while let Some(rest) = content.get(at..).filter(|rest| rest.len() >= FRAME_HEAD) {
        if rest.starts_with(&MAGIC)
            && let Some(frame) = frame_at(content, at, seed)
        {
            return Some((at, frame));
        }
        at = at.saturating_add(ALIGN);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::entry::{EntryId, EntryKind};
    use super::*;

    fn framed(entry: &Entry, seed: u64) -> (Vec<u8>, EntryHash) {
        let mut frame = b"of an entry before".to_vec();
        let hash = write_frame(entry, seed, &mut frame);
        (frame, hash)
    }

    fn entry(position: u64, body: &'static [u8]) -> Entry {
        Entry {
            partition: 0,
            position,
            id: EntryId { epoch: 1, counter: position },
            time_ms: 0,
            kind: EntryKind::Writes,
            previous: EntryHash::NONE,
            body: Bytes::from_static(body),
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_and_no_bit_of_it_can_flip() {
        let (frame, hash) = framed(&entry(1, b"a body"), 7);
        assert_eq!((frame.len(), hash), (frame_len(entry(1, b"a body").encoded_len()), entry(1, b"a body").hash()));
        let found = frame_at(&frame.clone().into(), 0, 7).unwrap();
        assert_eq!((found.entry, found.hash, found.next), (entry(1, b"a body"), hash, frame.len()));
        let used = FRAME_HEAD + entry(1, b"a body").encoded_len();
        for bit in 0..used * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(frame_at(&flipped.into(), 0, 7).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_segment_is_none() {
        let (frame, _) = framed(&entry(1, b"a body"), 7);
        assert!(frame_at(&frame.into(), 0, 8).is_none());
    }

    #[test]
    fn a_later_frame_is_found_behind_bytes_that_are_none() {
        let (first, _) = framed(&entry(1, b"first"), 7);
        let (second, _) = framed(&entry(2, b"second"), 7);
        let mut content = [first.clone(), second].concat();
        content[FRAME_HEAD + 60] ^= 1;
        let content = Bytes::from(content);
        assert!(frame_at(&content, 0, 7).is_none());
        let (at, found) = frame_after(&content, 0, 7).unwrap();
        assert_eq!((at, found.entry.position), (first.len(), 2));
        assert!(frame_after(&content, at + 1, 7).is_none());
        // Frames inside a body are those of nobody who knows the seed.
        let (inner, _) = framed(&entry(9, b"forged"), 8);
        assert!(frame_after(&[vec![0; 8], inner].concat().into(), 0, 7).is_none());
    }
}
