//! Events whose actions all change one record, beside the same events for a thousand records.

use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::figures::{Row, Sheet, Unit};
use crate::flow::Order;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::{each, median, ratios};
use crate::steady::{self, Round};
use crate::{Failed, pipeline};

const SECTION: &str = "hot";
/// How many events are in flight at a time.
const IN_FLIGHT: usize = 64;
/// The least that one record may have of the rate of distinct ones where notes are added.
const GOAL: f64 = 0.5;

/// What is done, and to how many records in turn.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    action: &'static str,
    one: bool,
}

impl Way {
    const ALL: [Self; 4] = [
        Self { action: "note-add", one: false },
        Self { action: "note-add", one: true },
        Self { action: "ticket-update", one: false },
        Self { action: "ticket-update", one: true },
    ];

    fn tickets(self, tickets: &[u64]) -> &[u64] {
        if self.one { tickets.get(..1).unwrap_or_default() } else { tickets }
    }

    fn event_type(self) -> &'static str {
        match self.action {
            "note-add" => "hot.note",
            _ => "hot.change",
        }
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let home: TempDir = place.fresh()?;
    let server = Server::settled(place, home.path()).await?;
    let mut api = Api::connect(server.address).await?;
    for (event_type, action, with) in [
        ("hot.note", "note-add", json!({"id": "{{event.data.ticket}}", "text": "Closed: {{event.id}}"})),
        ("hot.change", "ticket-update", json!({"id": "{{event.data.ticket}}", "changes": {"subject": "{{event.id}}"}})),
    ] {
        let step = json!({"action": action, "with": with});
        api.post("/v1/automations", &json!({"name": action, "on": [event_type], "then": [step]})).await?;
    }
    let tickets = pipeline::make_tickets(&server).await?;
    let mut rounds: [Vec<Round>; 4] = Default::default();
    for round in effort.turns() {
        for turn in 0..Way::ALL.len() {
            let place = (turn + round) % Way::ALL.len();
            let (Some(way), Some(rounds)) = (Way::ALL.get(place), rounds.get_mut(place)) else { continue };
            eprintln!("hot: {}, {}", way.action, if way.one { "one ticket" } else { "distinct tickets" });
            let bodies = way.tickets(&tickets).iter();
            let bodies = bodies.map(|id| json!({"type": way.event_type(), "data": {"ticket": id}}).to_string());
            let time = effort.load;
            let mut order =
                Order { address: server.address, in_flight: IN_FLIGHT, time, watchers: 0, bodies: bodies.collect() };
            let warm_up = rounds.is_empty().then_some(effort.warm_up);
            rounds.push(steady::round(&server, &mut order, warm_up).await?);
        }
    }
    let mut sheet = Sheet::new(SECTION, "One record with many concurrent changes", &["action", "tickets"]);
    for (place, way) in Way::ALL.iter().enumerate() {
        let (Some(own), Some(distinct)) = (rounds.get(place), rounds.get(place - place % 2)) else { continue };
        let rate = each(own, |round| round.report.rate);
        let beside = ratios(&rate, &each(distinct, |round| round.report.rate));
        let noted = median(beside.iter().copied());
        if way.one && way.action == "note-add" && noted < GOAL {
            let missed =
                format!("notes on one ticket have {noted:.2} of the rate of distinct tickets: {GOAL} is the least");
            sheet.missed.push(missed);
        }
        let row = Row::new([way.action.to_owned(), way.tickets(&tickets).len().to_string()]);
        let row = row.with("rate", Unit::EVENTS_PER_SECOND, rate);
        let row = row.with("processor", Unit::new("us/event"), each(own, |round| round.processor));
        sheet.rows.push(row.with("beside distinct", Unit::RATIO, beside));
    }
    Ok(vec![sheet])
}
