//! The language of a plugin makes no difference: the same cases pass with the same condition and the same action in
//! each language, and a warm instance does not grow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hookwright_cases::{CaseFile, read, run};
use hookwright_model::{
    Cause, Event, EventDraft, InstancePolicy, Limits, MemoryView, Outcome, SpaceId, Timestamp, Workbench,
};
use hookwright_plugin::{Access, Call, Engine, EngineOptions, Plugin, Registry};
use serde_json::json;

const LANGUAGES: [&str; 9] = ["rust", "javascript", "typescript", "python", "go", "c", "cpp", "zig", "assemblyscript"];
/// Calls of one warm instance.
const MANY: u32 = 20_000;
/// How much a garbage collector may grow the memory at a time. A leak of a hundred bytes a call exceeds it.
const STEP: usize = 512 * 1024;
/// The limits that heavy runtimes need.
const MEMORY: u64 = 256 * 1024 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn component(language: &str, kind: &str) -> Bytes {
    let folder =
        std::env::var_os("HOOKWRIGHT_EXAMPLES").map_or_else(|| root().join("target/plugins-examples"), PathBuf::from);
    let path = folder.join(format!("{language}-{kind}.wasm"));
    let bytes = std::fs::read(&path);
    Bytes::from(
        bytes.unwrap_or_else(|error| panic!("{}: {error}: build it with `cargo xtask plugins`", path.display())),
    )
}

/// An engine whose compiled components are cached from one run of the tests to the next.
fn registry() -> Registry {
    let cache = root().join("target/tmp/conformance");
    std::fs::create_dir_all(&cache).unwrap();
    let options = EngineOptions {
        instances: 8,
        instances_per_plugin: 8,
        describe_cpu: std::time::Duration::from_secs(10),
        limits: limits(),
        cache_dir: Some(cache),
        ..EngineOptions::default()
    };
    Registry::new(Engine::new(&options).unwrap())
}

fn limits() -> Limits {
    Limits { memory_bytes: MEMORY, cpu_ms: 30_000, wall_ms: 60_000, output_bytes: 4 * 1024 * 1024, ..Limits::default() }
}

fn cases(kind: &str) -> Vec<CaseFile> {
    let cases = read(&root().join("examples/cases").join(kind)).unwrap_or_else(|error| panic!("{error}"));
    assert!(cases.len() >= 5, "{kind}: {} cases", cases.len());
    cases
}

async fn complaints(language: &str, registry: &Registry) -> String {
    let mut complaints = String::new();
    for kind in ["condition", "action"] {
        let plugin = match registry.prepare(component(language, kind)).await {
            Ok(plugin) => plugin,
            Err(error) => {
                let _ = writeln!(complaints, "{language} {kind}: {error}");
                continue;
            }
        };
        for file in cases(kind) {
            let report = run(&plugin, &file, limits()).await;
            if report.passed() {
                continue;
            }
            let _ = writeln!(complaints, "{language} {kind}: {}: {:?}", report.name, report.error);
            for mismatch in &report.mismatches {
                let short = |text: String| text.chars().take(300).collect::<String>();
                let (expected, actual) = (mismatch.expected.to_string(), mismatch.actual.to_string());
                let (expected, actual) = (short(expected), short(actual));
                let _ = writeln!(complaints, "  {}\n    expected {expected}\n    actual   {actual}", mismatch.path);
            }
        }
    }
    complaints
}

macro_rules! languages {
    ($($name:ident: $language:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                assert!(LANGUAGES.contains(&$language));
                let complaints = complaints($language, &registry()).await;
                assert!(complaints.is_empty(), "{complaints}");
            }
        )*

        #[test]
        fn every_language_has_its_test() {
            assert_eq!([$($language),*], LANGUAGES);
        }
    };
}

languages! {
    rust_passes_every_case: "rust";
    javascript_passes_every_case: "javascript";
    typescript_passes_every_case: "typescript";
    python_passes_every_case: "python";
    go_passes_every_case: "go";
    c_passes_every_case: "c";
    cpp_passes_every_case: "cpp";
    zig_passes_every_case: "zig";
    assemblyscript_passes_every_case: "assemblyscript";
}

fn event() -> Event {
    let draft = EventDraft::json("probe.many", "test", None, &json!({"n": 1, "text": "grün"}), None);
    draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap()
}

async fn call(plugin: &Plugin, access: &Arc<Access>, event: &Event) -> (bool, usize) {
    let view = Arc::new(MemoryView::default());
    let bench = Workbench::new(view, SpaceId::main(), Timestamp::from_millis(0), "test", Cause::api());
    let call =
        Call { workbench: Some(bench), ..Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(access)) };
    let called = plugin.run(call, event, &json!({"do": "echo"})).await;
    assert!(matches!(called.result, Ok(Outcome::Done(_))), "{called:?}");
    (called.usage.warm, called.usage.memory_peak)
}

#[tokio::test]
async fn a_small_call_finds_the_memory_that_it_needs() {
    let registry = registry();
    let access = Arc::new(Access::new("probe", limits()));
    for language in ["rust", "c", "cpp", "zig", "assemblyscript"] {
        let plugin = registry.prepare(component(language, "action")).await.unwrap();
        let mut peaks = Vec::new();
        for text in [0, 24 * 1024] {
            let data = json!({"n": 1, "text": "x".repeat(text)});
            let draft = EventDraft::json("probe.many", "test", None, &data, None);
            let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap();
            peaks.push(call(&plugin, &access, &event).await);
        }
        // One that grows for the first would grow further for the second.
        assert_eq!(peaks[0], peaks[1], "{language}: whether warm, and the bytes of memory");
    }
}

#[tokio::test]
async fn a_warm_instance_does_not_grow_over_many_calls() {
    let registry = registry();
    let mut complaints = String::new();
    for language in LANGUAGES {
        let plugin = registry.prepare(component(language, "action")).await.unwrap();
        let policy = InstancePolicy::Warm { calls: 1_000_000, age_seconds: 3600, idle: 1 };
        let access = Arc::new(Access { instance: Some(policy), ..Access::new("probe", limits()) });
        let event = event();
        // Runtimes with a garbage collector grow to their working size first, and may take one more step of it later.
        let mut settled = 0;
        for n in 0..MANY {
            let (warm, memory) = call(&plugin, &access, &event).await;
            assert_eq!(warm, n > 0, "{language}: call {n}");
            if n == MANY / 4 {
                settled = memory;
            }
            if n + 1 == MANY && memory > settled + STEP {
                let _ = writeln!(complaints, "{language}: {settled} bytes after a quarter, {memory} at the end");
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}
