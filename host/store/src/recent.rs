//! The newest events that wait to be processed or delivered, and what is to be done for them, so that they are not read and
//! decoded again for each run and each delivery. What is not here is read from the database.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hookwright_model::Event;
use parking_lot::Mutex;

use crate::work::WorkRow;

/// The maximum number of events,
const MOST: usize = 8192;
/// and of their bytes.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The space and the position in the journal.
pub(crate) type Place = (u32, u64);

/// An event of a commit.
pub(crate) struct Newest {
    pub(crate) place: Place,
    pub(crate) event: Arc<Event>,
    /// What is to be done for it, until somebody has taken that.
    pub(crate) work: Option<WorkRow>,
    /// About how many bytes both have.
    pub(crate) bytes: usize,
}

#[derive(Default)]
pub(crate) struct Recent(Mutex<Known>);

#[derive(Default)]
struct Known {
    events: HashMap<Place, Newest>,
    /// The oldest first.
    order: VecDeque<Place>,
    bytes: usize,
}

impl Recent {
    /// Adds the events of a commit that has succeeded: before that another one could get their places.
    pub(crate) fn add(&self, newest: Vec<Newest>) {
        let mut known = self.0.lock();
        for new in newest {
            known.order.push_back(new.place);
            known.bytes = known.bytes.saturating_add(new.bytes);
            known.events.insert(new.place, new);
        }
        while known.order.len() > MOST || known.bytes > MOST_BYTES {
            let Some(oldest) = known.order.pop_front() else { return };
            if let Some(forgotten) = known.events.remove(&oldest) {
                known.bytes = known.bytes.saturating_sub(forgotten.bytes);
            }
        }
    }

    pub(crate) fn get(&self, place: Place) -> Option<Arc<Event>> {
        self.0.lock().events.get(&place).map(|known| Arc::clone(&known.event))
    }

    /// Takes what is to be done for an event, once: later that may have changed.
    pub(crate) fn take_work(&self, place: Place) -> Option<WorkRow> {
        self.0.lock().events.get_mut(&place)?.work.take()
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
        let work = || WorkRow { space: SpaceId::main(), automations: Vec::new(), lanes: Vec::new() };
        let add = |seq, bytes| {
            let event = Arc::clone(&event);
            recent.add(vec![Newest { place: (1, seq), event, work: Some(work()), bytes }]);
        };
        let most = u64::try_from(MOST).unwrap();
        (0..=most).for_each(|seq| add(seq, 1));
        assert!(recent.get((1, 0)).is_none() && recent.get((1, 1)).is_some() && recent.get((2, 1)).is_none());
        assert!(recent.take_work((1, 1)).is_some() && recent.take_work((1, 1)).is_none());
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
