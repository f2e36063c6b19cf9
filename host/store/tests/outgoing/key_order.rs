//! Random operations compared with a simple model: of the deliveries of one key at most one is in flight, they are sent
//! in the order of their events, and none is lost.

use std::collections::{BTreeMap, BTreeSet};

use hookwright_model::{Delivery, DeliveryId, DeliveryState, Purpose, SpaceId};
use hookwright_store::{Store, Tried};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use crate::{END, at, get, open, queue, queued, record, reopen, to, tried};

const QUEUES: u64 = 2;

/// The model: for each queue and key, the unfinished deliveries, the oldest first, and those that were skipped.
#[derive(Default)]
struct Model {
    /// Unfinished deliveries with a key, in order.
    lines: BTreeMap<(u64, String), Vec<DeliveryId>>,
    /// Those that are retried while the next of their key is sent.
    passed: BTreeSet<DeliveryId>,
    /// Unfinished deliveries without a key.
    free: BTreeMap<DeliveryId, u64>,
    finished: BTreeSet<DeliveryId>,
    /// The order in which each queue was processed.
    order: BTreeMap<(u64, String), Vec<DeliveryId>>,
}

impl Model {
    /// The content of a queue by this model.
    fn ready(&self, queue: u64) -> BTreeSet<DeliveryId> {
        let free = self.free.iter().filter(|(_, of)| **of == queue).map(|(id, _)| *id);
        let mut ready: BTreeSet<DeliveryId> = free.collect();
        for ((of, _), line) in &self.lines {
            if *of == queue {
                ready.extend(line.iter().filter(|id| self.passed.contains(id)));
                ready.extend(line.iter().find(|id| !self.passed.contains(id)));
            }
        }
        ready
    }

    fn add(&mut self, delivery: &Delivery) {
        match &delivery.key {
            Some(key) => self.lines.entry((delivery.queue, key.clone())).or_default().push(delivery.id),
            None => drop(self.free.insert(delivery.id, delivery.queue)),
        }
    }

    fn finish(&mut self, delivery: &Delivery) {
        assert!(self.finished.insert(delivery.id), "{} was finished twice", delivery.id);
        self.passed.remove(&delivery.id);
        match &delivery.key {
            Some(key) => {
                let line = (delivery.queue, key.clone());
                self.lines.get_mut(&line).unwrap().retain(|id| *id != delivery.id);
                self.order.entry(line).or_default().push(delivery.id);
            }
            None => drop(self.free.remove(&delivery.id).unwrap()),
        }
    }

    fn check(&self, store: &Store) {
        for queue in 0..QUEUES {
            let rows = queued(store, queue);
            let ready: BTreeSet<DeliveryId> = rows.iter().copied().collect();
            assert_eq!(ready.len(), rows.len(), "no delivery lies in a queue twice");
            assert_eq!(ready, self.ready(queue));
            let waiting: usize =
                self.lines.iter().filter(|((of, _), _)| *of == queue).map(|(_, line)| line.len()).sum();
            let all = waiting + self.free.values().filter(|of| **of == queue).count();
            assert_eq!(store.queues.queue_length(&SpaceId::main(), queue, 1_000_000).unwrap(), all);
        }
    }
}

/// A dispatcher that executes random operations one after the other.
struct Play {
    dir: TempDir,
    store: Store,
    dice: StdRng,
    model: Model,
    under_way: BTreeMap<DeliveryId, Delivery>,
    now: i64,
    skip: bool,
}

impl Play {
    async fn append(&mut self) {
        let count = self.dice.random_range(1..4);
        let new = (0..count).map(|_| {
            let key = [None, Some("a"), Some("b"), Some("")][self.dice.random_range(0..4)];
            let mut new = to(self.dice.random_range(0..QUEUES), key);
            new.wait_ms = self.dice.random_range(0..3);
            new
        });
        let new = new.collect();
        for delivery in queue(&self.store, self.now, new).await {
            self.model.add(&delivery);
        }
    }

    fn claim(&mut self) {
        let queue = self.dice.random_range(0..QUEUES);
        let ready = self.store.queues.queued(&SpaceId::main(), queue, END, 50).unwrap();
        if ready.is_empty() {
            return;
        }
        let (due, id) = &ready[self.dice.random_range(0..ready.len())];
        let delivery = get(&self.store, *id);
        assert_eq!(delivery.next_attempt_at, Some(*due), "the queue and the row agree");
        if let Some(key) = delivery.key.clone().filter(|_| !self.skip) {
            let same = |other: &&Delivery| other.queue == queue && other.key.as_ref() == Some(&key) && other.id != *id;
            assert_eq!(self.under_way.values().filter(same).count(), 0, "two of one key under way");
        }
        self.under_way.insert(*id, delivery);
    }

    fn outcome(&mut self, delivery: &Delivery) -> Tried {
        let state = match self.dice.random_range(0..10) {
            0 => DeliveryState::Dead,
            1 => DeliveryState::Parked,
            2 => DeliveryState::Dropped,
            3..6 => DeliveryState::Pending,
            _ => DeliveryState::Delivered,
        };
        let next = (state == DeliveryState::Pending).then(|| self.now + self.dice.random_range(0..20));
        let mut tried = tried(delivery, self.now, 500, state, next);
        tried.release_key = self.skip && state == DeliveryState::Pending;
        tried
    }

    async fn report(&mut self) {
        let count = self.dice.random_range(1..4);
        let ids: Vec<DeliveryId> = self.under_way.keys().copied().take(count).collect();
        let mut tries = Vec::new();
        let mut expected = 0;
        for id in ids {
            let delivery = self.under_way.remove(&id).unwrap();
            let tried = self.outcome(&delivery);
            // Rescheduled, or reported by a stale worker, in the meantime.
            if get(&self.store, id).attempts == delivery.attempts && !self.model.finished.contains(&id) {
                expected += 1;
                if tried.delivery.state != DeliveryState::Pending {
                    self.model.finish(&tried.delivery);
                } else if tried.release_key && delivery.key.is_some() {
                    self.model.passed.insert(id);
                }
            }
            tries.push(tried);
        }
        if !tries.is_empty() {
            assert_eq!(record(&self.store, self.now, tries).await, expected);
        }
    }

    async fn meddle(&mut self) {
        let queue = self.dice.random_range(0..QUEUES);
        let Some(id) = queued(&self.store, queue).first().copied() else { return };
        assert!(self.store.queues.queue_again(&SpaceId::main(), id, at(self.now + 7)).await.unwrap());
    }

    async fn repeat(&mut self) {
        let Some(id) = self.model.finished.iter().next_back().copied() else { return };
        let again = self.store.deliveries.redeliver(&SpaceId::main(), id, at(self.now), Purpose::Redelivery).await;
        self.model.add(&again.unwrap().unwrap());
    }

    /// The process restarts: the new one does not know what was in flight, and reads the queue again.
    async fn restart(self) -> Self {
        self.store.close().await;
        let Self { dir, store, dice, model, now, skip, .. } = self;
        drop(store);
        let store = reopen(&dir);
        Self { dir, store, dice, model, under_way: BTreeMap::new(), now, skip }
    }

    async fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.store.queues.queues().unwrap().is_empty() {
                return;
            }
            self.now += 1;
            self.claim();
            self.report().await;
        }
        panic!("the queues do not get empty: {:?}", self.store.queues.queues());
    }
}

async fn play(seed: u64, skip: bool) {
    let (dir, store) = open();
    let dice = StdRng::seed_from_u64(seed);
    let (model, under_way) = (Model::default(), BTreeMap::new());
    let mut play = Play { dir, store, dice, model, under_way, now: 1000, skip };
    for _ in 0..150 {
        play.now += play.dice.random_range(0..3);
        match play.dice.random_range(0..100) {
            0..30 => play.append().await,
            30..60 => play.claim(),
            60..88 => play.report().await,
            88..93 => play.meddle().await,
            93..97 => play.repeat().await,
            _ => play = play.restart().await,
        }
        play.model.check(&play.store);
    }
    play.drain().await;
    play.model.check(&play.store);
    assert!(play.model.free.is_empty() && play.model.lines.values().all(Vec::is_empty), "something was lost");
    assert!(!play.model.finished.is_empty());
    for id in &play.model.finished {
        assert_ne!(get(&play.store, *id).state, DeliveryState::Pending);
    }
    for line in play.model.order.values().filter(|_| !skip) {
        assert!(line.is_sorted(), "out of order: {line:?}");
    }
}

#[tokio::test]
async fn one_delivery_per_key_is_in_flight_in_event_order_and_none_is_lost() {
    for seed in 0..5 {
        play(seed, false).await;
    }
}

#[tokio::test]
async fn no_delivery_is_lost_when_failures_are_skipped() {
    for seed in 100..105 {
        play(seed, true).await;
    }
}
