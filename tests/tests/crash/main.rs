//! The process dies, at every place where that could matter and at any moment: nothing that was acknowledged is lost,
//! and nothing is done twice or by half.

mod world;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookwright_tests::{Options, Server, eventually, workspace};
use serde_json::{Value, json};

use crate::world::{Progress, World};

const EVENTS: usize = 20;
const SIGABRT: i32 = 6;
/// At which pass the process dies.
const PASSES: [u32; 3] = [1, 2, 7];
/// The parts whose fault points are tried, each by a test of its own.
const PARTS: [&str; 8] = ["append", "run", "decide", "step", "effects", "delivery", "attempt", "configuration"];
/// Where a message has left and nobody has written it down.
const SENT_BUT_NOT_NOTED: [&str; 2] = ["delivery.after-send", "attempt.before-commit"];

fn dying_at(point: &str, pass: u32) -> Options {
    Options::default().set("HOOKWRIGHT_FAULT_POINT", &format!("{point}@{pass}"))
}

#[track_caller]
fn died_as_told(status: ExitStatus, what: &str) {
    assert_eq!(status.signal(), Some(SIGABRT), "{what}: {status}");
}

fn wherever_the_process_dies_within(part: &str) {
    let points = workspace::fault_points();
    let points: Vec<&String> = points.iter().filter(|point| point.split('.').next() == Some(part)).collect();
    assert!(!points.is_empty());
    for point in points {
        for pass in PASSES {
            let what = format!("{point}@{pass}");
            let mut server = Server::start(Options::default());
            let mut world = World::make(&server);
            let ids = world.events(&server, EVENTS);
            server.stop();

            server.restart_with(dying_at(point, pass));
            world.drive(&server, &ids, &Progress::default());
            died_as_told(server.wait(), &what);

            server.restart_with(Options::default());
            world.send_again(&server);
            world.check(&server, &what);
            if SENT_BUT_NOT_NOTED.contains(&point.as_str()) {
                assert!(world.repeats() > 0, "{what}: what was sent and not noted must be sent again");
            }
        }
    }
}

#[test]
fn every_fault_point_of_the_server_is_tried() {
    for point in workspace::fault_points() {
        let part = point.split('.').next().unwrap();
        assert!(PARTS.contains(&part), "{point}: no test here tries the points of `{part}`");
    }
}

#[test]
fn a_crash_around_the_acceptance_of_an_event_loses_and_doubles_nothing() {
    wherever_the_process_dies_within("append");
}

#[test]
fn a_crash_around_the_conditions_loses_and_doubles_nothing() {
    wherever_the_process_dies_within("run");
}

#[test]
fn a_crash_around_the_decision_loses_and_doubles_nothing() {
    wherever_the_process_dies_within("decide");
}

#[test]
fn a_crash_around_a_step_loses_and_doubles_nothing() {
    wherever_the_process_dies_within("step");
}

#[test]
fn a_crash_around_a_change_by_the_api_loses_and_doubles_nothing() {
    wherever_the_process_dies_within("effects");
}

#[test]
fn a_crash_around_a_delivery_loses_nothing_and_repeats_under_the_same_id() {
    wherever_the_process_dies_within("delivery");
}

#[test]
fn a_crash_around_the_record_of_an_attempt_loses_nothing_and_repeats_under_the_same_id() {
    wherever_the_process_dies_within("attempt");
}

#[test]
fn a_crash_around_a_configuration_leaves_all_of_it_or_nothing() {
    let points = workspace::fault_points();
    let points: Vec<&String> = points.iter().filter(|point| point.starts_with("configuration.")).collect();
    assert_eq!(points.len(), 2);
    for point in points {
        let mut server = Server::start(dying_at(point, 1));
        let names: Vec<String> = (0..20).map(|n| format!("automation {n}")).collect();
        let then = json!([{"action": "event-emit", "with": {"type": "never"}}]);
        let automation = |name: &String| json!({"name": name, "on": ["x"], "then": then});
        let automations: Vec<Value> = names.iter().map(automation).collect();
        let webhooks = json!([{"name": "w", "url": "http://127.0.0.1:9/", "events": ["y"]}]);
        let body = json!({"configuration": {"automations": automations, "webhooks": webhooks}});
        let path = "/v1/configuration/apply";
        let sent = server.client().try_send("POST", path, &[], body.to_string().as_bytes());
        assert!(sent.is_err(), "{point}: it is answered before it is durable");
        died_as_told(server.wait(), point);
        server.restart_with(Options::default());
        let found = server.client().get("/v1/configuration/export").expect(200);
        let count = |section: &str| found["configuration"][section].as_array().unwrap().len();
        let all = if point.ends_with("after-commit") { (names.len(), 1) } else { (0, 0) };
        assert_eq!((count("automations"), count("webhooks")), all, "{point}");
        server.client().post(path, &body).expect(200);
    }
}

#[test]
fn a_crash_while_the_server_recovers_from_a_crash_loses_and_doubles_nothing() {
    for (first, later) in [
        ("step.before-call", ["run.after-conditions", "step.before-commit", "step.after-commit"]),
        ("decide.after-commit", ["step.after-call", "step.after-commit", "delivery.after-send"]),
        ("run.before-conditions", ["decide.before-commit", "decide.after-commit", "attempt.before-commit"]),
    ] {
        let what = format!("{first}, then {later:?}");
        let mut server = Server::start(Options::default());
        let mut world = World::make(&server);
        let ids = world.events(&server, EVENTS);
        server.restart_with(dying_at(first, 1).set("HOOKWRIGHT_CONCURRENT_EVENTS", "1"));
        world.drive(&server, &ids, &Progress::default());
        died_as_told(server.wait(), &what);
        // Everything that was acknowledged is still to be done, so each point is passed without any further request.
        for point in later {
            died_as_told(server.restart_to_die(dying_at(point, 1)), &what);
        }
        server.restart_with(Options::default());
        world.send_again(&server);
        world.check(&server, &what);
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    const SEED: u64 = 0x686f_6f6b_7772_6974;
    let mut dice = SEED;
    // Knuth's generator: the same moments each time, as far as the machine lets them be the same.
    let mut roll = move |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    let mut server = Server::start(Options::default());
    let mut world = World::make(&server);
    for round in 0..5 {
        let ids = world.events(&server, 40);
        let (after, wait) = (usize::try_from(roll(40)).unwrap(), Duration::from_micros(roll(30_000)));
        let progress = Progress::default();
        let killer = server.killer();
        std::thread::scope(|scope| {
            let progress = &progress;
            scope.spawn(move || {
                eventually(|| {
                    let count = progress.acknowledged.load(Ordering::SeqCst);
                    if count >= after { Ok(()) } else { Err(format!("{count} of {after} acknowledged")) }
                });
                std::thread::sleep(wait);
                killer.kill();
            });
            world.drive(&server, &ids, progress);
        });
        server.restart();
        world.send_again(&server);
        if round % 2 == 0 {
            world.check(&server, &format!("round {round}, killed after {after} acknowledged events and {wait:?}"));
        }
    }
    world.check(&server, "after all rounds");
}
