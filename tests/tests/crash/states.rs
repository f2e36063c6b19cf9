//! Everything that a run, a mail, a schedule or a poll can be in when the process dies: in it, in the step after it, and
//! right after that one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright_tests::clock::millis;
use hookwright_tests::components::other_version;
use hookwright_tests::programs::{Program, python};
use hookwright_tests::receiver::Received;
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Receiver, Reply, Server, eventually, within};
use serde_json::{Value, json};

/// How long the steps wait that let time pass, how long until a step is tried again, and how often a schedule is due, in
/// seconds of the server's clock.
const WAIT: u64 = 3600;
/// How long the steps wait that a schedule or a poll has set in motion: they have ended when it is due again.
const SHORT_WAIT: u64 = WAIT / 2;
/// Everything may take so long to end, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The workflow's and the automations' names, which are the types of their events and the ends of their notes.
const KINDS: [&str; 9] = ["wait", "retry", "beside", "items", "failing", "group", "parked", "undecided", "started"];

/// Those whose call follows when what they are about is over.
const FOLLOWED: [&str; 6] = ["wait", "retry", "failing", "parked", "undecided", "started"];

/// How the process is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Killed,
    Stopped,
}

/// When.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// In what each run is about: it waits, for a time, a plugin, or its turn.
    Inside,
    /// In the calls that follow.
    Next,
    /// When the first of those calls was answered.
    After,
}

/// What others do: a service that is polled, one that answers when the test says so, one that fails at first.
struct Outside {
    receiver: Receiver,
    items: Arc<AtomicU64>,
    /// Whether the slow calls are answered, that of the kind `wait` and all others.
    answers: [Arc<AtomicBool>; 2],
    mail_server: Program,
}

impl Outside {
    fn start() -> Self {
        let items = Arc::new(AtomicU64::new(0));
        let (shelf, failed) = (Arc::clone(&items), Mutex::new(BTreeSet::new()));
        let answers = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let gates = answers.clone();
        let receiver = Receiver::with(move |request| {
            let path = request.path.clone();
            if let Some(since) = path.strip_prefix("/hook/items?since=") {
                let since: u64 = since.parse().unwrap();
                let items: Vec<Value> =
                    (since + 1..=shelf.load(Ordering::SeqCst)).map(|id| json!({"id": id})).collect();
                let body = json!({"items": items}).to_string();
                return Reply::status(200).header("content-type", "application/json").body(body);
            }
            // The first request of each that is flaky fails, however often the server is started.
            if path.starts_with("/hook/flaky") && failed.lock().unwrap().insert(path) {
                return Reply::status(500);
            }
            match request.path.strip_prefix("/hook/slow/") {
                None => Reply::status(200),
                Some(kind) => Reply::status(200).once(&gates[usize::from(kind != "wait")]),
            }
        });
        Self { receiver, items, answers, mail_server: Program::start(&mut python("mail_server.py")) }
    }

    /// Whether the slow calls of all kinds are answered from now on.
    fn answers(&self, answers: bool) {
        for gate in &self.answers {
            gate.store(answers, Ordering::SeqCst);
        }
    }

    /// How many slow calls came.
    fn slow_calls(&self) -> usize {
        self.receiver.received().iter().filter(|request| request.path.starts_with("/hook/slow/")).count()
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.receiver.url())
    }

    fn received(&self, path: &str) -> Vec<Received> {
        let path = format!("/hook/{path}");
        self.receiver.received().into_iter().filter(|request| request.path == path).collect()
    }
}

struct World {
    server: Server,
    outside: Outside,
    ticket: u64,
    schedules: Vec<String>,
    source: String,
}

impl World {
    fn make() -> Self {
        let mut outside = Outside::start();
        let smtp = format!("smtp://127.0.0.1:{}", outside.mail_server.line()["port"]);
        let server = Server::start(
            Options::default()
                .clock()
                .set("HOOKWRIGHT_SMTP_URL", &smtp)
                .set("HOOKWRIGHT_MAIL_FROM", "Hookwright <bot@example.com>"),
        );
        let ticket = scene::ticket(&server.client(), "All states");
        let mut world = Self { server, outside, ticket, schedules: Vec::new(), source: String::new() };
        world.set_up();
        world
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    fn note(&self, said: &str) -> Value {
        json!({"action": "note-add", "with": {"id": self.ticket, "text": said}})
    }

    fn call(&self, path: &str) -> Value {
        json!({"action": "webhook-call", "with": {"url": self.outside.url(path)}})
    }

    fn slow(&self, kind: &str) -> Value {
        self.call(&format!("slow/{kind}"))
    }

    /// An automation for the events of a kind, which ends with the slow call and a note.
    fn automation(&self, kind: &str, first: Vec<Value>, more: Value) {
        let mut then = first;
        then.extend([self.slow(kind), self.note(kind)]);
        let mut automation = json!({"name": kind, "on": [format!("state.{kind}")], "then": then});
        automation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene::automation(&self.client(), &automation);
    }

    fn set_up(&mut self) {
        let client = self.client();
        let wait = || json!({"wait": {"seconds": WAIT}});
        let flaky = |kind: &str, on_error: &str| {
            let mut step = self.call(&format!("flaky/{kind}"));
            step["retry"] = json!({"delays_seconds": [WAIT], "jitter": 0.0});
            step["on_error"] = json!(on_error);
            step
        };
        self.automation("wait", vec![wait()], json!({}));
        self.automation("retry", vec![flaky("retry", "stop")], json!({}));
        self.automation("beside", vec![flaky("beside", "continue")], json!({}));
        let mut items = flaky("{{item}}", "continue");
        items["for_each"] = json!(["a", "b", "c"]);
        self.automation("items", vec![items, self.note("items done")], json!({}));
        // The second item names no ticket.
        let noted = json!({"action": "note-add", "for_each": [self.ticket, 999_999, self.ticket],
            "with": {"id": "{{item}}", "text": "failing {{index}}"}});
        self.automation("failing", vec![noted, wait()], json!({}));
        self.automation("group", vec![], json!({"concurrency": {"key": "one", "most": 1}}));
        for name in ["late-note", "late-if"] {
            self.plugin(name, true);
        }
        let late = json!({"action": "late-note", "with": {"id": self.ticket, "text": "parked first"}});
        self.automation("parked", vec![late], json!({}));
        let when = json!({"condition": "late-if", "with": {"path": "event.type", "equals": "state.undecided"}});
        self.automation("undecided", vec![], json!({"when": when}));
        for name in ["late-note", "late-if"] {
            self.plugin(name, false);
        }
        let steps = json!([wait(), self.slow("started"), self.note("started")]);
        client.post("/v1/workflows", &json!({"name": "started", "steps": steps})).expect(201);
        let start = json!({"action": "workflow-start", "with": {"name": "started"}});
        scene::automation(&client, &json!({"name": "starter", "on": ["state.started"], "then": [start]}));
        let letter = json!({"to": ["busy@example.com"], "subject": "state", "text": "mail"});
        let mail = json!({"action": "email-send", "with": letter});
        scene::automation(&client, &json!({"name": "mail", "on": ["state.mail"], "then": [mail]}));

        let steps = json!([{"wait": {"seconds": SHORT_WAIT}}, self.note("tick")]);
        client.post("/v1/workflows", &json!({"name": "tick", "steps": steps})).expect(201);
        for overlap in [false, true] {
            let name = format!("overlap {overlap}");
            let schedule = json!({"name": name, "every_seconds": WAIT, "workflow": "tick", "overlap": overlap});
            self.schedules.push(text(&client.post("/v1/schedules", &schedule).expect(201)["id"]));
        }
        let found = json!({"name": "found", "on": ["item.found"],
            "then": [{"wait": {"seconds": SHORT_WAIT}}, self.note("found {{event.data.id}}")]});
        scene::automation(&client, &found);
        let with = json!({"url": self.outside.url("items"), "items": "items",
            "cursor": {"greatest": "id", "query": "since", "start": 0},
            "event": {"type": "item.found", "id": {"path": "id", "prefix": "item-"}}});
        let source = json!({"name": "shop", "kind": "poll", "with": with, "poll": {"every_seconds": WAIT}});
        self.source = text(&client.post("/v1/sources", &source).expect(201)["id"]);
    }

    /// Brings a plugin into the plugin folder, or takes it away.
    fn plugin(&self, name: &str, there: bool) {
        let file = self.server.data().join(format!("plugins/{name}.wasm"));
        if there {
            let plugin = if name == "late-if" { "match" } else { "note-add" };
            std::fs::write(&file, other_version(plugin, "1.0.0")).unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        if self.server.lives() {
            let status = if there { 200 } else { 404 };
            eventually(|| match self.client().get(&format!("/v1/plugins/{name}")) {
                answer if answer.status == status => Ok(()),
                answer => Err(answer.to_string()),
            });
        }
    }

    fn late_plugins_come(&self) {
        self.plugin("late-note", true);
        self.plugin("late-if", true);
    }

    /// Sends the events, three of the group.
    fn begin(&self) {
        for kind in KINDS.iter().chain(&["group", "group", "mail"]) {
            scene::send(&self.client(), &format!("state.{kind}"), &json!({}));
        }
        self.outside.items.store(3, Ordering::SeqCst);
    }

    /// The state of the newest run of each automation or workflow.
    fn states(&self) -> BTreeMap<String, String> {
        let runs = scene::all(&self.client(), "/v1/runs");
        runs.iter().rev().map(|run| (text(&run["automation_name"]), text(&run["state"]))).collect()
    }

    /// Waits until every run is where it waits.
    fn all_inside(&self) {
        let waiting = [
            ("wait", "waiting"),
            ("retry", "waiting"),
            ("failing", "waiting"),
            ("group", "queued"),
            ("parked", "parked"),
            ("undecided", "parked"),
            ("started", "waiting"),
        ];
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        eventually(|| {
            let states = self.states();
            for (kind, state) in waiting {
                if states.get(kind).is_some_and(|at| at == state) {
                    seen.insert(kind);
                }
            }
            if seen.len() == waiting.len() { Ok(()) } else { Err(format!("{states:?}")) }
        });
    }

    fn slow_calls(&self, kinds: &[&str]) {
        eventually(|| {
            let missing: Vec<&&str> =
                kinds.iter().filter(|kind| self.outside.received(&format!("slow/{kind}")).is_empty()).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("no slow call of {missing:?}")) }
        });
    }

    /// Waits until more slow calls came than so many, or no run is left that would make one.
    fn goes_on(&self, before: usize) {
        eventually(|| {
            let runs = scene::all(&self.client(), "/v1/runs");
            let mut open = runs.iter().filter(|run| run.get("finished_at").is_none());
            let makes_one = |run: &Value| KINDS.iter().any(|kind| run["automation_name"] == *kind);
            if self.outside.slow_calls() > before || !open.any(makes_one) {
                Ok(())
            } else {
                Err(format!("{before} slow calls, and no further one"))
            }
        });
    }

    /// Lets pass what steps wait for.
    fn wait_is_over(&self) {
        self.server.advance(Duration::from_secs(WAIT));
    }

    /// Moves the clock to the next time at which something is due, and not as long as anything is in flight: what is due
    /// does not pile up while the machine is slow.
    fn advance_to_next(&self) {
        let client = self.client();
        let runs = scene::all(&client, "/v1/runs");
        let backlog = client.get("/healthz").expect(200)["backlog"].clone();
        if backlog != 0 || runs.iter().any(|run| run["state"] == "running") {
            return;
        }
        let mut times: Vec<Value> = Vec::new();
        for run in runs.iter().filter(|run| run["state"] == "waiting" || run["state"] == "parked") {
            // One that is parked waits for its plugin, whatever the time; steps that it has gone past may be due.
            if run["state"] == "waiting" {
                times.push(run["retry_at"].clone());
            }
            let open = run["open_steps"].as_array().map(Vec::as_slice).unwrap_or_default();
            times.extend(open.iter().map(|step| step["retry_at"].clone()));
        }
        let mails = scene::all(&client, "/v1/mails");
        times.extend(mails.iter().filter(|mail| mail["state"] == "queued").map(|mail| mail["next_attempt_at"].clone()));
        let schedules = self.schedules.iter().map(|id| format!("/v1/schedules/{id}"));
        for path in schedules.chain([format!("/v1/sources/{}", self.source)]) {
            times.push(client.get(&path).expect(200)["status"]["next_at"].clone());
        }
        // What was due at a time that has passed is in flight still: to that time the clock is not moved.
        if let Some(next) = times.iter().filter(|time| time.is_string()).min_by_key(|time| millis(time)) {
            self.server.advance_to(next);
        }
    }

    /// Ends the process; what it has in flight is answered only if it waits for that.
    fn end(&mut self, end: End) {
        match end {
            End::Killed => self.server.kill(),
            End::Stopped => {
                let client = self.client();
                self.server.ask_to_stop();
                // Once it takes no requests it begins nothing more.
                eventually(|| match client.try_send("GET", "/healthz", &[], b"") {
                    Ok(answer) => Err(answer.to_string()),
                    Err(_) => Ok(()),
                });
                self.outside.answers(true);
                let status = self.server.wait();
                assert!(status.success(), "{status}\n{}", self.server.log());
            }
        }
        self.outside.answers(false);
    }

    /// Nothing is left to be done, and everything was done once.
    fn check(&self, what: &str) {
        let client = self.client();
        // The schedules have gone on after the restart, too.
        let ticks = |id: &String| client.get(&format!("/v1/schedules/{id}")).expect(200)["status"]["events"].as_u64();
        let before: Vec<Option<u64>> = self.schedules.iter().map(ticks).collect();
        within(PATIENCE, || {
            self.advance_to_next();
            let now: Vec<Option<u64>> = self.schedules.iter().map(ticks).collect();
            let gone_on = now.iter().zip(&before).all(|(now, before)| now > before);
            if gone_on { Ok(()) } else { Err(format!("{what}: schedules stand still: {before:?}")) }
        });
        for id in &self.schedules {
            client.patch(&format!("/v1/schedules/{id}"), &json!({"enabled": false})).expect(200);
        }
        let runs = within(PATIENCE, || {
            self.advance_to_next();
            let runs = scene::all(&client, "/v1/runs");
            let open: Vec<&Value> = runs.iter().filter(|run| run.get("finished_at").is_none()).collect();
            let found = self.notes().iter().filter(|note| note.starts_with("found")).count();
            match (open.first(), found) {
                (None, 3) => Ok(runs),
                (None, _) => Err(format!("{what}: {found} of 3 items found")),
                (Some(open), _) => Err(format!("{what}: a run that never ends: {open:#}")),
            }
        });
        let backlog = client.get("/healthz").expect(200)["backlog"].clone();
        assert_eq!(backlog, 0, "{what}");
        for run in &runs {
            let right = if run["automation_name"] == "failing" { "failed" } else { "done" };
            assert_eq!(run["state"], right, "{what}: {run:#}");
        }
        let ticks = runs.iter().filter(|run| run["automation_name"] == "tick").count();
        let mut wanted: Vec<String> = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
        let others =
            ["group", "group", "items done", "failing 0", "failing 2", "parked first", "found 1", "found 2", "found 3"];
        wanted.extend(others.map(str::to_owned));
        wanted.extend(vec!["tick".to_owned(); ticks]);
        wanted.sort();
        let mut notes = self.notes();
        notes.sort();
        assert_eq!(notes, wanted, "{what}: each effect once");
        self.check_calls(what);
        self.check_ticks(what);
        let mails = within(PATIENCE, || {
            let mails = scene::all(&client, "/v1/mails");
            let sent = mails.iter().all(|mail| mail["state"] == "sent");
            if sent { Ok(mails) } else { Err(format!("{what}: {mails:#?}")) }
        });
        assert_eq!(mails.len(), 1, "{what}: {mails:#?}");
    }

    fn notes(&self) -> Vec<String> {
        scene::notes(&self.client(), self.ticket)
    }

    /// A request may have left twice, but not under two keys.
    fn check_calls(&self, what: &str) {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in self.outside.receiver.received() {
            if !request.path.starts_with("/hook/items") {
                keys.entry(request.path.clone()).or_default().insert(request.header("idempotency-key").to_owned());
            }
        }
        for kind in KINDS {
            let wanted = if kind == "group" { 3 } else { 1 };
            let found = keys.remove(&format!("/hook/slow/{kind}")).unwrap_or_default();
            assert_eq!(found.len(), wanted, "{what}: slow calls of {kind}: {found:?}");
        }
        for flaky in ["retry", "beside", "a", "b", "c"] {
            let found = keys.remove(&format!("/hook/flaky/{flaky}")).unwrap_or_default();
            assert_eq!(found.len(), 1, "{what}: {flaky}: {found:?}");
            let tries = self.outside.received(&format!("flaky/{flaky}")).len();
            assert!(tries >= 2, "{what}: {flaky} was tried {tries} times");
        }
        assert!(keys.is_empty(), "{what}: {keys:?}");
    }

    /// Each time of a schedule came once.
    fn check_ticks(&self, what: &str) {
        for id in &self.schedules {
            let source = format!("hookwright/schedules/{id}");
            let events = scene::all(&self.client(), "/v1/events?type=workflow.started");
            let times: Vec<String> =
                events.iter().filter(|event| event["source"] == *source).map(|event| text(&event["time"])).collect();
            let once: BTreeSet<&String> = times.iter().collect();
            assert!(!times.is_empty() && once.len() == times.len(), "{what}: {id}: {times:?}");
        }
    }
}

fn continues_from_every_state(moment: Moment, end: End) {
    let what = format!("{moment:?}, {end:?}");
    let mut world = World::make();
    world.begin();
    world.all_inside();
    match moment {
        Moment::Inside => {}
        Moment::Next => {
            world.late_plugins_come();
            world.wait_is_over();
            world.slow_calls(&FOLLOWED);
        }
        Moment::After => {
            world.late_plugins_come();
            world.wait_is_over();
            world.slow_calls(&FOLLOWED);
            world.outside.answers[0].store(true, Ordering::SeqCst);
            eventually(|| {
                let notes = world.notes();
                if notes.iter().any(|note| note == "wait") { Ok(()) } else { Err(format!("{notes:?}")) }
            });
        }
    }
    world.end(end);
    let before = world.outside.slow_calls();
    world.server.restart();
    if matches!(moment, Moment::Inside) {
        world.late_plugins_come();
        world.wait_is_over();
        world.slow_calls(&FOLLOWED);
    }
    // Into the middle of what goes on by now.
    world.goes_on(before);
    world.end(end);
    world.outside.answers(true);
    world.server.restart();
    world.check(&what);
    world.server.restart();
    world.check_nothing_pending(&what);
}

impl World {
    /// A further start finds nothing to be done.
    fn check_nothing_pending(&self, what: &str) {
        let log = self.server.log();
        assert!(!log.contains("nothing would have continued"), "{what}: a run was left behind");
        let states = self.states();
        let ended = states.values().all(|state| state == "done" || state == "failed");
        assert!(ended, "{what}: {states:?}");
    }
}

#[test]
fn a_server_killed_while_runs_wait_continues_each_of_them() {
    continues_from_every_state(Moment::Inside, End::Killed);
}

#[test]
fn a_server_stopped_while_runs_wait_continues_each_of_them() {
    continues_from_every_state(Moment::Inside, End::Stopped);
}

#[test]
fn a_server_killed_in_the_step_after_a_wait_continues_each_run() {
    continues_from_every_state(Moment::Next, End::Killed);
}

#[test]
fn a_server_stopped_in_the_step_after_a_wait_continues_each_run() {
    continues_from_every_state(Moment::Next, End::Stopped);
}

#[test]
fn a_server_killed_between_the_steps_after_a_wait_continues_each_run() {
    continues_from_every_state(Moment::After, End::Killed);
}

#[test]
fn a_server_stopped_between_the_steps_after_a_wait_continues_each_run() {
    continues_from_every_state(Moment::After, End::Stopped);
}
