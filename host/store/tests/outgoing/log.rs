//! The log of attempts.

use hookwright_model::{Attempt, AttemptOutcome, Delivery, DeliveryState, SpaceId};
use hookwright_store::{AttemptQuery, LogCursor, Page, Store};

use crate::{at, attempt, failed, get, open, queue, record, to, tried};

fn all() -> AttemptQuery<'static> {
    AttemptQuery { from: None, until: None, queue: None, succeeded: None, status: None, keep: &|_, _| true }
}

/// Every page of the log that a query returns, as (start, queue).
fn read(store: &Store, query: &AttemptQuery<'_>, limit: usize) -> Vec<(i64, u64)> {
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let part = store.attempts.attempt_log(&SpaceId::main(), query, Page { before, limit }).unwrap();
        assert!(part.items.len() <= limit);
        seen.extend(part.items.iter().map(|(d, a): &(Delivery, Attempt)| (a.started_at.millis(), d.queue)));
        before = part.next;
        if before.is_none() {
            return seen;
        }
    }
}

/// Attempts at 100, 200, ... 600: to webhook 1 at odd hundreds, to webhook 2 at even ones; 200, 500, no response by
/// turns.
async fn fill(store: &Store) {
    for n in 1..=6_u64 {
        let made = queue(store, 1, vec![to(1 + (n + 1) % 2, None)]).await.remove(0);
        let now = i64::try_from(n).unwrap() * 100;
        let mut tried = match n % 3 {
            1 => tried(&made, now, 200, DeliveryState::Delivered, None),
            2 => failed(&made, now, 9000),
            _ => failed(&made, now, 9000),
        };
        if n % 3 == 0 {
            let outcome = AttemptOutcome::Failed { code: "timeout".into(), message: "m".into() };
            tried.attempt = Some(attempt(1, now, outcome));
        }
        record(store, now, vec![tried]).await;
    }
}

#[tokio::test]
async fn attempts_are_listed_newest_first_with_every_filter() {
    let (_dir, store) = open();
    fill(&store).await;
    let every = [(600, 2), (500, 1), (400, 2), (300, 1), (200, 2), (100, 1)];
    for limit in 1..8 {
        assert_eq!(read(&store, &all(), limit), every, "{limit}");
    }
    assert_eq!(
        read(&store, &AttemptQuery { from: Some(at(300)), until: Some(at(500)), ..all() }, 1),
        [(400, 2), (300, 1)]
    );
    assert_eq!(read(&store, &AttemptQuery { from: Some(at(500)), until: Some(at(300)), ..all() }, 5), []);
    assert_eq!(read(&store, &AttemptQuery { queue: Some(1), ..all() }, 2), [(500, 1), (300, 1), (100, 1)]);
    assert_eq!(read(&store, &AttemptQuery { succeeded: Some(true), ..all() }, 5), [(400, 2), (100, 1)]);
    assert_eq!(
        read(&store, &AttemptQuery { succeeded: Some(false), queue: Some(2), ..all() }, 1),
        [(600, 2), (200, 2)]
    );
    assert_eq!(read(&store, &AttemptQuery { status: Some(500), ..all() }, 5), [(500, 1), (200, 2)]);
    assert_eq!(read(&store, &AttemptQuery { status: Some(0), ..all() }, 5), [(600, 2), (300, 1)], "0: no answer");
    let keep = |_: &Delivery, attempt: &Attempt| attempt.outcome.error().is_some_and(|error| error.contains("timeout"));
    assert_eq!(read(&store, &AttemptQuery { keep: &keep, ..all() }, 1), [(600, 2), (300, 1)]);
    let theirs =
        store.attempts.attempt_log(&"other".parse().unwrap(), &all(), Page { before: None, limit: 9 }).unwrap();
    assert!(theirs.items.is_empty() && theirs.next.is_none());
}

#[tokio::test]
async fn a_space_never_lists_attempts_of_another() {
    let (_dir, store) = open();
    fill(&store).await;
    let other: SpaceId = "other".parse().unwrap();
    store.ensure_space(&other).await.unwrap();
    for before in [None, Some(LogCursor { started_at: at(i64::MAX), seq: 0, ordinal: 0, number: 0 })] {
        assert!(store.attempts.attempt_log(&other, &all(), Page { before, limit: 9 }).unwrap().items.is_empty());
    }
}

#[tokio::test]
async fn a_call_reads_a_bounded_part_of_the_log() {
    let (_dir, store) = open();
    let mut made = queue(&store, 1, vec![to(1, None)]).await.remove(0);
    for _ in 0..21 {
        let mut tries = Vec::new();
        for _ in 0..1000 {
            let now = i64::from(made.attempts);
            tries.push(failed(&made, now, now + 1));
            made = tries.last().unwrap().delivery.clone();
        }
        assert_eq!(record(&store, 1, tries).await, 1000);
    }
    assert_eq!(get(&store, made.id).attempts, 21_000);
    let none = AttemptQuery { status: Some(404), ..all() };
    let first = store.attempts.attempt_log(&SpaceId::main(), &none, Page { before: None, limit: 5 }).unwrap();
    assert!(first.items.is_empty());
    let next = first.next.unwrap();
    assert_eq!(next.started_at, at(1000), "20,000 summaries were read");
    let second = store.attempts.attempt_log(&SpaceId::main(), &none, Page { before: Some(next), limit: 5 }).unwrap();
    assert!(second.items.is_empty() && second.next.is_none());
    let picky = AttemptQuery { keep: &|_, _| false, ..all() };
    let first = store.attempts.attempt_log(&SpaceId::main(), &picky, Page { before: None, limit: 5 }).unwrap();
    assert_eq!(first.next.unwrap().started_at, at(20_000), "1,000 attempts were read whole");
}

#[test]
fn a_cursor_reads_back() {
    let cursor = LogCursor { started_at: at(-5), seq: 7, ordinal: 2, number: 9 };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for wrong in ["", "1_2_3", "1_2_3_4_5", "x_1_1_1", "7_2"] {
        assert_eq!(wrong.parse::<LogCursor>(), Err(()), "{wrong}");
    }
}
