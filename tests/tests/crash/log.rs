//! The process dies around the commit log and the checkpoints of the store behind it.

use hookwright_tests::{Client, Options, Server};
use serde_json::json;

use crate::world::{Progress, World};
use crate::{EVENTS, aborting_at, assert_died_at_fault_point, points_of};

/// At which pass the process dies. The first ones of some points are within the start.
const PASSES: [u32; 3] = [1, 3, 5];
/// The events that follow until the process dies: so many bytes that the log begins another segment several times.
const MOST_LARGE: usize = 400;
const LARGE: usize = 60_000;

/// With checkpoints after a few events, so that each point is passed often.
fn with_checkpoints(options: Options) -> Options {
    options.set("HOOKWRIGHT_CHECKPOINT_BYTES", "20000").set("HOOKWRIGHT_CHECKPOINT_SECONDS", "1")
}

/// Sends large events until the server is dead. Returns the ids of those that were acknowledged.
fn large_events(client: &Client, what: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0..MOST_LARGE {
        let id = format!("large-{n}");
        let body = json!({"type": "large", "id": id, "data": "x".repeat(LARGE)}).to_string();
        let json = [("content-type", "application/json")];
        match client.try_send("POST", "/v1/events", &json, body.as_bytes()) {
            Ok(answer) if answer.status == 202 => acknowledged.push(id),
            Ok(answer) => panic!("{what}: {answer}"),
            Err(_) => return acknowledged,
        }
    }
    panic!("{what}: the point is never passed");
}

fn wherever_the_process_dies_within(part: &str) {
    for point in &points_of(part) {
        for pass in PASSES {
            let what = format!("{point}@{pass}");
            let mut server = Server::start(Options::default());
            let mut world = World::make(&server);
            let ids = world.events(&server, EVENTS);
            let mut large = Vec::new();
            if server.starts_with(with_checkpoints(aborting_at(point, pass))) {
                world.drive(&server, &ids, &Progress::default());
                large = large_events(&server.client(), &what);
            }
            assert_died_at_fault_point(server.wait(), &what);

            server.restart_with(with_checkpoints(Options::default()));
            world.send_again(&server);
            world.check(&server, &what);
            for id in large {
                server.client().get(&format!("/v1/events/{id}")).expect(200);
            }
        }
    }
}

#[test]
fn a_crash_around_the_commit_log_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("log");
}

#[test]
fn a_crash_around_a_checkpoint_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("checkpoint");
}
