//! Names, scopes, replaced versions, and the cache of machine code.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{Limits, SpaceId};
use hookwright_plugin::{EngineOptions, HashedComponent, LoadError, Scope, Trust};
use serde_json::json;

use crate::guests::condition;
use crate::support::{call_within, event, limits, options, registry};

#[tokio::test]
async fn a_space_finds_its_own_plugin_first() {
    let registry = registry(&options());
    let (main, other): (SpaceId, SpaceId) = (SpaceId::main(), "other".parse().unwrap());
    let plugins = [
        registry.prepare(condition("")).await.unwrap(),
        registry.prepare(condition("(nop)")).await.unwrap(),
        registry.prepare(condition("(nop) (nop)")).await.unwrap(),
    ];
    let digest = |space: &SpaceId| registry.get(space, "match").map(|plugin| plugin.digest().to_owned());
    assert_eq!(digest(&main), None);
    for (scope, plugin) in [Scope::Builtin, Scope::Folder, Scope::Space(main.clone())].into_iter().zip(&plugins) {
        assert!(registry.activate(scope, "match", Arc::clone(plugin)).unwrap().is_none());
        assert_eq!(digest(&main).as_deref(), Some(plugin.digest()));
    }
    assert_eq!(digest(&other).as_deref(), Some(plugins[1].digest()));
    let listed: Vec<_> = registry.list(&main).into_iter().map(|listed| (listed.scope, listed.shadowed)).collect();
    assert_eq!(listed, [(Scope::Space(main.clone()), false), (Scope::Folder, true), (Scope::Builtin, true)]);
    assert_eq!(registry.list(&other).len(), 2);
    assert!(registry.deactivate(&Scope::Space(main.clone()), "match"));
    assert!(!registry.deactivate(&Scope::Space(main.clone()), "match"));
    assert_eq!(digest(&main).as_deref(), Some(plugins[1].digest()));
}

#[tokio::test]
async fn a_version_that_cannot_be_used_leaves_the_former_in_place() {
    let registry = registry(&options());
    let main = SpaceId::main();
    registry.failed(Scope::Folder, "a", "00", LoadError::CoreModule);
    assert!(registry.get(&main, "a").is_none());
    let plugin = registry.prepare(condition("")).await.unwrap();
    registry.activate(Scope::Folder, "a", Arc::clone(&plugin)).unwrap();
    registry.failed(Scope::Folder, "a", "01", LoadError::CoreModule);
    assert_eq!(registry.get(&main, "a").unwrap().digest(), plugin.digest());
    let listed = registry.list(&main).remove(0);
    assert_eq!(listed.error.unwrap().error.code(), "plugin.core_module");
    let former = registry.activate(Scope::Folder, "a", plugin).unwrap();
    assert!(former.is_some() && registry.list(&main)[0].error.is_none());
}

#[tokio::test]
async fn unsigned_components_are_refused_before_they_are_parsed() {
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let registry = registry(&EngineOptions { trust: Trust::new([("ours", key)], true).unwrap(), ..options() });
    for bytes in [condition(""), Bytes::from_static(b"nothing of a component")] {
        let component = HashedComponent::of(bytes).await.unwrap();
        assert_eq!(component.digest().len(), 64);
        let error = registry.prepare_signed(component, &[]).await.unwrap_err();
        assert_eq!(error.code(), "plugin.unsigned");
    }
}

#[tokio::test]
async fn a_name_is_short_and_plain() {
    let registry = registry(&options());
    let plugin = registry.prepare(condition("")).await.unwrap();
    for (name, fits) in
        [("a-9", true), ("", false), ("A", false), ("a/b", false), ("a.b", false), (&"x".repeat(65), false)]
    {
        let activated = registry.activate(Scope::Builtin, name, Arc::clone(&plugin));
        assert_eq!(activated.is_ok(), fits, "{name}");
        assert!(fits || activated.unwrap_err().code() == "plugin.name_invalid");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_compiled_once() {
    let registry = Arc::new(registry(&options()));
    let bytes = condition("(nop)");
    let loads: Vec<_> = (0..4)
        .map(|_| {
            let (registry, bytes) = (Arc::clone(&registry), bytes.clone());
            tokio::spawn(async move { registry.prepare(bytes).await.unwrap() })
        })
        .collect();
    let mut plugins = Vec::new();
    for load in loads {
        plugins.push(load.await.unwrap());
    }
    assert!(plugins.iter().all(|plugin| Arc::ptr_eq(plugin, &plugins[0])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_drops_no_call() {
    let registry = Arc::new(registry(&options()));
    let longer = Limits { cpu_ms: 5_000, ..limits() };
    let slow = "(local $i i32)
(loop $again
(local.set $i (i32.add (local.get $i) (i32.const 1)))
(br_if $again (i32.lt_u (local.get $i) (i32.const 50000000))))";
    let slow = registry.prepare(condition(slow)).await.unwrap();
    let versions =
        [registry.prepare(condition("")).await.unwrap(), registry.prepare(condition("(nop)")).await.unwrap()];
    registry.activate(Scope::Builtin, "a", slow).unwrap();
    let answers = |times: u32| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move {
            for _ in 0..times {
                let plugin = registry.get(&SpaceId::main(), "a").unwrap();
                let called = plugin.evaluate(call_within(longer), &event(&json!({})), &json!({})).await;
                assert!(called.result.unwrap().holds);
            }
        })
    };
    let first = answers(1);
    tokio::time::sleep(Duration::from_millis(5)).await;
    registry.activate(Scope::Builtin, "a", Arc::clone(&versions[0])).unwrap();
    let calls: Vec<_> = (0..4).map(|_| answers(200)).collect();
    let mut swaps = 0_usize;
    while !calls.iter().all(tokio::task::JoinHandle::is_finished) {
        swaps += 1;
        registry.activate(Scope::Builtin, "a", Arc::clone(&versions[swaps % 2])).unwrap();
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap();
    }
    first.await.unwrap();
    assert!(swaps > 1);
}

#[tokio::test]
async fn compiled_code_is_cached_between_starts_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let options = EngineOptions { cache_dir: Some(dir.path().join("compiled")), ..options() };
    let bytes = condition("");
    assert!(registry(&options).prepare(bytes.clone()).await.unwrap().compiled());
    let second = registry(&options).prepare(bytes.clone()).await.unwrap();
    assert!(!second.compiled());
    assert!(second.evaluate(call_within(limits()), &event(&json!({})), &json!({})).await.result.unwrap().holds);

    let files = || {
        std::fs::read_dir(dir.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    assert_eq!(files().len(), 1);
    let file = files().remove(0);
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[5000] ^= 1;
    for content in [&damaged[..], &whole[..whole.len() / 2], b"", &whole[40..]] {
        std::fs::write(&file, content).unwrap();
        assert!(registry(&options).prepare(bytes.clone()).await.unwrap().compiled());
        assert_eq!(std::fs::read(&file).unwrap().len(), whole.len());
    }
    assert!(!registry(&options).prepare(bytes.clone()).await.unwrap().compiled());

    // Other settings produce other machine code: the old files are not used, and are removed.
    let others = EngineOptions { pooling: false, ..options };
    assert!(registry(&others).prepare(bytes).await.unwrap().compiled());
    assert_eq!(files().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_cache_is_accessible_to_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("deep/compiled");
    let _registry = registry(&EngineOptions { cache_dir: Some(cache.clone()), ..options() });
    assert_eq!(std::fs::metadata(cache).unwrap().permissions().mode() & 0o777, 0o700);
}
