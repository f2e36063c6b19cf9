//! Moving the clock over a time at which something is due, which does not happen before it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::between;
use crate::receiver::Receiver;
use crate::scene;
use crate::server::Server;

/// How long before the time the test looks. The server's clock runs on, so a shorter margin could end on a busy machine
/// before the test has looked.
const MARGIN: Duration = Duration::from_secs(120);

/// Moves the clock to shortly before a time that the server shows, checks that nothing is sent to `receiver`, and moves the
/// clock to the time itself. At the check the server has looked at what is due: a run that was due by then has continued,
/// and the event that it emitted was delivered to another receiver.
#[track_caller]
pub fn advance_over(server: &Server, time: &Value, receiver: &Receiver) {
    let before = receiver.received().len();
    // In a space of its own, where no test counts its events.
    let client = server.space("witness");
    let witness = Receiver::start();
    let (hook, _) = scene::webhook(&client, &witness.url(), &["witness.passed"]);
    let automation = scene::automation(
        &client,
        &json!({"name": "witness", "on": ["witness.begun"], "then": [
            {"wait": {"seconds": "{{event.data.seconds}}"}},
            {"action": "event-emit", "with": {"type": "witness.passed"}}]}),
    );
    let now = client.get(&format!("/v1/automations/{automation}")).expect(200)["created_at"].clone();
    let seconds = between(&now, time).saturating_sub(MARGIN).as_secs();
    let event = scene::send(&client, "witness.begun", &json!({"seconds": seconds}));
    let waiting = scene::story_when(&client, &event, |story| story["runs"][0]["wait_until"].is_string());
    let early = &waiting["runs"][0]["wait_until"];
    assert!(between(early, time) > MARGIN / 2, "{early} is not early enough before {time}");
    server.advance_to(early);
    witness.wait_for(1);
    assert_eq!(receiver.received().len(), before, "sent before its time, {time}");
    // What comes later has a witness of its own.
    client.delete(&format!("/v1/webhooks/{hook}")).expect(204);
    client.delete(&format!("/v1/automations/{automation}")).expect(204);
    server.advance_to(time);
}
