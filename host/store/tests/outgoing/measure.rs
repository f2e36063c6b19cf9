//! A measurement: prints the cost of a long queue. `cargo test --release -- --ignored --nocapture measure`.

use std::time::Instant;

use hookwright_model::SpaceId;

use crate::{END, at, event, open, to};

/// Private memory of the process, in MiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) / 1024
}

#[tokio::test]
#[ignore = "measures"]
async fn a_million_queued_deliveries() {
    let (_dir, store) = open();
    let began = Instant::now();
    for round in 0..1000_u32 {
        let events = (0..10).map(|n| {
            let first = round % 100 * 100;
            let key = (n == 0).then_some("k");
            event(1000 + i64::from(round), (first..first + 100).map(|queue| to(queue.into(), key)).collect())
        });
        store.events.append(events.collect::<Vec<_>>()).await.unwrap();
        if round % 100 == 99 {
            println!("{} deliveries: {} MiB, {:.0?}", (round + 1) * 1000, memory(), began.elapsed());
        }
    }
    let began = Instant::now();
    let queues = store.queues.queues().unwrap();
    println!("{} queues listed in {:?}", queues.len(), began.elapsed());
    assert_eq!(queues.len(), 10_000);
    let began = Instant::now();
    for (_, queue, first) in queues.iter().take(1000) {
        assert!(!store.queues.queued(&SpaceId::main(), *queue, *first, 10).unwrap().is_empty());
    }
    println!("10 of each of 1000 queues in {:?}; {} MiB", began.elapsed(), memory());
    assert_eq!(store.queues.next_queued(&SpaceId::main(), 0).unwrap(), Some(at(1000)));
    assert!(store.queues.queued(&SpaceId::main(), 0, END, 1000).unwrap().len() <= 100);
}
