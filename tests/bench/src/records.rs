//! Many tickets: finding some by their fields, and changing one.

use std::time::Instant;

use serde_json::{Value, json};

use crate::Failed;
use crate::api::Api;
use crate::client::{Connection, request};
use crate::figures::{Row, Sheet, Unit};
use crate::latencies::Latencies;
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::number as whole;
use crate::table::count;

const SECTION: &str = "records";
const FULL: [u64; 2] = [10_000, 1_000_000];
const QUICK: [u64; 2] = [1000, 20_000];
/// How many makers make tickets side by side.
const MAKERS: u64 = 64;

/// Every ticket has one of so many urgencies.
const URGENCIES: u64 = 10;
/// Every ticket has one of so many members.
const MEMBERS: u64 = 500;

/// A way to call.
#[derive(Clone, Copy)]
enum Way {
    Read,
    ByStatus,
    ByMember,
    ByStatusAndUrgency,
    Change,
}

impl Way {
    const ALL: [Self; 5] = [Self::Read, Self::ByStatus, Self::ByMember, Self::ByStatusAndUrgency, Self::Change];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read one",
            Self::ByStatus => "list by status, 1 of 100",
            Self::ByMember => "list by member, 1 of 500",
            Self::ByStatusAndUrgency => "list by status and urgency",
            Self::Change => "change one, with its event",
        }
    }

    /// The request of a call, among so many tickets.
    fn request(self, call: u64, tickets: u64) -> Vec<u8> {
        // Numbers that are spread over all tickets, and are the same in each run.
        let spread = call.wrapping_mul(0x9E37_79B9_7F4A_7C15) % tickets + 1;
        let get = |path: String| request("GET", &path, "application/json", b"");
        let list = |query: &str| get(format!("/v1/tickets?limit=50&{query}"));
        let urgency = call % URGENCIES;
        match self {
            Self::Read => get(format!("/v1/tickets/{spread}")),
            Self::ByStatus => list("status=pending"),
            Self::ByMember => list(&format!("member=member-{}", call % MEMBERS)),
            Self::ByStatusAndUrgency => list(&format!("status=open&urgency=urgency-{urgency}")),
            Self::Change => {
                let body = json!({"urgency": format!("urgency-{urgency}"), "justification": format!("call {call}")});
                let path = format!("/v1/tickets/{spread}");
                request("PATCH", &path, "application/merge-patch+json", body.to_string().as_bytes())
            }
        }
    }
}

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<Vec<Sheet>, Failed> {
    let (sizes, calls) = if effort.full { (FULL, 2000) } else { (QUICK, 200) };
    let mut called = Sheet::new(SECTION, "Many tickets, one caller", &["tickets", "what"]);
    let mut made = Sheet::new(SECTION, "Making them, each with its event", &["tickets"]);
    for tickets in sizes {
        eprintln!("records: making {tickets} tickets");
        let home = place.fresh()?;
        let server = Server::settled(place, home.path()).await?;
        let began = Instant::now();
        fill(&server, tickets).await?;
        let took = began.elapsed().as_secs_f64();
        let shown = count(whole(tickets));
        for (way, latencies) in Way::ALL.iter().zip(ways(&server, tickets, calls, effort).await?) {
            called.rows.push(Row::new([shown.clone(), way.name().to_owned()]).with_latencies(&latencies)?);
        }
        let row = Row::new([shown]).with_one("made in", Unit::SECONDS, took);
        let row = row.with_one("rate", Unit::whole("tickets/s"), whole(tickets) / took);
        made.rows.push(row.with_one("resident", Unit::MEBIBYTES, server.status_kib("VmRSS:")? / 1024.0));
        server.stop().await?;
    }
    Ok(vec![called, made])
}

/// One of the tickets. Its id is another number, since several makers take turns.
fn ticket(number: u64) -> Value {
    json!({
        "subject": format!("Ticket {number}"),
        "status": if number.is_multiple_of(100) { "pending" } else { "open" },
        "urgency": format!("urgency-{}", number % URGENCIES),
        "member": format!("member-{}", number % MEMBERS),
    })
}

async fn fill(server: &Server, tickets: u64) -> Result<(), Failed> {
    let makers: Vec<_> = (0..MAKERS)
        .map(|maker| {
            let address = server.address;
            tokio::spawn(async move {
                let mut api = Api::connect(address).await?;
                for number in (maker..tickets).step_by(usize::try_from(MAKERS)?) {
                    api.post("/v1/tickets", &ticket(number)).await?;
                }
                Ok::<_, Failed>(())
            })
        })
        .collect();
    for maker in makers {
        maker.await??;
    }
    Ok(())
}

/// How long so many calls of each way took, round by round. Each round begins with another way, and the first calls of a way
/// do not count.
async fn ways(server: &Server, tickets: u64, calls: u64, effort: &Effort) -> Result<[Vec<Latencies>; 5], Failed> {
    let mut connection = Connection::open(server.address).await?;
    let mut found: [Vec<Latencies>; 5] = Default::default();
    for round in effort.turns() {
        // Other calls than those of the rounds before, so that each change is one.
        let first = (round as u64).saturating_mul(calls.saturating_mul(2));
        for place in (0..Way::ALL.len()).map(|place| (place + round) % Way::ALL.len()) {
            let (Some(way), Some(found)) = (Way::ALL.get(place), found.get_mut(place)) else { continue };
            if found.is_empty() {
                let warm_up = first + calls..first + calls + calls / 10;
                time(&mut connection, warm_up.map(|call| way.request(call, tickets))).await?;
            }
            let requests = (first..first + calls).map(|call| way.request(call, tickets));
            found.push(time(&mut connection, requests).await?);
        }
    }
    Ok(found)
}

async fn time(connection: &mut Connection, requests: impl Iterator<Item = Vec<u8>>) -> Result<Latencies, Failed> {
    let mut latencies = Latencies::new()?;
    for request in requests {
        let start = Instant::now();
        let answer = connection.exchange(&request).await?;
        let took = start.elapsed();
        if answer.status != 200 {
            let said = String::from_utf8_lossy(answer.body).into_owned();
            return Err(format!("it was answered {}: {said}", answer.status).into());
        }
        latencies.record(took);
    }
    Ok(latencies)
}
