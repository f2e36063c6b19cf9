//! A version of a plugin and its policy are stored together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use hookwright_model::{PluginPolicy, PluginRecord, SpaceId, Timestamp};
use hookwright_store::{ConfigChange, Configured, NewRecording, PluginInstall, Store, StoreOptions, Swap};
use serde_json::json;

const DIR: &str = "HOOKWRIGHT_TEST_DIR";
const NAME: &str = "tool";

fn open(dir: &Path) -> Store {
    Store::open(&StoreOptions::new(dir.join("store.redb"))).unwrap()
}

fn record(digest: &str) -> PluginRecord {
    let version =
        json!({"digest": digest, "version": "1.0.0", "size": 1, "wants": [], "installed_at": "2026-01-01T00:00:00Z"});
    let record = json!({"name": NAME, "digest": digest, "installed_at": "2026-01-01T00:00:00Z", "versions": [version]});
    serde_json::from_value(record).unwrap()
}

fn policy(interface: &str) -> PluginPolicy {
    serde_json::from_value(json!({"grants": {"interfaces": [interface]}})).unwrap()
}

/// A version that is granted one interface. It replaces the version `dropped`.
fn install(digest: &str, interface: &str, dropped: &[&str]) -> PluginInstall {
    PluginInstall {
        record: record(digest),
        policy: Some(policy(interface)),
        component: Some((digest.to_owned(), Bytes::from_static(b"wasm"))),
        dropped: dropped.iter().map(|digest| (*digest).to_owned()).collect(),
    }
}

async fn put_recording(store: &Store) {
    let recording = NewRecording {
        space: SpaceId::main(),
        plugin: NAME.to_owned(),
        at: Timestamp::from_millis(1),
        sealed: vec![1],
        most: 10,
    };
    store.recordings.put_recordings(vec![recording]).await.unwrap();
}

/// The versions of `a` and `b`: live, granted, and with a component.
fn found(store: &Store) -> [(bool, bool, bool); 2] {
    let main = SpaceId::main();
    [("a", "http"), ("b", "kv")].map(|(digest, interface)| {
        let in_use = store.plugins.plugin(&main, NAME).unwrap().is_some_and(|record| record.digest == digest);
        let granted = store.plugins.policy(&main, NAME).unwrap().is_some_and(|found| found == policy(interface));
        (in_use, granted, store.plugins.has_component(digest).unwrap())
    })
}

/// Not a test by itself: executed by the process that dies.
#[tokio::test]
#[ignore = "is started by others"]
async fn dying() {
    let dir = std::env::var(DIR).unwrap();
    let (store, main) = (open(Path::new(&dir)), SpaceId::main());
    if store.plugins.plugin(&main, NAME).unwrap().is_some() {
        store.plugins.delete_plugin(&main, NAME).await.unwrap();
    } else {
        store.plugins.install_plugin(&main, install("a", "http", &[])).await.unwrap();
    }
    panic!("it was to die before this");
}

fn dies_at(point: &str, dir: &Path) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dying", "--ignored"])
        .env(DIR, dir)
        .env("HOOKWRIGHT_FAULT_POINT", point)
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert!(!String::from_utf8_lossy(&ended.stdout).contains("it was to die"), "{point}");
}

const NOTHING: (bool, bool, bool) = (false, false, false);
const ALL: (bool, bool, bool) = (true, true, true);

#[test]
fn a_version_is_stored_with_its_grants_or_not_at_all_whenever_the_process_dies() {
    for (point, there) in [("install.before-commit", NOTHING), ("install.after-commit", ALL)] {
        let dir = tempfile::tempdir().unwrap();
        dies_at(point, dir.path());
        assert_eq!(found(&open(dir.path())), [there, NOTHING], "{point}");
    }
}

#[tokio::test]
async fn deleting_a_plugin_and_its_grants_is_atomic_across_crashes() {
    for (point, there) in [("uninstall.before-commit", ALL), ("uninstall.after-commit", NOTHING)] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.plugins.install_plugin(&SpaceId::main(), install("a", "http", &[])).await.unwrap();
        store.close().await;
        drop(store);
        dies_at(point, dir.path());
        assert_eq!(found(&open(dir.path())), [there, NOTHING], "{point}");
    }
}

#[tokio::test]
async fn a_new_version_replaces_grants_and_component_and_without_a_policy_keeps_the_grants() {
    let dir = tempfile::tempdir().unwrap();
    let (store, main) = (open(dir.path()), SpaceId::main());
    store.plugins.install_plugin(&main, install("a", "http", &[])).await.unwrap();
    store.plugins.install_plugin(&main, install("b", "kv", &["a"])).await.unwrap();
    assert_eq!(found(&store), [NOTHING, ALL]);
    store.plugins.install_plugin(&main, PluginInstall { policy: None, ..install("a", "", &["b"]) }).await.unwrap();
    assert_eq!(found(&store), [(true, false, true), (false, true, false)]);
}

#[tokio::test]
async fn deleting_a_plugin_deletes_its_grants_recordings_and_components() {
    let dir = tempfile::tempdir().unwrap();
    let (store, main) = (open(dir.path()), SpaceId::main());
    let other: SpaceId = "other".parse().unwrap();
    for by_configuration in [false, true] {
        store.plugins.install_plugin(&main, install("a", "http", &[])).await.unwrap();
        put_recording(&store).await;
        if by_configuration {
            let changes = vec![
                ConfigChange::Plugin(Swap { was: Some(record("a")), is: None }),
                ConfigChange::PluginPolicy(NAME.to_owned(), Swap { was: Some(policy("http")), is: None }),
            ];
            assert!(matches!(store.configuration.configure(&main, changes).await.unwrap(), Configured::Done(_)));
        } else {
            assert!(store.plugins.delete_plugin(&main, NAME).await.unwrap());
        }
        assert_eq!(found(&store), [NOTHING, NOTHING]);
        assert_eq!(store.recordings.recorded(&main, NAME).unwrap(), (0, 0), "by configuration: {by_configuration}");
    }
    store.plugins.put_policy(&main, NAME, &policy("http")).await.unwrap();
    assert!(!store.plugins.delete_plugin(&main, NAME).await.unwrap());
    assert_eq!(found(&store), [(false, true, false), NOTHING], "grants that were given in advance");
    store.plugins.install_plugin(&main, install("a", "http", &[])).await.unwrap();
    store.plugins.install_plugin(&other, install("a", "http", &[])).await.unwrap();
    assert!(store.plugins.delete_plugin(&main, NAME).await.unwrap());
    assert!(store.plugins.has_component("a").unwrap(), "another space has the same");
}
