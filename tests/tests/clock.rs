//! The clock that tests move: nothing of it is there by accident, and moved it is the server's clock in everything.

use std::time::Duration;

use hookwright_tests::clock::{between, millis, send};
use hookwright_tests::command::{Ran, has, hookwright};
use hookwright_tests::scene::{self, text};
use hookwright_tests::server::free_port;
use hookwright_tests::{Options, Server, eventually};
use serde_json::json;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_clock_that_is_moved_has_what_is_due_done_and_does_not_go_back_at_a_restart() {
    let mut server = Server::start(Options::default().clock());
    let warning = "HOOKWRIGHT_TEST_CLOCK is set: this is a server for tests, and any process that can write to the socket can \
                   move its clock";
    has(&server.log(), &["WARN", warning]);
    let made = |server: &Server| {
        let ticket = server.client().post("/v1/tickets", &json!({"subject": "t"})).expect(201);
        ticket["created_at"].clone()
    };
    let before = made(&server);
    let daily = json!({"name": "s", "every_seconds": 86_400, "type": "tick"});
    let daily = format!("/v1/schedules/{}", text(&server.client().post("/v1/schedules", &daily).expect(201)["id"]));
    let due = server.client().get(&daily).expect(200)["status"]["next_at"].clone();
    server.advance(DAY);
    let after = made(&server);
    assert!(between(&before, &after) >= DAY, "{before} {after}");
    let fired = |server: &Server, events: u64| {
        eventually(|| {
            let status = server.client().get(&daily).expect(200)["status"].clone();
            if status["events"] == events { Ok(status) } else { Err(status.to_string()) }
        })
    };
    assert_eq!(millis(&fired(&server, 1)["last_at"]), millis(&due));

    server.restart();
    assert!(between(&after, &made(&server)) < DAY, "it is as far ahead as before");
    server.kill();
    server.advance(DAY);
    server.restart();
    fired(&server, 2);
    assert!(between(&before, &made(&server)) >= 2 * DAY);
    // To a time that has passed it is not put back.
    server.advance_to(&before);
    assert!(between(&before, &made(&server)) >= 2 * DAY);
    assert!(!server.log().contains("the clock shows an earlier time than before"), "{}", server.log());
    assert_eq!(scene::all(&server.client(), "/v1/events?type=tick").len(), 2);
}

#[test]
fn a_server_that_others_reach_does_not_start_with_a_clock_that_tests_move() {
    let folder = tempfile::tempdir().unwrap();
    let (data, listen) = (folder.path().join("data"), format!("0.0.0.0:{}", free_port()));
    let mut command = hookwright(["serve", "--data-dir", data.to_str().unwrap(), "--listen", &listen]);
    let output = command.env("HOOKWRIGHT_TEST_CLOCK", folder.path().join("clock")).output().unwrap();
    has(&Ran::of(output, "no secret").ends(1), &["HOOKWRIGHT_TEST_CLOCK is for tests: unset it"]);
    assert!(!folder.path().join("clock").exists(), "nobody can move it");
    assert!(!data.join("hookwright.redb").exists(), "the store is not opened");
}

#[test]
fn a_server_does_not_start_and_creates_nothing_if_the_socket_of_its_clock_cannot_be_used() {
    let mut server = Server::start(Options::default());
    server.stop();
    std::fs::remove_dir_all(server.data()).unwrap();
    let refused = |server: &mut Server, value: &str, part: &str| {
        let before = server.log().len();
        let status = server.restart_to_die(Options::default().set("HOOKWRIGHT_TEST_CLOCK", value));
        let log = server.log();
        assert_eq!(status.code(), Some(1), "{value}: {log}");
        has(&log[before..], &["HOOKWRIGHT_TEST_CLOCK", value, part]);
        assert!(!server.data().exists(), "{value} leaves a data directory");
    };
    for value in ["0", "false", "1", "clock"] {
        let part = format!(
            "HOOKWRIGHT_TEST_CLOCK is `{value}`: give the absolute path of a Unix socket, such as /tmp/clock, or unset it"
        );
        refused(&mut server, value, &part);
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    refused(&mut server, &at("clock@15s"), "`15s` is not an integer of milliseconds");
    std::fs::write(at("file"), "kept").unwrap();
    refused(&mut server, &at("file"), "exists and is not a socket: give another path");
    assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "kept");

    let other = Server::start(Options::default().clock());
    let socket = other.clock_socket();
    refused(&mut server, socket.to_str().unwrap(), "stop that process, or give another path");
    assert_eq!(send(&socket, "by 5"), "5\n", "the other server still has its socket");
}

#[test]
fn an_unknown_command_is_answered_with_the_known_ones_and_moves_nothing() {
    let server = Server::start(Options::default().clock());
    server.advance(DAY);
    for line in ["", "by", "by 5s", "at 5", "to tomorrow", "by 9223372036854775807"] {
        let answer = format!("unknown command `{line}`: send `by MILLISECONDS` or `to TIME`\n");
        assert_eq!(send(&server.clock_socket(), line), answer);
    }
    assert_eq!(send(&server.clock_socket(), "by 0"), format!("{}\n", DAY.as_millis()));
}

#[test]
#[should_panic(expected = "its clock is the machine's: start it with `Options::clock`")]
fn a_test_fails_that_moves_the_machine_s_clock_while_the_server_is_stopped() {
    let mut server = Server::start(Options::default());
    server.stop();
    server.advance(DAY);
}

#[test]
#[should_panic(expected = "the server does not run: start it before `advance_to`")]
fn a_test_fails_that_moves_the_clock_of_a_stopped_server_to_a_time() {
    let mut server = Server::start(Options::default().clock());
    server.stop();
    server.advance_to(&json!("2026-01-01T00:00:00Z"));
}

#[test]
fn the_clock_of_other_servers_is_the_machine_s() {
    let server = Server::start(Options::default());
    assert!(!server.log().contains("HOOKWRIGHT_TEST_CLOCK"), "{}", server.log());
    let made = server.client().post("/v1/tickets", &json!({"subject": "t"})).expect(201)["created_at"].clone();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let apart = i64::try_from(now).unwrap() - millis(&made);
    assert!(apart.abs() < 60_000, "{apart} ms: {made}");
}
