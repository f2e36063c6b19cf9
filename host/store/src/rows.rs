//! The encoding of rows.

pub(crate) mod run;

use bytes::Bytes;
use hookwright_model::{Attempt, Event, SpaceId, StoredNote, StoredRecord, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::tables::LogSummary;

/// An event's row: length of the envelope (4 bytes, little endian), the envelope as JSON, the payload as received.
pub(crate) fn event_row(event: &Event) -> Result<Vec<u8>, StoreError> {
    let mut row = Vec::with_capacity(event.payload.len().saturating_add(1024));
    row.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut row, event)?;
    let length = u32::try_from(row.len().saturating_sub(4)).map_err(|_| corrupt("an envelope of over 4 GiB"))?;
    if let Some(head) = row.get_mut(..4) {
        head.copy_from_slice(&length.to_le_bytes());
    }
    row.extend_from_slice(&event.payload);
    Ok(row)
}

pub(crate) fn read_event(space: &SpaceId, row: &[u8]) -> Result<Event, StoreError> {
    let (envelope, payload) = event_parts(row)?;
    let mut event: Event = serde_json::from_slice(envelope)?;
    event.space = space.clone();
    event.payload = Bytes::copy_from_slice(payload);
    Ok(event)
}

/// The payload in an event's row.
pub(crate) fn event_payload(row: &[u8]) -> Result<&[u8], StoreError> {
    Ok(event_parts(row)?.1)
}

/// The envelope and the payload in an event's row.
fn event_parts(row: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let (length, rest) = row.split_first_chunk::<4>().ok_or_else(|| corrupt("an event row without a head"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| corrupt("a head of over 4 GiB"))?;
    rest.split_at_checked(length).ok_or_else(|| corrupt("a truncated event row"))
}

/// A record's row: version (8 bytes, little endian), then JSON.
pub(crate) fn record_row(version: Version, json: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(json.len().saturating_add(8));
    row.extend_from_slice(&version.to_le_bytes());
    row.extend_from_slice(json);
    row
}

pub(crate) fn record_version(row: &[u8]) -> Result<Version, StoreError> {
    let (version, _) = row.split_first_chunk::<8>().ok_or_else(|| corrupt("a record row without a version"))?;
    Ok(Version::from_le_bytes(*version))
}

pub(crate) fn read_record(row: &[u8]) -> Result<StoredRecord, StoreError> {
    let (version, json) = row.split_first_chunk::<8>().ok_or_else(|| corrupt("a record row without a version"))?;
    Ok(StoredRecord { version: Version::from_le_bytes(*version), value: serde_json::from_slice(json)? })
}

/// A note's row: its JSON.
pub(crate) fn read_note(row: &[u8]) -> Result<StoredNote, StoreError> {
    let json = std::str::from_utf8(row).map_err(|_| corrupt("a note that is not UTF-8"))?;
    StoredNote::read(json).ok_or_else(|| corrupt("a truncated note"))
}

/// The summary of an attempt in the log, which is read without the attempt's row.
pub(crate) fn log_summary(queue: u64, attempt: &Attempt) -> LogSummary {
    (queue, attempt.outcome.status().unwrap_or(0), u8::from(attempt.outcome.succeeded()))
}

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    Ok(serde_json::to_vec(value)?)
}

pub(crate) fn read<T: DeserializeOwned>(row: &[u8]) -> Result<T, StoreError> {
    Ok(serde_json::from_slice(row)?)
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

#[cfg(test)]
mod properties;
