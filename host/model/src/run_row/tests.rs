use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::*;

const CREATED: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const AT_10: Timestamp = Timestamp::from_millis(1_767_225_610_000);
const AT_20: Timestamp = Timestamp::from_millis(1_767_225_620_000);
const AT_30: Timestamp = Timestamp::from_millis(1_767_225_630_000);

fn read(row: &str) -> Run {
    serde_json::from_str(row).unwrap()
}

fn written(run: &Run) -> String {
    serde_json::to_string(run).unwrap()
}

/// A row with these fields where those of the state are: after `tries`, and at the end.
fn row(state: &str, waits: &str, ends: &str) -> String {
    let head = concat!(
        r#""id":"run_7_0","space":"main","event":"evt_1","event_type":"ticket.created","subject":"ticket/1","#,
        r#""automation":"aut_1","automation_name":"a","revision":3,"#,
        r#""decision":{"fired":true,"reason":"r","conditions":[]}"#,
    );
    let created = r#""created_at":"2026-01-01T00:00:00.000Z""#;
    format!(r#"{{{head},"state":"{state}","steps":[],"next_step":1,"tries":2{waits},"version":4,{created}{ends}}}"#)
}

#[test]
fn each_state_is_stored_and_shown_in_its_flat_form() {
    let waiting =
        |plugin: Option<&str>, since| RunState::Waiting { until: AT_20, since, plugin: plugin.map(str::to_owned) };
    for (state, name, waits, ends) in [
        (RunState::Skipped { at: AT_30 }, "skipped", "", r#","finished_at":"2026-01-01T00:00:30.000Z""#),
        (RunState::Running, "running", "", ""),
        (waiting(None, None), "waiting", r#","retry_at":"2026-01-01T00:00:20.000Z""#, ""),
        (
            waiting(None, Some(AT_10)),
            "waiting",
            r#","retry_at":"2026-01-01T00:00:20.000Z","waiting_since":"2026-01-01T00:00:10.000Z""#,
            "",
        ),
        (
            waiting(Some("p"), Some(AT_10)),
            "waiting",
            r#","retry_at":"2026-01-01T00:00:20.000Z","waiting_since":"2026-01-01T00:00:10.000Z","waits_for":"p""#,
            "",
        ),
        (RunState::Parked { plugin: "p".to_owned() }, "parked", r#","waits_for":"p""#, ""),
        (RunState::Queued, "queued", "", ""),
        (RunState::Done { at: AT_30 }, "done", "", r#","finished_at":"2026-01-01T00:00:30.000Z""#),
        (RunState::Failed { at: AT_30 }, "failed", "", r#","finished_at":"2026-01-01T00:00:30.000Z""#),
        (RunState::Cancelled { at: AT_30 }, "cancelled", "", r#","finished_at":"2026-01-01T00:00:30.000Z""#),
    ] {
        let row = row(name, waits, ends);
        let run = read(&row);
        assert_eq!((&run.state, run.state.name().as_str()), (&state, name));
        assert_eq!(run.state.live(), ends.is_empty(), "{name}");
        assert_eq!(written(&run), row);
        assert_eq!(read(&row).due_at().is_some(), name == "waiting", "{name}");
    }
}

#[test]
fn what_several_states_have_is_stored_and_shown_in_its_flat_form() {
    let waits = concat!(
        r#","retry_at":"2026-01-01T00:00:10.000Z","waiting_since":"2026-01-01T00:00:00.000Z","#,
        r#""open_steps":[{"step":0,"item":2,"tries":1,"retry_at":"2026-01-01T00:00:10.000Z","#,
        r#""since":"2026-01-01T00:00:00.000Z"}],"progress":{"item":1,"items":3,"bytes":9},"#,
        r#""wait_until":"2026-01-01T00:00:20.000Z","lane":{"key":"k","most":1},"resumed":true"#,
    );
    let run = read(&row("waiting", waits, ""));
    assert_eq!(run.state, RunState::Waiting { until: AT_10, since: None, plugin: None });
    assert_eq!(run.wait, Some(StepWait { until: AT_20, since: Some(CREATED) }));
    assert_eq!((run.lane.as_ref().map(|lane| lane.key.as_str()), run.resumed), (Some("k"), true));
    assert_eq!(written(&run), row("waiting", waits, ""));
    // The wait of the next step goes on while an open step is carried out.
    let (_, running) = waits.split_once(r#""retry_at":"2026-01-01T00:00:10.000Z","#).unwrap();
    let running = row("running", &format!(",{running}"), "");
    assert_eq!(written(&Run { state: RunState::Running, ..run }), running);
    assert_eq!(read(&running).wait, Some(StepWait { until: AT_20, since: Some(CREATED) }));
}

#[test]
fn a_contradictory_row_never_stops_a_run() {
    let at_once = |plugin: Option<&str>| RunState::Waiting {
        until: Timestamp::default(),
        since: None,
        plugin: plugin.map(str::to_owned),
    };
    let retry = r#","retry_at":"2026-01-01T00:00:20.000Z","waiting_since":"2026-01-01T00:00:10.000Z","waits_for":"p""#;
    let over = r#","finished_at":"2026-01-01T00:00:30.000Z""#;
    let open = r#","open_steps":[{"step":0,"tries":1,"retry_at":"2026-01-01T00:00:10.000Z","since":"2026-01-01T00:00:00.000Z"}]"#;
    for (name, waits, ends, state) in [
        // Due, although it has no time.
        ("waiting", "", "", at_once(None)),
        ("waiting", r#","waits_for":"p""#, "", at_once(Some("p"))),
        ("waiting", open, "", RunState::Waiting { until: AT_10, since: None, plugin: None }),
        // No plugin would ever release it.
        ("parked", "", "", at_once(None)),
        // It goes on, although it has data of one that has ended, and of one that waits.
        ("running", retry, over, RunState::Running),
        ("queued", retry, over, RunState::Queued),
        ("parked", retry, over, RunState::Parked { plugin: "p".to_owned() }),
        ("waiting", retry, over, RunState::Waiting { until: AT_20, since: Some(AT_10), plugin: Some("p".to_owned()) }),
        // It has ended, although it does not say when, or has data of one that waits.
        ("done", "", "", RunState::Done { at: CREATED }),
        ("failed", retry, over, RunState::Failed { at: AT_30 }),
        ("cancelled", retry, "", RunState::Cancelled { at: CREATED }),
    ] {
        let run = read(&row(name, waits, ends));
        assert_eq!(run.state, state, "{name}{waits}{ends}");
        assert_eq!(read(&written(&run)).state, state, "{name}{waits}{ends}");
        if run.state.name() == RunStateName::Waiting {
            assert!(run.due_at().is_some_and(|at| at <= AT_20), "{name}{waits}{ends}");
        }
    }
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(Timestamp::from_millis)
}

fn open_step() -> impl Strategy<Value = OpenStep> {
    (0..9_u32, prop::option::of(0..9_u32), 0..9_u32, prop::option::of(time()), time())
        .prop_map(|(step, item, tries, retry_at, since)| OpenStep { step, item, tries, retry_at, since })
}

/// The fields of the flat form that depend on the state, or on what several states have.
#[derive(Clone, Debug)]
struct Flat {
    state: &'static str,
    tries: u32,
    retry_at: Option<Timestamp>,
    waiting_since: Option<Timestamp>,
    waits_for: Option<String>,
    open_steps: Vec<OpenStep>,
    wait_until: Option<Timestamp>,
    lane: Option<String>,
    resumed: bool,
    finished_at: Option<Timestamp>,
}

impl Flat {
    /// Leaves out what a run in this state has not, and adds what it has.
    fn made_legal(self, at: Timestamp, plugin: String) -> Self {
        let ended = matches!(self.state, "skipped" | "done" | "failed" | "cancelled");
        let (waits, parked) = (self.state == "waiting", self.state == "parked");
        Self {
            retry_at: waits.then_some(at),
            waiting_since: self.waiting_since.filter(|_| waits || self.wait_until.is_some()),
            waits_for: if parked { Some(plugin) } else { self.waits_for.filter(|_| waits) },
            finished_at: ended.then_some(at),
            ..self
        }
    }

    fn text(&self) -> String {
        let mut row = Map::new();
        let mut add = |name: &str, value: Value| {
            let is_left_out = value.is_null() || value == json!([]) || value == json!(false);
            if !is_left_out || name == "steps" {
                row.insert(name.to_owned(), value);
            }
        };
        add("id", json!("run_7_0"));
        add("space", json!("main"));
        add("event", json!("evt_1"));
        add("event_type", json!("a.b"));
        add("automation", json!("aut_1"));
        add("automation_name", json!("a"));
        add("revision", json!(1));
        add("decision", json!({"fired": true, "reason": "r", "conditions": []}));
        add("state", json!(self.state));
        add("steps", json!([]));
        add("next_step", json!(1));
        add("tries", json!(self.tries));
        add("retry_at", json!(self.retry_at));
        add("waiting_since", json!(self.waiting_since));
        add("waits_for", json!(self.waits_for));
        add("open_steps", json!(self.open_steps));
        add("wait_until", json!(self.wait_until));
        add("lane", self.lane.as_ref().map_or(Value::Null, |key| json!({"key": key, "most": 1})));
        add("resumed", json!(self.resumed));
        add("version", json!(0));
        add("created_at", json!(CREATED));
        add("finished_at", json!(self.finished_at));
        Value::Object(row).to_string()
    }
}

/// Rows whose fields may contradict each other.
fn any_row() -> impl Strategy<Value = Flat> {
    let states = ["skipped", "running", "waiting", "parked", "queued", "done", "failed", "cancelled"];
    let some = || prop::option::of(time());
    let times = (some(), some(), some(), some());
    let texts = (prop::option::of("[a-z]{1,4}"), prop::option::of("[a-z]{1,4}"));
    let others = (0..9_u32, prop::collection::vec(open_step(), 0..3), any::<bool>());
    (select(states.to_vec()), times, texts, others).prop_map(
        |(
            state,
            (retry_at, waiting_since, wait_until, finished_at),
            (waits_for, lane),
            (tries, open_steps, resumed),
        )| Flat {
            state,
            tries,
            retry_at,
            waiting_since,
            waits_for,
            open_steps,
            wait_until,
            lane,
            resumed,
            finished_at,
        },
    )
}

/// When a run was due before its state had data: what the rows of the store are derived from.
fn due_by_fields(row: &Flat) -> Option<Timestamp> {
    let open = row.open_steps.iter().filter_map(|open| open.retry_at).min();
    match row.state {
        "waiting" => Some(row.retry_at.into_iter().chain(open).min().unwrap_or_default()),
        "running" if row.resumed => Some(Timestamp::default()),
        "parked" => open,
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_legal_row_reads_back_byte_by_byte(row in any_row(), at in time(), plugin in "[a-z]{1,4}") {
        let text = row.made_legal(at, plugin).text();
        prop_assert_eq!(written(&read(&text)), text);
    }

    #[test]
    fn any_row_keeps_its_run_and_is_legal_once_written(row in any_row()) {
        let run = read(&row.text());
        let is_releasable = row.state != "parked" || row.waits_for.is_some();
        prop_assert_eq!(run.state.name().as_str(), if is_releasable { row.state } else { "waiting" });
        if is_releasable {
            prop_assert_eq!(run.due_at(), due_by_fields(&row));
        }
        let text = written(&run);
        prop_assert_eq!(written(&read(&text)), text);
    }
}
