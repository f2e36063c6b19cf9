//! Storage that fails, is damaged, or lacks its key: refused with the right status, reported, and recovered from.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_tests::receiver::Received;
use hookwright_tests::{ADMIN_KEY, Client, Options, Receiver, Server, SmallDisk, command, eventually, scene};
use serde_json::json;
use sha2::{Digest as _, Sha256};

fn hookwright(arguments: &[&str]) -> Output {
    command::hookwright(arguments.iter().copied()).output().unwrap()
}

fn output_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn ready(client: &Client, status: u16) -> serde_json::Value {
    eventually(|| {
        let answer = client.get("/readyz");
        if answer.status == status { Ok(answer.json()) } else { Err(answer.to_string()) }
    })
}

#[test]
fn the_server_reports_a_full_disk_and_recovers_without_a_restart() {
    let disk = SmallDisk::mount("400m");
    let receiver = Receiver::start();
    let mut server =
        Server::start_in(&disk.path(), Options::default().small_disk().set("HOOKWRIGHT_RETRY_DELAYS", "1,1,1,1,1"));
    let client = server.client();
    scene::webhook(&client, &receiver.url(), &["told"]);
    let ticket = scene::ticket(&client, "s");
    scene::automation(
        &client,
        &json!({"name": "note", "on": ["told"], "then": [{"action": "note-add", "with": {"id": ticket, "text": "{{event.data}}"}}]}),
    );
    ready(&client, 200);
    let mut taken = vec![scene::send(&client, "told", &json!(0))];

    let ballast = disk.fill();
    let report = ready(&client, 503);
    assert_eq!(report["storage"]["state"], "full", "{report}");
    let mut refused = Vec::new();
    for n in 1..20 {
        let id = format!("full-{n}");
        let answer = client.post("/v1/events", &json!({"type": "told", "id": id, "data": n}));
        answer.problem(507, "store.full");
        assert!(answer.header("retry-after").is_some(), "{answer}");
        refused.push(id);
    }
    let alive = client.get("/healthz").expect(200);
    assert_eq!((&alive["status"], &alive["storage"]["state"]), (&json!("degraded"), &json!("full")), "{alive}");
    assert_eq!(client.get(&format!("/v1/events/{}", taken[0])).status, 200, "what is there is read");

    std::fs::remove_file(ballast).unwrap();
    ready(&client, 200);
    assert_eq!(client.get("/healthz").expect(200)["status"], "ok");
    taken.push(scene::send(&client, "told", &json!(100)));
    for _ in 0..2 {
        for id in &taken {
            assert_eq!(scene::story(&server.client(), id)["runs"][0]["state"], "done");
        }
        for id in &refused {
            assert_eq!(server.client().get(&format!("/v1/events/{id}")).status, 404, "{id} was refused");
        }
        assert_eq!(scene::notes(&server.client(), ticket), ["0", "100"]);
        server.stop();
        server.restart();
    }
    eventually(|| {
        let received = receiver.received();
        if received.len() >= 2 { Ok(()) } else { Err(format!("{received:?}")) }
    });
}

#[test]
fn new_events_are_rejected_before_the_disk_is_full_and_runs_in_progress_are_recorded() {
    // More than any disk has free, and less than four times as much: the reserve is used up.
    let folder = tempfile::tempdir().unwrap();
    let df = Command::new("df").args(["--output=avail", "-B1"]).arg(folder.path()).output().unwrap();
    let free: u64 = String::from_utf8_lossy(&df.stdout).lines().nth(1).unwrap().trim().parse().unwrap();
    let mut server = Server::start(Options::default().clock());
    let ticket = scene::ticket(&server.client(), "s");
    scene::automation(
        &server.client(),
        &json!({"name": "late", "on": ["late"], "then": [
            {"wait": {"seconds": 3600}},
            {"action": "note-add", "with": {"id": ticket, "text": "recorded"}},
        ]}),
    );
    let (webhook, _) = scene::webhook(&server.client(), "http://127.0.0.1:9/", &["never"]);
    let event = scene::send(&server.client(), "late", &json!(1));
    let waiting =
        scene::story_when(&server.client(), &event, |story| story["runs"][0]["wait_until"].is_string())["runs"][0]
            .clone();
    server.stop();
    server.restart_with(Options::default().clock().set("HOOKWRIGHT_MIN_FREE_BYTES", &(free * 2).to_string()));
    let client = server.client();
    let report = ready(&client, 503);
    assert_eq!(report["storage"]["state"], "low", "{report}");
    client.post("/v1/events", &json!({"type": "late", "data": 2})).problem(507, "store.full");
    client.post("/v1/tickets", &json!({"subject": "t"})).problem(507, "store.full");
    client.patch(&format!("/v1/tickets/{ticket}"), &json!({"subject": "t"})).problem(507, "store.full");
    client.post(&format!("/v1/tickets/{ticket}/notes"), &json!({"text": "t"})).problem(507, "store.full");
    client.put_json("/v1/secrets/token", &json!({"value": "configuration can be changed"})).expect(200);
    // What the server tells of such a change is not refused after the change was made.
    client.post(&format!("/v1/webhooks/{webhook}/disable"), &json!({})).expect(200);
    assert_eq!(client.get("/v1/events?type=webhook.disabled").expect(200)["data"].as_array().unwrap().len(), 1);
    client.patch(&format!("/v1/webhooks/{webhook}"), &json!({"enabled": true})).expect(200);
    assert_eq!(client.get("/v1/events?type=webhook.enabled").expect(200)["data"].as_array().unwrap().len(), 1);
    let asked = json!({"url": "http://127.0.0.1:9/", "events": ["never"], "handshake": "websub-challenge"});
    let made = client.post("/v1/webhooks", &asked).expect(201);
    assert_eq!(client.get("/v1/events?type=webhook.verify").expect(200)["data"].as_array().unwrap().len(), 1);
    let moved = json!({"url": "http://127.0.0.1:9/moved"});
    let asked = client.patch(&format!("/v1/webhooks/{}", scene::text(&made["id"])), &moved).expect(200);
    assert_eq!(asked["url"], moved["url"], "{asked}");
    assert_eq!(client.get("/v1/events?type=webhook.verify").expect(200)["data"].as_array().unwrap().len(), 2);
    assert!(server.log().contains("fewer than min_free_bytes"), "{}", server.log());
    server.advance_to(&waiting["wait_until"]);
    eventually(|| {
        let notes = scene::notes(&client, ticket);
        if notes == ["recorded"] { Ok(()) } else { Err(format!("{notes:?}")) }
    });
}

#[test]
fn a_store_whose_key_is_missing_or_wrong_does_not_start_and_names_the_file() {
    let mut server = Server::start(Options::default());
    scene::webhook(&server.client(), "http://127.0.0.1:9/", &["x"]);
    server.stop();
    let key = server.data().join("secret.key");
    let text = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(!server.restart_to_die(Options::default()).success());
    assert!(server.log().contains("secret.key is missing"), "{}", server.log());
    assert!(!key.exists(), "no key is made in its place");
    std::fs::write(&key, "A".repeat(43) + "=").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!server.restart_to_die(Options::default()).success());
    assert!(server.log().contains("secret.key is not the one"), "{}", server.log());
    std::fs::write(&key, text).unwrap();
    server.restart();
    server.client().get("/v1/webhooks").expect(200);

    // A key that is lost for good.
    server.stop();
    std::fs::remove_file(&key).unwrap();
    let data = server.data().to_str().unwrap().to_owned();
    let output = hookwright(&["reset-secret-key", "--data-dir", &data]);
    assert!(output.status.success() && output_of(&output).contains("set them again"), "{}", output_of(&output));
    server.restart();
    scene::webhook(&server.client(), "http://127.0.0.1:9/", &["x"]);
}

/// The signature that Standard Webhooks has of a message, under a secret as it is shown; written out so that no code of the
/// server's checks the server.
fn signature(secret: &str, message: &Received) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(&key);
    let signed = [message.header("webhook-id"), ".", message.header("webhook-timestamp"), "."].concat();
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(signed);
    let inner = inner.chain_update(&message.body).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    format!("v1,{}", STANDARD.encode(outer))
}

#[test]
fn a_webhook_with_a_lost_signing_key_is_sent_to_again_after_rotation() {
    let receiver = Receiver::start();
    // Attempts go on until the key is rotated, however long that takes here.
    let mut server = Server::start(Options::default().set("HOOKWRIGHT_RETRY_DELAYS", &["1"; 50].join(",")));
    let (id, lost) = scene::webhook(&server.client(), &receiver.url(), &["x"]);
    scene::send(&server.client(), "x", &json!(0));
    let first = receiver.wait_for(1).remove(0);
    assert_eq!(first.header("webhook-signature"), signature(&lost, &first));
    scene::settled(&server.client());
    server.stop();
    std::fs::remove_file(server.data().join("secret.key")).unwrap();
    let output = hookwright(&["reset-secret-key", "--data-dir", server.data().to_str().unwrap()]);
    assert!(output.status.success(), "{}", output_of(&output));
    server.restart();
    let client = server.client();

    scene::send(&client, "x", &json!(1));
    eventually(|| {
        let pending = client.get("/v1/deliveries?state=pending").expect(200);
        let error = pending["data"][0]["last_error"].as_str().unwrap_or_default();
        if error.contains("cannot be opened") { Ok(()) } else { Err(format!("{pending:#}")) }
    });
    assert_eq!(receiver.received().len(), 1, "nothing is sent unsigned");

    // The lost key would sign beside the new one for a day, if it could be opened.
    let rotated = client.post(&format!("/v1/webhooks/{id}/rotate"), &json!({})).expect(200);
    let secret = scene::text(&rotated["secret"]);
    scene::send(&client, "x", &json!(2));
    scene::settled(&client);
    let received = receiver.received();
    assert_eq!(received.len(), 3, "the message that waited, and the new one");
    for message in &received[1..] {
        assert_eq!(message.header("webhook-signature"), signature(&secret, message), "the new key alone signs");
    }
    assert!(server.log().contains("a replaced signing key cannot be opened"), "{}", server.log());
}

#[test]
fn a_damaged_store_is_rejected_with_the_position_and_found_by_check() {
    let mut server = Server::start(Options::default());
    let client = server.client();
    let marker = "0123456789abcdef".repeat(300);
    for n in 0..50 {
        client.post("/v1/events", &json!({"type": "x", "id": format!("e{n}"), "data": marker})).expect(202);
    }
    let file = server.data().join("hookwright.redb");
    let data = server.data().to_str().unwrap().to_owned();
    let busy = hookwright(&["check", "--data-dir", &data]);
    assert_eq!(busy.status.code(), Some(2), "nobody knows whether it is intact: {}", output_of(&busy));
    let empty = tempfile::tempdir().unwrap();
    let absent = hookwright(&["check", "--data-dir", empty.path().to_str().unwrap()]);
    assert_eq!(absent.status.code(), Some(2), "a folder without a store: {}", output_of(&absent));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "a check creates nothing");
    server.stop();
    let whole = hookwright(&["check", "--data-dir", &data]);
    assert!(whole.status.success() && output_of(&whole).contains("intact"), "{}", output_of(&whole));

    let bytes = std::fs::read(&file).unwrap();
    let place = bytes.windows(1000).position(|part| part == &marker.as_bytes()[..1000]).unwrap() + 500;
    let mut damaged = File::options().write(true).open(&file).unwrap();
    damaged.seek(SeekFrom::Start(u64::try_from(place).unwrap())).unwrap();
    damaged.write_all(&[bytes[place] ^ 4]).unwrap();
    drop(damaged);
    let output = hookwright(&["check", "--data-dir", &data]);
    assert_eq!(output.status.code(), Some(1), "{}", output_of(&output));
    assert!(output_of(&output).contains(&format!("from byte {}", place / 4096 * 4096)), "{}", output_of(&output));

    // It starts, for nothing has read that place yet; what reads it is refused, and the process ends.
    server.restart();
    let refused = (0..50).any(|n| match server.client().try_send("GET", &format!("/v1/events/e{n}"), &[], b"") {
        Ok(answer) if answer.status == 200 => {
            assert_eq!(answer.json()["event"]["data"], marker, "wrong data was served");
            false
        }
        Ok(answer) => {
            answer.problem(500, "store.damaged");
            true
        }
        Err(_) => true,
    });
    assert!(refused, "the damage was never met");
    assert_eq!(server.wait().code(), Some(1));
    assert!(server.log().contains("hookwright.redb is damaged"), "{}", server.log());
    assert_eq!(server.restart_to_die(Options::default()).code(), Some(1));
    std::fs::write(&file, bytes).unwrap();
    std::fs::remove_file(server.data().join("hookwright.redb.sums")).unwrap();
    server.restart();
    assert_eq!(server.client().get("/v1/events/e7").expect(200)["event"]["data"], marker);
}

#[test]
fn an_empty_file_where_there_was_a_store_does_not_become_a_new_one() {
    let mut server = Server::start(Options::default());
    server.stop();
    let file = server.data().join("hookwright.redb");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, b"").unwrap();
    assert!(!server.restart_to_die(Options::default()).success());
    assert!(server.log().contains("shows that there was a store"), "{}", server.log());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0, "it is left as it is");
    std::fs::write(&file, bytes).unwrap();
    server.restart();
}

#[test]
fn the_data_directory_is_private_even_if_it_existed_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = Server::start_in(&data, Options::default().cold());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    server.stop();
    for file in ["hookwright.redb", "hookwright.redb.sums", "secret.key"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(data.join("hookwright.redb"), std::fs::Permissions::from_mode(0o644)).unwrap();
    server.restart();
    assert_eq!((mode(&data), mode(&data.join("hookwright.redb"))), (0o700, 0o600));
    assert!(!server.log().contains(ADMIN_KEY));
}
