//! The action `probe-action` (see `examples/README.md`), on the bindings alone.

#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "action-plugin", generate_all });
}
#[path = "../../condition/src/exact.rs"]
mod exact;

use bindings::exports::hookwright::plugin::action::{Guest as Action, Outcome};
use bindings::exports::hookwright::plugin::metadata::{Guest as Metadata, Manifest};
use bindings::hookwright::plugin::types::{Event, Failure};
use bindings::hookwright::plugin::{clock, crypto, encoding, events, http, kv, log, random, tickets};
use serde_json::json;
use serde_json::value::RawValue;

struct Probe;

/// One call: the event, and its parameters.
struct Call<'a> {
    event: &'a Event,
    parameters: Option<&'a RawValue>,
}

impl<'a> Call<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        exact::get(self.parameters, name)
    }

    /// A parameter that is a string; empty if it is not one.
    fn text(&self, name: &str) -> String {
        exact::text(self.get(name)).unwrap_or_default()
    }

    /// A parameter that is a string or a number.
    fn id(&self, name: &str) -> String {
        exact::text(self.get(name)).unwrap_or_else(|| exact::compact(self.get(name), ""))
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).zip(exact::value("true")).is_some_and(|(value, yes)| exact::equal(value, yes))
    }

    /// A parameter that is an integer; none if it is not one.
    fn count(&self, name: &str) -> Option<u32> {
        self.get(name)?.get().parse().ok()
    }
}

type Answer = Result<Outcome, Failure>;

fn done(result: &serde_json::Value) -> Answer {
    Ok(Outcome::Done(result.to_string()))
}

fn echo(call: &Call<'_>) -> Answer {
    Ok(Outcome::Done(call.event.data.clone()))
}

fn unicode(call: &Call<'_>) -> Answer {
    let text = call.text("text");
    let bytes = encoding::utf8_encode(&text);
    let same = encoding::utf8_decode(&bytes)? == text;
    done(&json!({"bytes": bytes.len(), "hex": encoding::hex_encode(&bytes), "same": same}))
}

fn numbers(call: &Call<'_>) -> Answer {
    let every = exact::get(exact::value(&call.event.data), "numbers");
    let (first, every) = (exact::compact(exact::get(every, "0"), "null"), exact::compact(every, "null"));
    Ok(Outcome::Done(format!(r#"{{"numbers":{every},"first":{first}}}"#)))
}

fn hash(call: &Call<'_>) -> Answer {
    let digest = crypto::digest(&call.text("algorithm"), call.text("text").as_bytes())?;
    done(&json!({"hex": encoding::hex_encode(&digest)}))
}

fn hmac(call: &Call<'_>) -> Answer {
    let (algorithm, secret, text) = (call.text("algorithm"), call.text("secret"), call.text("text"));
    let code = crypto::hmac(&algorithm, &secret, text.as_bytes())?;
    let mut wrong = code.clone();
    if let Some(last) = wrong.last_mut() {
        *last ^= 1;
    }
    let verifies = |code: &[u8]| crypto::verify_hmac(&algorithm, &secret, text.as_bytes(), code).is_ok();
    done(&json!({"hex": encoding::hex_encode(&code), "verified": verifies(&code), "refused": !verifies(&wrong)}))
}

fn base64(call: &Call<'_>) -> Answer {
    if let Some(given) = exact::text(call.get("decode")) {
        return done(&json!({"hex": encoding::hex_encode(&encoding::base64_decode(&given)?)}));
    }
    let text = call.text("text");
    let base64 = encoding::base64_encode(text.as_bytes());
    let same = encoding::base64_decode(&base64)? == text.as_bytes();
    done(&json!({"base64": base64, "same": same}))
}

fn time(_call: &Call<'_>) -> Answer {
    Ok(Outcome::Done(format!(r#"{{"now":{},"ms":{:.0}}}"#, json!(clock::now()), clock::now_ms())))
}

fn draw(_call: &Call<'_>) -> Answer {
    let (bytes, one, other) = (random::bytes(16), random::uuid(), random::uuid());
    random::bits();
    done(&json!({"bytes": bytes.len(), "uuid": one.len(), "differs": one != other}))
}

fn write(call: &Call<'_>) -> Answer {
    let text = call.text("text");
    log::write("warn", &text, &[("probe".to_owned(), "log".to_owned())]);
    log::print(format!("{text}\n").as_bytes());
    done(&json!({"logged": 2}))
}

fn ticket(call: &Call<'_>) -> Answer {
    let id = call.id("id");
    let Some(before) = tickets::get(&id)? else {
        return Ok(Outcome::Skipped(format!("there is no ticket {id}")));
    };
    let after = tickets::update(&id, &exact::compact(call.get("changes"), "{}"))?;
    Ok(Outcome::Done(format!(r#"{{"before":{before},"after":{after}}}"#)))
}

fn note(call: &Call<'_>) -> Answer {
    done(&json!({"note": tickets::add_note(&call.id("id"), &call.text("text"), call.is_true("public"))?}))
}

fn emit(call: &Call<'_>) -> Answer {
    let (subject, data) = (exact::text(call.get("subject")), exact::compact(call.get("data"), "null"));
    done(&json!({"event": events::emit(&call.text("type"), subject.as_deref(), &data)?}))
}

fn keep(call: &Call<'_>) -> Answer {
    let key = call.text("key");
    let held = || Ok(kv::get(&key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
    let before = held()?;
    kv::set(&key, call.text("value").as_bytes(), call.count("ttl_seconds"))?;
    let after = held()?;
    let keys = kv::keys(&key, 10)?.len();
    let mut removed = false;
    if call.is_true("remove") {
        kv::remove(&key)?;
        removed = held()?.is_none();
    }
    done(&json!({"before": before, "after": after, "keys": keys, "removed": removed}))
}

fn ask(call: &Call<'_>) -> Answer {
    let method = Some(call.text("method")).filter(|method| !method.is_empty()).unwrap_or_else(|| "POST".into());
    let headers = [("content-type", "application/json"), ("x-probe", "http")];
    let answer = http::send(&http::Request {
        method,
        url: call.text("url"),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: exact::compact(call.get("body"), "").into_bytes(),
        timeout_ms: Some(5000),
    })?;
    let kind = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, kind)| kind);
    done(&json!({"status": answer.status, "type": kind, "body": String::from_utf8_lossy(&answer.body)}))
}

fn fail(call: &Call<'_>) -> Answer {
    Err(Failure { code: "probe.failed".into(), message: call.text("text"), retry_after_ms: None })
}

fn retry(call: &Call<'_>) -> Answer {
    let retry_after_ms = Some(call.count("after_ms").unwrap_or_default());
    Err(Failure { code: "probe.later".into(), message: call.text("text"), retry_after_ms })
}

fn skip(call: &Call<'_>) -> Answer {
    Ok(Outcome::Skipped(call.text("text")))
}

fn big(call: &Call<'_>) -> Answer {
    let data = call.event.data.as_bytes();
    let digest = crypto::digest("sha256", data)?;
    done(&json!({"bytes": data.len(), "sha256": encoding::hex_encode(&digest)}))
}

/// Executes the operation that `do` names.
type Doing = fn(&Call<'_>) -> Answer;

/// The operations of the probe, by name.
const PROBES: [(&str, Doing); 18] = [
    ("echo", echo),
    ("unicode", unicode),
    ("numbers", numbers),
    ("hash", hash),
    ("hmac", hmac),
    ("base64", base64),
    ("time", time),
    ("random", draw),
    ("log", write),
    ("ticket", ticket),
    ("note", note),
    ("emit", emit),
    ("kv", keep),
    ("http", ask),
    ("fail", fail),
    ("retry", retry),
    ("skip", skip),
    ("big", big),
];

impl Metadata for Probe {
    fn describe() -> Manifest {
        Manifest {
            name: "probe-action".into(),
            version: "0.1.0".into(),
            summary: "Calls the host in every way and tells what came back".into(),
            parameters: r#"{"type":"object"}"#.into(),
            hints: Vec::new(),
        }
    }
}

impl Action for Probe {
    fn run(event: Event, parameters: String) -> Answer {
        let call = Call { event: &event, parameters: exact::value(&parameters) };
        let wanted = call.text("do");
        if let Some((_, probe)) = PROBES.iter().find(|(name, _)| *name == wanted) {
            return probe(&call);
        }
        let (given, known) = (exact::compact(call.get("do"), "nothing"), PROBES.map(|(name, _)| name).join(", "));
        let message = format!("`do` is {given}: write one of {known}");
        Err(Failure { code: "parameters.invalid".into(), message, retry_after_ms: None })
    }
}

bindings::export!(Probe with_types_in bindings);
