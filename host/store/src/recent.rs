//! The newest events that wait to be processed or delivered, so that they are not read and decoded again for each run and
//! each delivery. What is not here is read from the database.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hookwright_model::Event;
use parking_lot::Mutex;

/// The maximum number of events,
const MOST: usize = 8192;
/// and of their bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The space and the position in the journal.
pub(crate) type Place = (u32, u64);

/// An event of a commit, with about the number of its bytes.
pub(crate) type Newest = (Place, Arc<Event>, usize);

#[derive(Default)]
pub(crate) struct Recent(Mutex<Known>);

#[derive(Default)]
struct Known {
    events: HashMap<Place, (Arc<Event>, usize)>,
    /// The oldest first.
    order: VecDeque<Place>,
    bytes: usize,
}

impl Recent {
    /// Adds the events of a commit that has succeeded: before that another one could get their places.
    pub(crate) fn add(&self, newest: Vec<Newest>) {
        let mut known = self.0.lock();
        for (place, event, bytes) in newest {
            known.order.push_back(place);
            known.bytes = known.bytes.saturating_add(bytes);
            known.events.insert(place, (event, bytes));
        }
        while known.order.len() > MOST || known.bytes > MOST_BYTES {
            let Some(oldest) = known.order.pop_front() else { return };
            if let Some((_, bytes)) = known.events.remove(&oldest) {
                known.bytes = known.bytes.saturating_sub(bytes);
            }
        }
    }

    pub(crate) fn get(&self, place: Place) -> Option<Arc<Event>> {
        self.0.lock().events.get(&place).map(|(event, _)| Arc::clone(event))
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::{EventDraft, SpaceId, Timestamp};

    use super::*;

    #[test]
    fn the_oldest_are_forgotten_beyond_a_number_and_beyond_a_size() {
        let draft = EventDraft { event_type: "x".to_owned(), source: "x".to_owned(), ..EventDraft::default() };
        let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).map(Arc::new).unwrap();
        let recent = Recent::default();
        let add = |seq, bytes| recent.add(vec![((1, seq), Arc::clone(&event), bytes)]);
        let most = u64::try_from(MOST).unwrap();
        (0..=most).for_each(|seq| add(seq, 1));
        assert!(recent.get((1, 0)).is_none() && recent.get((1, 1)).is_some() && recent.get((2, 1)).is_none());
        add(most + 1, MOST_BYTES - 10);
        assert!(recent.get((1, most - 10)).is_none() && recent.get((1, most - 9)).is_some());
        add(most + 2, MOST_BYTES * 2);
        let known = recent.0.lock();
        assert_eq!(
            (known.order.len(), known.events.len(), known.bytes),
            (0, 0, 0),
            "it is larger than all that is kept"
        );
    }
}
