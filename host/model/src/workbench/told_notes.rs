//! The notes that events of a ticket contain.

use crate::StoredNote;

/// Maximum number of notes in a ticket that is read as a whole.
pub(super) const NOTES_SHOWN: usize = 100;
/// Maximum size of the notes in an event of a ticket, in bytes of JSON.
pub(super) const NOTES_TOLD: usize = 256 * 1024;

/// Maximum size in bytes of the notes of a ticket in an event.
pub(super) fn told_size(notes: &[StoredNote]) -> usize {
    notes.iter().map(StoredNote::size).fold(0, usize::saturating_add).min(NOTES_TOLD)
}

/// The JSON of the newest of these notes, as many as an event contains. `None`: it contains none.
pub(super) fn told_notes(notes: &[&StoredNote]) -> Option<String> {
    let mut room = NOTES_TOLD;
    let newest = notes.iter().rev().take(NOTES_SHOWN).take_while(|note| {
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
            let json = told_notes(&notes.iter().collect::<Vec<_>>());
            let texts: Vec<String> = json.map(|json| serde_json::from_str(&json).unwrap()).unwrap_or_default();
            texts.iter().map(|text| text.len() + 2).collect()
        };
        assert_eq!(shown(&[]), Vec::<usize>::new());
        assert_eq!(shown(&[3, NOTES_TOLD]), [NOTES_TOLD]);
        assert_eq!(shown(&[3, NOTES_TOLD - 4, 4]), [NOTES_TOLD - 4, 4]);
        assert_eq!(shown(&[3, NOTES_TOLD, 3]), [3], "what is older than one that does not fit is left out too");
        assert_eq!(shown(&[NOTES_TOLD + 1]), Vec::<usize>::new());
        let many: Vec<usize> = (3..3 + NOTES_SHOWN + 20).collect();
        assert_eq!(shown(&many), many[20..]);
    }
}
