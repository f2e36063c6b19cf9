//! What the crash tests drive, and what must be true of it afterwards, however often the process died.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Receiver, Server};
use serde_json::{Value, json};

const THREADS: usize = 4;
/// Events that tell of changes, and how often for each ticket.
const CHANGES: [(&str, usize); 2] = [("ticket.note-added", 1), ("ticket.updated", 2)];

/// Events of which each adds one note to a ticket of its own and sets two fields of it, by way of two automations that
/// are carried out at the same time.
pub(crate) struct World {
    receiver: Receiver,
    tickets: BTreeMap<String, u64>,
    acknowledged: BTreeSet<String>,
    /// Subjects of tickets whose making was acknowledged.
    made: BTreeSet<String>,
    next_subject: usize,
}

/// How far a drive has come, for whoever wants to end it at some point.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) acknowledged: AtomicUsize,
}

impl World {
    /// Makes the automation and the webhook.
    pub(crate) fn make(server: &Server) -> Self {
        let client = server.client();
        let receiver = Receiver::start();
        scene::automation(
            &client,
            &json!({
                "name": "handle",
                "on": ["crash.event"],
                "when": {"condition": "match", "with": {"path": "event.data.ticket", "gt": 0}},
                "then": [
                    {"action": "note-add", "with": {"id": "{{event.data.ticket}}", "text": "{{event.id}}"}},
                    {"action": "ticket-update", "with": {"id": "{{event.data.ticket}}", "urgency": "{{event.id}}"}},
                ],
            }),
        );
        scene::automation(
            &client,
            &json!({
                "name": "tell",
                "on": ["crash.*"],
                "then": [
                    {"action": "event-emit", "with": {"type": "echo", "subject": "{{event.id}}"}},
                    {"action": "ticket-update", "with": {"id": "{{event.data.ticket}}", "justification": "{{event.id}}"}},
                ],
            }),
        );
        scene::webhook(&client, &receiver.url(), &CHANGES.map(|(kind, _)| kind));
        let (tickets, acknowledged, made) = Default::default();
        Self { receiver, tickets, acknowledged, made, next_subject: 0 }
    }

    /// Makes tickets and thinks of an event for each; returns the events' ids.
    pub(crate) fn events(&mut self, server: &Server, count: usize) -> Vec<String> {
        let client = server.client();
        let first = self.tickets.len();
        let ids: Vec<String> = (first..first + count).map(|n| format!("event-{n}")).collect();
        for id in &ids {
            self.tickets.insert(id.clone(), scene::ticket(&client, id));
        }
        ids
    }

    /// Sends these events, and makes some tickets meanwhile, until all is done or the server is dead.
    pub(crate) fn drive(&mut self, server: &Server, ids: &[String], progress: &Progress) {
        let (next, tickets) = (AtomicUsize::new(0), &self.tickets);
        let subjects: Vec<String> = (0..10).map(|n| format!("made-{}", self.next_subject + n)).collect();
        self.next_subject += subjects.len();
        let (acknowledged, made) = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (client, next) = (server.client(), &next);
                    scope.spawn(move || {
                        let mut acknowledged = Vec::new();
                        while let Some(id) = ids.get(next.fetch_add(1, Ordering::SeqCst)) {
                            if send(&client, id, tickets[id]) {
                                progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                                acknowledged.push(id.clone());
                            }
                        }
                        acknowledged
                    })
                })
                .collect();
            let client = server.client();
            let maker = scope.spawn(move || {
                subjects.into_iter().filter(|subject| make_ticket(&client, subject)).collect::<Vec<_>>()
            });
            let sent: Vec<String> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
            (sent, maker.join().unwrap())
        });
        self.acknowledged.extend(acknowledged);
        self.made.extend(made);
    }

    /// Does what every sender does that got no answer: sends the same again.
    pub(crate) fn send_again(&mut self, server: &Server) {
        let client = server.client();
        for (id, ticket) in &self.tickets {
            if self.acknowledged.insert(id.clone()) {
                assert!(send(&client, id, *ticket), "{id} is refused");
            }
        }
    }

    /// How many requests came to the receiver beyond the first of each message.
    pub(crate) fn repeats(&self) -> usize {
        let received = self.receiver.received();
        let messages: BTreeSet<&str> = received.iter().map(|request| request.header("webhook-id")).collect();
        received.len() - messages.len()
    }

    /// Waits until nothing is left to be done and looks at everything.
    #[track_caller]
    pub(crate) fn check(&self, server: &Server, what: &str) {
        let client = server.client();
        scene::settled(&client);
        self.check_events(&client, what);
        self.check_tickets(&client, what);
        let changes = self.check_changes(&client, what);
        self.check_messages(&changes, what);
    }

    /// No acknowledged event is lost, and each is carried out once.
    fn check_events(&self, client: &Client, what: &str) {
        let journal: Vec<String> =
            scene::all(client, "/v1/events?type=crash.event").iter().map(|event| text(&event["id"])).collect();
        let stored: BTreeSet<String> = journal.iter().cloned().collect();
        let lost: Vec<&String> = self.acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:?}");
        assert_eq!(journal.len(), self.tickets.len(), "{what}: each event stands in the journal once");
        let runs = scene::all(client, "/v1/runs");
        assert_eq!(runs.len(), 2 * self.tickets.len(), "{what}: one run for each event and automation");
        for run in &runs {
            assert_eq!(run["state"], "done", "{what}: {run:#}");
            assert_eq!(run["steps"].as_array().map(Vec::len), Some(2), "{what}: {run:#}");
        }
        let mut echoes: Vec<String> =
            scene::all(client, "/v1/events?type=echo").iter().map(|event| text(&event["subject"])).collect();
        echoes.sort();
        assert_eq!(echoes, stored.into_iter().collect::<Vec<_>>(), "{what}: each event was echoed once");
    }

    /// Each effect was made once: not twice, not never.
    fn check_tickets(&self, client: &Client, what: &str) {
        let tickets = scene::all(client, "/v1/tickets");
        let by_id: BTreeMap<u64, &Value> = tickets.iter().map(|one| (one["id"].as_u64().unwrap(), one)).collect();
        assert_eq!(by_id.len(), tickets.len(), "{what}: no id was given twice");
        for (event, id) in &self.tickets {
            assert_eq!(scene::notes(client, *id), [event.as_str()], "{what}: the notes of ticket {id}");
            assert_eq!(by_id[id]["urgency"], **event, "{what}: ticket {id}");
            assert_eq!(by_id[id]["justification"], **event, "{what}: ticket {id}");
        }
        for subject in &self.made {
            let count = tickets.iter().filter(|ticket| ticket["subject"] == **subject).count();
            assert_eq!(count, 1, "{what}: the ticket {subject} was acknowledged");
        }
        let created: Vec<String> =
            scene::all(client, "/v1/events?type=ticket.created").iter().map(|event| text(&event["subject"])).collect();
        let told: BTreeSet<String> = created.iter().cloned().collect();
        assert_eq!(created.len(), told.len(), "{what}: no ticket was told of twice");
        let there: BTreeSet<String> = by_id.keys().map(|id| format!("ticket/{id}")).collect();
        assert_eq!(told, there, "{what}: every ticket that is there was told of, and no other");
    }

    /// Each change was told of once; returns the ids of the events that tell.
    fn check_changes(&self, client: &Client, what: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for (kind, count) in CHANGES {
            let changes = scene::all(client, &format!("/v1/events?type={kind}"));
            let mut subjects: Vec<String> = changes.iter().map(|event| text(&event["subject"])).collect();
            let wanted = self.tickets.values().map(|id| format!("ticket/{id}"));
            let mut wanted: Vec<String> = wanted.flat_map(|subject| vec![subject; count]).collect();
            subjects.sort();
            wanted.sort();
            assert_eq!(subjects, wanted, "{what}: {kind}, {count} for each ticket");
            ids.extend(changes.iter().map(|event| text(&event["id"])));
        }
        let deliveries = scene::all(client, "/v1/deliveries");
        assert_eq!(deliveries.len(), ids.len(), "{what}: one delivery for each change");
        for delivery in &deliveries {
            assert_eq!(delivery["state"], "delivered", "{what}: {delivery:#}");
        }
        ids
    }

    /// Each change reached the receiver at least once, repeats under the same id.
    fn check_messages(&self, changes: &BTreeSet<String>, what: &str) {
        let mut messages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in self.receiver.received() {
            let event = text(&request.json()["id"]);
            messages.entry(event).or_default().insert(request.header("webhook-id").to_owned());
        }
        let arrived: BTreeSet<String> = messages.keys().cloned().collect();
        assert_eq!(&arrived, changes, "{what}: every change arrived, and nothing else");
        let ids: BTreeSet<&String> = messages.values().flatten().collect();
        assert!(messages.values().all(|ids| ids.len() == 1), "{what}: a repeat came under another id: {messages:?}");
        assert_eq!(ids.len(), messages.len(), "{what}: two messages share an id");
    }
}

/// Sends an event; says whether it was acknowledged.
fn send(client: &Client, id: &str, ticket: u64) -> bool {
    let body = json!({"type": "crash.event", "source": "test", "id": id, "data": {"ticket": ticket}});
    let json = [("content-type", "application/json")];
    match client.try_send("POST", "/v1/events", &json, body.to_string().as_bytes()) {
        Ok(answer) => {
            assert_eq!(answer.json()["id"], id, "{answer}");
            answer.status == 202
        }
        Err(_) => false,
    }
}

/// Makes a ticket; says whether that was acknowledged.
fn make_ticket(client: &Client, subject: &str) -> bool {
    let body = json!({"subject": subject});
    let json = [("content-type", "application/json")];
    let answer = client.try_send("POST", "/v1/tickets", &json, body.to_string().as_bytes());
    answer.is_ok_and(|answer| answer.status == 201)
}
