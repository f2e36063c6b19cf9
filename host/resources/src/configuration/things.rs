//! Kinds, event types, workflows, automations, schedules, sources and keys of a document.

use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keys::make_key;
use hookwright_model::{
    ApiKey, Automation, EventTypeInput, INCOMING, KeyId, KindInput, Mistake, Mistakes, RecordKind, Role, Schedule,
    ScheduleStatus, Source, StateView as _, Timestamp, User, Workflow, builtin_kind, check_display_name, event_type,
};
use hookwright_routing::event_types::MAX_TYPES;
use hookwright_store::{ConfigChange, Swap};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::configuration::configured::SourceThing;
use crate::configuration::document::ShownOnce;
use crate::configuration::part::{Draft, Live, Made, Part};
use crate::configuration::secrets::{same_secret, secret_changes, secret_of};
use crate::configuration::shape;
use crate::configuration::shape::{Shape, with_name};
use crate::configuration::state::{Section, State, StoredType};
use crate::sources::SourceInput;

pub(crate) struct Kinds;

impl Part for Kinds {
    type Thing = RecordKind;
    const SECTION: Section = Section::Kinds;

    fn live(state: &State) -> Vec<Live<'_, RecordKind>> {
        let named = state.kinds.iter().map(|kind| (kind.name().to_owned(), kind));
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
            let message = format!(
                "the kind `{name}` comes with the server and cannot be declared: leave it out, or choose another name"
            );
            return Err(Mistake::new("name", message).into());
        }
        let input: KindInput = draft.read(item)?;
        let declared = RecordKind::declare(name, input, old, draft.configurations.clock.now());
        Ok(Made::plain(declared.map_err(|mut mistakes| {
            // The API's path has the name as `kind`.
            for mistake in mistakes.0.iter_mut().filter(|mistake| mistake.path == "kind") {
                "name".clone_into(&mut mistake.path);
            }
            mistakes
        })?))
    }

    fn shape(_: &Draft<'_>, kind: &RecordKind) -> Shape {
        shape::kind(kind)
    }

    fn check(draft: &mut Draft<'_>, kind: &mut RecordKind, _: Option<&RecordKind>) -> Result<(), PipelineError> {
        draft.configurations.references.check_kind_references(draft.space, &draft.pending, kind)?;
        draft.pending.kinds.insert(kind.name().to_owned(), true);
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, kind: &RecordKind) -> Result<(), PipelineError> {
        if draft.configurations.store.find(draft.space, kind.name(), 1, &|_| true)?.is_empty() {
            draft.pending.kinds.insert(kind.name().to_owned(), false);
            return Ok(());
        }
        Err(Mistake::new("", format!("there are records of the kind `{}`: delete them first", kind.name())).into())
    }

    fn swap(swap: Swap<RecordKind>) -> Vec<ConfigChange> {
        vec![ConfigChange::Kind(Box::new(swap))]
    }
}

pub(crate) struct EventTypes;

impl Part for EventTypes {
    type Thing = StoredType;
    const SECTION: Section = Section::EventTypes;

    fn live(state: &State) -> Vec<Live<'_, StoredType>> {
        let named = state.event_types.iter().map(|thing| (thing.own.event_type.name.clone(), thing));
        named.map(|(name, thing)| Live { id: name.clone(), name, thing }).collect()
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
        let input: EventTypeInput = draft.read(item)?;
        let name = input.name.clone();
        if event_type(&name).is_some() {
            let message = format!("`{name}` is a built-in type of event: choose another name");
            return Err(Mistake::new("name", message).into());
        }
        let (own, schema) = draft.configurations.event_types.new_event_type(input, strict, old.map(|old| &old.own))?;
        draft.schemas.insert(name, schema);
        let row = serde_json::to_value(&own).map_err(|error| PipelineError::Settings(error.to_string()))?;
        Ok(Made::plain(StoredType { own, row: Some(row) }))
    }

    fn shape(_: &Draft<'_>, thing: &StoredType) -> Shape {
        shape::event_type(&thing.own)
    }

    fn check(draft: &mut Draft<'_>, _: &mut StoredType, old: Option<&StoredType>) -> Result<(), PipelineError> {
        let made = draft.swaps.iter().filter(|swap| matches!(swap, ConfigChange::EventType(_, Swap { was: None, .. })));
        if old.is_none() && draft.state.event_types.len().saturating_add(made.count()) >= MAX_TYPES {
            let message = format!("the space has {MAX_TYPES} registered types, the maximum: delete some first");
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

pub(crate) struct Workflows;

impl Part for Workflows {
    type Thing = Workflow;
    const SECTION: Section = Section::Workflows;

    fn live(state: &State) -> Vec<Live<'_, Workflow>> {
        state.workflows.iter().map(|one| Live { name: one.name.clone(), id: one.name.clone(), thing: one }).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Workflow>,
    ) -> Result<Made<Workflow>, PipelineError> {
        let mut workflow = draft.configurations.workflows.new_workflow(draft.space, draft.read(item)?)?;
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
        draft.configurations.workflows.check_workflow(draft.space, &draft.pending, workflow)?;
        draft.pending.workflows.insert(workflow.name.clone(), Some(workflow.clone()));
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, workflow: &Workflow) -> Result<(), PipelineError> {
        draft.pending.workflows.insert(workflow.name.clone(), None);
        Ok(())
    }

    fn swap(swap: Swap<Workflow>) -> Vec<ConfigChange> {
        vec![ConfigChange::Workflow(swap)]
    }
}

pub(crate) struct Automations;

impl Part for Automations {
    type Thing = Automation;
    const SECTION: Section = Section::Automations;

    fn live(state: &State) -> Vec<Live<'_, Automation>> {
        state
            .automations
            .iter()
            .map(|one| Live { name: one.name.clone(), id: one.id.to_string(), thing: &**one })
            .collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Automation>,
    ) -> Result<Made<Automation>, PipelineError> {
        let mut automation = draft.configurations.automations.new_automation(draft.read(item)?)?;
        if let Some(old) = old {
            automation.id = old.id.clone();
            automation.revision = old.revision.saturating_add(1);
            automation.created_at = old.created_at;
            automation.switched.clone_from(&old.switched);
        }
        automation.switched_from(old.map(|old| old.enabled), &format!("key {}", draft.caller));
        Ok(Made::plain(automation))
    }

    fn shape(_: &Draft<'_>, automation: &Automation) -> Shape {
        shape::automation(automation)
    }

    fn check(draft: &mut Draft<'_>, automation: &mut Automation, _: Option<&Automation>) -> Result<(), PipelineError> {
        Ok(draft.configurations.automations.check_automation(draft.space, &draft.pending, automation)?)
    }

    fn swap(swap: Swap<Automation>) -> Vec<ConfigChange> {
        vec![ConfigChange::Automation(swap)]
    }
}

pub(crate) struct Schedules;

impl Part for Schedules {
    type Thing = Schedule;
    const SECTION: Section = Section::Schedules;

    fn live(state: &State) -> Vec<Live<'_, Schedule>> {
        state.schedules.iter().map(|one| Live { name: one.name.clone(), id: one.id.to_string(), thing: one }).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&Schedule>,
    ) -> Result<Made<Schedule>, PipelineError> {
        let mut schedule = draft.configurations.schedules.new_schedule(draft.read(item)?);
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
        draft.configurations.schedules.set_times(draft.space, &draft.pending, schedule)
    }

    fn swap(swap: Swap<Schedule>) -> Vec<ConfigChange> {
        vec![ConfigChange::Schedule(swap)]
    }
}

pub(crate) struct Sources;

impl Part for Sources {
    type Thing = SourceThing;
    const SECTION: Section = Section::Sources;

    fn live(state: &State) -> Vec<Live<'_, SourceThing>> {
        state
            .sources
            .iter()
            .map(|one| Live { name: one.source.name.clone(), id: one.source.id.to_string(), thing: one })
            .collect()
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
        let input: SourceInput = draft.read(item)?;
        let times = input.poll.clone().flatten();
        let made = draft.configurations.sources.new_source(draft.space, draft.caller, &draft.pending, input)?;
        let mut source = made.source;
        let (mut shown, mut fields) = (Vec::new(), Vec::new());
        if let Some(SourceThing { source: old, .. }) = old {
            // Files do not contain its URL, its owner and, unless they give one, its secret.
            let known = old.secret.as_ref().map(|sealed| draft.configurations.vault.open_sealed(sealed)).transpose()?;
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
        let polling = draft.configurations.sources.polling_with(&source, polling, times)?;
        Ok(Made { thing: SourceThing { source, polling }, fields, pending_key: None, shown })
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

pub(crate) struct Keys;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyItem {
    name: String,
    role: Role,
    user: Option<User>,
    /// Without it, the key works until it is revoked.
    expires_at: Option<Timestamp>,
}

/// Fails if a key cannot be given this expiry.
fn check_end(end: Timestamp, now: Timestamp) -> Result<(), Mistake> {
    if end <= now {
        return Err(Mistake::new("expires_at", format!("`{end}` is past: give a later time, or leave the key out")));
    }
    let latest = now.after(Duration::from_secs(ApiKey::MAX_LIFE_SECONDS));
    if end > latest {
        return Err(Mistake::new("expires_at", format!("`{end}` is too far away: give a time until {latest}")));
    }
    Ok(())
}

/// The relation of a key to the caller who changes it, if it is the caller's: without the key, the caller is locked
/// out.
fn own_key(caller: &KeyId, key: &ApiKey, replaced: &[&ApiKey]) -> Option<&'static str> {
    if key.id == *caller {
        return Some("is the key that you are using");
    }
    replaced.iter().any(|former| former.id == *caller).then_some("replaced the key that you are using")
}

impl Part for Keys {
    type Thing = ApiKey;
    const SECTION: Section = Section::Keys;

    fn live(state: &State) -> Vec<Live<'_, ApiKey>> {
        state.keys.iter().map(|one| Live { name: one.name.clone(), id: one.id.to_string(), thing: one }).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        old: Option<&ApiKey>,
    ) -> Result<Made<ApiKey>, PipelineError> {
        let name = item.get("name").cloned().unwrap_or_default();
        let KeyItem { name, role, user, expires_at } =
            draft.read(with_name(name.as_str().unwrap_or_default(), item))?;
        let mut mistakes = Mistakes::default();
        check_display_name("name", &name, &mut mistakes);
        mistakes.check()?;
        if let Some(user) = &user {
            user.check().map_err(PipelineError::Invalid)?;
        }
        let now = draft.configurations.clock.now();
        if let Some(end) = expires_at {
            check_end(end, now)?;
        }
        if let Some(old) = old {
            return Ok(Made::plain(ApiKey { role, user, expires_at, ..old.clone() }));
        }
        let (key, text) = make_key(draft.space, &name, role, now);
        let key = ApiKey { user, expires_at, ..key };
        let shown = vec![ShownOnce { kind: "key", name, field: "key", value: text }];
        Ok(Made { shown, ..Made::plain(key) })
    }

    fn shape(_: &Draft<'_>, key: &ApiKey) -> Shape {
        shape::key(key)
    }

    fn check(draft: &mut Draft<'_>, key: &mut ApiKey, old: Option<&ApiKey>) -> Result<(), PipelineError> {
        let replaced = draft.state.replaced_by(key);
        if old.is_some_and(|old| old.role != key.role)
            && let Some(which) = own_key(draft.caller, key, &replaced)
        {
            let message = format!("this {which}: give it another role with another one");
            return Err(Mistake::new("role", message).into());
        }
        // The keys that it replaced may do no more than it, and not for longer.
        for former in replaced {
            let role = if key.role.includes(former.role) { former.role } else { key.role };
            let expires_at = [former.expires_at, key.expires_at].into_iter().flatten().min();
            if (role, expires_at) != (former.role, former.expires_at) {
                let is = Some(ApiKey { role, expires_at, ..former.clone() });
                draft.swaps.push(ConfigChange::Key(Swap { was: Some(former.clone()), is }));
            }
        }
        Ok(())
    }

    fn delete(draft: &mut Draft<'_>, key: &ApiKey) -> Result<(), PipelineError> {
        let replaced = draft.state.replaced_by(key);
        if let Some(which) = own_key(draft.caller, key, &replaced) {
            let message = format!("this {which}: name it in the files, or revoke it with another one");
            return Err(Mistake::new("", message).into());
        }
        let ends = |former: &ApiKey| ConfigChange::Key(Swap { was: Some(former.clone()), is: None });
        draft.swaps.extend(replaced.into_iter().map(ends));
        Ok(())
    }

    fn swap(swap: Swap<ApiKey>) -> Vec<ConfigChange> {
        vec![ConfigChange::Key(swap)]
    }
}
