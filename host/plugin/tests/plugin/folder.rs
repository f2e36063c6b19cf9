//! A watched folder.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::SpaceId;
use hookwright_plugin::{Registry, folder};
use tokio::sync::mpsc;

use crate::guests::condition;
use crate::support::{options, registry};

/// Waits until `name` changes. A change of another name fails the test.
async fn changed(told: &mut mpsc::UnboundedReceiver<String>, name: &str) {
    let change = tokio::time::timeout(Duration::from_secs(120), told.recv()).await.expect("no change was noticed");
    assert_eq!(change.as_deref(), Some(name));
}

fn watch(dir: &Path, registry: &Arc<Registry>) -> (folder::FolderWatch, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let watch = folder::watch(dir.to_owned(), Arc::clone(registry), move |name| {
        let _ = tell.send(name.to_owned());
    });
    (watch.unwrap(), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_follows_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(registry(&options()));
    let at = |name: &str| dir.path().join(name);
    let digest = |name: &str| registry.get(&SpaceId::main(), name).map(|plugin| plugin.digest().to_owned());
    std::fs::write(at("first.wasm"), condition("")).unwrap();
    std::fs::write(at("broken.wasm"), b"nothing").unwrap();
    std::fs::write(at("README.md"), b"nothing").unwrap();
    assert_eq!(folder::scan(dir.path(), &registry).await.unwrap(), ["broken", "first"]);
    let old = digest("first").unwrap();

    let (watch, mut told) = watch(dir.path(), &registry);
    // Scanned files are not reported again.
    // A file that is renamed into place is never partial, however slow the machine is.
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(at(".tmp"), bytes).unwrap();
        std::fs::rename(at(".tmp"), at(name)).unwrap();
    };
    put("first.wasm", &condition("(nop)"));
    changed(&mut told, "first").await;
    let new = digest("first").unwrap();
    assert_ne!(new, old);
    // A file that is written in parts is loaded once it is complete.
    let bytes = condition("(nop) (nop)");
    let began = Instant::now();
    std::fs::write(at("second.wasm"), &bytes[..bytes.len() / 2]).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::fs::write(at("second.wasm"), &bytes).unwrap();
    let quick = began.elapsed() < Duration::from_millis(100);
    changed(&mut told, "second").await;
    // On a slow machine the first half may have been taken for the whole file.
    while !quick && digest("second").is_none() {
        changed(&mut told, "second").await;
    }
    assert!(digest("second").is_some());
    // A broken version is listed, and the last good one stays live.
    put("first.wasm", b"\0asm\x01\0\0\0");
    changed(&mut told, "first").await;
    assert_eq!(digest("first").as_deref(), Some(new.as_str()));
    let listed = registry.list(&SpaceId::main());
    let first = listed.iter().find(|listed| listed.name == "first").unwrap();
    assert_eq!(first.error.as_ref().unwrap().error.code(), "plugin.core_module");
    // A good version clears the error.
    put("first.wasm", &condition("(nop)"));
    changed(&mut told, "first").await;
    assert!(registry.list(&SpaceId::main()).iter().all(|listed| listed.name == "broken" || listed.error.is_none()));
    // Removing a file removes its plugin.
    std::fs::remove_file(at("second.wasm")).unwrap();
    changed(&mut told, "second").await;
    assert_eq!(digest("second"), None);
    drop(watch);
    // The watcher, which would report a change, has ended.
    let ends = async { while told.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(120), ends).await.expect("the folder is still watched");
    std::fs::remove_file(at("first.wasm")).unwrap();
    assert!(digest("first").is_some(), "a folder that is no longer watched changes nothing");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let registry = Arc::new(registry(&options()));
    let error = folder::watch("/nowhere/plugins".into(), Arc::clone(&registry), |_| {}).err().unwrap();
    assert!(error.to_string().contains("/nowhere/plugins"), "{error}");
    assert!(folder::scan(Path::new("/nowhere"), &registry).await.is_err());
}
