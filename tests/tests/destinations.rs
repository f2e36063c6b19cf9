//! How receivers are reached: certificates, tokens, addresses; and what is sent to them, or not sent at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hookwright_receiver::{Authority, Receiver as Site, Tls, Validity};
use hookwright_tests::scene::{self, delivered, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually, executable, workspace};
use serde_json::{Value, json};

/// A receiver over TLS that takes everything and remembers it.
fn site(tls: Tls) -> Site {
    Site::serving(Some(tls), |_| Reply::new(200, "thanks"))
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
fn a_receiver_with_a_custom_authority_is_reached_over_tls_and_the_log_has_the_timing() {
    let server = Server::shared();
    let client = server.space("tls");
    let authority = Authority::new("Authority of a test");
    let receiver = site(Tls::new(&authority.server("localhost", Validity::Now)));
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
    let versions: Vec<bool> = receiver.received().iter().map(|request| request.http2).collect();
    assert_eq!(versions, [true, true, false], "HTTP/2 where it is offered and wanted");

    // The certificate is for localhost; and one that has run out is none.
    let by_address = format!("https://127.0.0.1:{}/a", receiver.port());
    client.patch(&path, &json!({"url": by_address})).expect(200);
    failed_with(&delivered(&client, &json!(5)), "tls.wrong_name");
    let old = site(Tls::new(&authority.server("localhost", Validity::Past)));
    client.patch(&path, &json!({"url": old.url("/a")})).expect(200);
    failed_with(&delivered(&client, &json!(6)), "tls.expired");
    assert_eq!(receiver.received().len(), 3);
}

#[test]
fn the_webhooks_client_certificate_is_presented() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let (authority, clients) = (Authority::new("Of servers"), Authority::new("Of clients"));
    let ours = clients.client("hookwright");
    let receiver = site(Tls::mutual(&authority.server("localhost", Validity::Now), &clients));
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
        (with(&ours.certificate, "no-key"), "transport.client_key_secret"),
        (with(&ours.certificate, "other-key"), "transport.client_key_secret"),
        (with("no certificate", "client-key"), "transport.client_certificate_pem"),
        (json!({"transport": {"proxy_secret": "no-key"}}), "transport.proxy_secret"),
        (json!({"transport": {"client_certificate_pem": ours.certificate}}), "transport"),
        (json!({"transport": {"ca_pem": "no certificate"}}), "transport.ca_pem"),
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
    assert_eq!(receiver.received().len(), 1);

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
fn a_token_is_cached_and_refetched_when_the_receiver_rejects_it() {
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
    let own = json!({"headers": [{"name": "authorization", "value": "Bearer own"}]});
    let answer = client.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &own);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["headers[0].name"], "{answer}");
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
fn a_failing_token_endpoint_fails_the_attempt_with_its_error() {
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

/// A program that starts the server where a name leads to this machine: in a mount namespace with another `/etc/hosts`.
fn resolving(folder: &Path, name: &str) -> PathBuf {
    let (hosts, program) = (folder.join("hosts"), folder.join("server"));
    std::fs::write(&hosts, format!("127.0.0.1 localhost {name}\n")).unwrap();
    let (hosts, server) = (hosts.display(), workspace::binary());
    let script = format!(
        "#!/bin/sh\nexec unshare --map-root-user --mount sh -c \
         'mount --bind {hosts} /etc/hosts && exec {} \"$@\"' sh \"$@\"\n",
        server.display()
    );
    executable::script(&program, &script);
    program
}

#[test]
fn a_name_that_resolves_to_a_private_address_is_rejected_at_connect_time() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::default().without("HOOKWRIGHT_ALLOW_NETWORKS");
    let server = Server::start(options.program(resolving(folder.path(), "receiver.example")));
    let client = server.client();
    let receiver = Receiver::start();
    let url = format!("http://receiver.example:{}/hook", receiver.port());
    let made = hook(&client, &url, &json!({"mail_exceptions_to": ["ops@example.com"]}));
    let dead = delivered(&client, &json!(1));
    failed_with(&dead, "address.refused");
    let outcome = &dead["log"][0]["outcome"];
    assert!(text(&outcome["message"]).contains("HOOKWRIGHT_ALLOW_NETWORKS"), "the remedy is named: {dead:#}");
    let shown = eventually(|| {
        let shown = client.get(&format!("/v1/webhooks/{}", text(&made["id"]))).expect(200);
        let error = shown["last_error"].as_str().unwrap_or_default();
        if error.contains("address.refused") { Ok(shown) } else { Err(format!("{shown:#}")) }
    });
    assert_eq!(shown["state"], "active");
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
fn events_that_a_webhooks_condition_rejects_are_dropped_with_the_reason() {
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
fn a_transform_can_drop_a_delivery_and_a_failing_transform_fails_it() {
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
fn a_body_that_is_not_json_is_sent_byte_for_byte() {
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
        ("application/json", b"{\"n\" : 1.0000000000000000001,  \"m\":2}"),
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
fn a_form_encoded_body_is_sent_if_configured() {
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

#[test]
fn a_webhook_can_have_its_own_proxy_in_an_allowed_network() {
    let server = Server::shared();
    let client = server.space("own-proxy");
    let receiver = Receiver::start();
    let proxy = Site::proxying(Some("Basic dXNlcjpwYXNzIHdvcmQ="));
    let wrong = json!({"url": receiver.url(), "events": ["go"], "transport": {"proxy_secret": "proxy"}});
    let answer = client.post("/v1/webhooks", &wrong);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["transport.proxy_secret"], "{answer}");
    client.put_json("/v1/secrets/proxy", &json!({"value": "socks5://user:hush@127.0.0.1"})).expect(200);
    let answer = client.post("/v1/webhooks", &wrong);
    answer.problem(422, "input.invalid");
    assert_eq!(answer.paths(), ["transport.proxy_secret"], "{answer}");
    assert!(!answer.text().contains("hush"), "{answer}");

    let url = format!("http://user:pass%20word@127.0.0.1:{}", proxy.port());
    client.put_json("/v1/secrets/proxy", &json!({"value": url})).expect(200);
    let made = hook(&client, &receiver.url(), &json!({"transport": {"proxy_secret": "proxy"}}));
    assert_eq!(made["transport"]["proxy_secret"], "proxy", "{made:#}");
    let sent = delivered(&client, &json!(1));
    assert_eq!((&sent["state"], proxy.connections()), (&json!("delivered"), 1), "{sent:#}");
    assert!(!sent.to_string().contains("pass"), "{sent:#}");

    // The receiver's network is permitted, and the proxy's only in the list of its own. Nobody listens at the receiver's
    // address, which the proxy reports once it was asked.
    let options = Options::default()
        .set("HOOKWRIGHT_ALLOW_NETWORKS", "127.0.0.2/32")
        .set("HOOKWRIGHT_PROXY_NETWORKS", "127.0.0.1/32");
    let server = Server::start(options);
    let client = server.client();
    client.put_json("/v1/secrets/proxy", &json!({"value": url})).expect(200);
    hook(&client, "http://127.0.0.2:1/", &json!({"transport": {"proxy_secret": "proxy"}}));
    failed_with(&delivered(&client, &json!(1)), "proxy.failed");
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn a_proxy_at_a_disallowed_address_is_rejected_when_the_webhook_is_saved() {
    let proxy = Site::proxying(None);
    let server = Server::start(Options::default().set("HOOKWRIGHT_ALLOW_NETWORKS", "127.0.0.2/32"));
    let client = server.client();
    let set = |url: &str| client.put_json("/v1/secrets/proxy", &json!({"value": url})).expect(200);
    let given = json!({"proxy_secret": "proxy"});
    let input = json!({"url": "http://127.0.0.2:1/", "events": ["go"], "transport": given});
    let private = format!("http://user:hush@127.0.0.1:{}", proxy.port());
    for url in [private.as_str(), "http://10.1.2.3:3128", "http://localhost:3128"] {
        set(url);
        let answer = client.post("/v1/webhooks", &input);
        answer.problem(422, "input.invalid");
        assert_eq!(answer.paths(), ["transport.proxy_secret"], "{answer}");
        assert!(answer.text().contains("proxy_networks") && !answer.text().contains("hush"), "{answer}");
    }
    let made = client.post("/v1/webhooks", &json!({"url": "http://127.0.0.2:1/", "events": ["go"]})).expect(201);
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let answer = client.patch(&path, &json!({"transport": given}));
    assert_eq!(answer.paths(), ["transport.proxy_secret"], "{answer}");

    // A secret that is changed afterwards is checked when it is used.
    set("http://127.0.0.2:3128");
    client.patch(&path, &json!({"transport": given, "retry": {"schedule": "none"}})).expect(200);
    set(&private);
    failed_with(&delivered(&client, &json!(1)), "address.refused");
    assert_eq!(proxy.connections(), 0);

    // Whatever is wrong with it, it can be disabled; it is checked when it is enabled again.
    assert_eq!(client.patch(&path, &json!({"enabled": false})).expect(200)["state"], "disabled");
    assert_eq!(client.patch(&path, &json!({"enabled": true})).paths(), ["transport.proxy_secret"]);
}
