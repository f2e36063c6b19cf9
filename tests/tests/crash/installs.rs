//! The process dies around the commit that installs a version of a plugin, or removes the plugin: the store has a
//! version and its grants, or neither.

use hookwright_tests::components::other_version;
use hookwright_tests::{Client, Options, Server, workspace};
use serde_json::{Value, json};

use crate::{aborting_at, assert_died_at_fault_point};

const TOOL: &str = "/v1/plugins/tool";
const WASM: (&str, &str) = ("content-type", "application/wasm");
const JSON: (&str, &str) = ("content-type", "application/json");

/// The live version, the one that is being rolled out, and the granted interfaces; `None` if the plugin does not exist.
fn found(client: &Client) -> Option<(Value, Value, Value)> {
    let policy = client.get(&format!("{TOOL}/policy"));
    let plugin = client.get(TOOL);
    if plugin.status == 404 {
        assert_eq!(policy.status, 404, "grants of a plugin that is not there: {policy}");
        client.get(&format!("{TOOL}/versions")).problem(404, "plugin.not_found");
        return None;
    }
    let (plugin, policy) = (plugin.expect(200), policy.expect(200));
    Some((plugin["version"].clone(), plugin["rollout"]["version"].clone(), policy["grants"]["interfaces"].clone()))
}

/// Sends a request during which the server dies at `point`, and starts the server again.
#[track_caller]
fn dies_of(server: &mut Server, point: &str, method: &str, path: &str, header: (&str, &str), body: &[u8]) {
    server.restart_with(aborting_at(point, 1));
    let sent = server.client().try_send(method, path, &[header], body);
    assert!(sent.is_err(), "{point}, {method} {path}: it is answered before it is durable");
    assert_died_at_fault_point(server.wait(), point);
    server.restart_with(Options::default());
}

/// How a version comes into use: method, the rest of the path, Content-Type, body, and whether it is a rollout.
type Way<'a> = (&'a str, &'a str, (&'a str, &'a str), &'a [u8], bool);

#[test]
fn a_crash_around_an_installation_leaves_a_version_with_its_grants_or_neither() {
    let (small, large) = (other_version("note-add", "1.0.0"), workspace::example("hostile"));
    let first = Some((json!("1.0.0"), Value::Null, json!(["tickets"])));
    // Each grants more in the commit that activates the version or begins its rollout.
    let activation = json!({"version": "0.1.0", "approve": true}).to_string();
    let ways: [Way<'_>; 4] = [
        ("PUT", "?approve=true", WASM, &large, false),
        ("PUT", "?approve=true&rollout=shadow", WASM, &large, true),
        ("POST", "/activate", JSON, activation.as_bytes(), false),
        ("POST", "/activate?rollout=shadow", JSON, activation.as_bytes(), true),
    ];
    for (point, committed) in [("install.before-commit", false), ("install.after-commit", true)] {
        let mut server = Server::start(Options::default());
        dies_of(&mut server, point, "PUT", TOOL, WASM, &small);
        assert_eq!(found(&server.client()), first.clone().filter(|_| committed), "{point}, the first version");
        for (method, rest, header, body, rolled_out) in ways {
            let what = format!("{point}, {method} {rest}");
            let client = server.client();
            if found(&client).is_some() {
                client.delete(TOOL).expect(204);
            }
            client.put(TOOL, &small).expect(200);
            if method == "POST" {
                client.put(&format!("{TOOL}?activate=false"), &large).expect(200);
            }
            assert_eq!(found(&client), first, "{what}, before");
            dies_of(&mut server, point, method, &format!("{TOOL}{rest}"), header, body);
            let (live, rollout, granted) = found(&server.client()).unwrap();
            let versions = if !committed {
                (json!("1.0.0"), Value::Null)
            } else if rolled_out {
                (json!("1.0.0"), json!("0.1.0"))
            } else {
                (json!("0.1.0"), Value::Null)
            };
            assert_eq!((live, rollout), versions, "{what}");
            let has_more = granted.as_array().unwrap().contains(&json!("http"));
            assert_eq!(has_more, committed, "{what}: {granted}");
        }
    }
}

#[test]
fn a_crash_around_a_removal_leaves_the_plugin_with_its_grants_or_neither() {
    for (point, committed) in [("uninstall.before-commit", false), ("uninstall.after-commit", true)] {
        let mut server = Server::start(Options::default());
        server.client().put(TOOL, &other_version("note-add", "1.0.0")).expect(200);
        dies_of(&mut server, point, "DELETE", TOOL, JSON, b"");
        let left = (json!("1.0.0"), Value::Null, json!(["tickets"]));
        assert_eq!(found(&server.client()), (!committed).then_some(left), "{point}");
    }
}
