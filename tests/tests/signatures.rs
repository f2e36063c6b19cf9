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
fn third_party_libraries_verify_every_policy_and_reject_modified_bodies() {
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
fn unsigned_messages_have_only_id_and_timestamp() {
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
fn during_rotation_both_keys_verify_and_afterwards_only_the_new_one() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let receiver = Receiver::start();
    let mut verifiers = Verifiers::start();
    // The first one is verified by libraries that take no signature which was made five seconds ahead of their clock.
    let signature = json!({"kind": "http-message-signatures", "algorithm": "ed25519"});
    for (place, signing) in
        [signature, json!({"kind": "standard"}), json!({"kind": "standard-asymmetric"}), json!({"kind": "stripe"})]
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
            server.advance(Duration::from_millis(1100 * overlap as u64));
            scene::send(&client, "go", &json!("marker-one"));
            let request = hook.request(&receiver, 1);
            verifiers.accept(&hook.claim(&request, &second).with_label("sig1"));
            verifiers.refuse(&hook.claim(&request, &hook.answer).with_label("sig1"));
            client.delete(&hook.path()).expect(204);
        }
    }
}

#[test]
fn with_single_signature_schemes_the_newest_key_signs_at_once() {
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
fn invalid_rotations_are_rejected_and_the_caller_can_supply_a_key() {
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
fn custom_header_fields_support_variables_and_secrets_and_are_redacted_in_the_log() {
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
fn invalid_header_fields_are_rejected_when_the_webhook_is_created() {
    let server = Server::shared();
    let client = server.space("headers-wrong");
    for (header, path, part) in [
        (json!({"name": "X Y", "value": ""}), "headers[0].name", "not a valid name"),
        (json!({"name": "Host", "value": "a"}), "headers[0].name", "connection itself"),
        (json!({"name": "Content-Length", "value": "1"}), "headers[0].name", "connection itself"),
        (json!({"name": "transfer-encoding", "value": "chunked"}), "headers[0].name", "connection itself"),
        (json!({"name": "TE", "value": "trailers"}), "headers[0].name", "connection itself"),
        (json!({"name": "Content-Encoding", "value": "gzip"}), "headers[0].name", "sent as it is: leave it out"),
        (json!({"name": "Expect", "value": "100-continue"}), "headers[0].name", "not supported: leave it out"),
        (json!({"name": "Content-Type", "value": "json"}), "headers[0].value", "`text/csv; charset=utf-8`"),
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
    let twice = json!([{"name": "X-Ticket", "value": "1"}, {"name": "x-ticket", "value": "2"}]);
    let (made, _) = scene::webhook(&client, "http://127.0.0.1:9/", &["go"]);
    let answer = client.patch(&format!("/v1/webhooks/{made}"), &json!({"headers": twice}));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["headers[1].name"], "{answer}");
    assert!(answer.text().contains("headers[0] too"), "{answer}");
}

#[test]
fn a_header_field_that_the_signing_policy_sets_is_rejected() {
    let server = Server::shared();
    let client = server.space("headers-signed");
    let hmac = |header: &str| json!({"kind": "hmac", "header": header, "algorithm": "sha256", "encoding": "hex"});
    let field = |name: &str| json!([{"name": "X-Other", "value": "1"}, {"name": name, "value": "text/plain"}]);
    let input = |signing: Value, name: &str| json!({"url": "http://127.0.0.1:9/", "events": ["go"], "signing": signing, "headers": field(name)});
    for (signing, name) in [
        (json!({"kind": "standard"}), "Webhook-Signature"),
        (json!({"kind": "none"}), "webhook-id"),
        (hmac("X-Capacity-ID"), "x-capacity-id"),
        (json!({"kind": "jwt", "algorithm": "HS256"}), "Content-Type"),
        (json!({"kind": "github"}), "X-GitHub-Event"),
    ] {
        let answer = client.post("/v1/webhooks", &input(signing, name));
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["headers[1].name"], "{answer}");
        assert!(answer.text().contains("set by the signing policy"), "{answer}");
    }

    // A change of either of the two is checked as well.
    let made = client.post("/v1/webhooks", &input(hmac("X-Sig"), "X-GitHub-Event")).expect(201);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    for change in [json!({"headers": field("x-sig")}), json!({"signing": {"kind": "github"}})] {
        let answer = client.patch(&path, &change);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["headers[1].name"], "{answer}");
    }

    // So is a change of a policy that the webhook shares.
    let policy = json!({"name": "Shared", "signing": {"kind": "standard"}});
    let number = client.post("/v1/webhook-policies", &policy).expect(201)["id"].clone();
    client.patch(&path, &json!({"policy": number})).expect(200);
    let policy_path = format!("/v1/webhook-policies/{number}");
    let answer = client.patch(&policy_path, &json!({"signing": {"kind": "github"}}));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["signing"], "{answer}");
    assert!(answer.text().contains(&text(&made["id"])), "{answer}");
    let document = json!({"webhook_policies": [{"name": "Shared", "signing": {"kind": "github"}}]});
    let answer = client.post("/v1/configuration/plan", &json!({"configuration": document}));
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["webhook_policies.Shared.signing"], "{answer}");
    assert_eq!(client.get(&policy_path).expect(200)["signing"], json!({"kind": "standard"}));
    client.patch(&policy_path, &json!({"name": "Renamed"})).expect(200);
    client.patch(&path, &json!({"headers": []})).expect(200);
    client.patch(&policy_path, &json!({"signing": {"kind": "github"}})).expect(200);
}

#[test]
fn a_request_has_one_content_type_which_the_webhook_may_set() {
    let server = Server::shared();
    let client = server.space("headers-type");
    let receiver = Receiver::start();
    let signing = json!({"kind": "http-message-signatures", "algorithm": "ed25519"});
    let made = client
        .post(
            "/v1/webhooks",
            &json!({"url": receiver.url(), "events": ["csv"], "signing": signing, "transform": "template",
                "with": {"template": "a;b"}, "headers": [{"name": "Content-Type", "value": "text/csv"}]}),
        )
        .expect(201);
    let event = scene::send(&client, "csv", &json!({}));
    let request = receiver.wait_for(1).remove(0);
    let types: Vec<&str> =
        request.headers.iter().filter(|(name, _)| name == "content-type").map(|(_, value)| value.as_str()).collect();
    assert_eq!(types, ["text/csv"]);
    let log = scene::story(&client, &event)["deliveries"][0]["log"][0]["request_headers"].clone();
    assert_eq!(log.to_string().matches("content-type\",").count(), 1, "{log:#}");

    // A body that is not JSON is not sent as JSON, whoever says that it is.
    let headers = json!([{"name": "content-type", "value": "application/json"}]);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    client.patch(&path, &json!({"headers": headers, "retry": {"schedule": "none"}})).expect(200);
    let dead = scene::story(&client, &scene::send(&client, "csv", &json!({})))["deliveries"][0].clone();
    assert_eq!((&dead["state"], &dead["log"][0]["outcome"]["code"]), (&json!("dead"), &json!("message.not_json")));
    assert_eq!(receiver.received().len(), 1);
}
