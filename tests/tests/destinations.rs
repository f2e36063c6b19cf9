//! How receivers are reached: certificates, tokens, addresses; and what is sent to them, or not sent at all.

use std::sync::{Arc, Mutex};

use hookwright_receiver::{Authority, Receiver as Site, Reply as Given, Request, Tls, Validity};
use hookwright_tests::scene::{self, delivered, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server};
use serde_json::{Value, json};

/// A receiver over TLS that takes everything and remembers it.
fn site(tls: Tls) -> (Site, Arc<Mutex<Vec<Request>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let site = Site::serving(Some(tls), move |request| {
        kept.lock().unwrap().push(request.clone());
        Given::new(200, "thanks")
    });
    (site, seen)
}

#[track_caller]
fn hook(client: &Client, url: &str, more: &Value) -> Value {
    let mut input = json!({"url": url, "events": ["go"], "retry": {"schedule": "none"}});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/webhooks", &input).expect(201)
}

#[track_caller]
fn failed_with(delivery: &Value, code: &str) {
    assert_eq!(delivery["state"], "dead", "{delivery:#}");
    assert_eq!(delivery["log"][0]["outcome"]["code"], code, "{delivery:#}");
}

/// TLS 1.3 lets a client send before the receiver has looked at its certificate (RFC 8446 section 4.4.2.4), so the
/// receiver's close may be faster than its alert.
#[track_caller]
fn refused_for_its_certificate(delivery: &Value) {
    assert_eq!(delivery["state"], "dead", "{delivery:#}");
    let code = text(&delivery["log"][0]["outcome"]["code"]);
    assert!(["tls.client_certificate", "answer.reset"].contains(&code.as_str()), "{delivery:#}");
}

#[test]
fn a_receiver_with_an_authority_of_its_own_is_reached_over_tls_and_the_log_says_where_the_time_went() {
    let server = Server::shared();
    let client = server.space("tls");
    let authority = Authority::new("Authority of a test");
    let (receiver, seen) = site(Tls::new(&authority.server("localhost", Validity::Now)));
    let unknown = hook(&client, &receiver.url("/a"), &json!({}));
    failed_with(&delivered(&client, &json!(1)), "tls.unknown_issuer");
    client.delete(&format!("/v1/webhooks/{}", text(&unknown["id"]))).expect(204);

    let transport = json!({"ca_pem": authority.pem()});
    let made = hook(&client, &receiver.url("/a"), &json!({"transport": transport}));
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let first = delivered(&client, &json!(2));
    assert_eq!(first["state"], "delivered", "{first:#}");
    let timing = first["log"][0]["timing"].clone();
    for part in ["dns_us", "connect_us", "tls_us", "first_byte_us"] {
        assert!(timing[part].is_u64(), "{part}: {timing}");
    }
    assert_eq!(timing["reused"], false);
    let again = delivered(&client, &json!(3))["log"][0]["timing"].clone();
    assert!(again["reused"] == true && again["first_byte_us"].is_u64(), "{again}");
    assert_eq!((again.get("connect_us"), again.get("tls_us")), (None, None), "{again}");
    client.patch(&path, &json!({"transport": {"ca_pem": authority.pem(), "http2": false}})).expect(200);
    delivered(&client, &json!(4));
    let versions: Vec<bool> = seen.lock().unwrap().iter().map(|request| request.http2).collect();
    assert_eq!(versions, [true, true, false], "HTTP/2 where it is offered and wanted");

    // The certificate is for localhost; and one that has run out is none.
    let by_address = format!("https://127.0.0.1:{}/a", receiver.port());
    client.patch(&path, &json!({"url": by_address})).expect(200);
    failed_with(&delivered(&client, &json!(5)), "tls.wrong_name");
    let (old, _) = site(Tls::new(&authority.server("localhost", Validity::Past)));
    client.patch(&path, &json!({"url": old.url("/a")})).expect(200);
    failed_with(&delivered(&client, &json!(6)), "tls.expired");
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn a_receiver_that_wants_a_client_certificate_gets_the_webhooks_own() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let (authority, clients) = (Authority::new("Of servers"), Authority::new("Of clients"));
    let ours = clients.client("hookwright");
    let (receiver, seen) = site(Tls::mutual(&authority.server("localhost", Validity::Now), &clients));
    let made = hook(&client, &receiver.url("/mutual"), &json!({"transport": {"ca_pem": authority.pem()}}));
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    refused_for_its_certificate(&delivered(&client, &json!(1)));

    let stranger = Authority::new("Of others").client("stranger");
    client.put_json("/v1/secrets/client-key", &json!({"value": ours.key})).expect(200);
    client.put_json("/v1/secrets/other-key", &json!({"value": stranger.key})).expect(200);
    client.put_json("/v1/secrets/no-key", &json!({"value": "hello"})).expect(200);
    let with = |certificate: &str, key: &str| json!({"transport": {"ca_pem": authority.pem(), "client_certificate_pem": certificate, "client_key_secret": key}});
    for (change, place) in [
        (with(&ours.certificate, "nowhere"), "transport.client_key_secret"),
        (with(&ours.certificate, "no-key"), "transport"),
        (with(&ours.certificate, "other-key"), "transport"),
        (with("no certificate", "client-key"), "transport"),
        (json!({"transport": {"client_certificate_pem": ours.certificate}}), "transport"),
        (json!({"transport": {"ca_pem": "no certificate"}}), "transport"),
        (json!({"transport": {"ca_pem": "x".repeat(65 * 1024)}}), "transport"),
    ] {
        let answer = client.patch(&path, &change);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [place], "{answer}");
    }
    client.patch(&path, &with(&stranger.certificate, "other-key")).expect(200);
    refused_for_its_certificate(&delivered(&client, &json!(2)));
    let shown = client.patch(&path, &with(&ours.certificate, "client-key")).expect(200);
    assert_eq!(shown["transport"]["client_key_secret"], "client-key");
    assert_eq!(delivered(&client, &json!(3))["state"], "delivered");
    assert_eq!(seen.lock().unwrap().len(), 1);

    // The key stands nowhere: not in what the API shows, nor in the log, nor in a file.
    let secret = ours.key.lines().nth(1).unwrap().to_owned();
    for path in [path.as_str(), "/v1/webhooks", "/v1/attempts", "/v1/secrets"] {
        assert!(!client.get(path).text().contains(&secret), "{path}");
    }
    let data = server.data();
    server.stop();
    assert!(!server.log().contains(&secret));
    for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{:?}", entry.path());
    }
}

#[test]
fn a_token_is_fetched_once_kept_and_fetched_again_when_the_receiver_no_longer_takes_it() {
    const SECRET: &str = "client-s3cret";
    let server = Server::shared();
    let client = server.space("oauth");
    let mut count = 0;
    let endpoint = Receiver::with(move |_| {
        count += 1;
        let token = json!({"access_token": format!("tok-{count}"), "token_type": "Bearer", "expires_in": 3600});
        Reply::status(200).header("content-type", "application/json").body(token.to_string())
    });
    let revoked = Arc::new(Mutex::new(String::new()));
    let wrong = Arc::clone(&revoked);
    let receiver = Receiver::with(move |request| {
        let token = request.header("authorization").to_owned();
        Reply::status(if token.starts_with("Bearer tok-") && token != *wrong.lock().unwrap() { 204 } else { 401 })
    });
    client.put_json("/v1/secrets/oauth", &json!({"value": SECRET})).expect(200);
    let oauth =
        json!({"token_url": endpoint.url(), "client_id": "hookwright", "client_secret": "oauth", "scope": "a b"});
    let retry = json!({"delays_seconds": [0], "jitter": 0});
    let made = hook(&client, &receiver.url(), &json!({"oauth": oauth, "retry": retry}));
    assert_eq!(made["oauth"]["client_secret"], "oauth", "the secret's name, never its value");
    for n in 0..5 {
        scene::send(&client, "go", &json!(n));
    }
    receiver.wait_for(5);
    scene::settled(&client);
    let asked = endpoint.received();
    assert_eq!(asked.len(), 1, "one token serves them all");
    assert_eq!(asked[0].header("content-type"), "application/x-www-form-urlencoded");
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert!(form.contains("grant_type=client_credentials") && form.contains("scope=a+b"), "{form}");
    // hookwright:client-s3cret
    assert_eq!(asked[0].header("authorization"), "Basic aG9va3dyaWdodDpjbGllbnQtczNjcmV0");

    *revoked.lock().unwrap() = "Bearer tok-1".to_owned();
    let delivery = delivered(&client, &json!("after"));
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("delivered"), &json!(2)), "{delivery:#}");
    let statuses: Vec<&Value> =
        delivery["log"].as_array().unwrap().iter().map(|one| &one["outcome"]["status"]).collect();
    assert_eq!(statuses, [401, 204]);
    assert_eq!(endpoint.received().len(), 2);
    assert_eq!(receiver.received().last().unwrap().header("authorization"), "Bearer tok-2");
    let log = client.get("/v1/attempts/export").text();
    assert!(log.contains(r#"["authorization","***"]"#) && !log.contains("tok-") && !log.contains(SECRET), "{log}");

    // The client in the body, if the endpoint wants it there.
    let mut in_body = oauth.clone();
    in_body["credentials_in_body"] = json!(true);
    client.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({"oauth": in_body})).expect(200);
    assert_eq!(delivered(&client, &json!("body"))["state"], "delivered");
    let last = endpoint.received().pop().unwrap();
    let form = String::from_utf8(last.body.clone()).unwrap();
    assert!(form.contains("client_id=hookwright") && form.contains("client_secret=client-s3cret"), "{form}");
    assert_eq!(last.header("authorization"), "");
}

#[test]
fn a_token_endpoint_that_refuses_makes_the_attempt_fail_with_its_error() {
    let server = Server::shared();
    let client = server.space("oauth-refused");
    let endpoint = Receiver::with_replies(&[Reply::status(401)
        .header("content-type", "application/json")
        .body(r#"{"error":"invalid_client"}"#)]);
    let receiver = Receiver::start();
    let oauth = |url: &str| json!({"oauth": {"token_url": url, "client_id": "c", "client_secret": "oauth"}});
    let input = json!({"url": receiver.url(), "events": ["go"], "oauth": oauth(&endpoint.url())["oauth"]});
    let answer = client.post("/v1/webhooks", &input);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["oauth.client_secret"]);
    client.put_json("/v1/secrets/oauth", &json!({"value": "s"})).expect(200);
    hook(&client, &receiver.url(), &oauth(&endpoint.url()));
    let dead = delivered(&client, &json!(1));
    failed_with(&dead, "token.refused");
    assert!(text(&dead["last_error"]).contains("invalid_client"), "{dead:#}");
    assert!(receiver.received().is_empty(), "without a token nothing is sent");
    for url in ["http://10.0.0.1/token", "ftp://127.0.0.1/", "nothing"] {
        let mut input = input.clone();
        input["oauth"]["token_url"] = json!(url);
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["oauth.token_url"], "{answer}");
    }
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused_when_it_is_connected_to() {
    let server = Server::start(Options::default().without("HOOKWRIGHT_ALLOW_NETWORKS"));
    let client = server.client();
    let receiver = Receiver::start();
    let url = format!("http://localhost:{}/hook", receiver.port());
    let made = hook(&client, &url, &json!({"mail_exceptions_to": ["ops@example.com"]}));
    let dead = delivered(&client, &json!(1));
    failed_with(&dead, "address.refused");
    let outcome = &dead["log"][0]["outcome"];
    assert!(text(&outcome["message"]).contains("HOOKWRIGHT_ALLOW_NETWORKS"), "the remedy is named: {dead:#}");
    let shown = client.get(&format!("/v1/webhooks/{}", text(&made["id"]))).expect(200);
    assert_eq!(shown["state"], "active");
    assert!(text(&shown["last_error"]).contains("address.refused"), "{shown:#}");
    assert_eq!(shown["status"]["breaker"]["state"], "closed", "what our rules forbid says nothing of the receiver");
    // A link and a token are asked for under the same rules.
    client.put_json("/v1/secrets/oauth", &json!({"value": "s"})).expect(200);
    let oauth = json!({"token_url": url, "client_id": "c", "client_secret": "oauth"});
    client.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({"oauth": oauth})).expect(200);
    failed_with(&delivered(&client, &json!(2)), "address.refused");
    let asked = json!({"url": url, "events": ["other"], "handshake": "hook-secret", "retry": {"schedule": "none"}});
    client.post("/v1/webhooks", &asked).expect(201);
    scene::settled(&client);
    assert!(receiver.received().is_empty());
}

#[test]
fn what_a_webhooks_condition_does_not_want_is_dropped_with_the_reason() {
    let server = Server::shared();
    let client = server.space("when");
    let receiver = Receiver::start();
    let when = json!({"all": [
        {"condition": "match", "with": {"path": "event.data.priority", "equals": "high"}},
        {"not": {"condition": "match", "with": {"path": "event.data.team", "equals": "internal"}}},
    ]});
    let made = hook(&client, &receiver.url(), &json!({"when": when}));
    assert_eq!(made["when"], when);
    let sent = delivered(&client, &json!({"priority": "high", "team": "sales"}));
    assert_eq!(sent["state"], "delivered", "{sent:#}");
    for (data, part) in
        [(json!({"priority": "low"}), "low"), (json!({"priority": "high", "team": "internal"}), "internal")]
    {
        let dropped = delivered(&client, &data);
        assert_eq!((&dropped["state"], &dropped["attempts"]), (&json!("dropped"), &json!(0)), "{dropped:#}");
        assert!(text(&dropped["last_error"]).contains(part), "expected beside actual: {dropped:#}");
        assert!(dropped["finished_at"].is_string() && dropped["log"] == json!([]), "{dropped:#}");
    }
    assert_eq!(receiver.received().len(), 1);
    // A condition that cannot be there is refused when the webhook is made.
    let wrong = json!({"condition": "nothing", "with": {}});
    let answer = client.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({"when": wrong}));
    assert_eq!(answer.status, 422, "{answer}");
    let open = client.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({"when": null})).expect(200);
    assert_eq!(open.get("when"), None);
    assert_eq!(delivered(&client, &json!({"priority": "low"}))["state"], "delivered");
}

#[test]
fn what_a_transform_drops_is_not_sent_and_one_that_fails_makes_the_delivery_fail() {
    let server = Server::shared();
    let client = server.space("transform");
    let receiver = Receiver::start();
    let filter = "select(.amount > 100) | {total: .amount, from: $event.source}";
    hook(&client, &receiver.url(), &json!({"transform": "jq", "with": {"filter": filter}}));
    assert_eq!(delivered(&client, &json!({"amount": 250}))["state"], "delivered");
    assert_eq!(receiver.received()[0].json()["total"], 250);
    let dropped = delivered(&client, &json!({"amount": 50}));
    assert_eq!((&dropped["state"], &dropped["attempts"]), (&json!("dropped"), &json!(0)), "{dropped:#}");
    assert!(text(&dropped["last_error"]).contains("no result"), "{dropped:#}");
    let dead = delivered(&client, &json!("no object"));
    failed_with(&dead, "filter.failed");
    assert_eq!(receiver.received().len(), 1);
    for (transform, place) in [("nothing", "transform"), ("match", "transform")] {
        let input = json!({"url": receiver.url(), "events": ["go"], "transform": transform});
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), [place], "{answer}");
    }
}

#[test]
fn a_body_that_is_no_json_goes_out_byte_for_byte() {
    let server = Server::shared();
    let client = server.space("raw");
    let receiver = Receiver::start();
    hook(&client, &receiver.url(), &json!({"transform": "raw"}));
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies: [(&str, &[u8]); 6] = [
        ("application/octet-stream", &every_byte),
        ("application/xml", "<größe>\r\n</größe>".as_bytes()),
        ("text/plain; charset=utf-8", b"aGVsbG8gd29ybGQ="),
        ("text/csv", b"a;b\n1;2\n"),
        ("application/json", b"{\"n\" : 1.0000000000000000001,  \"n\":2}"),
        ("application/vnd.x+json", b" [1,\n 2] "),
    ];
    for (place, (content_type, body)) in bodies.into_iter().enumerate() {
        let id = format!("raw-{place}");
        let headers = [
            ("content-type", content_type),
            ("ce-specversion", "1.0"),
            ("ce-id", id.as_str()),
            ("ce-source", "/by/hand"),
            ("ce-type", "go"),
        ];
        client.send("POST", "/v1/events", &headers, body).expect(202);
        let sent = receiver.wait_for(place + 1).remove(place);
        assert_eq!(sent.body, body, "{content_type}: {}", String::from_utf8_lossy(&sent.body));
        assert_eq!(sent.header("content-type"), content_type);
    }
}

#[test]
fn a_form_is_sent_to_receivers_that_want_one() {
    let server = Server::shared();
    let client = server.space("form");
    let receiver = Receiver::start();
    let with = json!({
        "template": "subject={{ data.subject | urlencode }}&number={{ data.number }}",
        "content_type": "application/x-www-form-urlencoded",
    });
    hook(&client, &receiver.url(), &json!({"transform": "template", "with": with}));
    delivered(&client, &json!({"subject": "Größe & Maß", "number": 7}));
    let sent = receiver.received().remove(0);
    assert_eq!(sent.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(String::from_utf8(sent.body).unwrap(), "subject=Gr%C3%B6%C3%9Fe%20%26%20Ma%C3%9F&number=7");
}
