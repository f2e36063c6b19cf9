//! A component built for this version, whose export indices are looked up once.

use async_trait::async_trait;
use hookwright_model::{Event, Failure, Kind, Outcome, Verdict};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::exports::hookwright::plugin::{action, condition, metadata, source, transform};
use super::convert;
use crate::exchange::{Message, Reception, SourceRequest, Transformed};
use crate::guest::{Answered, Guest, Introduction, Live};
use crate::manifest::Described;
use crate::state::State;

struct Component {
    pre: InstancePre<State>,
    metadata: metadata::GuestIndices,
    condition: Option<condition::GuestIndices>,
    action: Option<action::GuestIndices>,
    transform: Option<transform::GuestIndices>,
    source: Option<source::GuestIndices>,
}

/// Looks up the exports that `kinds` need.
///
/// # Errors
/// One of them is missing.
pub(crate) fn open(pre: InstancePre<State>, kinds: &[Kind]) -> wasmtime::Result<Box<dyn Guest>> {
    let has = |kind| kinds.contains(&kind);
    Ok(Box::new(Component {
        metadata: metadata::GuestIndices::new(&pre)?,
        condition: has(Kind::Condition).then(|| condition::GuestIndices::new(&pre)).transpose()?,
        action: has(Kind::Action).then(|| action::GuestIndices::new(&pre)).transpose()?,
        transform: has(Kind::Transform).then(|| transform::GuestIndices::new(&pre)).transpose()?,
        source: has(Kind::Source).then(|| source::GuestIndices::new(&pre)).transpose()?,
        pre,
    }))
}

fn not_a(kind: Kind) -> Failure {
    Failure::permanent("plugin.wrong_kind", format!("the plugin does not export `{kind}`"))
}

impl Component {
    fn check_types(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
        if let Some(indices) = &self.condition {
            indices.load(&mut *store, instance)?;
        }
        if let Some(indices) = &self.action {
            indices.load(&mut *store, instance)?;
        }
        if let Some(indices) = &self.transform {
            indices.load(&mut *store, instance)?;
        }
        if let Some(indices) = &self.source {
            indices.load(&mut *store, instance)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Guest for Component {
    async fn introduce(&self, store: &mut Store<State>) -> Result<Described, Introduction> {
        let instance = self.instantiate(store).await.map_err(Introduction::Failed)?;
        self.check_types(store, &instance).map_err(Introduction::Mismatch)?;
        let guest = self.metadata.load(&mut *store, &instance).map_err(Introduction::Mismatch)?;
        let manifest = guest.call_describe(&mut *store).await.map_err(Introduction::Failed)?;
        Ok(Described {
            name: manifest.name,
            version: manifest.version,
            summary: manifest.summary,
            parameters: manifest.parameters,
            hints: manifest.hints,
        })
    }

    async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    async fn evaluate(&self, live: Live<'_>, event: &Event, parameters: &str) -> Answered<Verdict> {
        let Some(indices) = &self.condition else { return Ok(Err(not_a(Kind::Condition))) };
        let Live { store, instance } = live;
        let guest = indices.load(&mut *store, &instance)?;
        let (data, attributes) = (event.data_json(), convert::attributes(event));
        let event = convert::event(event, &data, &attributes);
        let answer = guest.call_evaluate(&mut *store, event, parameters).await?;
        Ok(answer.map(convert::verdict).map_err(convert::failure))
    }

    async fn run(&self, live: Live<'_>, event: &Event, parameters: &str) -> Answered<Outcome> {
        let Some(indices) = &self.action else { return Ok(Err(not_a(Kind::Action))) };
        let Live { store, instance } = live;
        let guest = indices.load(&mut *store, &instance)?;
        let (data, attributes) = (event.data_json(), convert::attributes(event));
        let event = convert::event(event, &data, &attributes);
        let answer = guest.call_run(&mut *store, event, parameters).await?;
        let most = store.data().budget.output_bytes;
        Ok(answer.map_err(convert::failure).and_then(|outcome| convert::outcome(outcome, most)))
    }

    async fn apply(&self, live: Live<'_>, event: &Event, message: &Message, parameters: &str) -> Answered<Transformed> {
        let Some(indices) = &self.transform else { return Ok(Err(not_a(Kind::Transform))) };
        let Live { store, instance } = live;
        let guest = indices.load(&mut *store, &instance)?;
        let (data, attributes) = (event.data_json(), convert::attributes(event));
        let event = convert::event(event, &data, &attributes);
        let headers = convert::pairs(&message.headers);
        let message = convert::message(message, &headers);
        let answer = guest.call_apply(&mut *store, event, message, parameters).await?;
        let most = store.data().budget.output_bytes;
        Ok(answer.map_err(convert::failure).and_then(|verdict| convert::transformed(verdict, most)))
    }

    async fn receive(&self, live: Live<'_>, request: &SourceRequest, parameters: &str) -> Answered<Reception> {
        let Some(indices) = &self.source else { return Ok(Err(not_a(Kind::Source))) };
        let Live { store, instance } = live;
        let guest = indices.load(&mut *store, &instance)?;
        let headers = convert::pairs(&request.headers);
        let request = convert::request(request, &headers);
        let answer = guest.call_receive(&mut *store, request, parameters).await?;
        let most = store.data().budget.output_bytes;
        Ok(answer.map_err(convert::failure).and_then(|reception| convert::reception(reception, most)))
    }
}
