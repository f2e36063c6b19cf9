//! Kinds, types of event, workflows, automations, schedules, sources and keys of a document.

use hookwright_model::{
    ApiKey, Automation, EventTypeInput, INCOMING, KindInput, Mistake, RecordKind, Role, Schedule, ScheduleStatus,
    Source, StateView as _, Workflow, builtin_kind,
};
use hookwright_store::{ConfigChange, Swap};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::compare::FieldChange;
use super::draft::{Draft, Live, Made, Part, read};
use super::outgoing::{same_secret, secret_of};
use super::shape::{self, Shape};
use super::state::{Section, SourceThing, State, StoredType};
use super::{ShownOnce, with_name};
use crate::PipelineError;
use crate::event_types::MOST_TYPES;
use crate::keys::make_key;
use crate::sources::SourceInput;

pub(super) struct Kinds;

impl Part for Kinds {
    type Thing = RecordKind;
    const SECTION: Section = Section::Kinds;

    fn live(state: &State) -> Vec<Live<RecordKind>> {
        let live = |kind: &RecordKind| (kind.name().to_owned(), kind.clone());
        let named = state.kinds.iter().map(live);
        named.map(|(name, thing)| Live { id: name.clone(), name, thing }).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&RecordKind>,
    ) -> Result<Made<RecordKind>, PipelineError> {
        let name = item.shift_remove("name");
        let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
        if builtin_kind(name).is_some() {
            return Err(Mistake::new("name", format!("the kind `{name}` comes with the server: choose another")).into());
        }
        let input: KindInput = read(item)?;
        Ok(Made::plain(RecordKind::declare(name, input, old, draft.pipeline.now())?))
    }

    fn shape(_: &Draft<'_>, kind: &RecordKind) -> Shape {
        shape::kind(kind)
    }

    fn check(_: &mut Draft<'_>, _: &mut RecordKind, _: Option<&RecordKind>) -> Result<(), PipelineError> {
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, kind: &RecordKind) -> Result<(), PipelineError> {
        if draft.pipeline.store.find(draft.space, kind.name(), 1, &|_| true)?.is_empty() {
            return Ok(());
        }
        Err(Mistake::new("", format!("there are records of the kind `{}`: delete them first", kind.name())).into())
    }

    fn swap(swap: Swap<RecordKind>) -> Vec<ConfigChange> {
        vec![ConfigChange::Kind(Box::new(swap))]
    }
}

pub(super) struct EventTypes;

impl Part for EventTypes {
    type Thing = StoredType;
    const SECTION: Section = Section::EventTypes;

    fn live(state: &State) -> Vec<Live<StoredType>> {
        let live = |thing: &StoredType| {
            let name = thing.own.event_type.name.clone();
            Live { id: name.clone(), name, thing: thing.clone() }
        };
        state.event_types.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&StoredType>,
    ) -> Result<Made<StoredType>, PipelineError> {
        let strict = match item.shift_remove("strict") {
            None => false,
            Some(Value::Bool(strict)) => strict,
            Some(_) => return Err(Mistake::new("strict", "is neither true nor false").into()),
        };
        let input: EventTypeInput = read(item)?;
        let name = input.name.clone();
        let (own, schema) = draft.pipeline.new_event_type(input, strict, old.map(|old| &old.own))?;
        draft.schemas.insert(name, schema);
        let row = serde_json::to_value(&own).map_err(|error| PipelineError::Settings(error.to_string()))?;
        Ok(Made::plain(StoredType { own, row: Some(row) }))
    }

    fn shape(_: &Draft<'_>, thing: &StoredType) -> Shape {
        shape::event_type(&thing.own)
    }

    fn check(draft: &mut Draft<'_>, _: &mut StoredType, old: Option<&StoredType>) -> Result<(), PipelineError> {
        let made = draft.swaps.iter().filter(|swap| matches!(swap, ConfigChange::EventType(_, Swap { was: None, .. })));
        if old.is_none() && draft.state.event_types.len().saturating_add(made.count()) >= MOST_TYPES {
            let message = format!("the space has {MOST_TYPES} types of its own, which is the most: delete some first");
            return Err(Mistake::new("", message).into());
        }
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, thing: &StoredType) -> Result<(), PipelineError> {
        draft.schemas.insert(thing.own.event_type.name.clone(), None);
        Ok(())
    }

    fn swap(swap: Swap<StoredType>) -> Vec<ConfigChange> {
        let Some(one) = swap.is.as_ref().or(swap.was.as_ref()) else { return Vec::new() };
        let name = one.own.event_type.name.clone();
        let row = |one: Option<StoredType>| one.and_then(|one| one.row);
        vec![ConfigChange::EventType(name, Swap { was: row(swap.was), is: row(swap.is) })]
    }
}

pub(super) struct Workflows;

impl Part for Workflows {
    type Thing = Workflow;
    const SECTION: Section = Section::Workflows;

    fn live(state: &State) -> Vec<Live<Workflow>> {
        let live = |one: &Workflow| Live { name: one.name.clone(), id: one.name.clone(), thing: one.clone() };
        state.workflows.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Workflow>,
    ) -> Result<Made<Workflow>, PipelineError> {
        let mut workflow = draft.pipeline.new_workflow(draft.space, read(item)?)?;
        if let Some(old) = old {
            workflow.version = old.version.saturating_add(1);
            workflow.created_at = old.created_at;
        }
        Ok(Made::plain(workflow))
    }

    fn shape(_: &Draft<'_>, workflow: &Workflow) -> Shape {
        shape::workflow(workflow)
    }

    fn check(draft: &mut Draft<'_>, workflow: &mut Workflow, _: Option<&Workflow>) -> Result<(), PipelineError> {
        draft.pipeline.check_workflow(draft.space, &draft.outlook, workflow)?;
        draft.outlook.workflows.insert(workflow.name.clone(), Some(workflow.clone()));
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, workflow: &Workflow) -> Result<(), PipelineError> {
        draft.outlook.workflows.insert(workflow.name.clone(), None);
        Ok(())
    }

    fn swap(swap: Swap<Workflow>) -> Vec<ConfigChange> {
        vec![ConfigChange::Workflow(swap)]
    }
}

pub(super) struct Automations;

impl Part for Automations {
    type Thing = Automation;
    const SECTION: Section = Section::Automations;

    fn live(state: &State) -> Vec<Live<Automation>> {
        let live = |one: &Automation| Live { name: one.name.clone(), id: one.id.to_string(), thing: one.clone() };
        state.automations.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Automation>,
    ) -> Result<Made<Automation>, PipelineError> {
        let mut automation = draft.pipeline.new_automation(read(item)?)?;
        if let Some(old) = old {
            automation.id = old.id.clone();
            automation.revision = old.revision.saturating_add(1);
            automation.created_at = old.created_at;
        }
        Ok(Made::plain(automation))
    }

    fn shape(_: &Draft<'_>, automation: &Automation) -> Shape {
        shape::automation(automation)
    }

    fn check(draft: &mut Draft<'_>, automation: &mut Automation, _: Option<&Automation>) -> Result<(), PipelineError> {
        Ok(draft.pipeline.check_automation(draft.space, &draft.outlook, automation)?)
    }

    fn swap(swap: Swap<Automation>) -> Vec<ConfigChange> {
        vec![ConfigChange::Automation(swap)]
    }
}

pub(super) struct Schedules;

impl Part for Schedules {
    type Thing = Schedule;
    const SECTION: Section = Section::Schedules;

    fn live(state: &State) -> Vec<Live<Schedule>> {
        let live = |one: &Schedule| Live { name: one.name.clone(), id: one.id.to_string(), thing: one.clone() };
        state.schedules.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Schedule>,
    ) -> Result<Made<Schedule>, PipelineError> {
        let mut schedule = draft.pipeline.new_schedule(read(item)?);
        if let Some(old) = old {
            schedule.id = old.id;
            schedule.revision = old.revision.saturating_add(1);
            schedule.created_at = old.created_at;
            schedule.status = ScheduleStatus::clone(&old.status);
        }
        Ok(Made::plain(schedule))
    }

    fn shape(_: &Draft<'_>, schedule: &Schedule) -> Shape {
        shape::schedule(schedule)
    }

    fn check(draft: &mut Draft<'_>, schedule: &mut Schedule, _: Option<&Schedule>) -> Result<(), PipelineError> {
        draft.pipeline.set_times(draft.space, &draft.outlook, schedule)
    }

    fn swap(swap: Swap<Schedule>) -> Vec<ConfigChange> {
        vec![ConfigChange::Schedule(swap)]
    }
}

pub(super) struct Sources;

impl Part for Sources {
    type Thing = SourceThing;
    const SECTION: Section = Section::Sources;

    fn live(state: &State) -> Vec<Live<SourceThing>> {
        let live = |one: &SourceThing| Live {
            name: one.source.name.clone(),
            id: one.source.id.to_string(),
            thing: one.clone(),
        };
        state.sources.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        old: Option<&SourceThing>,
    ) -> Result<Made<SourceThing>, PipelineError> {
        let given = secret_of(draft, &mut item)?;
        if let Some(given) = &given {
            item.insert("secret".to_owned(), given.as_str().into());
        }
        if item.contains_key("owner") {
            let message = "is the id of a key, which files do not know: leave it out. Who applies a new source owns it";
            return Err(Mistake::new("owner", message).into());
        }
        let input: SourceInput = read(item)?;
        let times = input.poll.clone().flatten();
        let made = draft.pipeline.new_source(draft.space, draft.caller, &draft.outlook, input)?;
        let mut source = made.source;
        let (mut shown, mut fields) = (Vec::new(), Vec::new());
        if let Some(SourceThing { source: old, .. }) = old {
            // Files say nothing of its URL, of who answers for it and, unless they give one, of its secret.
            let known = old.secret.as_ref().map(|sealed| draft.pipeline.vault.open_sealed(sealed)).transpose()?;
            let secret = match given {
                Some(given) if !known.is_some_and(|known| same_secret(&known, given.as_bytes())) => {
                    fields.push(secret_changes());
                    source.secret
                }
                _ if source.kind == INCOMING => None,
                _ => old.secret.clone().or(source.secret),
            };
            source = Source {
                name: source.name,
                kind: source.kind,
                access: source.access,
                active: source.active,
                with: source.with,
                rate: source.rate,
                secret,
                ..old.clone()
            };
        } else {
            let once = |field, value| ShownOnce { kind: "source", name: source.name.clone(), field, value };
            shown.push(once("token", made.token));
            shown.extend(made.secret.map(|secret| once("secret", secret)));
        }
        let polling = old.and_then(|old| old.polling.as_ref());
        let polling = draft.pipeline.polling_with(&source, polling, times)?;
        Ok(Made { thing: SourceThing { source, polling }, fields, errand: None, shown })
    }

    fn shape(_: &Draft<'_>, source: &SourceThing) -> Shape {
        shape::source(source)
    }

    fn check(_: &mut Draft<'_>, _: &mut SourceThing, _: Option<&SourceThing>) -> Result<(), PipelineError> {
        Ok(())
    }

    fn swap(swap: Swap<SourceThing>) -> Vec<ConfigChange> {
        let parts =
            |thing: Option<SourceThing>| thing.map_or((None, None), |thing| (Some(thing.source), thing.polling));
        let ((was, polled_was), (is, polled_is)) = (parts(swap.was), parts(swap.is));
        let mut changes = vec![ConfigChange::Source(Swap { was, is })];
        if polled_was != polled_is {
            changes.push(ConfigChange::Polling(Swap { was: polled_was, is: polled_is }));
        }
        changes
    }
}

/// A secret that is replaced by another: neither is shown.
pub(super) fn secret_changes() -> FieldChange {
    FieldChange { path: "secret".to_owned(), from: Some("(kept)".into()), to: Some("(another)".into()) }
}

pub(super) struct Keys;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyItem {
    name: String,
    role: Role,
}

impl Part for Keys {
    type Thing = ApiKey;
    const SECTION: Section = Section::Keys;

    fn live(state: &State) -> Vec<Live<ApiKey>> {
        let live = |one: &ApiKey| Live { name: one.name.clone(), id: one.id.to_string(), thing: one.clone() };
        state.keys.iter().map(live).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&ApiKey>,
    ) -> Result<Made<ApiKey>, PipelineError> {
        let name = item.get("name").cloned().unwrap_or_default();
        let KeyItem { name, role } = read(with_name(name.as_str().unwrap_or_default(), item))?;
        if name.trim().is_empty() || name.len() > 256 {
            return Err(Mistake::new("name", "give it 1 to 256 characters").into());
        }
        if let Some(old) = old {
            return Ok(Made::plain(ApiKey { role, ..old.clone() }));
        }
        let (key, text) = make_key(draft.space, &name, role, draft.pipeline.now());
        let shown = vec![ShownOnce { kind: "key", name, field: "key", value: text }];
        Ok(Made { shown, ..Made::plain(key) })
    }

    fn shape(_: &Draft<'_>, key: &ApiKey) -> Shape {
        shape::key(key)
    }

    fn check(draft: &mut Draft<'_>, key: &mut ApiKey, _: Option<&ApiKey>) -> Result<(), PipelineError> {
        let message = "this is the key that you are using: give it another role with another one";
        if key.id == *draft.caller { Err(Mistake::new("role", message).into()) } else { Ok(()) }
    }

    fn delete(draft: &mut Draft<'_>, key: &ApiKey) -> Result<(), PipelineError> {
        let message = "this is the key that you are using: name it in the files, or revoke it with another one";
        if key.id == *draft.caller { Err(Mistake::new("", message).into()) } else { Ok(()) }
    }

    fn swap(swap: Swap<ApiKey>) -> Vec<ConfigChange> {
        vec![ConfigChange::Key(swap)]
    }
}
