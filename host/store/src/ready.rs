//! The events that wait to be processed, by space: their journal positions, in memory, so that the next one is found
//! without reading the others, and so that spaces (tenants) take turns whatever the backlog of one of them. The work
//! itself is in the store; this index is rebuilt from it at every start.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// Waiting events and events in flight.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Spaces>);

#[derive(Default)]
struct Spaces {
    /// The spaces with events that wait, are in flight or are unfinished.
    spaces: HashMap<u32, Line>,
    /// Counts turns, so that spaces with the same number of events in flight take turns in order.
    turns: u64,
    backlog: usize,
}

/// The events of one space.
#[derive(Default)]
struct Line {
    waiting: VecDeque<u64>,
    /// The number of accepted events that are not finished, in flight or not.
    backlog: usize,
    in_flight: usize,
    last_turn: u64,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.backlog == 0 && self.in_flight == 0
    }
}

impl Ready {
    fn with<T>(&self, change: impl FnOnce(&mut Spaces) -> T) -> T {
        change(&mut self.0.lock())
    }

    /// Counts events that are about to be committed, in the order of the journal. A reader sees a commit before its
    /// writer goes on; counted afterwards, an event that is visible would be missing from the backlog for a moment.
    pub(crate) fn announce(&self, opened: Vec<(u32, u64)>) -> Announced<'_> {
        self.with(|ready| {
            for (space, _) in &opened {
                let line = ready.spaces.entry(*space).or_default();
                line.backlog = line.backlog.saturating_add(1);
            }
            ready.backlog = ready.backlog.saturating_add(opened.len());
        });
        Announced { ready: self, opened }
    }

    /// Records that events are finished, by the space of each.
    pub(crate) fn closed(&self, spaces: &[u32]) {
        self.with(|ready| spaces.iter().for_each(|space| ready.uncount(*space)));
    }

    /// The number of events that are not finished.
    pub(crate) fn backlog(&self) -> usize {
        self.with(|ready| ready.backlog)
    }

    /// The number of them in one space.
    pub(crate) fn backlog_of(&self, space: u32) -> usize {
        self.with(|ready| ready.spaces.get(&space).map_or(0, |line| line.backlog))
    }

    /// The next event: from the space with the fewest events in flight, and among several from the one whose last turn
    /// was longest ago. No space has more than `most` in flight.
    pub(crate) fn next(&self, most: usize) -> Option<(u32, u64)> {
        self.with(|ready| {
            let waiting = ready.spaces.iter_mut();
            let waiting = waiting.filter(|(_, line)| !line.waiting.is_empty() && line.in_flight < most);
            let (space, line) = waiting.min_by_key(|(_, line)| (line.in_flight, line.last_turn))?;
            let seq = line.waiting.pop_front()?;
            ready.turns = ready.turns.saturating_add(1);
            line.last_turn = ready.turns;
            line.in_flight = line.in_flight.saturating_add(1);
            Some((*space, seq))
        })
    }

    /// Puts an event that [`Ready::next`] returned at the front of its queue again.
    pub(crate) fn put_back(&self, space: u32, seq: u64) {
        self.with(|ready| {
            if let Some(line) = ready.spaces.get_mut(&space) {
                line.waiting.push_front(seq);
            }
        });
    }

    /// Ends a turn; returns whether events of the space wait.
    pub(crate) fn ended(&self, space: u32) -> bool {
        self.with(|ready| {
            let Some(line) = ready.spaces.get_mut(&space) else { return false };
            line.in_flight = line.in_flight.saturating_sub(1);
            let waits = !line.waiting.is_empty();
            if line.is_empty() {
                ready.spaces.remove(&space);
            }
            waits
        })
    }
}

impl Spaces {
    /// Takes an event of a space out of the backlog.
    fn uncount(&mut self, space: u32) {
        self.backlog = self.backlog.saturating_sub(1);
        if let Some(line) = self.spaces.get_mut(&space) {
            line.backlog = line.backlog.saturating_sub(1);
            if line.is_empty() {
                self.spaces.remove(&space);
            }
        }
    }
}

/// Events that are counted, but not processed before their commit has succeeded. Dropped, they are not counted any more.
pub(crate) struct Announced<'a> {
    ready: &'a Ready,
    opened: Vec<(u32, u64)>,
}

impl Announced<'_> {
    /// Makes the events available, and returns whether there are any.
    pub(crate) fn committed(mut self) -> bool {
        let opened = std::mem::take(&mut self.opened);
        self.ready.with(|ready| {
            for (space, seq) in &opened {
                ready.spaces.entry(*space).or_default().waiting.push_back(*seq);
            }
        });
        !opened.is_empty()
    }
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.ready.with(|ready| self.opened.iter().for_each(|(space, _)| ready.uncount(*space)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_before_their_commit_and_processed_after_it() {
        let ready = Ready::default();
        let announced = ready.announce(vec![(1, 1), (1, 2)]);
        assert_eq!((ready.backlog(), ready.backlog_of(1), ready.next(4)), (2, 2, None));
        assert!(announced.committed());
        assert_eq!((ready.backlog(), ready.next(4), ready.next(4)), (2, Some((1, 1)), Some((1, 2))));
        let failed = ready.announce(vec![(1, 3), (3, 4)]);
        assert_eq!((ready.backlog(), ready.backlog_of(1), ready.backlog_of(3)), (4, 3, 1));
        drop(failed);
        assert_eq!((ready.backlog(), ready.backlog_of(1), ready.backlog_of(3)), (2, 2, 0), "the commit failed");
        assert_eq!(ready.next(4), None);
        assert!(!ready.announce(Vec::new()).committed());
    }

    #[test]
    fn spaces_take_turns_and_none_holds_all_places() {
        let ready = Ready::default();
        let flood: Vec<(u32, u64)> = (0..100).map(|seq| (1, seq)).collect();
        assert!(ready.announce(flood).committed());
        assert!(ready.announce(vec![(2, 100), (3, 101), (2, 102)]).committed());
        assert_eq!((ready.backlog(), ready.backlog_of(1), ready.backlog_of(2)), (103, 100, 2));
        let mut order: Vec<(u32, u64)> = (0..6).map_while(|_| ready.next(4)).collect();
        let first: Vec<u32> = order.iter().take(3).map(|(space, _)| *space).collect();
        assert_eq!(
            first.iter().collect::<std::collections::HashSet<_>>().len(),
            3,
            "each has its turn first: {order:?}"
        );
        order.extend((0..100).map_while(|_| ready.next(4)));
        let of =
            |space: u32| order.iter().filter(|(other, _)| *other == space).map(|(_, seq)| *seq).collect::<Vec<_>>();
        assert_eq!(
            (of(1), of(2), of(3)),
            (vec![0, 1, 2, 3], vec![100, 102], vec![101]),
            "in order, at most four at once"
        );
        assert_eq!(ready.next(4), None);
        assert!(ready.ended(1));
        assert_eq!(ready.next(4), Some((1, 4)));
        assert!(!ready.ended(3));
        ready.closed(&[1, 2, 1, 1, 3, 2, 1, 1]);
        assert_eq!((ready.backlog(), ready.backlog_of(1), ready.backlog_of(3)), (95, 95, 0));
    }
}
