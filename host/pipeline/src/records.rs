use std::time::Duration;

use hookwright_model::{Cause, Failure, RecordKey, SpaceId, StoredRecord, Workbench};
use hookwright_store::Committed;

use crate::{Pipeline, PipelineError};

/// How often a change is made again because somebody else was faster.
const MAX_CONFLICTS: u32 = 100;

/// What a change of records gave, once it is durable.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What the change returned.
    pub value: T,
    /// Ids of the events that tell of it.
    pub events: Vec<String>,
}

impl Pipeline {
    /// Makes a change of records as one transaction, on the newest state: `change` runs again if what it read was
    /// changed meanwhile.
    pub async fn change<T>(
        &self,
        space: &SpaceId,
        change: impl Fn(&mut Workbench) -> Result<T, Failure>,
    ) -> Result<Changed<T>, PipelineError> {
        for conflicts in 0..MAX_CONFLICTS {
            let mut workbench = self.workbench(space, "hookwright/api", Cause::api());
            let value = change(&mut workbench)?;
            let effects = self.catalogue.finish(workbench);
            for new in &effects.events {
                self.strict.check(&new.event, "data")?;
            }
            let events = effects.events.iter().map(|new| new.event.id.clone()).collect();
            match self.store.commit(space, effects).await? {
                Committed::Done | Committed::Superseded => return Ok(Changed { value, events }),
                Committed::Conflict(_) => {
                    tokio::time::sleep(Duration::from_micros(rand::random_range(0..100) * u64::from(conflicts))).await;
                }
            }
        }
        Err(PipelineError::Conflict {
            code: "record.contended",
            message: format!("others changed the same record {MAX_CONFLICTS} times meanwhile: try again"),
        })
    }

    /// Looks at records as a change would see them.
    pub fn look<T>(
        &self,
        space: &SpaceId,
        look: impl Fn(&mut Workbench) -> Result<T, Failure>,
    ) -> Result<T, PipelineError> {
        Ok(look(&mut self.workbench(space, "hookwright/api", Cause::api()))?)
    }

    /// A record, or an error that says there is none.
    pub fn record(
        &self,
        space: &SpaceId,
        kind: &'static str,
        id: &str,
    ) -> Result<(RecordKey, StoredRecord), PipelineError> {
        use hookwright_model::StateView as _;
        let not_found = || PipelineError::not_found(kind, id);
        let key = RecordKey { kind: kind.to_owned(), id: id.parse().map_err(|_| not_found())? };
        let record = self.store.record(space, &key)?.ok_or_else(not_found)?;
        Ok((key, record))
    }
}
