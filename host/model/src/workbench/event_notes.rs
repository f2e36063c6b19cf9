//! The notes that events of a ticket contain.

use crate::StoredNote;

/// Maximum number of notes in a ticket that is read as a whole.
pub(super) const MAX_NOTES_PER_TICKET: usize = 100;
/// Maximum size of the notes in an event of a ticket, in bytes of JSON.
pub(super) const MAX_EVENT_NOTES_BYTES: usize = 256 * 1024;

/// Maximum size in bytes of the notes of a ticket in an event.
pub(super) fn event_notes_size(notes: &[StoredNote]) -> usize {
    notes.iter().map(StoredNote::size).fold(0, usize::saturating_add).min(MAX_EVENT_NOTES_BYTES)
}

/// The JSON of the newest of these notes, as many as an event contains. `None`: it contains none.
pub(super) fn event_notes(notes: &[&StoredNote]) -> Option<String> {
    let mut room = MAX_EVENT_NOTES_BYTES;
    let newest = notes.iter().rev().take(MAX_NOTES_PER_TICKET).take_while(|note| {
        let size = note.json().len();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let first = notes.len().saturating_sub(newest.count());
    let shown = notes.get(first..).filter(|shown| !shown.is_empty())?;
    let sizes = shown.iter().map(|note| note.json().len().saturating_add(1));
    let mut text = String::with_capacity(sizes.fold(1, usize::saturating_add));
    for note in shown {
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(note.json());
    }
    text.push(']');
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_oldest_notes_are_left_out_where_there_are_too_many_or_too_large_ones() {
        let shown = |sizes: &[usize]| -> Vec<usize> {
            let note = |size: &usize| StoredNote::from(&json!("x".repeat(size - 2)));
            let notes: Vec<StoredNote> = sizes.iter().map(note).collect();
            let json = event_notes(&notes.iter().collect::<Vec<_>>());
            let texts: Vec<String> = json.map(|json| serde_json::from_str(&json).unwrap()).unwrap_or_default();
            texts.iter().map(|text| text.len() + 2).collect()
        };
        assert_eq!(shown(&[]), Vec::<usize>::new());
        assert_eq!(shown(&[3, MAX_EVENT_NOTES_BYTES]), [MAX_EVENT_NOTES_BYTES]);
        assert_eq!(shown(&[3, MAX_EVENT_NOTES_BYTES - 4, 4]), [MAX_EVENT_NOTES_BYTES - 4, 4]);
        assert_eq!(
            shown(&[3, MAX_EVENT_NOTES_BYTES, 3]),
            [3],
            "what is older than one that does not fit is left out too"
        );
        assert_eq!(shown(&[MAX_EVENT_NOTES_BYTES + 1]), Vec::<usize>::new());
        let many: Vec<usize> = (3..3 + MAX_NOTES_PER_TICKET + 20).collect();
        assert_eq!(shown(&many), many[20..]);
    }
}
