//! Queues and the order of keys.

use std::time::Duration;

use hookwright_model::{Delivery, DeliveryState, Purpose, SpaceId};

use crate::{END, at, delivered, event, failed, get, open, queue, queued, record, reopen, to, tried};

#[tokio::test]
async fn a_delivery_is_in_its_webhooks_queue_at_its_due_time() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let mut waiting = to(7, None);
    waiting.wait_ms = 500;
    let made = queue(&store, 1000, vec![to(3, None), waiting]).await;
    assert_eq!(
        made.iter().map(|d| (d.queue, d.next_attempt_at)).collect::<Vec<_>>(),
        [(3, Some(at(1000))), (7, Some(at(1500)))]
    );
    assert_eq!(made[0].subject.as_deref(), Some("ticket/1"));
    assert_eq!(store.queues.queued(&main, 3, at(999), 10).unwrap(), []);
    assert_eq!(store.queues.queued(&main, 3, at(1000), 10).unwrap(), [(at(1000), made[0].id)]);
    assert_eq!(store.queues.queued(&main, 7, at(1499), 10).unwrap(), []);
    assert_eq!(store.queues.next_queued(&main, 7).unwrap(), Some(at(1500)));
    assert_eq!(store.queues.next_queued(&main, 8).unwrap(), None);
    assert!(store.timetable.due(END, 10).unwrap().is_empty(), "the due list is for runs and mails");
}

#[tokio::test]
async fn a_queue_is_read_oldest_first_in_pages() {
    let (_dir, store) = open();
    let mut expected = Vec::new();
    for time in [5000, -3, 2000, 1_000_000_000_000] {
        expected.push((at(time), queue(&store, time, vec![to(1, None), to(2, None)]).await[0].id));
    }
    expected.sort();
    assert_eq!(store.queues.queued(&SpaceId::main(), 1, END, 10).unwrap(), expected);
    assert_eq!(store.queues.queued(&SpaceId::main(), 1, END, 2).unwrap(), expected[..2]);
    assert_eq!(store.queues.queued(&SpaceId::main(), 1, at(2000), 10).unwrap(), expected[..2]);
}

#[tokio::test]
async fn every_queue_is_listed_once_with_its_first_time() {
    let (dir, store) = open();
    let other: SpaceId = "other".parse().unwrap();
    for n in 0..20 {
        queue(&store, 1000 - n, vec![to(9, None), to(2, Some("k"))]).await;
    }
    let mut elsewhere = event(5, vec![to(9, None), to(u64::MAX, None)]);
    elsewhere.event.space = other.clone();
    store.events.append(vec![elsewhere]).await.unwrap();
    let expected = [
        (SpaceId::main(), 2, at(1000)),
        (SpaceId::main(), 9, at(981)),
        (other.clone(), 9, at(5)),
        (other.clone(), u64::MAX, at(5)),
    ];
    assert_eq!(store.queues.queues().unwrap(), expected);
    store.close().await;
    drop(store);
    assert_eq!(reopen(&dir).queues.queues().unwrap(), expected, "also after a restart");
}

#[tokio::test]
async fn a_touched_queue_is_reported_once() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    assert_eq!(store.queues.touched(), []);
    let made = queue(&store, 1000, vec![to(1, None), to(2, Some("k"))]).await;
    let second = queue(&store, 1000, vec![to(1, None), to(2, Some("k"))]).await;
    tokio::time::timeout(Duration::from_secs(120), store.touched_signal().notified()).await.unwrap();
    let mut touched = store.queues.touched();
    touched.sort();
    assert_eq!(touched, [(main.clone(), 1), (main.clone(), 2)]);
    assert_eq!(store.queues.touched(), []);
    queue(&store, 1000, vec![to(2, Some("k"))]).await;
    assert_eq!(store.queues.touched(), [], "it waits behind another");
    record(&store, 2000, vec![delivered(&made[1], 2000)]).await;
    assert_eq!(store.queues.touched(), [(main.clone(), 2)], "the next of the key may go");
    record(&store, 2000, vec![delivered(&second[0], 2000)]).await;
    assert_eq!(store.queues.touched(), []);
    record(&store, 2000, vec![failed(&made[0], 2000, 9000)]).await;
    assert_eq!(store.queues.touched(), [(main, 1)]);
}

#[tokio::test]
async fn deliveries_with_one_key_are_sent_one_after_the_other() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let first = queue(&store, 1, vec![to(1, Some("a"))]).await.remove(0);
    let second = queue(&store, 2, vec![to(1, Some("a"))]).await.remove(0);
    let third = queue(&store, 3, vec![to(1, Some("a"))]).await.remove(0);
    let other = queue(&store, 4, vec![to(1, Some("b")), to(2, Some("a")), to(1, None)]).await;
    assert_eq!(queued(&store, 1), [first.id, other[0].id, other[2].id]);
    assert_eq!(queued(&store, 2), [other[1].id]);
    assert_eq!((second.next_attempt_at, second.state), (None, DeliveryState::Pending));
    assert_eq!(store.queues.queue_length(&main, 1, 100).unwrap(), 5, "the waiting are counted");
    assert_eq!(store.queues.queue_length(&main, 1, 4).unwrap(), 4);
    assert_eq!(store.queues.queue_length(&main, 1, 2).unwrap(), 2);
    assert_eq!(store.queues.queue_length(&main, 3, 100).unwrap(), 0);

    record(&store, 50, vec![failed(&first, 50, 5000)]).await;
    assert_eq!(queued(&store, 1), [other[0].id, other[2].id, first.id], "a failure keeps the others waiting");
    record(&store, 5001, vec![tried(&get(&store, first.id), 5001, 500, DeliveryState::Dead, None)]).await;
    assert_eq!(queued(&store, 1), [other[0].id, other[2].id, second.id]);
    assert_eq!(get(&store, second.id).next_attempt_at, Some(at(5001)));
    record(&store, 5002, vec![tried(&get(&store, second.id), 5002, 500, DeliveryState::Parked, None)]).await;
    assert_eq!(queued(&store, 1), [other[0].id, other[2].id, third.id]);
    record(&store, 5003, vec![tried(&get(&store, third.id), 5003, 0, DeliveryState::Dropped, None)]).await;
    assert_eq!(queued(&store, 1), [other[0].id, other[2].id]);
    let late = queue(&store, 6000, vec![to(1, Some("a"))]).await.remove(0);
    assert_eq!(late.next_attempt_at, Some(at(6000)), "nothing of its key is left");
}

#[tokio::test]
async fn a_skipped_failure_releases_exactly_one_delivery() {
    let (_dir, store) = open();
    let first = queue(&store, 1, vec![to(1, Some("a"))]).await.remove(0);
    let second = queue(&store, 2, vec![to(1, Some("a"))]).await.remove(0);
    let third = queue(&store, 3, vec![to(1, Some("a"))]).await.remove(0);
    let skip = |delivery: &Delivery, now, next| {
        let mut tried = failed(delivery, now, next);
        tried.release_key = true;
        tried
    };
    record(&store, 10, vec![skip(&first, 10, 100)]).await;
    assert_eq!(queued(&store, 1), [second.id, first.id]);
    record(&store, 100, vec![skip(&get(&store, first.id), 100, 200)]).await;
    assert_eq!(queued(&store, 1), [second.id, first.id], "it is no longer the head");
    record(&store, 200, vec![delivered(&get(&store, first.id), 200)]).await;
    assert_eq!(queued(&store, 1), [second.id], "nor when it is finished");
    record(&store, 300, vec![delivered(&get(&store, second.id), 300)]).await;
    assert_eq!(queued(&store, 1), [third.id]);
    record(&store, 400, vec![skip(&get(&store, third.id), 400, 500)]).await;
    assert_eq!(queued(&store, 1), [third.id], "with none behind it, the place is free");
    let fourth = queue(&store, 450, vec![to(1, Some("a"))]).await.remove(0);
    assert_eq!(queued(&store, 1), [fourth.id, third.id]);
}

#[tokio::test]
async fn a_delivery_finished_while_it_waits_frees_its_place() {
    let (_dir, store) = open();
    let first = queue(&store, 1, vec![to(1, Some("a"))]).await.remove(0);
    let second = queue(&store, 2, vec![to(1, Some("a"))]).await.remove(0);
    let third = queue(&store, 3, vec![to(1, Some("a"))]).await.remove(0);
    assert_eq!(record(&store, 10, vec![failed(&second, 10, 20)]).await, 0, "what waits is not tried");
    assert_eq!(record(&store, 10, vec![tried(&second, 10, 0, DeliveryState::Dead, None)]).await, 1);
    assert_eq!(queued(&store, 1), [first.id]);
    record(&store, 20, vec![delivered(&first, 20)]).await;
    assert_eq!(queued(&store, 1), [third.id]);
}

#[tokio::test]
async fn deliveries_other_than_subscribed_events_wait_for_no_key() {
    let (_dir, store) = open();
    let first = queue(&store, 1, vec![to(1, Some("a"))]).await.remove(0);
    let mut test = to(1, Some("a"));
    test.purpose = Purpose::Test;
    let mut confirmation = to(1, Some("a"));
    confirmation.purpose = Purpose::Confirmation;
    let made = queue(&store, 2, vec![test, confirmation]).await;
    assert_eq!(queued(&store, 1), [first.id, made[0].id, made[1].id]);
    assert_eq!((made[0].purpose, made[0].key.as_deref()), (Purpose::Test, None));
    record(&store, 3, vec![delivered(&made[0], 3)]).await;
    assert_eq!(queued(&store, 1), [first.id, made[1].id]);
}

#[tokio::test]
async fn a_pending_delivery_can_be_rescheduled() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let first = queue(&store, 1, vec![to(1, Some("a"))]).await.remove(0);
    let second = queue(&store, 2, vec![to(1, Some("a"))]).await.remove(0);
    assert!(store.queues.queue_again(&main, first.id, at(900)).await.unwrap());
    assert_eq!(store.queues.queued(&main, 1, END, 10).unwrap(), [(at(900), first.id)]);
    assert_eq!(get(&store, first.id).next_attempt_at, Some(at(900)));
    assert!(!store.queues.queue_again(&main, second.id, at(900)).await.unwrap(), "it waits for its key");
    // A caller that had read it before the change still removes the right row.
    assert_eq!(record(&store, 3, vec![tried(&first, 3, 500, DeliveryState::Parked, None)]).await, 1);
    assert_eq!(queued(&store, 1), [second.id]);
    assert!(!store.queues.queue_again(&main, first.id, at(5)).await.unwrap(), "a parked one is left as it is");
    assert_eq!(get(&store, first.id).state, DeliveryState::Parked);
    let missing = hookwright_model::DeliveryId { seq: 999, ordinal: 0 };
    assert!(!store.queues.queue_again(&main, missing, at(5)).await.unwrap());
}
