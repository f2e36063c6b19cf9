use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id: `prefix_` and 26 characters, a UUID version 7 (RFC 9562) in base 32, so that ids sort by creation.
pub fn unique(prefix: &str) -> String {
    let value = Uuid::now_v7().as_u128();
    let mut text = String::with_capacity(prefix.len() + 27);
    text.push_str(prefix);
    text.push('_');
    for place in (0..26).rev() {
        let digit = ((value >> (place * 5)) & 31) as usize;
        text.push(char::from(CROCKFORD.get(digit).copied().unwrap_or(b'0')));
    }
    text
}

/// The id of a space, a tenant. Every stored object belongs to exactly one. 1 to 64 of `a-z 0-9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(Arc<str>);

impl SpaceId {
    /// The default space, `main`.
    pub fn main() -> Self {
        Self(Arc::from("main"))
    }

    /// The id as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SpaceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if fits {
            Ok(Self(Arc::from(text)))
        } else {
            Err(format!("`{}` is not a valid space id: give 1 to 64 of a-z, 0-9, - and _", crate::abridged(text)))
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A new one.
            pub fn new() -> Self {
                Self(Arc::from(unique($prefix)))
            }

            /// The id as a string.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The id of an automation: `aut_...`.
    AutomationId,
    "aut"
);
text_id!(
    /// The id of a webhook: `whk_...`.
    WebhookId,
    "whk"
);
text_id!(
    /// The id of an API key: `key_...`. Not the key itself.
    KeyId,
    "key"
);
text_id!(
    /// The id of a source: `src_...`. Not the token in its URL.
    SourceId,
    "src"
);

macro_rules! event_part {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The event's sequence number in the journal.
            pub seq: u64,
            /// Its index among those of the event, counted from 0.
            pub ordinal: u32,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}_{}"), self.seq, self.ordinal)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or(())?;
                let (seq, ordinal) = rest.split_once('_').ok_or(())?;
                Ok(Self { seq: seq.parse().map_err(|_| ())?, ordinal: ordinal.parse().map_err(|_| ())? })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not a {}_ id", $prefix)))
            }
        }
    };
}

event_part!(
    /// The id of a run: `run_SEQ_N`.
    RunId,
    "run"
);
event_part!(
    /// The id of a delivery: `dlv_SEQ_N`.
    DeliveryId,
    "dlv"
);

impl RunId {
    /// The id of the run of a dry run. No event in the journal has this sequence number.
    pub const DRY_RUN: Self = Self { seq: 0, ordinal: 0 };
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SpaceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SpaceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_age_and_read_back() {
        let (first, second) = (unique("evt"), unique("evt"));
        assert!(first < second && first.len() == 30, "{first} {second}");
        let run = RunId { seq: 12, ordinal: 3 };
        assert_eq!(run.to_string().parse(), Ok(run));
        assert_eq!("dlv_1_2".parse::<RunId>(), Err(()));
    }

    #[test]
    fn a_space_id_is_short_and_plain() {
        for (text, fits) in [("main", true), ("a-b_9", true), ("", false), ("Main", false), ("a/b", false)] {
            assert_eq!(text.parse::<SpaceId>().is_ok(), fits, "{text}");
        }
        assert!("x".repeat(65).parse::<SpaceId>().is_err());
    }
}
