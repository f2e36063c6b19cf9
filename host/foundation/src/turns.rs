//! Turns: a change that has conflicted queues for the record or value that it conflicted on, instead of racing for it.
//!
//! A first try takes no turn, so that steps without conflicts never wait for one another. A step whose re-run had to send
//! another request than its first try, since what it sends depends on what it reads, takes its turn before its first try
//! for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::{Event, Run, SpaceId};
use parking_lot::Mutex;

use crate::keyed_locks::{KeyedGuard, KeyedLocks};

/// How many records and values one step waits for at most.
const MAX_KEYS: usize = 16;

/// How many steps are remembered as contended: they take their turn before their first try.
const MAX_CONTENDED: usize = 1000;

/// For how long a step stays contended.
const CONTENDED_FOR: Duration = Duration::from_secs(60);

/// What a turn is for: a record or a stored value of a space, as the store names it in a conflict.
type Key = (SpaceId, String);

/// A step of an automation for events about one subject: automation, step, subject.
type ContendedStep = (SpaceId, String, u32, Option<String>);

/// The queues, one for each record or value that a change waits for.
#[derive(Clone, Default)]
pub struct Turns(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queues: KeyedLocks<Key>,
    contended: Mutex<HashMap<ContendedStep, (BTreeSet<String>, Instant)>>,
}

/// A turn, which ends when this is dropped.
type Turn = Vec<KeyedGuard<Key>>;

impl Turns {
    /// Waits for a turn at all of `keys`.
    async fn take(&self, space: &SpaceId, keys: &BTreeSet<String>) -> Turn {
        let mut turn = Vec::with_capacity(keys.len());
        // All changes lock the keys in the same order, so that there is no deadlock.
        for key in keys {
            turn.push(self.0.queues.lock(&(space.clone(), key.clone())).await);
        }
        turn
    }

    /// The line of a change that has not conflicted yet.
    pub(crate) fn line(&self, space: &SpaceId) -> Line {
        Line { turns: self.clone(), space: space.clone(), keys: BTreeSet::new(), turn: None, conflicts: 0 }
    }

    /// The line of a run's next step, which takes its turn before its first try if the step is contended.
    pub fn line_of(&self, run: &Run, event: &Event) -> Line {
        let mut line = self.line(&run.space);
        let mut contended = self.0.contended.lock();
        if !contended.is_empty() {
            let step = contended_step(run, event);
            match contended.get(&step) {
                Some((keys, until)) if *until > Instant::now() => line.keys.clone_from(keys),
                Some(_) => {
                    contended.remove(&step);
                }
                None => {}
            }
        }
        line
    }

    /// Marks a run's next step as contended: it takes its turn before its first try.
    pub fn take_first(&self, run: &Run, event: &Event, line: &Line) {
        let (now, mut contended) = (Instant::now(), self.0.contended.lock());
        if contended.len() >= MAX_CONTENDED {
            contended.retain(|_, (_, until)| *until > now);
        }
        if contended.len() < MAX_CONTENDED {
            contended.insert(contended_step(run, event), (line.keys.clone(), now + CONTENDED_FOR));
        }
    }
}

fn contended_step(run: &Run, event: &Event) -> ContendedStep {
    (run.space.clone(), run.automation.to_string(), run.next_step, event.subject.clone())
}

/// The turns of one change, from its first try until it commits.
pub struct Line {
    turns: Turns,
    space: SpaceId,
    keys: BTreeSet<String>,
    turn: Option<Turn>,
    conflicts: u32,
}

impl Line {
    /// Whether the change has to take its turn before its first try.
    pub fn is_contended(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Waits for the turn, if the change needs one.
    pub async fn wait(&mut self) {
        if self.turn.is_none() && !self.keys.is_empty() {
            self.turn = Some(self.turns.take(&self.space, &self.keys).await);
        }
    }

    /// Records what the change conflicted on. It keeps its turn if it already has one for that.
    pub fn conflicted(&mut self, key: String) {
        self.conflicts = self.conflicts.saturating_add(1);
        if self.keys.contains(&key) {
            return;
        }
        if self.keys.len() >= MAX_KEYS {
            self.keys.clear();
        }
        self.keys.insert(key);
        // Released before the wait for all keys: another key may come before the held ones in the order of locking.
        self.turn = None;
    }

    /// How often the change has conflicted.
    pub fn conflicts(&self) -> u32 {
        self.conflicts
    }

    /// Releases the turn for a pause.
    pub fn step_back(&mut self) {
        self.turn = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_has_a_turn_at_a_key_and_unused_queues_are_dropped() {
        let (turns, main) = (Turns::default(), SpaceId::main());
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let change = |n: usize| {
            let (turns, main, inside, most) = (turns.clone(), main.clone(), Arc::clone(&inside), Arc::clone(&most));
            async move {
                let mut line = turns.line(&main);
                // In any order of conflicts: there is no deadlock.
                for key in if n.is_multiple_of(2) { ["ticket/1", "kv/p/a"] } else { ["kv/p/a", "ticket/1"] } {
                    line.conflicted(key.to_owned());
                    line.wait().await;
                    tokio::task::yield_now().await;
                }
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let all: Vec<_> = (0..50).map(|n| tokio::spawn(change(n))).collect();
        for one in all {
            tokio::time::timeout(Duration::from_secs(120), one).await.expect("nobody waits for ever").unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
        assert!(turns.0.queues.count() == 0);
    }

    #[tokio::test]
    async fn other_keys_and_other_spaces_do_not_wait() {
        let turns = Turns::default();
        let held = |space: SpaceId, key: &str| {
            let mut line = turns.line(&space);
            line.conflicted(key.to_owned());
            async move {
                tokio::time::timeout(Duration::from_millis(50), line.wait()).await.ok()?;
                Some(line)
            }
        };
        let first = held(SpaceId::main(), "ticket/1").await.expect("it is free");
        assert!(held(SpaceId::main(), "ticket/2").await.is_some());
        assert!(held("other".parse().unwrap(), "ticket/1").await.is_some());
        assert!(held(SpaceId::main(), "ticket/1").await.is_none());
        assert_eq!(turns.0.queues.count(), 1, "who no longer waits leaves nothing behind");
        drop(first);
        assert!(held(SpaceId::main(), "ticket/1").await.is_some());
        assert!(turns.0.queues.count() == 0);
    }
}
