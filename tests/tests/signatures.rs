//! What is sent under each signing policy, verified by the libraries that receivers use.

use std::time::Duration;

use hookwright_receiver::Authority;
use hookwright_tests::receiver::Received;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Claim, Client, Options, Receiver, Server, Verifiers, eventually};
use serde_json::{Value, json};

/// A webhook as it was made: its answer, with the secret, and where it sends to.
struct Made {
    signing: Value,
    url: String,
    answer: Value,
}

impl Made {
    #[track_caller]
    fn new(client: &Client, receiver: &Receiver, place: &str, signing: &Value, more: &Value) -> Self {
        let url = format!("{}/{place}", receiver.url());
        let mut input = json!({"url": url, "events": ["go"], "signing": signing});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = client.post("/v1/webhooks", &input).expect(201);
        Self { signing: signing.clone(), url, answer }
    }

    fn path(&self) -> String {
        format!("/v1/webhooks/{}", text(&self.answer["id"]))
    }

    /// The `count`th request that it sent.
    #[track_caller]
    fn request(&self, receiver: &Receiver, count: usize) -> Received {
        let path = &self.url[self.url.find("/hook").unwrap()..];
        eventually(|| {
            let found: Vec<Received> = receiver.received().into_iter().filter(|one| one.path == path).collect();
            found.get(count - 1).cloned().ok_or_else(|| format!("{} of {count} requests to {path}", found.len()))
        })
    }

    /// The request as a receiver sees it that knows the key of an answer.
    fn claim(&self, request: &Received, answer: &Value) -> Claim {
        Claim::new(&self.signing, &self.url, request).with_key(&answer["secret"], &answer["keys"][0])
    }
}

/// The same request with another body: one that says something else where that can be, else one with a flaw.
fn forged(claim: Claim) -> Claim {
    claim.with_body(|body| match body.split_once('.') {
        Some((head, rest)) if body.starts_with(r#"{"jwt":"#) => format!("{head}.e{rest}"),
        _ => body.replace("marker-one", "marker-two"),
    })
}

fn policies() -> Vec<Value> {
    let mut policies = vec![
        json!({"kind": "standard"}),
        json!({"kind": "standard-asymmetric"}),
        json!({"kind": "stripe"}),
        json!({"kind": "github", "sha1": true}),
        json!({"kind": "sns", "signature_version": "1"}),
        json!({"kind": "sns", "topic_arn": "arn:aws:sns:eu-west-1:123456789012:tickets"}),
        json!({"kind": "hmac", "header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "prefix": "sha256="}),
        json!({"kind": "hmac", "header": "X-Signature", "algorithm": "sha512", "encoding": "base64",
               "timestamp_header": "X-Time"}),
    ];
    for algorithm in ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA"] {
        policies
            .push(json!({"kind": "jwt", "algorithm": algorithm, "audience": "me", "issuer": "https://hooks.example",
                             "expires_in_seconds": 600}));
    }
    for algorithm in
        ["ed25519", "hmac-sha256", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsa-pss-sha512", "rsa-v1_5-sha256"]
    {
        policies.push(json!({"kind": "http-message-signatures", "algorithm": algorithm, "nonce": true,
                             "expires_in_seconds": 600, "tag": "hookwright"}));
    }
    policies
}

#[test]
fn what_each_policy_sends_is_verified_by_the_libraries_of_others_and_a_changed_body_is_refused() {
    let server = Server::shared();
    let client = server.space("signatures");
    let receiver = Receiver::start();
    let made: Vec<Made> = policies()
        .iter()
        .enumerate()
        .map(|(place, signing)| Made::new(&client, &receiver, &place.to_string(), signing, &json!({})))
        .collect();
    // Stripe's own call wants an event of Stripe's form: so a body of the caller's choice is signed too.
    let raw = Made::new(&client, &receiver, "raw", &json!({"kind": "stripe"}), &json!({"transform": "raw"}));
    let data = json!({"id": "evt_1", "object": "event", "type": "go", "subject": "Größe №7", "mark": "marker-one"});
    scene::send(&client, "go", &data);

    let mut verifiers = Verifiers::start();
    for made in made.iter().chain([&raw]) {
        let request = made.request(&receiver, 1);
        assert!(!request.header("webhook-id").is_empty() && !request.header("webhook-timestamp").is_empty());
        let claim = made.claim(&request, &made.answer);
        verifiers.accept(&claim);
        verifiers.refuse(&forged(claim));
        // Whoever reads the webhook sees its public keys, and never what signs.
        let read = client.get(&made.path()).expect(200);
        assert_eq!((&read["keys"], &read["secret"]), (&made.answer["keys"], &Value::Null));
        assert!(made.answer["secret"].is_string() != made.answer["keys"][0]["public"].is_object(), "{}", made.answer);
    }
    assert_eq!(raw.request(&receiver, 1).json(), data);
}

#[test]
fn what_is_not_to_be_signed_carries_its_id_and_time_only() {
    let server = Server::shared();
    let client = server.space("unsigned");
    let receiver = Receiver::start();
    let made = Made::new(&client, &receiver, "none", &json!({"kind": "none"}), &json!({}));
    assert_eq!((&made.answer["keys"], made.answer.get("secret")), (&json!([]), None));
    scene::send(&client, "go", &json!(1));
    let request = made.request(&receiver, 1);
    assert!(request.header("webhook-id").starts_with("msg_") && !request.header("webhook-timestamp").is_empty());
    assert!(request.headers.iter().all(|(name, _)| !name.contains("signature")), "{:?}", request.headers);
    client.post(&format!("{}/rotate", made.path()), &json!({})).problem(409, "webhook.unsigned");
}

#[test]
fn while_a_key_is_rotated_a_receiver_with_either_key_verifies_and_afterwards_only_one_with_the_new() {
    let server = Server::shared();
    let client = server.space("rotation");
    let receiver = Receiver::start();
    let mut verifiers = Verifiers::start();
    let signature = json!({"kind": "http-message-signatures", "algorithm": "ed25519"});
    for (place, signing) in
        [json!({"kind": "standard"}), json!({"kind": "standard-asymmetric"}), json!({"kind": "stripe"}), signature]
            .iter()
            .enumerate()
    {
        let hook = Made::new(&client, &receiver, &format!("{place}"), signing, &json!({}));
        let rotate = format!("{}/rotate", hook.path());
        let second = client.post(&rotate, &json!({"overlap_seconds": 3600})).expect(200);
        let keys = second["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2, "{second:#}");
        assert!(keys[0].get("expires_at").is_none() && keys[1]["expires_at"].is_string(), "{second:#}");
        assert_eq!(keys[1]["id"], hook.answer["keys"][0]["id"]);
        scene::send(&client, "go", &json!("marker-one"));
        let request = hook.request(&receiver, 1);
        for (answer, label) in [(&second, "sig1"), (&hook.answer, "sig1-2")] {
            let claim = hook.claim(&request, answer).with_label(label);
            verifiers.accept(&claim);
            verifiers.refuse(&forged(claim));
        }
        client.delete(&hook.path()).expect(204);

        for (word, overlap) in [("at-once", 0), ("soon", 1)] {
            let hook = Made::new(&client, &receiver, &format!("{place}-{word}"), signing, &json!({}));
            let rotate = format!("{}/rotate", hook.path());
            let second = client.post(&rotate, &json!({"overlap_seconds": overlap})).expect(200);
            assert_eq!(second["keys"].as_array().map(Vec::len), Some(1 + overlap), "{second:#}");
            // Asked by the same clock as the server's, which lets the old key go at this time.
            std::thread::sleep(Duration::from_millis(1100 * overlap as u64));
            scene::send(&client, "go", &json!("marker-one"));
            let request = hook.request(&receiver, 1);
            verifiers.accept(&hook.claim(&request, &second).with_label("sig1"));
            verifiers.refuse(&hook.claim(&request, &hook.answer).with_label("sig1"));
            client.delete(&hook.path()).expect(204);
        }
    }
}

#[test]
fn where_the_form_has_room_for_one_signature_the_newest_key_signs_at_once() {
    let server = Server::shared();
    let client = server.space("rotation-newest");
    let receiver = Receiver::start();
    let mut verifiers = Verifiers::start();
    for (place, signing) in [
        json!({"kind": "github"}),
        json!({"kind": "jwt", "algorithm": "ES256", "expires_in_seconds": 600}),
        json!({"kind": "sns", "signature_version": "1"}),
        json!({"kind": "hmac", "header": "X-S", "algorithm": "sha256", "encoding": "hex"}),
    ]
    .iter()
    .enumerate()
    {
        let hook = Made::new(&client, &receiver, &place.to_string(), signing, &json!({}));
        let second = client.post(&format!("{}/rotate", hook.path()), &json!({"overlap_seconds": 60})).expect(200);
        scene::send(&client, "go", &json!("marker-one"));
        let request = hook.request(&receiver, 1);
        verifiers.accept(&hook.claim(&request, &second));
        // With SNS the receiver fetches the certificate that the message names, which is the new key's.
        if signing["kind"] != "sns" {
            verifiers.refuse(&hook.claim(&request, &hook.answer));
        } else {
            let document = request.json();
            let certificate = format!("{}.pem", text(&second["keys"][0]["id"]));
            assert!(text(&document["SigningCertURL"]).ends_with(&certificate), "{document}");
        }
        client.delete(&hook.path()).expect(204);
    }
}

#[test]
fn a_rotation_that_cannot_be_is_refused_and_a_key_of_the_callers_own_is_taken() {
    let server = Server::shared();
    let client = server.space("rotation-wrong");
    let receiver = Receiver::start();
    let hook = Made::new(&client, &receiver, "own", &json!({"kind": "standard"}), &json!({}));
    let rotate = format!("{}/rotate", hook.path());
    for (body, path) in [
        (json!({"overlap_seconds": 30 * 86_400 + 1}), "overlap_seconds"),
        (json!({"secret": "whsec_AAAA"}), "secret"),
        (json!({"overlap": 1}), "overlap"),
    ] {
        let answer = client.post(&rotate, &body);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
    }
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
    let second = client.post(&rotate, &json!({"secret": own, "overlap_seconds": 0})).expect(200);
    scene::send(&client, "go", &json!("marker-one"));
    let request = hook.request(&receiver, 1);
    let claim = Claim::new(&hook.signing, &hook.url, &request).with_key(&json!(own), &second["keys"][0]);
    Verifiers::start().accept(&claim);
}

#[test]
fn header_fields_of_the_webhooks_own_arrive_with_variables_and_secrets_and_the_log_shows_no_secret() {
    const VALUE: &str = "t0ken-that-only-the-receiver-sees";
    let mut server = Server::start(Options::default());
    let client = server.client();
    let receiver = Receiver::start();
    client.put_json("/v1/secrets/crm-token", &json!({"value": VALUE})).expect(200);
    let headers = json!([
        {"name": "X-Ticket", "value": "no {{event.data.number}} of {{event.type}}"},
        {"name": "Authorization", "value": "Bearer {{secrets.crm-token}}"},
        {"name": "X-Plain", "value": "as it stands"},
    ]);
    let input = json!({"url": receiver.url(), "events": ["go"], "headers": headers, "retry": {"schedule": "none"}});
    let made = client.post("/v1/webhooks", &input).expect(201);
    assert_eq!(made["headers"], headers, "shown as it was written");
    let event = scene::send(&client, "go", &json!({"number": 7}));
    let request = receiver.wait_for(1).remove(0);
    assert_eq!(request.header("x-ticket"), "no 7 of go");
    assert_eq!(request.header("authorization"), format!("Bearer {VALUE}"));
    assert_eq!(request.header("x-plain"), "as it stands");
    let delivery = scene::story(&client, &event)["deliveries"][0].clone();
    let logged = &delivery["log"][0]["request_headers"];
    let field = |name: &str| {
        let found = logged.as_array().unwrap().iter().find(|pair| pair[0] == name);
        found.unwrap_or_else(|| panic!("no {name}: {logged:#}"))[1].clone()
    };
    assert_eq!(field("x-ticket"), "no 7 of go");
    assert_eq!(field("authorization"), "Bearer {{secrets.crm-token}}");

    // A variable that is not there, and a secret that was taken away, are failures that say so.
    let event = scene::send(&client, "go", &json!({}));
    let dead = scene::story(&client, &event)["deliveries"][0].clone();
    assert_eq!(dead["state"], "dead", "{dead:#}");
    assert!(text(&dead["last_error"]).contains("event.data.number"), "{dead:#}");
    client.delete("/v1/secrets/crm-token").expect(204);
    let event = scene::send(&client, "go", &json!({"number": 8}));
    let dead = scene::story(&client, &event)["deliveries"][0].clone();
    assert!(text(&dead["last_error"]).contains("crm-token"), "{dead:#}");
    assert_eq!(receiver.received().len(), 1);

    // Neither secrets nor what signs stand in any answer, in the log, or in a file.
    let mut hidden = vec![VALUE.to_owned(), text(&made["secret"])[6..].to_owned()];
    for signing in [json!({"kind": "github"}), json!({"kind": "jwt", "algorithm": "HS256"})] {
        let hook = Made::new(&client, &receiver, "hidden", &signing, &json!({"events": ["other"]}));
        hidden.push(text(&hook.answer["secret"]));
        let second = client.post(&format!("{}/rotate", hook.path()), &json!({})).expect(200);
        hidden.push(text(&second["secret"]));
    }
    // A private key that was brought along is taken, and never shown either.
    let pem = Authority::new("Of a test").client("signer").key;
    let signing = json!({"kind": "jwt", "algorithm": "ES256"});
    let own = Made::new(&client, &receiver, "own", &signing, &json!({"events": ["other"], "secret": pem}));
    assert!(own.answer.get("secret").is_none() && own.answer["keys"][0]["public"].is_object(), "{}", own.answer);
    hidden.push(pem.lines().nth(1).unwrap().to_owned());
    scene::send(&client, "other", &json!("marker-one"));
    let request = own.request(&receiver, 1);
    Verifiers::start().accept(&own.claim(&request, &own.answer));
    for path in [
        "/v1/webhooks?limit=500",
        "/v1/deliveries?limit=500",
        "/v1/attempts?limit=500",
        "/v1/attempts/export",
        "/v1/events?limit=500",
        "/v1/secrets",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{answer}");
        for secret in &hidden {
            assert!(!answer.text().contains(secret.as_str()), "{path} shows {secret}");
        }
    }
    let (data, log) = (server.data(), server.log());
    server.stop();
    for secret in &hidden {
        assert!(!log.contains(secret.as_str()), "the log shows {secret}");
        for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            let shown = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!shown, "{:?} shows {secret}", entry.path());
        }
    }
}

#[test]
fn header_fields_that_cannot_be_sent_are_refused_when_the_webhook_is_made() {
    let server = Server::shared();
    let client = server.space("headers-wrong");
    for (header, path, part) in [
        (json!({"name": "X Y", "value": ""}), "headers[0].name", "no name"),
        (json!({"name": "Host", "value": "a"}), "headers[0].name", "connection itself"),
        (json!({"name": "X", "value": "a\r\nb"}), "headers[0].value", "control"),
        (json!({"name": "X", "value": "{{secrets.nothing}}"}), "headers[0].value", "PUT /v1/secrets/nothing"),
        (json!({"name": "X", "value": "{{nowhere.x}}"}), "headers[0].value", "nowhere"),
    ] {
        let input = json!({"url": "http://127.0.0.1:9/", "events": ["go"], "headers": [header]});
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [path], "{answer}");
        assert!(answer.text().contains(part), "{part}: {answer}");
    }
}
