//! Records of the event's own space, of the kinds that the plugin was granted.

use hookwright_model::{Failure, Kind, Workbench};
use serde_json::{Map, Value};
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link, parameters, shown};
use crate::state::State;
use crate::v0_1_0::{records, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "records",
    kinds: &[Kind::Action],
    links: &[Link {
        version: "0.1.0",
        add: |linker| records::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

/// Maximum number of records in one result.
const FOUND: usize = 100;

impl records::Host for State {
    fn get(&mut self, kind: String, id: String) -> Host<Option<String>, types::Failure> {
        self.host_call()?;
        let record = self.records(&kind, false).and_then(|bench| bench.record(&kind, &id));
        Ok(record.map(|record| record.map(|record| record.to_string())).map_err(Into::into))
    }

    fn find(&mut self, kind: String, filter: String, limit: u32) -> Host<Vec<String>, types::Failure> {
        self.host_call()?;
        let limit = usize::try_from(limit).unwrap_or(FOUND).min(FOUND);
        let found = self.records(&kind, false).and_then(|bench| {
            let filter = object("filter", &filter)?;
            bench.find_records(&kind, &filter, limit)
        });
        Ok(found.map(|found| found.iter().map(Value::to_string).collect()).map_err(Into::into))
    }

    fn create(&mut self, kind: String, fields: String) -> Host<String, types::Failure> {
        self.host_call()?;
        let made = self.records(&kind, true).and_then(|bench| {
            let fields = object("fields", &fields)?;
            bench.create_record(&kind, fields)
        });
        Ok(made.map(|record| record.get("id").map(Value::to_string).unwrap_or_default()).map_err(Into::into))
    }

    fn update(&mut self, kind: String, id: String, changes: String) -> Host<String, types::Failure> {
        self.host_call()?;
        let changed = self.records(&kind, true).and_then(|bench| {
            let changes = object("changes", &changes)?;
            bench.update_record(&kind, &id, changes)
        });
        Ok(changed.map(|record| record.to_string()).map_err(Into::into))
    }

    fn remove(&mut self, kind: String, id: String) -> Host<(), types::Failure> {
        self.host_call()?;
        Ok(self.records(&kind, true).and_then(|bench| bench.remove_record(&kind, &id)).map_err(Into::into))
    }
}

impl State {
    fn records(&mut self, kind: &str, write: bool) -> Result<&mut Workbench, Failure> {
        self.call.access.record(kind, write)?;
        self.changing(&CAPABILITY)
    }
}

fn object(what: &str, json: &str) -> Result<Map<String, Value>, Failure> {
    match parameters(what, json)? {
        Value::Object(object) => Ok(object),
        other => {
            let given = shown(&other.to_string());
            Err(Failure::permanent(Failure::PARAMETERS_INVALID, format!("{what} is {given}: give an object")))
        }
    }
}
