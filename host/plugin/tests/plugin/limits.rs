//! A plugin can harm only itself: each limit is exceeded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_model::{Failure, InstancePolicy, Limits, Tape, Verdict};
use hookwright_plugin::{Access, Call, EngineOptions, Plugin, Shared};
use serde_json::json;

use crate::guests::{LOG, action, component, condition, evaluate, sharing_condition};
use crate::support::{Silent, Tickets, Waiting, call, call_within, event, limits, now, options, plugin};

async fn evaluated(plugin: &Plugin) -> Result<Verdict, Failure> {
    evaluated_within(plugin, limits()).await
}

async fn evaluated_within(plugin: &Plugin, limits: Limits) -> Result<Verdict, Failure> {
    plugin.evaluate(call_within(limits), &event(&json!({})), &json!({})).await.result
}

async fn code(work: &str) -> Failure {
    let plugin = plugin(&options(), condition(work)).await;
    evaluated(&plugin).await.unwrap_err()
}

const ENDLESS: &str = "(loop $again (br $again))";

#[tokio::test]
async fn an_honest_condition_answers() {
    let plugin = plugin(&options(), condition("")).await;
    let called = plugin.evaluate(call(), &event(&json!({"a": 1})), &json!({})).await;
    assert_eq!(called.result, Ok(Verdict { holds: true, reason: String::new() }));
    assert!(called.usage.memory_peak >= 128 * 1024 && called.usage.host_calls == 0, "{:?}", called.usage);
}

#[tokio::test]
async fn an_endless_loop_ends_when_its_time_is_used_up() {
    let plugin = plugin(&options(), condition(ENDLESS)).await;
    let started = Instant::now();
    let failure = evaluated(&plugin).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("plugin.cpu_exhausted", None));
    assert!(failure.message.contains("200 ms"), "{failure}");
    assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_endless_loop_without_pool_ends_too() {
    let options = EngineOptions { pooling: false, ..options() };
    let plugin = plugin(&options, condition(ENDLESS)).await;
    assert_eq!(evaluated(&plugin).await.unwrap_err().code, "plugin.cpu_exhausted");
}

/// On one thread, so that a call that does not yield would occupy it until its end. Turns are counted and not time: the
/// call yields at each of its 100 ticks, however long one takes.
#[tokio::test(flavor = "current_thread")]
async fn a_long_computation_yields_to_other_calls() {
    let endless = plugin(&options(), condition(ENDLESS)).await;
    let quick = plugin(&options(), condition("")).await;
    let longer = Limits { cpu_ms: 1_000, wall_ms: 300_000, ..limits() };
    let busy = tokio::spawn(async move { evaluated_within(&endless, longer).await });
    let mut turns = 0;
    while !busy.is_finished() {
        evaluated(&quick).await.unwrap();
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert_eq!(busy.await.unwrap().unwrap_err().code, "plugin.cpu_exhausted");
    assert!(turns >= 10, "others had {turns} turns meanwhile");
}

const SEND: &str = r#"(import "hookwright:plugin/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(import "hookwright:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32 i32)))
(data (i32.const 300) "GETwarnhttps://a.example")
(call $log (i32.const 303) (i32.const 4) (i32.const 307) (i32.const 4) (i32.const 0) (i32.const 0))
(call $send (i32.const 300) (i32.const 3) (i32.const 307) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 500))"#;

#[tokio::test]
async fn a_call_that_waits_too_long_ends_and_its_changes_are_dropped() {
    // It must have begun before, also on a busy machine.
    let short = Limits { wall_ms: 2_000, ..limits() };
    let plugin = plugin(&options(), action(SEND)).await;
    let (event, parameters) = (event(&json!({})), json!({}));
    for _ in 0..20 {
        // More calls than instances: each instance is released.
        let bench = Tickets::with(1, "S", "open").bench();
        let call = Call { outbound: Some(Arc::new(Silent)), workbench: Some(bench), ..call() };
        let waiting = plugin.run(call, &event, &parameters);
        if let Ok(called) = tokio::time::timeout(Duration::from_millis(20), waiting).await {
            panic!("answered: {called:?}");
        }
    }
    let bench = Tickets::with(1, "S", "open").bench();
    let call = Call { outbound: Some(Arc::new(Silent)), workbench: Some(bench), ..call_within(short) };
    let called = plugin.run(call, &event, &parameters).await;
    let failure = called.result.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retry_after_ms), ("plugin.timeout", Some(0)));
    assert!(called.workbench.is_none());
    assert_eq!(called.log, ["warn http"]);
    assert_eq!(called.usage.host_calls, 2);
}

#[tokio::test]
async fn without_a_way_out_a_request_fails_and_the_plugin_lives() {
    let plugin = plugin(&options(), action(SEND)).await;
    let called = plugin.run(call(), &event(&json!({})), &json!({})).await;
    assert!(called.result.is_ok(), "{called:?}");
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_the_call() {
    for options in [options(), EngineOptions { pooling: false, ..options() }] {
        let plugin = plugin(&options, condition("(drop (memory.grow (i32.const 100)))")).await;
        let failure = evaluated(&plugin).await.unwrap_err();
        assert_eq!(failure.code, "plugin.memory_exhausted");
        assert!(failure.message.contains("at most 4194304"), "{failure}");
    }
}

#[tokio::test]
async fn a_table_beyond_the_limit_ends_the_call() {
    let work = "(table $t 1 funcref)\n(drop (table.grow $t (ref.null func) (i32.const 1000000)))";
    let failure = code(work).await;
    assert_eq!(failure.code, "plugin.memory_exhausted");
    assert!(failure.message.contains("200000"), "{failure}");
}

#[tokio::test]
async fn endless_recursion_ends_the_call() {
    let failure = code("(func $deep (call $deep) (call $deep))\n(call $deep)").await;
    assert_eq!(failure.code, "plugin.trapped");
    assert!(failure.message.contains("recursion"), "{failure}");
}

#[tokio::test]
async fn a_trap_is_reported_with_its_location() {
    let failure = code("(func $burst unreachable)\n(call $burst)").await;
    assert_eq!(failure.code, "plugin.trapped");
    assert!(failure.message.contains("unreachable") && failure.message.contains("burst <"), "{failure}");
    assert!(failure.message.contains("evaluate"), "{failure}");
}

/// The host recognizes this error of wasmtime by its text: see `TOO_MUCH_COPIED` in `src/stop.rs`.
#[tokio::test]
async fn the_host_limits_the_size_of_one_host_call() {
    let work = format!(
        "{LOG}\n(call $log (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 120000) (i32.const 0) (i32.const 0))"
    );
    let plugin = plugin(&options(), condition(&work)).await;
    let few = Limits { transfer_bytes: 100_000, ..limits() };
    assert_eq!(evaluated_within(&plugin, few).await.unwrap_err().code, "plugin.output_too_large");
}

fn logging(times: u32) -> String {
    format!(
        "{LOG}\n(local $i i32)\n(loop $again\n(call $log (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0))\n\
         (local.set $i (i32.add (local.get $i) (i32.const 1)))\n(br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))"
    )
}

#[tokio::test]
async fn a_flood_of_log_lines_is_truncated_and_says_so() {
    let plugin = plugin(&options(), condition(&logging(1000))).await;
    let called = plugin.evaluate(call(), &event(&json!({})), &json!({})).await;
    assert!(called.result.is_ok(), "{called:?}");
    assert_eq!((called.log.len(), called.usage.host_calls), (101, 1000));
    assert_eq!(called.log[0], "info hostile");
    assert!(called.log[100].contains("the log is cut here"));
}

#[tokio::test]
async fn the_host_cannot_be_called_without_end() {
    let plugin = plugin(&options(), condition(&logging(10_001))).await;
    let called = plugin.evaluate(call(), &event(&json!({})), &json!({})).await;
    assert_eq!(called.result.unwrap_err().code, "plugin.host_calls_exhausted");
}

#[tokio::test]
async fn more_random_bytes_than_a_call_gives_end_it() {
    let work = r#"(import "hookwright:plugin/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(call $bytes (i32.const 65537) (i32.const 500))"#;
    let failure = code(work).await;
    assert!(failure.message.contains("65537") && failure.message.contains("65536"), "{failure}");
}

#[tokio::test]
async fn a_result_must_be_json_and_small_enough() {
    for (pointer, length, code) in [
        ("\\00\\00\\00\\00", "\\07\\00\\00\\00", "plugin.result_invalid"),
        ("\\00\\10\\01\\00", "\\00\\10\\00\\00", "plugin.output_too_large"),
        ("\\00\\00\\01\\00", "\\00\\00\\00\\01", "plugin.trapped"),
    ] {
        let work = format!(
            "(import \"hookwright:plugin/log@0.1.0\" \"write\" (func $log (param i32 i32 i32 i32 i32 i32)))\n\
             (data $answer \"\\00\\00\\00\\00\\00\\00\\00\\00{pointer}{length}\")\n\
             (memory.init $answer (i32.const 192) (i32.const 0) (i32.const 16))"
        );
        let plugin = plugin(&options(), action(&work)).await;
        let few = Limits { output_bytes: 1000, ..limits() };
        let called = plugin.run(call_within(few), &event(&json!({})), &json!({})).await;
        let failure = called.result.unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_instances_wait_for_one_another() {
    for options in [options(), EngineOptions { pooling: false, ..options() }] {
        let plugin = plugin(&options, condition("")).await;
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let plugin = Arc::clone(&plugin);
                tokio::spawn(async move { evaluated(&plugin).await })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
    }
}

#[tokio::test]
async fn a_plugin_whose_calls_hang_leaves_instances_for_others() {
    let registry = crate::support::registry(&options());
    let hanging = registry.prepare(action(SEND)).await.unwrap();
    let quick = registry.prepare(condition("")).await.unwrap();
    let longer = Limits { wall_ms: 300_000, ..limits() };
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let plugin = Arc::clone(&hanging);
            tokio::spawn(async move {
                let call = Call { outbound: Some(Arc::new(Silent)), ..call_within(longer) };
                plugin.run(call, &event(&json!({})), &json!({})).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    evaluated(&quick).await.unwrap();
    assert!(!calls.iter().any(tokio::task::JoinHandle::is_finished), "the calls that hang have not ended");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn without_a_free_instance_the_call_fails_and_may_be_retried() {
    let options = EngineOptions { instances_per_plugin: 1, ..options() };
    let plugin = plugin(&options, action(SEND)).await;
    let outbound = Arc::new(Waiting::default());
    let (hanging, sending) = (Arc::clone(&plugin), Arc::clone(&outbound));
    let first = tokio::spawn(async move {
        let call = Call { outbound: Some(sending), ..call_within(Limits { wall_ms: 300_000, ..limits() }) };
        hanging.run(call, &event(&json!({})), &json!({})).await
    });
    // From here on it holds the only instance.
    outbound.begun.notified().await;
    let call = Call { outbound: Some(Arc::new(Silent)), ..call_within(Limits { wall_ms: 200, ..limits() }) };
    let second = plugin.run(call, &event(&json!({})), &json!({})).await.result.unwrap_err();
    assert_eq!((second.code.as_str(), second.retry_after_ms), ("plugin.busy", Some(0)));
    first.abort();
}

#[tokio::test]
async fn a_fresh_instance_has_no_state_of_an_earlier_call() {
    let work = "(if (i32.ne (i32.load (i32.const 40000)) (i32.const 0)) (then unreachable))\n(i32.store (i32.const 40000) (i32.const 1))";
    let plugin = plugin(&options(), condition(work)).await;
    for _ in 0..20 {
        evaluated(&plugin).await.unwrap();
    }
}

#[tokio::test]
async fn a_component_with_more_memory_than_a_call_may_have_is_refused_at_once() {
    for options in [options(), EngineOptions { pooling: false, ..options() }] {
        let bytes = component("condition-plugin", &format!("{}\n(memory $second 1000)", evaluate("")));
        let error = crate::support::registry(&options).prepare(bytes).await.unwrap_err();
        assert!(["plugin.compile_failed", "plugin.describe_failed"].contains(&error.code()), "{error}");
    }
}

/// Counts its calls in its own memory, and traps at call number `trap_at`.
fn counting(trap_at: u32) -> String {
    format!(
        "(i32.store (i32.const 40000) (i32.add (i32.load (i32.const 40000)) (i32.const 1)))\n\
         (if (i32.eq (i32.load (i32.const 40000)) (i32.const {trap_at})) (then unreachable))"
    )
}

/// A call of a plugin with warm instances.
fn warm_call(space: &str, policy: InstancePolicy) -> Call {
    let access = Access { instance: Some(policy), ..Access::new("test", limits()) };
    Call::new(space.parse().unwrap(), now(), Arc::new(access))
}

#[tokio::test]
async fn a_warm_instance_is_reused_within_its_space_and_its_bounds() {
    let policy = InstancePolicy::Warm { calls: 5, age_seconds: 600, idle: 1 };
    let counting = plugin(&options(), condition(&counting(4))).await;
    let (event, parameters) = (event(&json!({})), json!({}));
    let mut was_warm = Vec::new();
    for space in ["one", "one", "two", "one", "one", "one"] {
        let called = counting.evaluate(warm_call(space, policy), &event, &parameters).await;
        was_warm.push((called.usage.warm, called.result.is_ok()));
    }
    // The second space does not get the first one's instance; the fourth call of the first traps, and the next one is
    // fresh.
    let (fresh, kept) = ((false, true), (true, true));
    assert_eq!(was_warm, [fresh, kept, fresh, kept, (true, false), fresh]);

    let bounded = InstancePolicy::Warm { calls: 2, age_seconds: 600, idle: 1 };
    let honest = plugin(&options(), condition("")).await;
    let mut was_warm = Vec::new();
    for _ in 0..4 {
        was_warm.push(honest.evaluate(warm_call("one", bounded), &event, &parameters).await.usage.warm);
    }
    assert_eq!(was_warm, [false, true, false, true], "after two calls an instance is let go");
}

#[tokio::test]
async fn the_conditions_of_an_event_share_an_instance_of_a_plugin_that_is_built_in() {
    let counting = plugin(&options(), condition(&counting(3))).await;
    let other = plugin(&options(), condition("")).await;
    let (event, parameters) = (event(&json!({})), json!({}));
    let shared = Arc::<Shared>::default();
    let trusted = || Access { trusted: true, ..Access::new("test", limits()) };
    let call = || Call::new("one".parse().unwrap(), now(), Arc::new(trusted()));
    let evaluated = async |plugin: &Plugin, call: Call, shared: &Arc<Shared>| {
        plugin.evaluate_with(call, &event, &parameters, Some(Arc::clone(shared))).await
    };
    let mut was_warm = Vec::new();
    for _ in 0..5 {
        let called = evaluated(&counting, call(), &shared).await;
        was_warm.push((called.usage.warm, called.result.is_ok()));
        assert!(evaluated(&other, call(), &shared).await.result.is_ok());
    }
    // The third call traps, and the next one is fresh.
    assert_eq!(was_warm, [(false, true), (true, true), (true, false), (false, true), (true, true)]);

    let next = Arc::<Shared>::default();
    assert!(!evaluated(&counting, call(), &next).await.usage.warm, "another event has its own");

    let foreign = Call { access: Arc::new(Access::new("test", limits())), ..call() };
    assert!(!evaluated(&counting, foreign, &shared).await.usage.warm, "of any other each call is alone");
    let under_another_name = Access { trusted: true, ..Access::new("other", limits()) };
    let other_name = Call { access: Arc::new(under_another_name), ..call() };
    assert!(!evaluated(&counting, other_name, &shared).await.usage.warm);

    let fresh = Access { instance: Some(InstancePolicy::Fresh {}), trusted: true, ..Access::new("test", limits()) };
    let by_policy = Call { access: Arc::new(fresh), ..call() };
    assert!(!evaluated(&counting, by_policy, &shared).await.usage.warm);
    let recorded = Call { tape: Some(Arc::new(Tape::recording(10_000))), ..call() };
    assert!(!evaluated(&counting, recorded, &shared).await.usage.warm);
    let less = Access { trusted: true, ..Access::new("test", Limits { memory_bytes: 1024, ..limits() }) };
    let with_less = Call { access: Arc::new(less), ..call() };
    assert!(!evaluated(&other, with_less, &shared).await.usage.warm, "it holds more than this call may have");
}

#[tokio::test]
async fn a_plugin_asks_for_a_shared_instance_with_a_hint_and_gets_another_after_many_calls_or_much_memory() {
    let (event, parameters) = (event(&json!({})), json!({}));
    let was_warm = async |component, calls: usize| {
        let (plugin, shared) = (plugin(&options(), component).await, Arc::<Shared>::default());
        let mut was_warm = Vec::new();
        for _ in 0..calls {
            let call = Call::new("one".parse().unwrap(), now(), Arc::new(Access::new("test", limits())));
            let called = plugin.evaluate_with(call, &event, &parameters, Some(Arc::clone(&shared))).await;
            assert!(called.result.is_ok(), "{called:?}");
            was_warm.push(called.usage.warm);
        }
        was_warm
    };
    assert_eq!(was_warm(condition(""), 3).await, [false; 3], "without the hint");
    let many = was_warm(sharing_condition(""), 1002).await;
    let fresh: Vec<usize> = (0..many.len()).filter(|place| !many[*place]).collect();
    assert_eq!(fresh, [0, 1000]);
    let grows = "(drop (memory.grow (i32.const 40)))";
    assert_eq!(was_warm(sharing_condition(grows), 3).await, [false; 3], "it holds more than is kept");
}

#[tokio::test]
async fn instances_that_conditions_share_leave_room_for_the_calls_of_others() {
    let plugin = plugin(&EngineOptions { instances: 4, ..options() }, condition("")).await;
    let (event, parameters) = (event(&json!({})), json!({}));
    let access = Arc::new(Access { trusted: true, ..Access::new("test", limits()) });
    // Two may be idle besides the four in use, one of them as a shared one.
    let events: Vec<Arc<Shared>> = std::iter::repeat_with(Arc::default).take(4).collect();
    let mut was_warm = Vec::new();
    for shared in events.iter().chain(&events) {
        let call = Call::new("one".parse().unwrap(), now(), Arc::clone(&access));
        let called = plugin.evaluate_with(call, &event, &parameters, Some(Arc::clone(shared))).await;
        was_warm.push(called.usage.warm);
    }
    assert_eq!(was_warm, [false, false, false, false, true, false, false, false]);
    drop(events);
    let shared = Arc::<Shared>::default();
    for warm in [false, true] {
        let call = Call::new("one".parse().unwrap(), now(), Arc::clone(&access));
        let called = plugin.evaluate_with(call, &event, &parameters, Some(Arc::clone(&shared))).await;
        assert_eq!(called.usage.warm, warm, "those of events that are decided are gone");
    }
}

#[tokio::test]
async fn a_call_on_a_warm_instance_has_its_own_budget() {
    let policy = InstancePolicy::warm();
    let plugin = plugin(&options(), condition(&logging(6_000))).await;
    for _ in 0..3 {
        let called = plugin.evaluate(warm_call("one", policy), &event(&json!({})), &json!({})).await;
        assert!(called.result.is_ok(), "{called:?}");
        assert_eq!(called.usage.host_calls, 6_000);
        assert_eq!(called.log.len(), 101);
    }
}
