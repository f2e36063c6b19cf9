//! Deliveries that repeat others.

use hookwright_model::{Delivery, DeliveryId, DeliveryState, Purpose, SpaceId};

use hookwright_store::SendAgain;

use crate::{at, delivered, get, open, queue, queued, record, to, tried};

#[tokio::test]
async fn a_redelivery_is_a_new_delivery_with_the_same_message_id() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let made = queue(&store, 1000, vec![to(1, Some("k")), to(2, None)]).await;
    let behind = queue(&store, 1001, vec![to(1, Some("k"))]).await.remove(0);
    record(&store, 2000, vec![tried(&made[0], 2000, 500, DeliveryState::Parked, None)]).await;
    let new = store.deliveries.redeliver(&main, made[0].id, at(3000), Purpose::Redelivery).await.unwrap().unwrap();
    assert_eq!(new.id, DeliveryId { seq: made[0].id.seq, ordinal: 2 });
    assert_eq!((&new.message_id, &new.event, &new.webhook), (&made[0].message_id, &made[0].event, &made[0].webhook));
    assert_eq!((new.state, new.attempts, new.purpose), (DeliveryState::Pending, 0, Purpose::Redelivery));
    assert_eq!((new.redelivery_of, new.next_attempt_at, new.key.clone()), (Some(made[0].id), Some(at(3000)), None));
    assert_eq!(queued(&store, 1), [behind.id, new.id], "it waits for no other");
    let old = get(&store, made[0].id);
    assert_eq!((old.state, old.redelivered_by), (DeliveryState::Parked, Some(new.id)));
    let again = store.deliveries.redeliver(&main, new.id, at(3001), Purpose::Test).await.unwrap().unwrap();
    assert_eq!((again.id.ordinal, again.redelivery_of, again.purpose), (3, Some(new.id), Purpose::Test));
    let missing = DeliveryId { seq: made[0].id.seq, ordinal: 44 };
    assert!(store.deliveries.redeliver(&main, missing, at(1), Purpose::Redelivery).await.unwrap().is_none());
    assert!(
        store
            .deliveries
            .redeliver(&"other".parse().unwrap(), new.id, at(1), Purpose::Redelivery)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_delivery_in_flight_keeps_the_link_to_its_redelivery() {
    let (_dir, store) = open();
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    let new =
        store.deliveries.redeliver(&SpaceId::main(), made.id, at(2000), Purpose::Redelivery).await.unwrap().unwrap();
    assert_eq!(record(&store, 2001, vec![delivered(&made, 2001)]).await, 1);
    assert_eq!(get(&store, made.id).redelivered_by, Some(new.id));
}

#[tokio::test]
async fn many_are_redelivered_in_one_commit() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let mut ids = Vec::new();
    for time in 0..50 {
        let made = queue(&store, time, vec![to(1, None), to(1, None)]).await;
        let dead = made.iter().map(|delivery| tried(delivery, time, 500, DeliveryState::Dead, None)).collect();
        record(&store, time, dead).await;
        ids.extend(made.iter().map(|delivery| delivery.id));
    }
    assert_eq!(queued(&store, 1), []);
    ids.push(DeliveryId { seq: 9999, ordinal: 0 });
    let wanted: Vec<_> = ids.iter().map(|id| SendAgain::Repeat(*id)).collect();
    let made = store.deliveries.send_again(&main, wanted.clone(), at(100)).await.unwrap();
    assert_eq!(made.len(), 100);
    let mut expected: Vec<_> = made.iter().map(|delivery| delivery.id).collect();
    expected.sort();
    assert_eq!(queued(&store, 1), expected, "each has an id of its own");
    for (old, new) in ids.iter().zip(&made) {
        assert_eq!(get(&store, *old).redelivered_by, Some(new.id));
    }
    // A second redelivery that found the same ones before they were repeated comes too late.
    assert!(store.deliveries.send_again(&main, wanted, at(101)).await.unwrap().is_empty());
    let again = made.iter().map(|delivery| SendAgain::Repeat(delivery.id)).collect();
    assert!(store.deliveries.send_again(&main, again, at(102)).await.unwrap().is_empty(), "these go out by themselves");
}

#[tokio::test]
async fn deliveries_are_visited_oldest_first_by_whole_events() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let mut all = Vec::new();
    for time in 0..4 {
        all.extend(queue(&store, time, vec![to(1, None), to(2, None), to(3, None)]).await);
    }
    let first = all[0].id.seq;
    // Those of the third webhook are visited, and do not count.
    let visited = |from: u64, until: u64, limit: usize| {
        let mut seen = Vec::new();
        let visit = &mut |one: &Delivery| {
            seen.push(one.id);
            one.queue != 3
        };
        let next = store.deliveries.visit_deliveries(&main, from, until, limit, visit).unwrap();
        (seen, next)
    };
    let ids = |from: usize, until: usize| all[from..until].iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(visited(0, u64::MAX, 100), (ids(0, 12), None));
    assert_eq!(visited(0, u64::MAX, 3), (ids(0, 6), Some(first + 2)), "the second event as a whole");
    assert_eq!(visited(first + 2, first + 2, 1), (ids(6, 9), None));
    assert_eq!(visited(first + 1, first, 1), (vec![], None));
    // A redelivery is visited with its event.
    record(&store, 10, vec![tried(&all[0], 10, 500, DeliveryState::Dead, None)]).await;
    store.deliveries.send_again(&main, vec![SendAgain::Repeat(all[0].id)], at(10)).await.unwrap();
    assert_eq!(visited(first, first, 1).0.len(), 4);
    assert_eq!(visited(first + 1, u64::MAX, 100), (ids(3, 12), None));

    assert_eq!(store.events.last_seq(&main).unwrap(), Some(first + 3));
    assert_eq!(store.events.last_seq(&"other".parse().unwrap()).unwrap(), None);
    let mut events = Vec::new();
    let next = store.events.visit_events(&main, first + 1, first + 3, 2, &mut |seq, _| events.push(seq)).unwrap();
    assert_eq!((events, next), (vec![first + 1, first + 2], Some(first + 3)));
}

#[tokio::test]
async fn many_redeliveries_keep_the_order_of_their_key() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let mut ids = Vec::new();
    for time in 0..3 {
        let made = queue(&store, time, vec![to(1, Some("k"))]).await.remove(0);
        let made = get(&store, made.id);
        record(&store, time, vec![tried(&made, time, 500, DeliveryState::Dead, None)]).await;
        ids.push(made.id);
    }
    let behind = queue(&store, 10, vec![to(1, None)]).await.remove(0);
    record(&store, 10, vec![delivered(&behind, 10)]).await;
    // One was sent out of turn and failed, and has the key of the delivery that it repeats.
    let single = store.deliveries.redeliver(&main, ids[1], at(20), Purpose::Redelivery).await.unwrap().unwrap();
    record(&store, 20, vec![tried(&single, 20, 500, DeliveryState::Dead, None)]).await;
    let wanted = [ids[2], single.id, ids[0]].map(SendAgain::Repeat).to_vec();
    let made = store.deliveries.send_again(&main, wanted, at(30)).await.unwrap();
    let of: Vec<_> = made.iter().map(|one| one.redelivery_of).collect();
    assert_eq!(of, [Some(ids[0]), Some(single.id), Some(ids[2])]);
    assert!(made.iter().all(|one| one.key.as_deref() == Some("k")));
    for (place, one) in made.iter().enumerate() {
        assert_eq!(queued(&store, 1), [one.id], "one at a time: {place}");
        record(&store, 40, vec![delivered(&get(&store, one.id), 40)]).await;
    }
    assert_eq!(queued(&store, 1), []);
}
