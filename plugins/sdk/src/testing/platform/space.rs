//! The mock of a space.

use serde_json::{Map, Value};

use crate::Failure;

/// JSON that the plugin wrote, as an object.
fn object(what: &str, json: &str) -> Result<Map<String, Value>, Failure> {
    match serde_json::from_str(json).map_err(|error| Failure::json(what, &error))? {
        Value::Object(members) => Ok(members),
        _ => Err(Failure::permanent("parameters.invalid", format!("{what} must be a JSON object"))),
    }
}

pub mod secrets {
    use crate::Failure;
    use crate::testing::with;

    /// Letters, digits and hyphens only, so that it is valid in a URL and in a header.
    pub fn placeholder(name: &str) -> Result<String, Failure> {
        if with(|host| host.secrets.contains_key(name)) {
            return Ok(format!("placeholder-of-{name}"));
        }
        Err(Failure::permanent("secret.unknown", format!("there is no secret `{name}`")))
    }
}

pub mod kv {
    use crate::Failure;
    use crate::testing::{Kept, with};

    const LONGEST_KEY: usize = 512;
    const MOST_KEYS: u32 = 1000;

    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(with(|host| {
            let now = host.now_ms;
            host.kv.get(key).filter(|kept| kept.until.is_none_or(|until| now < until)).map(|kept| kept.value.clone())
        }))
    }

    pub fn set(key: &str, value: &[u8], ttl_seconds: Option<u32>) -> Result<(), Failure> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            let message = format!("the key has {} bytes: give it 1 to {LONGEST_KEY}", key.len());
            return Err(Failure::permanent("kv.key_invalid", message));
        }
        with(|host| {
            let until = ttl_seconds.map(|seconds| host.now_ms + f64::from(seconds) * 1000.0);
            host.kv.insert(key.into(), Kept { value: value.into(), until });
        });
        Ok(())
    }

    pub fn remove(key: &str) -> Result<(), Failure> {
        with(|host| host.kv.remove(key));
        Ok(())
    }

    pub fn keys(prefix: &str, limit: u32) -> Result<Vec<String>, Failure> {
        let most = usize::try_from(limit.min(MOST_KEYS)).unwrap_or_default();
        Ok(with(|host| {
            let now = host.now_ms;
            let live = host.kv.iter().filter(|(_, kept)| kept.until.is_none_or(|until| now < until));
            live.filter(|(key, _)| key.starts_with(prefix)).map(|(key, _)| key.clone()).take(most).collect()
        }))
    }
}

pub mod records {
    use serde_json::{Map, Value};

    use super::object;
    use crate::Failure;
    use crate::testing::{Record, with};

    const MOST_FOUND: u32 = 100;

    fn unknown(kind: &str, id: &str) -> Failure {
        Failure::permanent("record.not_found", format!("there is no {kind} {id}"))
    }

    pub fn get(kind: &str, id: &str) -> Result<Option<String>, Failure> {
        Ok(with(|host| host.record(kind, id).map(|record| record.fields.to_string())))
    }

    pub fn find(kind: &str, filter: &str, limit: u32) -> Result<Vec<String>, Failure> {
        let filter = object("the filter", filter)?;
        let most = usize::try_from(limit.min(MOST_FOUND)).unwrap_or_default();
        let fits = |record: &&Record| {
            record.kind == kind && filter.iter().all(|(name, value)| record.fields.get(name) == Some(value))
        };
        Ok(with(|host| {
            host.records.iter().rev().filter(fits).take(most).map(|record| record.fields.to_string()).collect()
        }))
    }

    pub fn create(kind: &str, fields: &str) -> Result<String, Failure> {
        let mut fields = object("the fields", fields)?;
        with(|host| {
            let taken = host.records.iter().filter(|record| record.kind == kind);
            let id = taken.filter_map(|record| record.id.parse::<u64>().ok()).max().unwrap_or_default() + 1;
            fields.insert("id".into(), id.into());
            let fields = Value::Object(fields);
            host.records.push(Record { kind: kind.into(), id: id.to_string(), fields });
            Ok(id.to_string())
        })
    }

    pub fn update(kind: &str, id: &str, changes: &str) -> Result<String, Failure> {
        let changes = object("the changes", changes)?;
        with(|host| {
            let record = host.record(kind, id).ok_or_else(|| unknown(kind, id))?;
            if let Some(fields) = record.fields.as_object_mut() {
                merge(fields, changes);
            }
            Ok(record.fields.to_string())
        })
    }

    fn merge(fields: &mut Map<String, Value>, changes: Map<String, Value>) {
        for (name, value) in changes {
            if value.is_null() {
                fields.remove(&name);
            } else {
                fields.insert(name, value);
            }
        }
    }

    pub fn remove(kind: &str, id: &str) -> Result<(), Failure> {
        with(|host| {
            let before = host.records.len();
            host.records.retain(|record| record.kind != kind || record.id != id);
            if host.records.len() == before { Err(unknown(kind, id)) } else { Ok(()) }
        })
    }
}

pub mod tickets {
    use super::object;
    use crate::Failure;
    use crate::testing::{Note, TICKET, with};

    fn unknown(id: &str) -> Failure {
        Failure::permanent("ticket.not_found", format!("there is no ticket {id}"))
    }

    pub fn get(id: &str) -> Result<Option<String>, Failure> {
        super::records::get(TICKET, id)
    }

    /// Unlike a record's, a ticket's field stays when it is set to null.
    pub fn update(id: &str, changes: &str) -> Result<String, Failure> {
        let changes = object("the changes", changes)?;
        with(|host| {
            let ticket = host.record(TICKET, id).ok_or_else(|| unknown(id))?;
            if let Some(fields) = ticket.fields.as_object_mut() {
                fields.extend(changes);
            }
            Ok(ticket.fields.to_string())
        })
    }

    pub fn add_note(id: &str, text: &str, is_public: bool) -> Result<String, Failure> {
        with(|host| {
            if host.record(TICKET, id).is_none() {
                return Err(unknown(id));
            }
            host.notes.push(Note { ticket: id.into(), text: text.into(), is_public });
            Ok(format!("note_{}", host.notes.len()))
        })
    }
}

pub mod events {
    use crate::Failure;
    use crate::testing::{Emitted, with};

    pub fn emit(event_type: &str, subject: Option<&str>, data: &str) -> Result<String, Failure> {
        let data = serde_json::from_str(data).map_err(|error| Failure::json("the event's data", &error))?;
        with(|host| {
            host.emitted.push(Emitted { event_type: event_type.into(), subject: subject.map(str::to_owned), data });
            Ok(format!("evt_emitted_{}", host.emitted.len()))
        })
    }
}

pub mod mail {
    use crate::Failure;
    use crate::mail::Letter;
    use crate::testing::with;

    pub fn send(letter: &Letter) -> Result<String, Failure> {
        if letter.to.is_empty() {
            return Err(Failure::permanent("mail.invalid", "the letter has no recipient"));
        }
        with(|host| {
            host.mails.push(letter.clone());
            Ok(format!("mail_{}", host.mails.len()))
        })
    }
}

pub mod workflows {
    use crate::Failure;
    use crate::testing::{Started, with};

    pub fn start(name: &str, input: &str) -> Result<String, Failure> {
        let input = serde_json::from_str(input).map_err(|error| Failure::json("the workflow's input", &error))?;
        with(|host| {
            host.started.push(Started { name: name.into(), input });
            Ok(format!("wfr_{}", host.started.len()))
        })
    }
}
