//! An entry of the log, and its encoding, which is the same in every engine:
//!
//! ```text
//! version 1 | kind 1 | partition 2 | encoding of the body 1 | zero 3 | position 8 | epoch 8 | counter 8
//! | leader's time, ms 8 | hash of the entry before 16 | body
//! ```
//!
//! Numbers are little endian. The hash of an entry is the XXH3 (128 bits) of all that.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use twox_hash::XxHash3_128;

/// Identifies a partition.
pub type Partition = u16;
/// The place of an entry in its partition, from 1.
pub type Position = u64;

const VERSION: u8 = 1;
/// The body as it is.
const PLAIN: u8 = 0;
/// The number of bytes before the body.
pub(super) const HEAD: usize = 56;

/// The hash of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryHash(u128);

impl EntryHash {
    /// Of the entry before the first one.
    pub const NONE: Self = Self(0);

    pub(super) fn of(encoded: &[u8]) -> Self {
        Self(XxHash3_128::oneshot(encoded))
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for EntryHash {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Debug for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Identifies an entry, whatever position it gets: the epoch of the leader that made it, and a number that the leader
/// uses once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The epoch, which increases with each claim.
    pub epoch: u64,
    /// The number within the epoch.
    pub counter: u64,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A leader begins its epoch. Entries of earlier epochs that follow are void.
    Claim,
    /// A group of operations wrote this.
    Writes,
    /// A replica has made everything up to a position durable.
    Checkpoint,
}

impl EntryKind {
    fn code(self) -> u8 {
        match self {
            Self::Claim => 1,
            Self::Writes => 2,
            Self::Checkpoint => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        [Self::Claim, Self::Writes, Self::Checkpoint].into_iter().find(|kind| kind.code() == code)
    }
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its partition.
    pub partition: Partition,
    /// Its place there.
    pub position: Position,
    /// What identifies it.
    pub id: EntryId,
    /// The leader's time when it was made, in milliseconds since 1970. Never before that of the entry before it.
    pub time_ms: i64,
    /// What it says.
    pub kind: EntryKind,
    /// The hash of the entry before it.
    pub previous: EntryHash,
    /// The content, by kind.
    pub body: Bytes,
}

impl Entry {
    /// The number of bytes of its encoding.
    pub fn encoded_len(&self) -> usize {
        HEAD.saturating_add(self.body.len())
    }

    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&[VERSION, self.kind.code()]);
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&[PLAIN, 0, 0, 0]);
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.id.epoch.to_le_bytes());
        out.extend_from_slice(&self.id.counter.to_le_bytes());
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(&self.previous.to_bytes());
        out.extend_from_slice(&self.body);
    }

    /// The hash that the next entry names.
    pub fn hash(&self) -> EntryHash {
        let mut encoded = Vec::new();
        self.encode(&mut encoded);
        EntryHash::of(&encoded)
    }

    /// Reads an encoding. `None`: it is none, or of a version that is not known.
    pub fn decode(encoded: &Bytes) -> Option<Self> {
        let number = |at: usize| chunk::<8>(encoded, at).map(u64::from_le_bytes);
        let [version, kind, first, second, encoding, ..] = chunk::<8>(encoded, 0)?;
        if version != VERSION || encoding != PLAIN {
            return None;
        }
        Some(Self {
            partition: u16::from_le_bytes([first, second]),
            position: number(8)?,
            id: EntryId { epoch: number(16)?, counter: number(24)? },
            time_ms: chunk::<8>(encoded, 32).map(i64::from_le_bytes)?,
            kind: EntryKind::of(kind)?,
            previous: EntryHash::from_bytes(chunk(encoded, 40)?),
            body: (encoded.len() >= HEAD).then(|| encoded.slice(HEAD..))?,
        })
    }
}

/// The bytes at an offset.
pub(super) fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let kind = prop_oneof![Just(EntryKind::Claim), Just(EntryKind::Writes), Just(EntryKind::Checkpoint)];
        let body = proptest::collection::vec(any::<u8>(), 0..300);
        (any::<u16>(), any::<u64>(), any::<(u64, u64)>(), any::<i64>(), kind, any::<u128>(), body).prop_map(
            |(partition, position, (epoch, counter), time_ms, kind, previous, body)| Entry {
                partition,
                position,
                id: EntryId { epoch, counter },
                time_ms,
                kind,
                previous: EntryHash(previous),
                body: body.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn entries_are_decoded_as_they_were_encoded(entry in entry()) {
            let mut encoded = Vec::new();
            entry.encode(&mut encoded);
            prop_assert_eq!(encoded.len(), entry.encoded_len());
            prop_assert_eq!(Entry::decode(&encoded.into()), Some(entry));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Entry::decode(&bytes.into());
        }
    }

    #[test]
    fn an_entry_of_another_version_or_encoding_is_not_read() {
        let entry = Entry {
            partition: 1,
            position: 2,
            id: EntryId { epoch: 3, counter: 4 },
            time_ms: 5,
            kind: EntryKind::Writes,
            previous: EntryHash(6),
            body: Bytes::from_static(b"body"),
        };
        let mut encoded = Vec::new();
        entry.encode(&mut encoded);
        for (at, value) in [(0, 2), (1, 9), (4, 1)] {
            let mut other = encoded.clone();
            other[at] = value;
            assert_eq!(Entry::decode(&other.into()), None, "byte {at}");
        }
        assert_eq!(Entry::decode(&Bytes::copy_from_slice(&encoded[..HEAD - 1])), None);
        // The encoding is a file format: it stays as it is.
        let wanted = "0102010000000000020000000000000003000000000000000400000000000000050000000000000006000000000000000000000000000000626f6479";
        assert_eq!(encoded.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), wanted);
    }
}
