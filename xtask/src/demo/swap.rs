//! The last act: a component is replaced while events come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::show::{Quiet, Show};
use crate::stop::Stop;

/// The number of versions that are installed, one after another.
const VERSIONS: u8 = 4;

/// The minimum number of events that arrive in the meantime.
const EVENTS: usize = 200;

/// Plays it.
pub(crate) fn tell(show: &mut Show<'_>, ticket: &Value, automation: &str) -> Result<(), Stop> {
    show.act("A component is replaced while events arrive")?;
    let file = show.checkout.plugins().join("match.wasm");
    let component = std::fs::read(&file).map_err(|error| Stop::file(&file, &error))?;
    let before = show.call("GET", "/v1/plugins/match", &Value::Null, 200)?;
    let first = before.text("/digest").to_owned();

    let swapped = Arc::new(AtomicBool::new(false));
    let sender = {
        let (quiet, swapped, ticket) = (show.elsewhere()?, Arc::clone(&swapped), ticket.clone());
        std::thread::spawn(move || send(&quiet, &swapped, &ticket))
    };
    let mut live = first.clone();
    let put_in = (1..=VERSIONS).try_for_each(|version| {
        let put = show.put("/v1/plugins/match?dev=true", labelled(&component, version), 200)?;
        let old = std::mem::replace(&mut live, put.text("/digest").to_owned());
        let what = format!("{} is live in place of {}", short(&live), short(&old));
        show.expect(&what, !live.is_empty() && live != old, &put.body)
    });
    swapped.store(true, Ordering::SeqCst);
    let sent = sender.join().map_err(|_| Stop::new("the thread that sends events panicked"))?;
    put_in?;
    let ids = sent?;
    judge(show, &ids, automation)?;

    let refused = show.put("/v1/plugins/match", b"this is not WebAssembly".to_vec(), 422)?;
    show.say(&format!("  > {}", refused.text("/detail")));
    let after = show.call("GET", "/v1/plugins/match", &Value::Null, 200)?;
    let digest = after.text("/digest").to_owned();
    let kept = after.text("/state") == "live" && digest == live && digest != first;
    show.expect(
        &format!("bytes that are not a component are refused, and {} stays live", short(&digest)),
        kept,
        &after.body,
    )?;
    show.remember("/v1/plugins".to_owned(), "the plugins, with the schema of their parameters");
    Ok(())
}

/// Sends events until the last version is in, and answers their ids.
fn send(quiet: &Quiet, swapped: &AtomicBool, ticket: &Value) -> Result<Vec<String>, Stop> {
    let mut ids = Vec::new();
    while ids.len() < EVENTS || !swapped.load(Ordering::SeqCst) {
        let attributes = json!({"key": format!("OPS-{}", ids.len()), "status": "Waiting", "ticket_id": ticket});
        let event = json!({"service": "jira", "trigger_event_type": "jira.ticket_updated", "attributes": attributes});
        let answer = quiet.post("/webhook", &event)?;
        if answer.status != 202 {
            return Err(Stop::new(format!("an event was answered {}: {}", answer.status, answer.body)));
        }
        ids.push(answer.text("/id").to_owned());
    }
    Ok(ids)
}

/// Every event must have been asked about, by one version or another, and none in vain.
fn judge(show: &mut Show<'_>, ids: &[String], automation: &str) -> Result<(), Stop> {
    let (mut asked, mut failed) = (0_usize, String::new());
    for id in ids {
        let story = quiet_story(show, id)?;
        let run = story.pointer("/runs/0").cloned().unwrap_or_default();
        let is = |pointer: &str, wanted: &Value| run.pointer(pointer) == Some(wanted);
        if is("/automation", &json!(automation))
            && is("/state", &json!("skipped"))
            && is("/decision/conditions/0/holds", &json!(false))
        {
            asked = asked.saturating_add(1);
        } else if failed.is_empty() {
            failed = story.to_string();
        }
    }
    let what = format!("each of the {} events that arrived during the swap was processed, and none failed", ids.len());
    show.expect(&what, asked == ids.len(), &failed)
}

fn quiet_story(show: &Show<'_>, id: &str) -> Result<Value, Stop> {
    let quiet = show.elsewhere()?;
    let began = std::time::Instant::now();
    loop {
        let answer = quiet.get(&format!("/v1/events/{id}"))?;
        if answer.text("/state") == "done" || began.elapsed() > super::show::PATIENCE {
            return Ok(answer.body);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The component with another custom section: different bytes, the same behaviour.
fn labelled(component: &[u8], version: u8) -> Vec<u8> {
    const NAME: &[u8] = b"demo";
    // Section id 0, its size, the length of its name, the name, one byte of content (core specification, 5.5.3).
    let mut bytes = component.to_vec();
    bytes.extend_from_slice(&[0, 6, 4]);
    bytes.extend_from_slice(NAME);
    bytes.push(version);
    bytes
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_labelled_component_has_one_more_custom_section() {
        let (one, two) = (labelled(b"\0asm\x0d\0\x01\0", 1), labelled(b"\0asm\x0d\0\x01\0", 2));
        assert_ne!(one, two);
        assert_eq!(&one[8..], b"\0\x06\x04demo\x01");
    }
}
