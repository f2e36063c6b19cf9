//! The source `poll`: polls a REST service, keeps a cursor, and makes events of new items.
//!
//! The server calls it with the method `POLL` at the times that the source says; nobody else can. How far it has read is
//! kept in the plugin's own store and commits together with the events, so nothing is lost and nothing is made twice: an
//! event's id is its item's, and what was seen is known again.

mod address;
mod cursor;
mod items;
mod parameters;
mod state;

use hookwright_sdk::inbound::{self, Stop};
use hookwright_sdk::{
    Answer, Draft, Failure, Intake, Manifest, Pairs, Plugin, Reception, Refusal, Request, Source, http, log, outbound,
};

use crate::parameters::Parameters;
use crate::state::State;

struct Poll;

impl Plugin for Poll {
    const MANIFEST: Manifest = Manifest {
        name: "poll",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Polls a REST service, keeps a cursor, and makes events of new items",
        parameters: include_str!("parameters.json"),
        hints: &[("poll", "true")],
    };
    type Parameters = Parameters;
}

impl Source for Poll {
    fn receive(request: &Request, parameters: Parameters) -> Result<Reception, Failure> {
        inbound::settle(receive(request, &parameters))
    }
}

fn receive(request: &Request, parameters: &Parameters) -> Result<Reception, Stop> {
    let Some(source) = request.header("hookwright-source").filter(|_| request.method == "POLL") else {
        let said = "this source polls its service and accepts no requests";
        return Err(Refusal::new(405, "poll.method", said).into());
    };
    let key = format!("state/{source}");
    let mut state = State::kept(&key, &parameters.url)?;
    let events = news(request, parameters, &mut state)?;
    state.keep(&key)?;
    Ok(Reception::Accepted(Intake { events, answer: Answer::hosts_own() }))
}

/// Reads page by page, up to the maximum of one poll, and takes the new items.
fn news(request: &Request, parameters: &Parameters, state: &mut State) -> Result<Vec<Draft>, Stop> {
    let mut taken = items::Taken::default();
    let silent = state.is_first && parameters.skips_first();
    let mut pages = 0;
    let mut complete = true;
    let mut next = state.resume.clone();
    loop {
        let is_begin = next.is_none();
        let url = parameters.address(next.as_deref(), state.cursor.as_deref())?;
        let Some(response) = ask(parameters, state, &url, is_begin)? else { break };
        let page = items::Page::read(parameters, &response, &url)?;
        complete = taken.take(request, parameters, state, &page)?;
        pages += 1;
        if !complete {
            // The rest of this page is for the next poll.
            state.resume = next;
            break;
        }
        next = page.next;
        state.resume.clone_from(&next);
        if next.is_none() {
            break;
        }
        if pages >= parameters.max_pages() {
            log::info("more pages are left for the next poll", &[("pages", &pages.to_string())]);
            break;
        }
    }
    if complete && state.resume.is_none() {
        state.advance();
    } else {
        // What is left has to be answered, whatever changed meanwhile.
        (state.etag, state.last_modified) = (None, None);
    }
    state.remember(taken.ids);
    Ok(if silent { Vec::new() } else { taken.drafts })
}

/// One request. `None` where the service says that nothing changed (304), or that it has nothing (204).
fn ask(
    parameters: &Parameters,
    state: &mut State,
    url: &str,
    is_begin: bool,
) -> Result<Option<http::Response>, Failure> {
    let mut headers: Pairs = parameters.headers(state.cursor.as_deref())?;
    let conditional = parameters.conditional && is_begin;
    if conditional {
        for (name, value) in [("if-none-match", &state.etag), ("if-modified-since", &state.last_modified)] {
            headers.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        }
    }
    let timeout_ms = parameters.timeout_ms;
    let request = http::Request { method: "GET".into(), url: url.into(), headers, body: Vec::new(), timeout_ms };
    let response = http::send(&request)?;
    if response.status == 304 {
        return Ok(None);
    }
    if response.status == 204 {
        // There is nothing further, on this page or after it.
        state.resume = None;
        return Ok(None);
    }
    if !outbound::is_expected(response.status, None) {
        // Without the query, where a placeholder would tell nobody anything.
        return Err(outbound::failure("GET", url.split('?').next().unwrap_or_default(), &response));
    }
    if conditional {
        state.etag = response.header("etag").map(str::to_owned);
        state.last_modified = response.header("last-modified").map(str::to_owned);
    }
    Ok(Some(response))
}

hookwright_sdk::export_source!(Poll);

#[cfg(test)]
mod tests;
