//! The process dies, at every place where that could matter and at any moment: nothing that was acknowledged is lost,
//! and nothing is done twice or by half.

mod installs;
mod log;
mod states;
mod world;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Options, Receiver, Reply, Server, eventually, workspace};
use serde_json::{Value, json};

use crate::world::{Progress, World};

const EVENTS: usize = 20;
const SIGABRT: i32 = 6;
/// At which pass the process dies.
const PASSES: [u32; 3] = [1, 2, 7];
/// The parts whose fault points are tried, each by a test of its own.
const PARTS: [&str; 13] = [
    "append",
    "run",
    "decide",
    "step",
    "effects",
    "delivery",
    "attempt",
    "configuration",
    "install",
    "uninstall",
    "move-up",
    "log",
    "checkpoint",
];
/// Where a message has left and nobody has written it down.
const SENT_BUT_NOT_NOTED: [&str; 2] = ["delivery.after-send", "attempt.before-commit"];

fn aborting_at(point: &str, pass: u32) -> Options {
    Options::default().set("HOOKWRIGHT_FAULT_POINT", &format!("{point}@{pass}"))
}

#[track_caller]
fn assert_died_at_fault_point(status: ExitStatus, what: &str) {
    assert_eq!(status.signal(), Some(SIGABRT), "{what}: {status}");
}

/// The fault points of a part.
fn points_of(part: &str) -> Vec<String> {
    let mut points = workspace::fault_points();
    points.retain(|point| point.split('.').next() == Some(part));
    assert!(!points.is_empty(), "{part} has no fault points");
    points
}

fn wherever_the_process_dies_within(part: &str) {
    for point in &points_of(part) {
        for pass in PASSES {
            let what = format!("{point}@{pass}");
            let mut server = Server::start(Options::default());
            let mut world = World::make(&server);
            let ids = world.events(&server, EVENTS);
            server.stop();

            server.restart_with(aborting_at(point, pass));
            world.drive(&server, &ids, &Progress::default());
            assert_died_at_fault_point(server.wait(), &what);

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
fn every_fault_point_of_the_server_is_tested() {
    for point in workspace::fault_points() {
        let part = point.split('.').next().unwrap();
        assert!(PARTS.contains(&part), "{point}: no test here tries the points of `{part}`");
    }
}

#[test]
fn a_crash_while_accepting_an_event_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("append");
}

#[test]
fn a_crash_while_evaluating_conditions_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("run");
}

#[test]
fn a_crash_around_the_decision_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("decide");
}

#[test]
fn a_crash_around_a_step_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("step");
}

#[test]
fn a_crash_around_an_api_write_loses_and_duplicates_nothing() {
    wherever_the_process_dies_within("effects");
}

#[test]
fn a_crash_around_a_delivery_loses_nothing_and_repeats_with_the_same_id() {
    wherever_the_process_dies_within("delivery");
}

#[test]
fn a_crash_while_recording_an_attempt_loses_nothing_and_repeats_with_the_same_id() {
    wherever_the_process_dies_within("attempt");
}

#[test]
fn a_crash_around_a_configuration_leaves_all_of_it_or_nothing() {
    let points = workspace::fault_points();
    let points: Vec<&String> = points.iter().filter(|point| point.starts_with("configuration.")).collect();
    assert_eq!(points.len(), 2);
    for point in points {
        let mut server = Server::start(aborting_at(point, 1));
        let names: Vec<String> = (0..20).map(|n| format!("automation {n}")).collect();
        let then = json!([{"action": "event-emit", "with": {"type": "never"}}]);
        let automation = |name: &String| json!({"name": name, "on": ["x"], "then": then});
        let automations: Vec<Value> = names.iter().map(automation).collect();
        let webhooks = json!([{"name": "w", "url": "http://127.0.0.1:9/", "events": ["y"]}]);
        let body = json!({"configuration": {"automations": automations, "webhooks": webhooks}});
        let path = "/v1/configuration/apply";
        let sent = server.client().try_send("POST", path, &[], body.to_string().as_bytes());
        assert!(sent.is_err(), "{point}: it is answered before it is durable");
        assert_died_at_fault_point(server.wait(), point);
        server.restart_with(Options::default());
        let found = server.client().get("/v1/configuration/export").expect(200);
        let count = |section: &str| found["configuration"][section].as_array().unwrap().len();
        let all = if point.ends_with("after-commit") { (names.len(), 1) } else { (0, 0) };
        assert_eq!((count("automations"), count("webhooks")), all, "{point}");
        server.client().post(path, &body).expect(200);
    }
}

#[test]
fn repeating_a_change_after_a_crash_reschedules_the_remaining_deliveries() {
    /// The number of deliveries that one commit moves up.
    const AT_ONCE: usize = 200;
    const WAITING: usize = AT_ONCE + 50;
    let receiver = Receiver::with_replies(&[Reply::status(400).header("retry-after", "86400")]);
    let other = Receiver::start();
    let mut server = Server::start(Options::default());
    let retry = json!({"delays_seconds": [600, 600, 600], "jitter": 0});
    let hook = json!({"url": receiver.url(), "events": ["go"], "retry": retry});
    let path = format!("/v1/webhooks/{}", text(&server.client().post("/v1/webhooks", &hook).expect(201)["id"]));
    let client = server.client();
    for place in 0..WAITING {
        scene::send(&client, "go", &json!(place));
    }
    let pending = |server: &Server| scene::all(&server.client(), "/v1/deliveries?state=pending");
    eventually(|| {
        let tried = pending(&server).iter().filter(|one| one["attempts"] == 1).count();
        if tried == WAITING { Ok(()) } else { Err(format!("{tried} of {WAITING} were tried")) }
    });
    let due = |one: &Value| text(&one["next_attempt_at"]);
    let late = pending(&server).iter().map(due).min().unwrap();
    let change = json!({"url": other.url()});
    // The number of deliveries that were moved up, and whether the webhook has its new URL.
    let check = |server: &Server, what: &str, moved: usize, changed: bool| {
        let all = pending(server);
        assert_eq!(all.len(), WAITING, "{what}: none is lost");
        assert_eq!(all.iter().map(due).filter(|at| *at < late).count(), moved, "{what}");
        let port = if changed { other.port() } else { receiver.port() };
        let url = text(&server.client().get(&path).expect(200)["url"]);
        assert!(url.contains(&format!(":{port}")), "{what}: {url}");
    };
    for (point, moved) in [
        ("move-up.before-commit", 0),
        ("move-up.after-commit", AT_ONCE),
        ("move-up.before-commit", AT_ONCE),
        ("move-up.after-commit", WAITING),
    ] {
        server.restart_with(aborting_at(point, 1));
        let sent = server.client().try_send(
            "PATCH",
            &path,
            &[("content-type", "application/json")],
            change.to_string().as_bytes(),
        );
        assert!(sent.is_err(), "{point}: it is answered before it is durable");
        assert_died_at_fault_point(server.wait(), point);
        server.restart_with(Options::default());
        check(&server, point, moved, false);
    }
    server.client().patch(&path, &change).expect(200);
    check(&server, "in the end", WAITING, true);
}

#[test]
fn a_crash_during_recovery_loses_and_duplicates_nothing() {
    // Twice for each: an event that is in progress each of three times is dead-lettered.
    for (first, later) in [
        ("step.before-call", "run.after-conditions"),
        ("step.before-call", "step.before-commit"),
        ("run.after-conditions", "step.after-commit"),
        ("decide.after-commit", "step.after-call"),
        ("step.after-commit", "delivery.after-send"),
        ("run.before-conditions", "decide.before-commit"),
        ("decide.before-commit", "decide.after-commit"),
        ("decide.after-commit", "attempt.before-commit"),
    ] {
        let what = format!("{first}, then {later}");
        let mut server = Server::start(Options::default());
        let mut world = World::make(&server);
        let ids = world.events(&server, EVENTS);
        server.restart_with(aborting_at(first, 1).set("HOOKWRIGHT_CONCURRENT_EVENTS", "1"));
        world.drive(&server, &ids, &Progress::default());
        assert_died_at_fault_point(server.wait(), &what);
        // Everything that was acknowledged is still to be done, so the point is passed without any further request.
        assert_died_at_fault_point(server.restart_to_die(aborting_at(later, 1)), &what);
        server.restart_with(Options::default());
        world.send_again(&server);
        world.check(&server, &what);
    }
}

#[test]
fn repeated_kills_lose_and_duplicate_nothing() {
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
