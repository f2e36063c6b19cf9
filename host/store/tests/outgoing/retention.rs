//! What is removed, and what stays.

use hookwright_model::{DeliveryState, SpaceId};
use hookwright_store::{AttemptQuery, Page, Store};

use crate::{END, at, delivered, event, failed, get, open, queue, queued, record, reopen, to, tried};

fn logged(store: &Store) -> Vec<i64> {
    let query =
        AttemptQuery { from: None, until: None, queue: None, succeeded: None, status: None, keep: &|_, _| true };
    let part = store.attempts.attempt_log(&SpaceId::main(), &query, Page { before: None, limit: 1000 }).unwrap();
    part.items.iter().map(|(_, attempt)| attempt.started_at.millis()).collect()
}

#[tokio::test]
async fn old_attempts_are_removed_and_then_their_finished_deliveries() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let finished = queue(&store, 1, vec![to(1, None)]).await.remove(0);
    let pending = queue(&store, 2, vec![to(1, None)]).await.remove(0);
    let young = queue(&store, 3, vec![to(1, None)]).await.remove(0);
    record(&store, 100, vec![failed(&finished, 100, 150), failed(&pending, 100, 9000), failed(&young, 100, 150)]).await;
    record(&store, 200, vec![tried(&get(&store, finished.id), 200, 500, DeliveryState::Dead, None)]).await;
    record(&store, 300, vec![delivered(&get(&store, young.id), 300)]).await;
    assert_eq!(store.attempts.attempt_count().unwrap(), 5);
    assert_eq!(store.attempts.sweep_attempts(at(100), u64::MAX, 100).await, Ok(0));
    assert_eq!(store.attempts.sweep_attempts(at(300), u64::MAX, 4).await, Ok(4));
    assert!(store.deliveries.delivery(&main, finished.id).unwrap().is_some());
    assert_eq!(store.attempts.sweep_attempts(at(300), u64::MAX, 4).await, Ok(1), "the delivery that has none left");
    assert_eq!(store.attempts.sweep_attempts(at(300), u64::MAX, 100).await, Ok(0));
    assert!(store.deliveries.delivery(&main, finished.id).unwrap().is_none());
    assert_eq!(logged(&store), [300]);
    assert_eq!(store.attempts.attempts(&main, young.id).unwrap().len(), 1);
    assert_eq!(store.attempts.attempt_count().unwrap(), 1);
    assert_eq!(get(&store, pending.id).attempts, 1, "a pending one stays, and knows how often it was tried");
    assert_eq!(queued(&store, 1), [pending.id]);
}

#[tokio::test]
async fn the_oldest_attempts_beyond_the_limit_are_removed_first() {
    let (dir, store) = open();
    let other: SpaceId = "other".parse().unwrap();
    for n in 0..10 {
        let made = queue(&store, n, vec![to(1, None)]).await.remove(0);
        record(&store, n * 10, vec![delivered(&made, n * 10)]).await;
        let mut new = event(n, vec![to(1, None)]);
        new.event.space = other.clone();
        let seq = store.events.append(vec![new]).await.unwrap()[0].seq;
        let made = store.deliveries.deliveries_of(&other, seq).unwrap().remove(0);
        let mut commit = crate::commit(n, vec![delivered(&made, n * 10 + 5)]);
        commit.space = other.clone();
        store.attempts.record_attempts(commit).await.unwrap();
    }
    assert_eq!(store.attempts.sweep_attempts(at(0), 7, 4).await, Ok(4), "at most so many in a commit");
    assert_eq!(store.attempts.attempt_count().unwrap(), 16);
    store.close().await;
    drop(store);
    let store = reopen(&dir);
    while store.attempts.sweep_attempts(at(0), 7, 4).await.unwrap() > 0 {}
    assert_eq!(store.attempts.attempt_count().unwrap(), 7, "counted over restarts, over all spaces");
    assert_eq!(logged(&store), [90, 80, 70]);
    assert_eq!(
        store.deliveries.deliveries(&SpaceId::main(), Page { before: None, limit: 50 }, &|_| true).unwrap().items.len(),
        10
    );
    while store.attempts.sweep_attempts(END, u64::MAX, 4).await.unwrap() > 0 {}
    assert_eq!(store.attempts.attempt_count().unwrap(), 0);
    assert!(store.deliveries.deliveries(&other, Page { before: None, limit: 50 }, &|_| true).unwrap().items.is_empty());
}

#[tokio::test]
async fn a_dead_letter_without_an_attempt_is_removed_too() {
    let (_dir, store) = open();
    let made = queue(&store, 1, vec![to(1, None)]).await.remove(0);
    let mut dropped = tried(&made, 500, 0, DeliveryState::Dropped, None);
    dropped.attempt = None;
    record(&store, 500, vec![dropped]).await;
    assert_eq!(store.attempts.sweep_attempts(at(500), 0, 10).await, Ok(0));
    assert_eq!(store.attempts.sweep_attempts(at(501), 0, 10).await, Ok(1));
    assert!(store.deliveries.delivery(&SpaceId::main(), made.id).unwrap().is_none());
}

#[tokio::test]
async fn a_delivery_is_retained_as_long_as_its_attempts() {
    let (_dir, store) = open();
    let made = queue(&store, 1, vec![to(1, None)]).await.remove(0);
    // The clock was put back between the two.
    record(&store, 900, vec![failed(&made, 900, 901)]).await;
    record(&store, 200, vec![delivered(&get(&store, made.id), 200)]).await;
    while store.attempts.sweep_attempts(at(500), u64::MAX, 10).await.unwrap() > 0 {}
    assert_eq!((get(&store, made.id).attempts, logged(&store)), (2, vec![900]));
    while store.attempts.sweep_attempts(at(1000), u64::MAX, 10).await.unwrap() > 0 {}
    assert!(store.deliveries.delivery(&SpaceId::main(), made.id).unwrap().is_none());
}
