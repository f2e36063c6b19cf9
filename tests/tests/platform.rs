//! What an operator grants, holds, takes back and sees: versions, grants, secrets, kept values, parking, the breaker.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookwright_tests::components::other_version;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually, workspace};
use serde_json::{Value, json};

/// An automation that gives the hostile plugin its orders; the step of one.
#[track_caller]
fn ordered(client: &Client, order: &Value) -> Value {
    let event = scene::send(client, "order", order);
    let story = scene::story(client, &event);
    story["runs"][0]["steps"][0].clone()
}

#[track_caller]
fn give_orders(client: &Client) {
    client.put("/v1/plugins/hostile", &workspace::example("hostile")).expect(200);
    scene::automation(
        client,
        &json!({"name": "orders", "on": ["order"], "then": [{"action": "hostile", "with": {
            "do": "{{event.data.do}}", "count": "{{event.data.count}}", "url": "{{event.data.url}}",
            "name": "{{event.data.name}}", "at": "{{event.data.at}}"}}]}),
    );
}

fn order(what: &str, name: &str, url: &str, at: &str) -> Value {
    json!({"do": what, "count": 1, "url": url, "name": name, "at": at})
}

/// The state of each version, the newest first.
#[track_caller]
fn versions(client: &Client, name: &str) -> Vec<(String, String)> {
    let listed = scene::all(client, &format!("/v1/plugins/{name}/versions"));
    listed.iter().map(|version| (text(&version["version"]), text(&version["state"]))).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn versions_are_stored_rolled_back_and_survive_a_restart() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        client.put("/v1/plugins/tool", &other_version("note-add", version)).expect(200);
    }
    let live = |client: &Client| text(&client.get("/v1/plugins/tool").expect(200)["version"]);
    assert_eq!(versions(&client, "tool"), pairs(&[("1.2.0", "live"), ("1.1.0", "kept"), ("1.0.0", "kept")]));

    // Page by page: three versions are one full page of two, and another that ends the list.
    let page = |query: &str| {
        let page = client.get(&format!("/v1/plugins/tool/versions{query}")).expect(200);
        let data: Vec<String> = page["data"].as_array().unwrap().iter().map(|one| text(&one["version"])).collect();
        (data, page["next"].clone())
    };
    let (whole, end) = page("");
    assert_eq!((whole.join(" ").as_str(), end), ("1.2.0 1.1.0 1.0.0", Value::Null), "whole by default");
    let (first, next) = page("?limit=2");
    assert_eq!(first, ["1.2.0", "1.1.0"]);
    for limit in ["limit=2&", ""] {
        let (rest, end) = page(&format!("?{limit}cursor={}", text(&next)));
        assert_eq!((rest.join(" ").as_str(), end), ("1.0.0", Value::Null));
    }
    assert_eq!(page("?limit=3").1, Value::Null, "nothing follows a page that ends with the last one");
    client.get("/v1/plugins/tool/versions?limit=0").problem(400, "query.invalid");

    client.post("/v1/plugins/tool/activate", &json!({"version": "1.0.0"})).expect(200);
    assert_eq!(live(&client), "1.0.0");
    let rolled = client.post("/v1/plugins/tool/rollback", &json!({})).expect(200);
    assert_eq!((&rolled["version"], &rolled["replaced"]["version"]), (&json!("1.2.0"), &json!("1.0.0")));
    let digest = text(&client.get("/v1/plugins/tool/versions").expect(200)["data"][2]["digest"]);
    client.post("/v1/plugins/tool/activate", &json!({"version": digest[..12]})).expect(200);
    let unknown = client.post("/v1/plugins/tool/activate", &json!({"version": "9.9.9"}));
    unknown.problem(409, "plugin.version_unknown");
    assert!(text(&unknown.json()["detail"]).contains("1.2.0 ("), "{unknown}");
    client.post("/v1/plugins/match/rollback", &json!({})).problem(409, "plugin.not_uploaded");
    client.post("/v1/plugins/nothing/rollback", &json!({})).problem(404, "plugin.not_found");

    let was = (live(&client), versions(&client, "tool"));
    let answer = client.get("/v1/plugins/tool/component?version=1.1.0");
    assert_eq!(answer.body, other_version("note-add", "1.1.0"), "the bytes come back as they were");
    server.restart();
    let client = server.client();
    assert_eq!((live(&client), versions(&client, "tool")), was);
    client.delete("/v1/plugins/tool").expect(204);
    client.get("/v1/plugins/tool/versions").problem(404, "plugin.not_found");
}

#[test]
fn a_version_that_needs_more_grants_is_held_until_approved() {
    let server = Server::shared();
    let client = server.space("held");
    let ticket = scene::ticket(&client, "Watched");
    client.put("/v1/plugins/tool", &other_version("note-add", "1.0.0")).expect(200);
    let policy = client.get("/v1/plugins/tool/policy").expect(200);
    assert_eq!(policy["grants"]["interfaces"], json!(["tickets"]), "the first version is granted what it imports");
    scene::automation(
        &client,
        &json!({"name": "uses", "on": ["use"], "then": [{"action": "tool", "with": {"id": ticket, "text": "x"}}]}),
    );

    let answer = client.put("/v1/plugins/tool", &workspace::example("hostile"));
    let held = answer.expect(202);
    assert_eq!(held["state"], "held");
    let more = held["wants_more"].as_array().unwrap();
    for interface in ["events", "http", "kv", "records", "secrets"] {
        assert!(more.contains(&json!(interface)), "{held:#}");
    }
    assert!(!more.contains(&json!("tickets")) && !more.contains(&json!("log")), "{held:#}");
    assert!(text(&held["detail"]).contains("/v1/plugins/tool/approve"), "{held:#}");
    assert_eq!(versions(&client, "tool"), pairs(&[("0.1.0", "held"), ("1.0.0", "live")]));
    let event = scene::send(&client, "use", &json!({}));
    assert_eq!(scene::story(&client, &event)["runs"][0]["state"], "done", "the version before goes on");
    client.post("/v1/plugins/tool/activate", &json!({"version": "0.1.0"})).problem(409, "plugin.held");

    // What the automation gives does not fit the new one, which is checked at the end too.
    client.post("/v1/plugins/tool/approve", &json!({})).problem(409, "plugin.parameters_incompatible");
    let automation = text(&client.get("/v1/automations").expect(200)["data"][0]["id"]);
    client.delete(&format!("/v1/automations/{automation}")).expect(204);
    client.post("/v1/plugins/tool/activate", &json!({"version": "0.1.0"})).problem(409, "plugin.held");
    let approved = client.post("/v1/plugins/tool/approve", &json!({})).expect(200);
    assert_eq!((&approved["state"], &approved["version"]), (&json!("live"), &json!("0.1.0")));
    client.post("/v1/plugins/tool/approve", &json!({})).problem(409, "plugin.nothing_held");
    let granted = client.get("/v1/plugins/tool/policy").expect(200)["grants"]["interfaces"].clone();
    assert!(granted.as_array().unwrap().contains(&json!("http")), "{granted}");
}

#[test]
fn without_grants_on_install_the_error_names_the_missing_grant() {
    let server = Server::start(Options::default().set("HOOKWRIGHT_GRANT_ON_INSTALL", "false"));
    let client = server.client();
    let answer = client.put("/v1/plugins/tool", &other_version("note-add", "1.0.0"));
    answer.problem(422, "plugin.import_not_granted");
    let grant = r#"POST {"interfaces":["tickets"]} to /v1/plugins/tool/grants"#;
    assert!(text(&answer.json()["detail"]).contains(grant), "{answer}");
    client.get("/v1/plugins/tool").problem(404, "plugin.not_found");
    client.post("/v1/plugins/tool/grants", &json!({"interfaces": ["tickets"]})).expect(200);
    client.put("/v1/plugins/tool", &other_version("note-add", "1.0.0")).expect(200);
    // One that wants nothing special needs nothing.
    client.put("/v1/plugins/compare", &other_version("match", "1.0.0")).expect(200);
}

#[test]
fn denied_hosts_records_and_interfaces_are_reported_with_the_missing_grant() {
    let server = Server::shared();
    let client = server.space("grants");
    let receiver = Receiver::start();
    give_orders(&client);
    let refused = |order: &Value, code: &str| {
        let outcome = ordered(&client, order)["outcome"].clone();
        assert_eq!(outcome["code"], code, "{outcome}");
        let message = text(&outcome["message"]);
        let (_, rest) = message.split_once("POST ").unwrap_or_else(|| panic!("{message}"));
        // The first word after POST is a method in a refused request, else the grant.
        let start = rest.find('{').unwrap();
        let grant = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>().next();
        grant.unwrap_or_else(|| panic!("{message}")).unwrap_or_else(|error| panic!("{error}: {message}"))
    };
    let send = order("send", "", &receiver.url(), "");
    let read = order("read-record", "lead", "", "");
    let write = order("write-record", "lead", "", "");
    for (order, code) in
        [(&send, "http.host_not_allowed"), (&read, "capability.not_granted"), (&write, "capability.not_granted")]
    {
        let grant = refused(order, code);
        client.post("/v1/plugins/hostile/grants", &grant).expect(200);
        let step = ordered(&client, order);
        assert_eq!(step["outcome"]["kind"], "done", "the grant that was named is enough: {grant} {step:#}");
    }
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(scene::all(&client, "/v1/records/lead").len(), 1);
    // Another port of the same host is another grant; so is another method.
    let other = Receiver::start();
    let again = order("send", "", &other.url(), "");
    assert_eq!(refused(&again, "http.host_not_allowed")["http"][0]["port"], other.port());
    assert!(other.received().is_empty());

    // What is taken back is refused from the next call on.
    let mut policy = client.get("/v1/plugins/hostile/policy").expect(200);
    let policy = policy.as_object_mut().unwrap();
    policy.remove("limits_in_force");
    policy.remove("trusted");
    policy["grants"]["interfaces"] = json!(["kv"]);
    client.put_json("/v1/plugins/hostile/policy", &json!(policy)).expect(200);
    assert_eq!(refused(&read, "capability.not_granted"), json!({"interfaces": ["records"]}));
    assert_eq!(ordered(&client, &order("count", "n", "", ""))["outcome"]["result"], 1);
    let wrong = json!({"grants": {"http": [{"host": "https://a.example"}]}, "limits": {"cpu_ms": 0}});
    assert_eq!(client.put_json("/v1/plugins/hostile/policy", &wrong).paths(), ["grants.http[0].host", "limits.cpu_ms"]);
}

#[test]
fn a_secret_is_sent_only_to_its_hosts_and_shown_nowhere() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    const VALUE: &str = "s3cret-value-that-nobody-sees";
    // Answers with what it got, as an echo service does.
    let receiver = Receiver::with(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let seen = format!("{} {} {}", request.path, request.header("authorization"), body);
        Reply::status(200).header("x-echo", request.header("authorization").to_owned()).body(seen)
    });
    give_orders(&client);
    client.put_json("/v1/secrets/api-key", &json!({"value": VALUE})).expect(200);
    let listed = client.get("/v1/secrets");
    assert!(listed.text().contains("api-key") && !listed.text().contains(VALUE), "{listed}");
    let host = json!({"http": [{"host": "127.0.0.1", "port": receiver.port()}]});
    client.post("/v1/plugins/hostile/grants", &host).expect(200);

    let send = |at: &str| ordered(&client, &order("send-secret", "api-key", &receiver.url(), at));
    assert_eq!(send("header")["outcome"]["code"], "capability.not_granted", "set, and not granted");
    client.post("/v1/plugins/hostile/grants", &json!({"secrets": [{"name": "api-key"}]})).expect(200);
    let refused = send("header");
    assert_eq!(refused["outcome"]["code"], "capability.not_granted", "{refused:#}");
    assert!(
        text(&refused["outcome"]["message"]).contains(r#"{"secrets":[{"hosts":["127.0.0.1"],"name":"api-key"}]}"#)
            || text(&refused["outcome"]["message"])
                .contains(r#"{"secrets":[{"name":"api-key","hosts":["127.0.0.1"]}]}"#),
        "{refused:#}"
    );
    assert!(receiver.received().is_empty(), "nothing left without the grant");

    let grant = json!({"secrets": [{"name": "api-key", "hosts": ["127.0.0.1"]}]});
    client.post("/v1/plugins/hostile/grants", &grant).expect(200);
    for at in ["header", "body", "url"] {
        let step = send(at);
        assert_eq!(step["outcome"]["kind"], "done", "{step:#}");
        let result = &step["outcome"]["result"];
        let placeholder = text(&result["placeholder"]);
        assert!(text(&result["body"]).contains(&placeholder), "what came back is hidden again: {result:#}");
        let received = receiver.received().pop().unwrap();
        let whole = format!("{} {:?} {}", received.path, received.headers, String::from_utf8_lossy(&received.body));
        assert!(whole.contains(VALUE) && !whole.contains(&placeholder), "{at}: {whole}");
    }
    let anywhere = json!({
        "http": [{"host": "*.localhost"}],
        "secrets": [{"name": "other-host", "hosts": ["*.localhost"]}],
    });
    client.put_json("/v1/secrets/other-host", &json!({"value": "evil.example/"})).expect(200);
    client.post("/v1/plugins/hostile/grants", &anywhere).expect(200);
    let moved = ordered(&client, &order("send-secret", "other-host", &receiver.url(), "host"));
    assert_eq!(moved["outcome"]["code"], "secret.unusable", "no value makes it another host: {moved:#}");
    // Nowhere in what the API shows, nor in the store's file, nor in the server's log.
    for path in ["/v1/runs?limit=500", "/v1/plugins/hostile", "/v1/plugins/hostile/logs", "/v1/plugins/hostile/policy"]
    {
        assert!(!client.get(path).text().contains(VALUE), "{path}");
    }
    let data = server.data();
    let log = server.log();
    server.stop();
    assert!(!log.contains(VALUE));
    for entry in std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()), "{:?}", entry.path());
    }
}

/// The forms in which a receiver may repeat a value, written out so that no code of the server's checks the server.
fn forms_of(value: &str) -> Vec<String> {
    let hex = hex::encode(value);
    let percent = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    vec![
        STANDARD.encode(value),
        STANDARD.encode(format!("user:{value}")),
        URL_SAFE_NO_PAD.encode(value),
        hex.to_uppercase(),
        hex,
        value.bytes().map(percent).collect(),
    ]
}

#[test]
fn a_secret_that_a_receiver_repeats_encoded_is_redacted_for_the_plugin() {
    // Its base64 has a character in which the alphabets differ.
    const VALUE: &str = "s3?ret/value+that=nobody&sees";
    let forms = forms_of(VALUE);
    assert!(forms[0].contains('/') && forms[2].contains('_') && forms[5].contains("%2F"), "{forms:?}");
    let server = Server::shared();
    let client = server.space("secret-forms");
    let receiver = Receiver::with(|request| {
        let seen = forms_of(request.header("authorization").trim_start_matches("Bearer "));
        Reply::status(200).header("x-echo", seen[1].clone()).body(seen.join("\n"))
    });
    give_orders(&client);
    client.put_json("/v1/secrets/api-key", &json!({"value": VALUE})).expect(200);
    let grants = json!({
        "http": [{"host": "127.0.0.1", "port": receiver.port()}],
        "secrets": [{"name": "api-key", "hosts": ["127.0.0.1"]}],
    });
    client.post("/v1/plugins/hostile/grants", &grants).expect(200);
    let step = ordered(&client, &order("send-secret", "api-key", &receiver.url(), "header"));
    assert_eq!(step["outcome"]["kind"], "done", "{step:#}");
    assert_eq!(receiver.received()[0].header("authorization"), format!("Bearer {VALUE}"));

    let result = &step["outcome"]["result"];
    let (placeholder, body) = (text(&result["placeholder"]), text(&result["body"]));
    let headers = result["headers"].as_array().unwrap();
    let echo = headers.iter().find(|field| field[0] == "x-echo").unwrap_or_else(|| panic!("no echo: {result:#}"));
    let lines: Vec<&str> = body.lines().chain(echo[1].as_str()).collect();
    assert_eq!(lines.len(), forms.len() + 1, "{result:#}");
    for line in lines {
        assert!(line.contains(&placeholder), "{line}: {result:#}");
        // What stands around the secret, and the ends of base64, which depend on it as well as on the secret.
        let left = line.replace(&placeholder, "");
        assert!(left.len() <= 12, "`{left}` is left of the secret: {result:#}");
    }
    for path in ["/v1/runs?limit=500", "/v1/plugins/hostile/logs"] {
        let shown = client.get(path).text();
        for form in &forms {
            assert!(!shown.contains(form), "{path} shows {form}");
        }
    }
}

#[test]
fn a_plugins_stored_values_are_isolated_exact_and_bounded() {
    let server = Server::shared();
    let (client, other) = (server.space("kept"), server.space("kept-elsewhere"));
    give_orders(&client);
    give_orders(&other);
    // Fifty events at once add one each: none is lost, since a value that changed meanwhile makes the step run again.
    let events: Vec<String> = (0..50).map(|_| scene::send(&client, "order", &order("count", "n", "", ""))).collect();
    let mut counts: Vec<u64> = events
        .iter()
        .map(|event| scene::story(&client, event)["runs"][0]["steps"][0]["outcome"]["result"].as_u64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=50).collect::<Vec<_>>());
    assert_eq!(ordered(&other, &order("count", "n", "", ""))["outcome"]["result"], 1, "each space has its own");
    let usage = client.get("/v1/plugins/hostile").expect(200)["usage"]["kv"].clone();
    assert_eq!(usage, json!({"bytes": 3, "keys": 1}));
}

#[test]
fn runs_are_parked_while_their_plugin_is_missing_and_resume_when_it_is_installed() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let ticket = scene::ticket(&client, "Waiting");
    client.put("/v1/plugins/asked", &other_version("match", "1.0.0")).expect(200);
    client.put("/v1/plugins/noted", &other_version("note-add", "1.0.0")).expect(200);
    let automation = |name: &str, on_unavailable: &str| {
        json!({"name": name, "on": [format!("wait.{name}")], "on_unavailable": on_unavailable,
            "when": {"condition": "asked", "with": {"path": "data.n", "exists": true}},
            "then": [{"action": "noted", "with": {"id": ticket, "text": format!("{name} {{{{event.data.n}}}}")}},
                     {"action": "note-add", "with": {"id": ticket, "text": format!("{name} went on")}}]})
    };
    for (name, what) in [("park", "park"), ("open", "open"), ("closed", "closed")] {
        scene::automation(&client, &automation(name, what));
    }
    client.delete("/v1/plugins/asked").problem(409, "plugin.in_use");
    client.delete("/v1/plugins/asked?force=true").expect(204);
    let send = |client: &Client, name: &str| scene::send(client, &format!("wait.{name}"), &json!({"n": 1}));

    let waits = send(&client, "park");
    let story = scene::story_when(&client, &waits, |story| story["runs"][0]["state"] == "parked");
    assert_eq!(story["runs"][0]["waits_for"], "asked", "{story:#}");
    assert!(story["summary"].to_string().contains("there is no plugin `asked`"), "{story:#}");
    let open = scene::story(&client, &send(&client, "open"));
    assert_eq!(open["runs"][0]["state"], "done", "{open:#}");
    assert!(text(&open["runs"][0]["decision"]["conditions"][0]["reason"]).contains("counts as holding"), "{open:#}");
    let closed = scene::story(&client, &send(&client, "closed"));
    assert_eq!(closed["runs"][0]["state"], "skipped", "{closed:#}");

    // It waits over a restart too, and goes on when the plugin comes, up to the next one that is gone.
    client.delete("/v1/plugins/noted?force=true").expect(204);
    server.restart();
    let client = server.client();
    client.put("/v1/plugins/asked", &other_version("match", "1.0.1")).expect(200);
    let story = scene::story_when(&client, &waits, |story| story["runs"][0]["waits_for"] == "noted");
    assert_eq!((&story["runs"][0]["state"], &story["runs"][0]["decision"]["fired"]), (&json!("parked"), &json!(true)));
    let open = scene::story(&client, &send(&client, "open"));
    assert_eq!(open["runs"][0]["steps"][0]["outcome"]["kind"], "skipped", "{open:#}");
    let closed = scene::story(&client, &send(&client, "closed"));
    assert_eq!(closed["runs"][0]["steps"][0]["outcome"]["code"], "plugin.unavailable", "{closed:#}");
    assert_eq!(client.get("/v1/plugins/noted").status, 404);

    client.put("/v1/plugins/noted", &other_version("note-add", "1.0.1")).expect(200);
    assert_eq!(scene::story(&client, &waits)["runs"][0]["state"], "done");
    let notes = scene::notes(&client, ticket);
    assert_eq!(notes.iter().filter(|note| *note == "park 1").count(), 1, "{notes:?}");
    assert_eq!(notes.iter().filter(|note| *note == "park went on").count(), 1, "{notes:?}");
}

#[test]
fn a_plugins_circuit_opens_after_repeated_traps_and_closes_after_a_successful_probe() {
    let options = Options::default().clock().set("HOOKWRIGHT_PLUGIN_BREAKER_STRIKES", "3");
    let server = Server::start(options.set("HOOKWRIGHT_PLUGIN_BREAKER_MS", "60000"));
    let client = server.client();
    give_orders(&client);
    for _ in 0..3 {
        assert_eq!(ordered(&client, &order("trap", "", "", ""))["outcome"]["code"], "plugin.trapped");
    }
    let breaker = client.get("/v1/plugins/hostile").expect(200)["usage"]["breaker"].clone();
    assert_eq!((&breaker["state"], &breaker["strikes"]), (&json!("open"), &json!(3)), "{breaker}");
    let parked: Vec<String> = (0..5).map(|_| scene::send(&client, "order", &order("count", "n", "", ""))).collect();
    for event in &parked {
        scene::story_when(&client, event, |story| story["runs"][0]["state"] == "parked");
    }
    server.advance(Duration::from_secs(60));
    // The first of them is the probe; it ends well, and the others follow.
    for event in &parked {
        assert_eq!(scene::story(&client, event)["runs"][0]["state"], "done");
    }
    let breaker = client.get("/v1/plugins/hostile").expect(200)["usage"]["breaker"].clone();
    assert_eq!(breaker["state"], "closed", "{breaker}");
    // Another version begins without strikes.
    for _ in 0..3 {
        ordered(&client, &order("trap", "", "", ""));
    }
    client.post("/v1/plugins/hostile/rollback", &json!({})).problem(409, "plugin.no_former_version");
    client.put("/v1/plugins/hostile", &workspace::example("hostile")).expect(200);
    assert_eq!(ordered(&client, &order("nothing", "", "", ""))["outcome"]["kind"], "done");
}

#[test]
fn plugin_logs_can_be_followed() {
    let server = Server::shared();
    let client = server.space("followed");
    give_orders(&client);
    ordered(&client, &order("log", "", "", ""));
    let first = client.get("/v1/plugins/hostile/logs").expect(200);
    assert_eq!(first["data"][0]["line"], "info flood of=lines", "{first:#}");
    let last = first["last"].as_u64().unwrap();
    let follow = format!("/v1/plugins/hostile/logs?after={last}&wait=20");
    let followed = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| client.get(&follow).expect(200));
        ordered(&client, &order("log", "", "", ""));
        waiting.join().unwrap()
    });
    assert_eq!(followed["data"].as_array().unwrap().len(), 1, "{followed:#}");
    assert!(followed["last"].as_u64().unwrap() > last);
    client.get("/v1/plugins/nobody/logs").problem(404, "plugin.not_found");
}

#[test]
fn warm_instances_serve_many_calls_and_the_policy_is_shown() {
    let server = Server::shared();
    let client = server.space("warm");
    let ticket = scene::ticket(&client, "Warm");
    client.put("/v1/plugins/summarise", &workspace::example("summarise")).expect(200);
    scene::automation(
        &client,
        &json!({"name": "sum", "on": ["sum"], "then": [{"action": "summarise", "with": {"ticket": ticket}}]}),
    );
    let policy = json!({"instance": {"mode": "warm", "calls": 50, "age_seconds": 60, "idle": 2}});
    client.put_json("/v1/plugins/summarise/policy", &policy).expect(200);
    for _ in 0..20 {
        let event = scene::send(&client, "sum", &json!({"status": "x"}));
        assert_eq!(scene::story(&client, &event)["runs"][0]["state"], "done");
    }
    let usage = client.get("/v1/plugins/summarise").expect(200)["usage"].clone();
    assert_eq!((&usage["calls"], &usage["stops"]), (&json!(20), &json!(0)), "{usage:#}");
    assert!(usage["warm_calls"].as_u64().unwrap() >= 15, "{usage:#}");
    eventually(|| if scene::notes(&client, ticket).len() == 20 { Ok(()) } else { Err("notes".to_owned()) });
}

#[test]
fn only_signed_plugins_are_accepted_if_required() {
    use std::process::Command;
    let dir = tempfile::tempdir().unwrap();
    let (key, file) = (dir.path().join("key"), dir.path().join("tool.wasm"));
    let run = |arguments: &[&str]| {
        let output = Command::new(workspace::binary()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let public = run(&["plugin", "keygen", "-o", key.to_str().unwrap()]);
    let public = public.split_whitespace().find(|word| word.len() == 44).unwrap().to_owned();
    std::fs::write(&file, other_version("note-add", "1.0.0")).unwrap();
    run(&["plugin", "sign", file.to_str().unwrap(), "--key", key.to_str().unwrap()]);
    let signature = std::fs::read_to_string(dir.path().join("tool.wasm.sig")).unwrap();

    let server = Server::start(
        Options::default()
            .set("HOOKWRIGHT_PLUGIN_KEYS", &format!("release={public}"))
            .set("HOOKWRIGHT_REQUIRE_SIGNED_PLUGINS", "true"),
    );
    let client = server.client();
    let bytes = other_version("note-add", "1.0.0");
    client.put("/v1/plugins/tool", &bytes).problem(422, "plugin.unsigned");
    let put = |bytes: &[u8]| {
        let headers = [("content-type", "application/wasm"), ("x-hookwright-signature", signature.trim())];
        client.send("PUT", "/v1/plugins/tool", &headers, bytes)
    };
    put(&other_version("note-add", "1.0.1")).problem(422, "plugin.signature_wrong");
    assert_eq!(put(&bytes).expect(200)["signed_by"], json!(["release"]));
    // In the folder the signature lies beside the component.
    let folder = server.data().join("plugins");
    std::fs::write(folder.join("dropped.wasm"), &bytes).unwrap();
    let found = eventually(|| match client.get("/v1/plugins/dropped") {
        answer if answer.status == 200 => Ok(answer.json()),
        answer => Err(answer.text()),
    });
    assert_eq!(found["error"]["code"], "plugin.unsigned", "{found:#}");
    std::fs::write(folder.join("signed.wasm.sig"), &signature).unwrap();
    std::fs::write(folder.join("signed.wasm"), &bytes).unwrap();
    let found = eventually(|| match client.get("/v1/plugins/signed") {
        answer if answer.status == 200 => Ok(answer.json()),
        answer => Err(answer.text()),
    });
    assert_eq!(found["state"], "live", "{found:#}");
}
