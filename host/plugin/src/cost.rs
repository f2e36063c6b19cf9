//! The cost of a call compared with the minimum of wasmtime: the same component, settings and event, and only
//! instantiate, call and drop. Run it alone: `cargo test --release -p hookwright-plugin -- --ignored cost --nocapture`.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::{EventDraft, Limits, SpaceId, Timestamp};
use serde_json::json;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

use crate::v0_1_0::bare::Bare;
use crate::{Access, Call, Engine, EngineOptions, Registry};

const ROUNDS: usize = 20;
const CALLS: usize = 1000;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6 / CALLS as f64
}

#[test]
#[ignore = "a measurement: it prints how much a call costs compared with a bare one, and needs an idle machine"]
fn cost_of_a_fresh_call_is_at_most_one_and_a_half_of_a_bare_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins/match.wasm");
    let bytes = Bytes::from(std::fs::read(path).expect("`match` is not built: run `cargo xtask plugins`"));
    let data = json!({"status": "done", "filler": "x".repeat(900)});
    let draft = EventDraft::json("jira.ticket_completed", "jira", None, &data, None);
    let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap();
    let parameters = json!({"path": "data.status", "equals": "done"});

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new(Engine::new(&EngineOptions::default()).unwrap());
        let access = Arc::new(Access::new("match", Limits::default()));
        let plugin = registry.prepare(bytes.clone()).await.unwrap();
        let wasm = &registry.engine().inner().wasm;
        let component = Component::new(wasm, &bytes).unwrap();
        let bare = Bare::new(Linker::<()>::new(wasm).instantiate_pre(&component).unwrap());
        let text = parameters.to_string();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..CALLS {
                let mut store = Store::new(wasm, ());
                store.set_epoch_deadline(1_000_000);
                assert!(bare.evaluate(&mut store, &event, &text).await);
            }
            theirs.push(start.elapsed());
            let start = Instant::now();
            for _ in 0..CALLS {
                let call = Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(&access));
                assert!(plugin.evaluate(call, &event, &parameters).await.result.unwrap().holds);
            }
            ours.push(start.elapsed());
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "match, 1 KiB event, pool {}: {ours:.2} us a call, bare {theirs:.2} us, ratio {:.2}",
            registry.engine().pooled(),
            ours / theirs
        );
        assert!(ours <= theirs * 1.5, "a call costs {:.2} of a bare one", ours / theirs);
    });
}

#[test]
#[ignore = "a measurement: it prints what a call of each first-party plugin costs"]
fn cost_of_each_first_party_plugin() {
    let draft = EventDraft::json("jira.ticket_completed", "jira", None, &json!({"id": 7, "status": "done"}), None);
    let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(0)).unwrap();
    let message = || crate::Message {
        headers: Vec::new(),
        content_type: "application/json".to_owned(),
        body: Bytes::from_static(b"{\"id\":7}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let registry = Registry::new(Engine::new(&EngineOptions::default()).unwrap());
        let access = Arc::new(Access::new("match", Limits::default()));
        for (name, parameters) in [
            ("match", json!({"path": "data.status", "equals": "done"})),
            ("ticket-update", json!({"id": 7, "status": "closed"})),
            ("webhook-call", json!({"url": "https://a.example"})),
            ("template", json!({"template": "{{ data.id }}"})),
            ("jq", json!({"filter": ".id"})),
            ("github", json!({})),
        ] {
            let path = format!("{}/../../target/plugins/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
            let plugin = registry.prepare(Bytes::from(std::fs::read(path).unwrap())).await.unwrap();
            let start = Instant::now();
            for _ in 0..CALLS {
                let call = Call::new(SpaceId::main(), Timestamp::from_millis(0), Arc::clone(&access));
                match plugin.kinds() {
                    [hookwright_model::Kind::Condition] => drop(plugin.evaluate(call, &event, &parameters).await),
                    [hookwright_model::Kind::Action] => drop(plugin.run(call, &event, &parameters).await),
                    [hookwright_model::Kind::Transform] => {
                        drop(plugin.apply(call, &event, message(), &parameters).await)
                    }
                    _ => drop(plugin.receive(call, crate::SourceRequest::default(), &parameters).await),
                }
            }
            let each = start.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
            println!(
                "{name:14} {:7} bytes, loaded in {:6.1?}, {each:7.1} us a call",
                plugin.size(),
                plugin.load_time()
            );
        }
    });
}
