//! Records of any kind. Those of tickets are changed by the rules of tickets.

use serde_json::{Map, Value};

use super::{Open, Workbench};
use crate::{Failure, RecordKey, TICKET, TicketChanges, is_kind};

/// How large a record may be, in bytes of JSON.
const MAX_RECORD: usize = 1024 * 1024;
/// How many fields it may have.
const MAX_FIELDS: usize = 1000;
/// Fields that are the server's to set.
const OWN: [&str; 3] = ["id", "created_at", "updated_at"];

impl Workbench {
    /// A record as this step would leave it.
    pub fn record(&mut self, kind: &str, id: &str) -> Result<Option<Value>, Failure> {
        if kind == TICKET {
            return self.ticket(id);
        }
        let Some(key) = key(kind, id)? else { return Ok(None) };
        Ok(if self.load(&key)? { self.open.get(&key).map(|open| open.after.clone()) } else { None })
    }

    /// The newest records of a kind whose fields equal those of `filter`, as this step would leave them.
    pub fn find_records(
        &mut self,
        kind: &str,
        filter: &Map<String, Value>,
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        check_kind(kind)?;
        let fits = |record: &Value| filter.iter().all(|(name, value)| record.get(name) == Some(value));
        let stored = self.view.find(&self.space, kind, limit, &fits)?;
        for (key, record) in stored {
            self.reads.entry(key.clone()).or_insert(Some(record.version));
            self.open.entry(key).or_insert_with(|| Open {
                before: Some(record.value.clone()),
                after: record.value,
                touched: false,
                removed: false,
            });
        }
        let of_kind = self.open.iter().rev().filter(|(key, open)| key.kind == kind && !open.removed);
        Ok(of_kind.map(|(_, open)| &open.after).filter(|record| fits(record)).take(limit).cloned().collect())
    }

    /// Makes a record; returns it.
    pub fn create_record(&mut self, kind: &str, fields: Map<String, Value>) -> Result<Value, Failure> {
        if kind == TICKET {
            return self.create_ticket(ticket_changes(fields)?);
        }
        check_kind(kind)?;
        self.room()?;
        check_fields(&fields)?;
        let key = RecordKey { kind: kind.to_owned(), id: self.view.next_id(&self.space, kind)? };
        let mut record = Map::new();
        record.insert("id".to_owned(), key.id.into());
        record.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        record.insert("created_at".to_owned(), self.now.to_string().into());
        record.insert("updated_at".to_owned(), self.now.to_string().into());
        let record = Value::Object(record);
        check_size(&record)?;
        self.reads.insert(key.clone(), None);
        self.open.insert(key, Open { before: None, after: record.clone(), touched: true, removed: false });
        Ok(record)
    }

    /// Changes fields of a record, takes away those that are null; returns it as it will be.
    pub fn update_record(&mut self, kind: &str, id: &str, changes: Map<String, Value>) -> Result<Value, Failure> {
        if kind == TICKET {
            return self.update_ticket(id, ticket_changes(changes)?);
        }
        self.room()?;
        check_fields(&changes)?;
        let now = self.now.to_string();
        let open = self.existing_record(kind, id)?;
        let mut after = open.after.clone();
        if let Some(record) = after.as_object_mut() {
            for (name, value) in changes {
                if value.is_null() {
                    record.remove(&name);
                } else {
                    record.insert(name, value);
                }
            }
        }
        if after != open.after {
            if let Some(record) = after.as_object_mut() {
                record.insert("updated_at".to_owned(), now.into());
            }
            check_size(&after)?;
            open.after = after;
            open.touched = true;
        }
        Ok(open.after.clone())
    }

    /// Removes a record.
    pub fn remove_record(&mut self, kind: &str, id: &str) -> Result<(), Failure> {
        if kind == TICKET {
            let message = "tickets are closed, not removed: set their status";
            return Err(Failure::permanent("record.not_removable", message));
        }
        self.room()?;
        let open = self.existing_record(kind, id)?;
        open.touched = true;
        open.removed = true;
        Ok(())
    }

    fn existing_record(&mut self, kind: &str, id: &str) -> Result<&mut Open, Failure> {
        let missing = || {
            let id: String = id.chars().take(80).collect();
            Failure::permanent("record.not_found", format!("there is no {kind} `{id}` in this space"))
        };
        let key = key(kind, id)?.ok_or_else(missing)?;
        if !self.load(&key)? {
            return Err(missing());
        }
        self.open.get_mut(&key).ok_or_else(missing)
    }
}

fn ticket_changes(fields: Map<String, Value>) -> Result<TicketChanges, Failure> {
    TicketChanges::from_value(&Value::Object(fields)).map_err(|mistake| super::invalid(&mistake))
}

fn key(kind: &str, id: &str) -> Result<Option<RecordKey>, Failure> {
    check_kind(kind)?;
    Ok(id.trim().parse().ok().map(|id| RecordKey { kind: kind.to_owned(), id }))
}

fn check_kind(kind: &str) -> Result<(), Failure> {
    if is_kind(kind) {
        return Ok(());
    }
    let kind: String = kind.chars().take(80).collect();
    let message = format!("`{kind}` is no kind of record: 1 to 64 of a-z, 0-9 and -");
    Err(Failure::permanent("record.kind_invalid", message))
}

fn check_fields(fields: &Map<String, Value>) -> Result<(), Failure> {
    let wrong = |message: String| Err(Failure::permanent("parameters.invalid", message));
    if fields.len() > MAX_FIELDS {
        return wrong(format!("{} fields: at most {MAX_FIELDS}", fields.len()));
    }
    for name in fields.keys() {
        let shown: String = name.chars().take(80).collect();
        if OWN.contains(&name.as_str()) {
            return wrong(format!("{shown}: the server sets it"));
        }
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            return wrong(format!("`{shown}` is no name of a field: 1 to 128 bytes, none of them a control character"));
        }
    }
    Ok(())
}

fn check_size(record: &Value) -> Result<(), Failure> {
    let size = record.to_string().len();
    if size <= MAX_RECORD {
        return Ok(());
    }
    Err(Failure::permanent("record.too_large", format!("the record has {size} bytes: at most {MAX_RECORD}")))
}
