//! Receivers are asked whether they want to be called, each in the way of its profile, and get nothing before they say so.

use std::time::Duration;

use hookwright_tests::clock::between;
use hookwright_tests::due;
use hookwright_tests::receiver::Received;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Claim, Client, Options, Receiver, Reply, Server, Verifiers, eventually};
use serde_json::{Value, json};

#[track_caller]
fn make(client: &Client, url: &str, more: &Value) -> (String, Value) {
    let mut input = json!({"url": url, "events": ["lead.created"], "retry": {"schedule": "none"}});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = client.post("/v1/webhooks", &input).expect(201);
    assert_eq!((&made["state"], made.get("confirmed_at")), (&json!("unconfirmed"), None), "{made:#}");
    (format!("/v1/webhooks/{}", text(&made["id"])), made)
}

#[track_caller]
fn in_state(client: &Client, path: &str, state: &str) -> Value {
    eventually(|| {
        let found = client.get(path).expect(200);
        if found["state"] == state { Ok(found) } else { Err(format!("{found:#}")) }
    })
}

/// The deliveries that asked a receiver, the newest first, once there are `count` and none of them waits.
#[track_caller]
fn questions(client: &Client, count: usize) -> Vec<Value> {
    eventually(|| {
        let mut all = scene::all(client, "/v1/deliveries");
        all.retain(|one| one["purpose"] == "confirmation");
        let ended = all.len() == count && all.iter().all(|one| one["state"] != "pending");
        if ended { Ok(all) } else { Err(format!("{all:#?}")) }
    })
}

/// Waits until the question that was asked `attempts` times without success waits for its next attempt, which is 600
/// seconds after the last one, and moves the clock there; `receiver` is not asked before.
#[track_caller]
fn asked_again(server: &Server, client: &Client, receiver: &Receiver, attempts: usize) {
    let waiting = eventually(|| {
        let pending = scene::all(client, "/v1/deliveries?state=pending");
        let fits = |one: &&Value| one["purpose"] == "confirmation" && one["attempts"] == attempts;
        let found = pending.iter().find(fits).ok_or_else(|| format!("{pending:#?}"))?;
        Ok(client.get(&format!("/v1/deliveries/{}", text(&found["id"]))).expect(200))
    });
    let (last, next) = (&waiting["log"][attempts - 1]["started_at"], &waiting["next_attempt_at"]);
    assert!((600..900).contains(&between(last, next).as_secs()), "by the schedule: {waiting:#}");
    assert_eq!(receiver.received().len(), attempts, "{waiting:#}");
    due::advance_over(server, next, receiver);
}

/// Events and tests do not go out.
#[track_caller]
fn gets_nothing(client: &Client, path: &str) {
    let event = scene::send(client, "lead.created", &json!({"id": 1}));
    let story = scene::story(client, &event);
    let to_it = |one: &&Value| path.ends_with(&text(&one["webhook"]));
    assert_eq!(story["deliveries"].as_array().unwrap().iter().find(to_it), None);
    client.post(&format!("{path}/test"), &json!({})).problem(409, "webhook.unconfirmed");
}

/// Follows a link as a receiver does, who has no key.
fn follow(client: &Client, link: &str) -> hookwright_tests::Answer {
    client.without_key().get(link)
}

/// The link's token stands in nothing that the API shows.
#[track_caller]
fn is_shown_nowhere(client: &Client, path: &str, token: &str) {
    for shown in [path, "/v1/webhooks", "/v1/deliveries", "/v1/attempts", "/v1/attempts/export", "/v1/events?limit=500"]
    {
        let answer = client.get(shown);
        assert!(answer.status == 200 && !answer.text().contains(token), "{shown} shows the link: {answer}");
    }
    for event in scene::all(client, "/v1/events") {
        let answer = client.get(&format!("/v1/events/{}", text(&event["id"])));
        assert!(!answer.text().contains(token), "the story shows the link: {answer}");
    }
}

#[test]
fn a_webhook_of_uspacy_is_confirmed_as_amazon_sns_does_and_three_validators_accept_its_messages() {
    let server = Server::shared();
    let client = server.space("confirm-sns");
    let mut verifiers = Verifiers::start();
    for version in ["1", "2"] {
        let receiver = Receiver::start();
        // Without a version it is one that all three take.
        let mut signing = json!({"kind": "sns"});
        if version == "2" {
            signing["signature_version"] = json!(version);
            signing["topic_arn"] = json!("arn:aws:sns:eu-west-1:123456789012:leads");
        }
        let input = json!({"url": receiver.url(), "profile": "uspacy", "event": "lead.created", "signing": signing});
        let made = client.post("/v1/webhooks", &input).expect(201);
        assert_eq!(
            (&made["state"], &made["handshake"], &made["transform"]),
            (&json!("unconfirmed"), &json!("sns"), &json!("uspacy"))
        );
        let path = format!("/v1/webhooks/{}", text(&made["id"]));
        gets_nothing(&client, &path);

        let asked = receiver.wait_for(1).remove(0);
        assert_eq!(asked.header("x-amz-sns-message-type"), "SubscriptionConfirmation");
        assert_eq!(asked.header("content-type"), "text/plain; charset=UTF-8");
        let document = asked.json();
        assert_eq!(
            (&document["Type"], &document["SignatureVersion"]),
            (&json!("SubscriptionConfirmation"), &json!(version))
        );
        let claim = Claim::new(&signing, &receiver.url(), &asked);
        verifiers.accept(&claim);
        verifiers.refuse(&claim.with_body(|body| body.replace("You asked", "You begged")));

        let (link, token) = (text(&document["SubscribeURL"]), text(&document["Token"]));
        is_shown_nowhere(&client, &path, &token);
        // What link checkers and mail scanners send confirms nothing.
        let anybody = client.without_key();
        assert_eq!(anybody.send("HEAD", &link, &[], b"").status, 200);
        for method in ["OPTIONS", "DELETE", "PUT", "PATCH", "POST"] {
            let answer = anybody.send(method, &link, &[], b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {answer}");
            let problem = answer.problem(405, "method.not_allowed");
            let detail = text(&problem["detail"]);
            assert!(detail.contains(&format!("does not support {method}; it supports GET, HEAD")), "{detail}");
        }
        in_state(&client, &path, "unconfirmed");
        let confirmed = follow(&client, &link).expect(200);
        assert_eq!((&confirmed["confirmed"], &confirmed["webhook"]), (&json!(true), &made["id"]));
        assert_eq!(confirmed["topic"], document["TopicArn"]);
        follow(&client, &link).problem(410, "confirmation.gone");
        let active = in_state(&client, &path, "active");
        assert_eq!(active["state_by"], "receiver");
        assert!(active["confirmed_at"].is_string() && active["state_at"].is_string(), "{active:#}");
        client.post(&format!("{path}/verify"), &json!({})).problem(409, "webhook.confirmed");

        scene::send(&client, "lead.created", &json!({"id": 7, "title": "marker-one"}));
        let sent = receiver.wait_for(2).remove(1);
        assert_eq!(sent.header("x-amz-sns-message-type"), "Notification");
        let claim = Claim::new(&signing, &receiver.url(), &sent);
        verifiers.accept(&claim);
        verifiers.refuse(&claim.with_body(|body| body.replace("marker-one", "marker-two")));
        assert_eq!(sent.json()["TopicArn"], document["TopicArn"], "one topic for all of a webhook's messages");
        let message: Value = serde_json::from_str(sent.json()["Message"].as_str().unwrap()).unwrap();
        assert_eq!((&message["topic"], &message["type"]), (&json!("Notifications"), &json!("lead")));
        assert_eq!(
            (&message["data"]["entity"]["title"], &message["data"]["action"]),
            (&json!("marker-one"), &json!("create"))
        );

        // Switched off and on again, it stays confirmed.
        client.post(&format!("{path}/disable"), &json!({})).expect(200);
        let event = scene::send(&client, "lead.created", &json!({"id": 8}));
        assert_eq!(scene::story(&client, &event)["deliveries"], json!([]));
        let on = client.post(&format!("{path}/enable"), &json!({})).expect(200);
        assert_eq!((&on["state"], &on["confirmed_at"]), (&json!("active"), &active["confirmed_at"]));
        scene::send(&client, "lead.created", &json!({"id": 9}));
        assert_eq!(receiver.wait_for(3)[2].header("x-amz-sns-message-type"), "Notification");
        scene::settled(&client);
        assert_eq!(receiver.received().len(), 3, "nothing was asked again");
        client.delete(&path).expect(204);
    }
}

#[test]
fn a_new_challenge_replaces_the_old_link_and_a_new_url_is_challenged_again() {
    let server = Server::shared();
    let client = server.space("confirm-again");
    let receiver = Receiver::start();
    let (path, _) = make(&client, &receiver.url(), &json!({"profile": "uspacy", "signing": {"kind": "sns"}}));
    let first = text(&receiver.wait_for(1)[0].json()["SubscribeURL"]);
    assert_eq!(client.post(&format!("{path}/verify"), &json!({})).expect(202)["state"], "unconfirmed");
    let second = text(&receiver.wait_for(2)[1].json()["SubscribeURL"]);
    follow(&client, &first).problem(410, "confirmation.gone");
    in_state(&client, &path, "unconfirmed");
    // Whoever was asked cannot answer for another address.
    let elsewhere = Receiver::start();
    client.patch(&path, &json!({"url": elsewhere.url()})).expect(200);
    let third = text(&elsewhere.wait_for(1)[0].json()["SubscribeURL"]);
    follow(&client, &second).problem(410, "confirmation.gone");
    follow(&client, &third).expect(200);
    let active = in_state(&client, &path, "active");
    let back = client.patch(&path, &json!({"url": receiver.url()})).expect(200);
    assert_eq!((&back["state"], back.get("confirmed_at")), (&json!("unconfirmed"), None), "{active:#}");
    gets_nothing(&client, &path);
    let fourth = text(&receiver.wait_for(3)[2].json()["SubscribeURL"]);
    follow(&client, &fourth).expect(200);
    in_state(&client, &path, "active");
    follow(&client, "/confirm/made-up").problem(410, "confirmation.gone");
}

#[test]
fn a_failed_verification_challenge_is_retried_by_the_schedule() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let receiver = Receiver::with_replies(&[Reply::status(500), Reply::status(204)]);
    let retry = json!({"delays_seconds": [600, 600], "jitter": 0});
    let (path, _) =
        make(&client, &receiver.url(), &json!({"profile": "uspacy", "signing": {"kind": "sns"}, "retry": retry}));
    asked_again(&server, &client, &receiver, 1);
    let requests = receiver.wait_for(2);
    assert_eq!(requests[0].json()["SubscribeURL"], requests[1].json()["SubscribeURL"]);
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"));
    assert_eq!(questions(&client, 1)[0]["state"], "delivered");
    in_state(&client, &path, "unconfirmed");
    assert_eq!(receiver.received().len(), 2);

    // One that follows the link at once and then fails is confirmed, and not asked again.
    let hasty = client.without_key();
    let receiver = Receiver::with(move |request| {
        if request.header("x-amz-sns-message-type") == "SubscriptionConfirmation" {
            hasty.get(&text(&request.json()["SubscribeURL"])).expect(200);
        }
        Reply::status(500)
    });
    let (path, _) =
        make(&client, &receiver.url(), &json!({"profile": "uspacy", "signing": {"kind": "sns"}, "retry": retry}));
    in_state(&client, &path, "active");
    asked_again(&server, &client, &receiver, 1);
    let question = &questions(&client, 2)[0];
    assert_eq!(question["state"], "dropped", "{question:#}");
    assert!(text(&question["last_error"]).contains("confirmed in the meantime"), "{question:#}");
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn an_unsendable_verification_challenge_fails_with_the_reason() {
    let server = Server::shared();
    let client = server.space("confirm-unsendable");
    let receiver = Receiver::start();
    let headers = json!([{"name": "X-Ticket", "value": "{{event.data.number}}"}]);
    let (path, _) = make(&client, &receiver.url(), &json!({"profile": "xurrent", "headers": headers}));
    let question = questions(&client, 1).remove(0);
    assert_eq!((&question["state"], &question["attempts"]), (&json!("dead"), &json!(1)), "{question:#}");
    assert!(text(&question["last_error"]).contains("event.data.number"), "{question:#}");
    client.patch(&path, &json!({"headers": []})).expect(200);
    client.post(&format!("{path}/verify"), &json!({})).expect(202);
    receiver.wait_for(1);
}

#[test]
fn a_webhook_of_xurrent_is_confirmed_by_calling_its_callback() {
    let server = Server::shared();
    let client = server.space("confirm-xurrent");
    let receiver = Receiver::start();
    let more = json!({"profile": "xurrent", "events": ["ticket.created"], "name": "All tickets"});
    let (path, made) = make(&client, &receiver.url(), &more);
    gets_nothing(&client, &path);
    let asked = receiver.wait_for(1).remove(0).json();
    assert_eq!((&asked["event"], &asked["webhook_id"]), (&json!("webhook.verify"), &made["number"]), "{asked:#}");
    let callback = text(&asked["payload"]["callback"]);
    is_shown_nowhere(&client, &path, callback.rsplit('/').next().unwrap());
    follow(&client, &callback).expect(200);
    follow(&client, &callback).problem(410, "confirmation.gone");
    in_state(&client, &path, "active");
    let ticket = scene::ticket(&client, "Printer");
    let sent = receiver.wait_for(2).remove(1).json();
    assert_eq!(sent["object_id"], ticket, "{sent:#}");

    // Nor is the callback shown where the message is a token.
    let receiver = Receiver::start();
    let more = json!({"profile": "xurrent", "signing": {"kind": "jwt", "algorithm": "ES256"}});
    let (path, _) = make(&client, &receiver.url(), &more);
    receiver.wait_for(1);
    let id = text(&questions(&client, 2)[0]["id"]);
    let attempt = client.get(&format!("/v1/deliveries/{id}")).expect(200)["log"][0].clone();
    assert_eq!(attempt["request_body"], "***", "{attempt:#}");
    client.post(&format!("{path}/verify"), &json!({})).expect(202);
    receiver.wait_for(2);
}

/// What a CloudEvents receiver answers to OPTIONS; events are taken.
fn options(reply: Reply) -> Receiver {
    Receiver::with(move |request| if request.method == "OPTIONS" { reply.clone() } else { Reply::status(204) })
}

#[test]
fn a_cloudevents_receiver_grants_permission_with_a_rate() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let receiver =
        options(Reply::status(200).header("webhook-allowed-origin", "127.0.0.1").header("webhook-allowed-rate", "2"));
    let (path, _) = make(&client, &receiver.url(), &json!({"profile": "cloudevents"}));
    let active = in_state(&client, &path, "active");
    assert_eq!(active["rate"], json!({"requests": 2, "per_seconds": 60}));
    let asked = receiver.received().remove(0);
    assert_eq!((asked.method.as_str(), asked.body.len()), ("OPTIONS", 0));
    assert_eq!(asked.header("webhook-request-origin"), "127.0.0.1");
    assert!(asked.header("webhook-request-callback").contains("/confirm/"), "{asked:?}");
    for n in 0..3 {
        scene::send(&client, "lead.created", &json!({"id": n}));
    }
    let sent = receiver.wait_for(3);
    assert_eq!(sent[1].header("webhook-request-origin"), "127.0.0.1", "each delivery says from whom it is");
    // Once the others are recorded, nothing but the rate holds the third one up.
    eventually(|| {
        let pending = scene::all(&client, "/v1/deliveries?state=pending");
        if pending.len() == 1 { Ok(()) } else { Err(format!("{pending:#?}")) }
    });
    // What was sent later to another receiver is there before it.
    let other = Receiver::start();
    scene::webhook(&client, &other.url(), &["lead.closed"]);
    scene::story(&client, &scene::send(&client, "lead.closed", &json!({"id": 3})));
    assert_eq!(other.received().len(), 1);
    let status = client.get(&path).expect(200)["status"].clone();
    assert_eq!((&status["queued"], &status["under_way"]), (&json!(1), &json!(0)), "{status}");
    assert_eq!(receiver.received().len(), 3, "the third one waits for its turn");
    server.advance(Duration::from_secs(30));
    assert_eq!(receiver.wait_for(4).len(), 4);

    // The webhook's own rate stays if it is the slower one, and is asked for.
    let receiver =
        options(Reply::status(200).header("webhook-allowed-origin", "*").header("webhook-allowed-rate", "120"));
    let rate = json!({"requests": 1, "per_seconds": 2});
    let (path, _) = make(&client, &receiver.url(), &json!({"profile": "cloudevents", "rate": rate}));
    assert_eq!(in_state(&client, &path, "active")["rate"], rate);
    assert_eq!(receiver.received()[0].header("webhook-request-rate"), "30");
    let receiver =
        options(Reply::status(204).header("webhook-allowed-origin", "*").header("webhook-allowed-rate", "*"));
    let (path, _) = make(&client, &receiver.url(), &json!({"profile": "cloudevents"}));
    assert_eq!(in_state(&client, &path, "active").get("rate"), None, "as many as there are");
}

#[test]
fn a_cloudevents_receiver_gets_no_events_before_it_grants_permission() {
    let server = Server::shared();
    let client = server.space("confirm-refused");
    for (place, reply) in [
        Reply::status(200),
        Reply::status(200).header("allow", "POST, OPTIONS"),
        Reply::status(200).header("webhook-allowed-origin", "elsewhere.example"),
        Reply::status(405).header("webhook-allowed-origin", "*"),
        Reply::status(500),
    ]
    .into_iter()
    .enumerate()
    {
        let receiver = options(reply);
        let (path, _) = make(&client, &receiver.url(), &json!({"profile": "cloudevents"}));
        questions(&client, place + 1);
        in_state(&client, &path, "unconfirmed");
        gets_nothing(&client, &path);
        if place == 2 {
            // Shown once deliveries see it, which is a moment after the attempt is recorded.
            let error = eventually(|| {
                let shown = client.get(&path).expect(200);
                shown["last_error"].as_str().map(str::to_owned).ok_or_else(|| format!("{shown:#}"))
            });
            assert!(error.contains("elsewhere.example") && error.contains("`127.0.0.1` or `*`"), "{error}");
        }
        let callback = receiver.received()[0].header("webhook-request-callback").to_owned();
        is_shown_nowhere(&client, &path, callback.rsplit('/').next().unwrap());
        if place % 2 == 0 {
            follow(&client, &callback).expect(200);
            assert_eq!(in_state(&client, &path, "active").get("rate"), None);
        } else {
            // With the rate that it allows (HTTP Webhook, section 4.1.3).
            client.without_key().send("POST", &callback, &[("webhook-allowed-rate", "90")], b"").expect(200);
            assert_eq!(in_state(&client, &path, "active")["rate"], json!({"requests": 90, "per_seconds": 60}));
        }
        scene::send(&client, "lead.created", &json!({"id": 1}));
        assert_eq!(receiver.wait_for(2)[1].method, "POST");
        client.delete(&path).expect(204);
    }
}

/// A receiver that refuses the first question and answers the others with `right`; it takes everything else.
fn hesitant(asks: fn(&Received) -> bool, wrong: Vec<Reply>, right: fn(&Received) -> Reply) -> Receiver {
    let mut wrong = wrong.into_iter();
    Receiver::with(move |request| match asks(request) {
        true => wrong.next().unwrap_or_else(|| right(request)),
        false => Reply::status(204),
    })
}

fn challenge(request: &Received) -> Reply {
    let challenge = request.path.split("hub.challenge=").nth(1).unwrap_or_default();
    Reply::status(200).body(challenge.split('&').next().unwrap_or_default())
}

fn is_challenge(request: &Received) -> bool {
    request.method == "GET"
}

fn hook_secret(request: &Received) -> Reply {
    Reply::status(200).header("x-hook-secret", request.header("x-hook-secret"))
}

fn is_hook_secret(request: &Received) -> bool {
    !request.header("x-hook-secret").is_empty()
}

#[test]
fn a_receiver_is_challenged_until_it_echoes_the_challenge_or_secret() {
    let server = Server::start(Options::default().clock());
    type Case = (&'static str, fn(&Received) -> bool, fn(&Received) -> Reply, Vec<Reply>);
    let cases: [Case; 2] = [
        (
            "websub-challenge",
            is_challenge,
            challenge,
            vec![Reply::status(404), Reply::status(200).body("yes"), Reply::status(200)],
        ),
        (
            "hook-secret",
            is_hook_secret,
            hook_secret,
            vec![Reply::status(500), Reply::status(200).header("x-hook-secret", "another"), Reply::status(200)],
        ),
    ];
    for (handshake, asks, right, wrong) in cases {
        let client = server.space(&format!("confirm-{handshake}"));
        let count = wrong.len();
        let receiver = hesitant(asks, wrong.clone(), right);
        let retry = json!({"delays_seconds": [0, 600, 0], "jitter": 0});
        let (path, _) = make(&client, &receiver.url(), &json!({"handshake": handshake, "retry": retry}));
        asked_again(&server, &client, &receiver, 2);
        in_state(&client, &path, "active");
        let question = questions(&client, 1).remove(0);
        assert_eq!(
            (&question["state"], &question["attempts"]),
            (&json!("delivered"), &json!(count + 1)),
            "{question:#}"
        );
        let requests = receiver.received();
        assert_eq!(requests.len(), count + 1);
        let event = scene::send(&client, "lead.created", &json!({"id": 1}));
        receiver.wait_for(count + 2);
        assert_eq!(scene::story(&client, &event)["deliveries"][0]["state"], "delivered");
        client.delete(&path).expect(204);

        // Given up, it is asked again when somebody wants it.
        let receiver = hesitant(asks, wrong[..1].to_vec(), right);
        let (path, _) = make(&client, &receiver.url(), &json!({"handshake": handshake}));
        assert_eq!(questions(&client, 2)[0]["state"], "dead");
        in_state(&client, &path, "unconfirmed");
        gets_nothing(&client, &path);
        client.post(&format!("{path}/verify"), &json!({})).expect(202);
        in_state(&client, &path, "active");
        let requests = receiver.received();
        assert_eq!(requests.len(), 2);
        match handshake {
            "websub-challenge" => {
                for part in ["hub.mode=subscribe", "hub.topic=lead.created", "hub.lease_seconds=31536000"] {
                    assert!(requests[1].path.contains(part), "{part}: {}", requests[1].path);
                }
                assert_ne!(challenge(&requests[0]).body, challenge(&requests[1]).body, "a new one each time");
            }
            _ => {
                let secret = requests[1].header("x-hook-secret").to_owned();
                assert!(secret.len() >= 40 && secret != requests[0].header("x-hook-secret"));
                is_shown_nowhere(&client, &path, &secret);
            }
        }
    }
}

#[test]
fn the_sns_handshake_requires_the_sns_signing_policy() {
    let server = Server::shared();
    let client = server.space("confirm-unfit");
    for input in [
        json!({"url": "http://127.0.0.1:9/", "events": ["go"], "handshake": "sns"}),
        json!({"url": "http://127.0.0.1:9/", "events": ["go"], "profile": "uspacy", "signing": {"kind": "standard"}}),
    ] {
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["signing"], "{answer}");
    }
    let made = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.1:9/", "events": ["go"]})).expect(201);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    client.post(&format!("{path}/verify"), &json!({})).problem(409, "webhook.confirmed");
}
