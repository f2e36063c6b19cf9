//! An action that does harm on purpose, one kind of it for each value of `do`. What holds it is in `tests/hostile.rs`.

use std::hint::black_box;

use hookwright_sdk::{
    Action, Event, Failure, Manifest, Outcome, Plugin, clock, events, http, kv, log, mail, random, records, secrets,
};
use serde::Deserialize;
use serde_json::json;

struct Hostile;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    r#do: String,
    #[serde(default)]
    count: u32,
    #[serde(default)]
    url: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    at: String,
}

impl Plugin for Hostile {
    const MANIFEST: Manifest = Manifest {
        name: "hostile",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Does harm on purpose",
        parameters: r#"{"type": "object", "required": ["do"], "properties": {
            "do": {"type": "string"}, "count": {"type": "integer", "minimum": 0},
            "url": {"type": "string"}, "name": {"type": "string"}, "at": {"type": "string"}
        }, "additionalProperties": false}"#,
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Action for Hostile {
    fn run(event: &Event, parameters: Parameters) -> Result<Outcome, Failure> {
        let Parameters { r#do, count, url, name, at } = parameters;
        match r#do.as_str() {
            "nothing" => {}
            "loop-for-ever" => loop {
                black_box(count);
            },
            "trap" => panic!("on purpose"),
            "recurse" => {
                black_box(deeper(u64::from(count)));
            }
            "take-memory" => take_memory(),
            "log" => (0..count).for_each(|_| log::info("flood", &[("of", "lines")])),
            "log-one" => log::info(&"x".repeat(size(count)), &[]),
            "call-host" => {
                for _ in 0..count {
                    black_box(clock::now_ms());
                }
            }
            "return" => return Outcome::done(&json!("x".repeat(size(count)))),
            "hand-over" => {
                events::emit("hostile.large", None, &json!("x".repeat(size(count))))?;
            }
            "emit" => {
                for n in 0..count {
                    events::emit("hostile.flood", None, &json!(n))?;
                }
            }
            "emit-large" => {
                for _ in 0..count {
                    events::emit("hostile.large", None, &json!("x".repeat(1_000_000)))?;
                }
            }
            "mail-large" => {
                for _ in 0..count {
                    mail::send(&letter("x".repeat(1_000_000)))?;
                }
            }
            "send" => {
                for _ in 0..count.max(1) {
                    http::send(&request(&url, Vec::new(), String::new()))?;
                }
            }
            "send-headers" => {
                let headers = (0..count).map(|n| (format!("x-{n}"), "v".repeat(100))).collect();
                http::send(&request(&url, headers, String::new()))?;
            }
            "send-secret" => return send_secret(&name, &url, &at),
            "keep" => {
                for n in 0..count {
                    kv::set(&format!("{name}{n}"), "x".repeat(10_000), None)?;
                }
            }
            "count" => {
                let before: u64 = kv::get_text(&name)?.and_then(|text| text.parse().ok()).unwrap_or(0);
                kv::set(&name, (before + 1).to_string(), None)?;
                return Outcome::done(&json!(before + 1));
            }
            // The same request for an event, whatever others have counted meanwhile.
            "send-and-count" => {
                let before: u64 = kv::get_text(&name)?.and_then(|text| text.parse().ok()).unwrap_or(0);
                let key = format!("{}", random::bits());
                http::send(&request(&url, vec![("x-random".into(), key)], format!("{} {}", event.id, clock::now())))?;
                kv::set(&name, (before + 1).to_string(), None)?;
                return Outcome::done(&json!(before + 1));
            }
            // Another request whenever somebody else has counted.
            "send-the-count" => {
                let before: u64 = kv::get_text(&name)?.and_then(|text| text.parse().ok()).unwrap_or(0);
                http::send(&request(&url, Vec::new(), format!("{} {before}", event.id)))?;
                kv::set(&name, (before + 1).to_string(), None)?;
                return Outcome::done(&json!(before + 1));
            }
            "read-record" => return Outcome::done(&json!(records::get(&name, "1")?)),
            "write-record" => return Outcome::done(&json!(records::create(&name, &json!({"by": event.id}))?)),
            other => return Err(Failure::permanent("parameters.invalid", format!("`{other}` is no harm known here"))),
        }
        Outcome::done(&json!(null))
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[allow(unconditional_recursion, reason = "which is the harm")]
fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    frame.iter().sum::<u64>() + deeper(black_box(depth + 1)) + frame[7]
}

fn letter(text: String) -> mail::Letter {
    mail::Letter {
        to: vec!["somebody@example.com".to_owned()],
        subject: "Large".to_owned(),
        text,
        html: None,
        headers: Vec::new(),
        attachments: Vec::new(),
    }
}

fn take_memory() {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    loop {
        taken.push(black_box(vec![1; 1024 * 1024]));
    }
}

fn request(url: &str, headers: Vec<(String, String)>, body: String) -> http::Request {
    http::Request { method: "POST".into(), url: url.into(), headers, body: body.into_bytes(), timeout_ms: None }
}

/// Sends a secret, and answers with all that can be seen of it.
fn send_secret(name: &str, url: &str, at: &str) -> Result<Outcome, Failure> {
    let placeholder = secrets::placeholder(name)?;
    let (mut target, mut headers, mut body) = (url.to_owned(), Vec::new(), String::new());
    match at {
        "url" => target = format!("{url}?key={placeholder}"),
        "host" => target = format!("http://{placeholder}.localhost"),
        "body" => body = format!("key={placeholder}"),
        _ => headers.push(("authorization".to_owned(), format!("Bearer {placeholder}"))),
    }
    let response = http::send(&request(&target, headers, body))?;
    log::info(&placeholder, &[("seen", &String::from_utf8_lossy(&response.body))]);
    let headers: Vec<_> = response.headers.iter().collect();
    Outcome::done(&json!({
        "placeholder": placeholder,
        "body": String::from_utf8_lossy(&response.body),
        "headers": headers,
    }))
}

hookwright_sdk::export_action!(Hostile);
