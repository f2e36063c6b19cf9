//! Events end to end on one server, round by round, with what the server's processor time comes to.

use std::time::Duration;

use crate::Failed;
use crate::flow::{Order, Report};
use crate::server::Server;
use crate::statistics::{micros, number};
use crate::worker;

/// One round.
pub(crate) struct Round {
    pub(crate) report: Report,
    /// Processor time of the server for one event, in microseconds.
    pub(crate) processor: f64,
}

/// Sends events for the time that `order` says. Before the first round of a server it does so for `warm_up`, uncounted.
pub(crate) async fn round(server: &Server, order: &mut Order, warm_up: Option<Duration>) -> Result<Round, Failed> {
    if let Some(warm_up) = warm_up.filter(|time| !time.is_zero()) {
        let time = std::mem::replace(&mut order.time, warm_up);
        let _: Report = worker::ask("flow", &*order).await?;
        order.time = time;
    }
    let before = server.processor_time()?;
    let report: Report = worker::ask("flow", &*order).await?;
    let used = server.processor_time()?.saturating_sub(before);
    let processor = micros(used) / number(report.events);
    Ok(Round { report, processor })
}
