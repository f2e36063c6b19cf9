//! Many tickets: finding some by their fields, and changing one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Failed;
use crate::api::Api;
use crate::client::{Connection, request};
use crate::options::Effort;
use crate::place::Place;
use crate::server::Server;
use crate::statistics::quantile;
use crate::table::{Table, count, short};

const FULL: [u64; 2] = [10_000, 1_000_000];
const QUICK: [u64; 2] = [1000, 20_000];
/// How many makers make tickets side by side.
const MAKERS: u64 = 64;

/// Every ticket has one of so many urgencies.
const URGENCIES: u64 = 10;
/// Every ticket has one of so many members.
const MEMBERS: u64 = 500;

pub(crate) async fn run(place: &Place, effort: &Effort) -> Result<(), Failed> {
    let (sizes, calls) = if effort.rounds > 3 { (FULL, 2000) } else { (QUICK, 200) };
    let head = ["tickets", "what", "p50 ms", "p99 ms"];
    let mut table = Table::new("Many tickets, one caller", &head);
    let mut notes = Vec::new();
    for tickets in sizes {
        eprintln!("records: making {tickets} tickets");
        let home = place.fresh()?;
        let mut server = Server::hookwright(place, home.path())?;
        server.serving().await?;
        let began = Instant::now();
        fill(&server, tickets).await?;
        let took = began.elapsed();
        for (name, times) in ways(&server, tickets, calls).await? {
            let millis = |part| f64::from(quantile(&times, part)) / 1e3;
            table.row(vec![as_count(tickets), name.to_owned(), short(millis(0.5)), short(millis(0.99))]);
        }
        notes.push(format!(
            "{} tickets were made in {} s, {} a second, each with its event; the server then had {} MiB resident.",
            as_count(tickets),
            short(took.as_secs_f64()),
            count(lossy(tickets) / took.as_secs_f64()),
            short(server.status_kib("VmRSS:")? / 1024.0),
        ));
        server.stop().await?;
    }
    println!("{table}\n{}", notes.join("\n"));
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn lossy(number: u64) -> f64 {
    number as f64
}

fn as_count(number: u64) -> String {
    count(lossy(number))
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

/// How long each of some calls took, in microseconds, for each way to call.
async fn ways(server: &Server, tickets: u64, calls: u64) -> Result<Vec<(&'static str, Vec<u32>)>, Failed> {
    // Numbers that are spread over all tickets, and are the same in each run.
    let spread = |call: u64| call.wrapping_mul(0x9E37_79B9_7F4A_7C15) % tickets + 1;
    let get = |path: String| request("GET", &path, "application/json", b"");
    let list = |query: String| get(format!("/v1/tickets?limit=50&{query}"));
    let change = |call: u64| {
        let body = json!({"urgency": format!("urgency-{}", call % URGENCIES), "justification": format!("call {call}")});
        let path = format!("/v1/tickets/{}", spread(call));
        request("PATCH", &path, "application/merge-patch+json", body.to_string().as_bytes())
    };
    Ok(vec![
        ("read one", time(server, calls, |call| get(format!("/v1/tickets/{}", spread(call)))).await?),
        ("list by status, 1 of 100", time(server, calls, |_| list("status=pending".to_owned())).await?),
        ("list by member, 1 of 500", time(server, calls, |c| list(format!("member=member-{}", c % MEMBERS))).await?),
        (
            "list by status and urgency",
            time(server, calls, |call| list(format!("status=open&urgency=urgency-{}", call % URGENCIES))).await?,
        ),
        ("change one, with its event", time(server, calls, change).await?),
    ])
}

async fn time(server: &Server, calls: u64, made: impl Fn(u64) -> Vec<u8>) -> Result<Vec<u32>, Failed> {
    let mut connection = Connection::open(server.address).await?;
    let mut times = Vec::new();
    for call in 0..calls {
        let request = made(call);
        let start = Instant::now();
        let answer = connection.exchange(&request).await?;
        let took: Duration = start.elapsed();
        if answer.status != 200 {
            let said = String::from_utf8_lossy(answer.body).into_owned();
            return Err(format!("it was answered {}: {said}", answer.status).into());
        }
        times.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }
    times.sort_unstable();
    Ok(times)
}
