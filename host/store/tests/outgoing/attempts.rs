//! What is committed together with attempts.

use hookwright_model::{Cause, DeliveryState, Letter, MailState, SpaceId};
use hookwright_store::{DueItem, Page, WebhookChange};

use crate::webhooks::{self, webhook};
use crate::{END, at, commit, delivered, event, failed, get, open, queue, queued, record, to, tried};

fn letter() -> Letter {
    Letter { to: vec!["a@example.com".into()], subject: "it failed".into(), ..Letter::default() }
}

#[tokio::test]
async fn an_attempt_commits_with_the_webhook_the_events_and_the_mails() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let mut hook = webhooks::create(&store, webhook("whk_1")).await;
    let made = queue(&store, 1000, vec![to(hook.number, None)]).await.remove(0);
    hook.dead = true;
    hook.number = 99;
    let mut all = commit(2000, vec![tried(&made, 2000, 500, DeliveryState::Dead, None)]);
    all.webhook = Some(WebhookChange::Put(Box::new(hook)));
    all.events = vec![event(2000, vec![to(1, None)])];
    all.mails = vec![(letter(), Cause::api()), (letter(), Cause::api())];
    assert_eq!(store.attempts.record_attempts(all).await, Ok(1));
    let stored = webhooks::stored(&store, &main, "whk_1").unwrap();
    assert_eq!((stored.dead, stored.number), (true, 1), "the number is kept");
    assert_eq!(store.attempts.attempts(&main, made.id).unwrap().len(), 1);
    let page = Page { before: None, limit: 10 };
    assert_eq!(store.events.events(&main, page, &|_| true).unwrap().items.len(), 2);
    let mails = store.mails.mails(&main, page).unwrap().items;
    assert_eq!(
        mails.iter().map(|mail| (mail.id, mail.state)).collect::<Vec<_>>(),
        [(2, MailState::Queued), (1, MailState::Queued)]
    );
    assert_eq!(
        store.timetable.due(at(2000), 10).unwrap().iter().map(|due| due.item).collect::<Vec<_>>(),
        [DueItem::Mail(1), DueItem::Mail(2)]
    );
    let after = get(&store, made.id);
    assert_eq!((after.state, after.next_attempt_at, after.finished_at), (DeliveryState::Dead, None, Some(at(2000))));
}

#[tokio::test]
async fn deliveries_finished_concurrently_are_skipped_and_the_others_commit() {
    let (_dir, store) = open();
    let made = queue(&store, 1000, vec![to(1, None), to(1, None), to(1, None)]).await;
    record(&store, 1500, vec![delivered(&made[0], 1500)]).await;
    record(&store, 1500, vec![failed(&made[1], 1500, 1800)]).await;
    let tries = made.iter().map(|delivery| tried(delivery, 2000, 500, DeliveryState::Dead, None)).collect();
    assert_eq!(record(&store, 2000, tries).await, 1);
    let states: Vec<_> = made.iter().map(|delivery| get(&store, delivery.id).state).collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Pending, DeliveryState::Dead]);
    assert_eq!(store.attempts.attempts(&SpaceId::main(), made[1].id).unwrap().len(), 1);
    assert_eq!(queued(&store, 1), [made[1].id], "the one that is pending stays where it was");
    assert_eq!(store.attempts.attempt_count().unwrap(), 3);
}

#[tokio::test]
async fn nothing_is_written_if_all_were_finished_concurrently() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    webhooks::create(&store, webhook("whk_1")).await;
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    record(&store, 1500, vec![delivered(&made, 1500)]).await;
    let mut late = commit(2000, vec![tried(&made, 2000, 410, DeliveryState::Dead, None)]);
    late.webhook = Some(WebhookChange::Delete("whk_1".into()));
    late.events = vec![event(2000, vec![])];
    late.mails = vec![(letter(), Cause::api())];
    assert_eq!(store.attempts.record_attempts(late).await, Ok(0));
    assert!(webhooks::stored(&store, &main, "whk_1").is_some());
    assert_eq!(store.events.events(&main, Page { before: None, limit: 10 }, &|_| true).unwrap().items.len(), 1);
    assert!(store.timetable.due(END, 10).unwrap().is_empty());
}

#[tokio::test]
async fn a_late_report_does_not_overwrite_a_retry_in_the_same_millisecond() {
    let (_dir, store) = open();
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    let twice = failed(&made, 1000, 1000);
    record(&store, 1000, vec![failed(&made, 1000, 1000)]).await;
    assert_eq!(record(&store, 1000, vec![twice]).await, 0);
    assert_eq!(queued(&store, 1), [made.id]);
}

#[tokio::test]
async fn a_late_report_does_not_restore_a_removed_delivery() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    let late = tried(&made, 3000, 500, DeliveryState::Dead, None);
    record(&store, 2000, vec![delivered(&made, 2000)]).await;
    assert_eq!(store.attempts.sweep_attempts(END, 0, 100).await, Ok(2));
    assert!(store.deliveries.delivery(&main, made.id).unwrap().is_none());
    assert_eq!(record(&store, 3000, vec![late]).await, 0, "one that is no longer kept does not come back");
    assert!(store.deliveries.delivery(&main, made.id).unwrap().is_none());
}

#[tokio::test]
async fn a_pending_delivery_without_a_time_is_due_now() {
    let (_dir, store) = open();
    let made = queue(&store, 1000, vec![to(1, None)]).await.remove(0);
    record(&store, 2000, vec![tried(&made, 2000, 500, DeliveryState::Pending, None)]).await;
    assert_eq!(store.queues.queued(&SpaceId::main(), 1, END, 10).unwrap(), [(at(2000), made.id)]);
    assert_eq!(get(&store, made.id).next_attempt_at, Some(at(2000)));
}

#[tokio::test]
async fn the_queue_of_a_webhook_deleted_with_an_attempt_is_still_listed() {
    let (_dir, store) = open();
    let main = SpaceId::main();
    webhooks::create(&store, webhook("whk_1")).await;
    let mut made = Vec::new();
    for time in 0..4 {
        made.extend(queue(&store, time, vec![to(1, Some("k"))]).await);
    }
    store.queues.touched();
    let mut gone = commit(100, vec![tried(&made[0], 100, 410, DeliveryState::Dead, None)]);
    gone.webhook = Some(WebhookChange::Delete("whk_1".into()));
    assert_eq!(store.attempts.record_attempts(gone).await, Ok(1));
    assert!(webhooks::stored(&store, &main, "whk_1").is_none());
    assert_eq!(store.queues.touched(), [(main.clone(), 1)]);
    let mut given_up = 0;
    while let Some((_, queue, first)) = store.queues.queues().unwrap().pop() {
        let id = store.queues.queued(&main, queue, first, 1).unwrap()[0].1;
        let mut last = tried(&get(&store, id), 200, 0, DeliveryState::Dead, None);
        last.attempt = None;
        given_up += record(&store, 200, vec![last]).await;
    }
    assert_eq!(given_up, 3);
    assert_eq!(store.queues.queue_length(&main, 1, 10).unwrap(), 0);
    let mut again = commit(300, vec![]);
    again.webhook = Some(WebhookChange::Put(Box::new(webhook("whk_1"))));
    store.attempts.record_attempts(again).await.unwrap();
    assert!(webhooks::stored(&store, &main, "whk_1").is_none(), "a change does not bring it back");
}
