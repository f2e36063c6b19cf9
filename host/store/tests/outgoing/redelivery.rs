//! Deliveries that repeat others.

use hookwright_model::{DeliveryId, DeliveryState, Purpose, SpaceId};

use crate::{at, delivered, get, open, queue, queued, record, to, tried};

#[tokio::test]
async fn a_redelivery_is_a_new_delivery_with_the_same_message_id() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let made = queue(&store, 1000, vec![to(1, Some("k")), to(2, None)]).await;
    let behind = queue(&store, 1001, vec![to(1, Some("k"))]).await.remove(0);
    record(&store, 2000, vec![tried(&made[0], 2000, 500, DeliveryState::Parked, None)]).await;
    let new = store.redeliver(&main, made[0].id, at(3000), Purpose::Redelivery).await.unwrap().unwrap();
    assert_eq!(new.id, DeliveryId { seq: made[0].id.seq, ordinal: 2 });
    assert_eq!((&new.message_id, &new.event, &new.webhook), (&made[0].message_id, &made[0].event, &made[0].webhook));
    assert_eq!((new.state, new.attempts, new.purpose), (DeliveryState::Pending, 0, Purpose::Redelivery));
    assert_eq!((new.redelivery_of, new.next_attempt_at, new.key.clone()), (Some(made[0].id), Some(at(3000)), None));
    assert_eq!(queued(&store, 1), [behind.id, new.id], "it waits for no other");
    let old = get(&store, made[0].id);
    assert_eq!((old.state, old.redelivered_by), (DeliveryState::Parked, Some(new.id)));
    let again = store.redeliver(&main, new.id, at(3001), Purpose::Test).await.unwrap().unwrap();
    assert_eq!((again.id.ordinal, again.redelivery_of, again.purpose), (3, Some(new.id), Purpose::Test));
    let missing = DeliveryId { seq: made[0].id.seq, ordinal: 44 };
    assert!(store.redeliver(&main, missing, at(1), Purpose::Redelivery).await.unwrap().is_none());
    assert!(store.redeliver(&"other".parse().unwrap(), new.id, at(1), Purpose::Redelivery).await.unwrap().is_none());
}

#[tokio::test]
async fn a_delivery_under_way_keeps_the_link_to_what_repeats_it() {
    let (_dir, store) = open();
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    let new = store.redeliver(&SpaceId::main(), made.id, at(2000), Purpose::Redelivery).await.unwrap().unwrap();
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
    let made = store.redeliver_many(&main, ids.clone(), at(100)).await.unwrap();
    assert_eq!(made.len(), 100);
    let mut expected: Vec<_> = made.iter().map(|delivery| delivery.id).collect();
    expected.sort();
    assert_eq!(queued(&store, 1), expected, "each has an id of its own");
    for (old, new) in ids.iter().zip(&made) {
        assert_eq!(get(&store, *old).redelivered_by, Some(new.id));
    }
}
