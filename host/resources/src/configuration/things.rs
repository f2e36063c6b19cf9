//! Kinds, event types, workflows, automations, schedules, sources and keys of a document.

use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keys::make_key;
use hookwright_model::{
    ApiKey, Automation, EventTypeInput, INCOMING, KeyId, KindInput, Mistake, Mistakes, RecordKind, Role, Schedule,
    StateView as _, Timestamp, User, Workflow, builtin_kind, check_display_name, event_type,
};
use hookwright_store::{ConfigChange, Swap};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::automations::Automations;
use crate::configuration::configurations::Configurations;
use crate::configuration::document::ShownOnce;
use crate::configuration::part::{Draft, Live, Made, Part};
use crate::configuration::secrets::{same_secret, secret_changes, secret_of};
use crate::configuration::shape;
use crate::configuration::shape::{Shape, with_name};
use crate::configuration::state::{Section, State};
use crate::event_types::{EventTypes, MAX_TYPES, StoredType, too_many};
use crate::kinds::Kinds;
use crate::lifecycle::Resource;
use crate::schedules::Schedules;
use crate::sources::{SourceInput, SourceThing, Sources};
use crate::workflows::Workflows;

pub(crate) struct KindsPart;

impl Part for KindsPart {
    type Of = Kinds;
    const SECTION: Section = Section::Kinds;

    fn resource(configurations: &Configurations) -> &Kinds {
        &configurations.kinds
    }

    fn live(state: &State) -> Vec<Live<'_, RecordKind>> {
        state.kinds.iter().map(|one| Live::of(one.name(), one.name(), one)).collect()
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

    fn add(draft: &mut Draft<'_>, kind: &RecordKind, _: Option<&RecordKind>) -> Result<(), PipelineError> {
        draft.pending.kinds.insert(kind.name().to_owned(), true);
        Ok(())
    }

    fn remove(draft: &mut Draft<'_>, kind: &RecordKind) -> Result<(), PipelineError> {
        if draft.configurations.store.find(draft.space, kind.name(), 1, &|_| true)?.is_empty() {
            draft.pending.kinds.insert(kind.name().to_owned(), false);
            return Ok(());
        }
        Err(Mistake::new("", format!("there are records of the kind `{}`: delete them first", kind.name())).into())
    }
}

pub(crate) struct EventTypesPart;

impl Part for EventTypesPart {
    type Of = EventTypes;
    const SECTION: Section = Section::EventTypes;

    fn resource(configurations: &Configurations) -> &EventTypes {
        &configurations.event_types
    }

    fn live(state: &State) -> Vec<Live<'_, StoredType>> {
        let named = state.event_types.iter().map(|one| (&one.own.event_type.name, one));
        named.map(|(name, one)| Live::of(name, name, one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        mut item: Map<String, Value>,
        _: Option<&StoredType>,
    ) -> Result<Made<StoredType>, PipelineError> {
        let strict = match item.shift_remove("strict") {
            None => false,
            Some(Value::Bool(strict)) => strict,
            Some(_) => return Err(Mistake::new("strict", "is neither true nor false").into()),
        };
        let input: EventTypeInput = draft.read(item)?;
        if event_type(&input.name).is_some() {
            let message = format!("`{}` is a built-in type of event: choose another name", input.name);
            return Err(Mistake::new("name", message).into());
        }
        Ok(Made::plain(draft.configurations.event_types.new_event_type(input, strict)?))
    }

    fn shape(_: &Draft<'_>, thing: &StoredType) -> Shape {
        shape::event_type(&thing.own)
    }

    fn add(draft: &mut Draft<'_>, _: &StoredType, old: Option<&StoredType>) -> Result<(), PipelineError> {
        let made = draft.swaps.iter().filter(|swap| matches!(swap, ConfigChange::EventType(_, Swap { was: None, .. })));
        if old.is_none() && draft.state.event_types.len().saturating_add(made.count()) >= MAX_TYPES {
            return Err(Mistake::new("", too_many()).into());
        }
        Ok(())
    }
}

pub(crate) struct WorkflowsPart;

impl Part for WorkflowsPart {
    type Of = Workflows;
    const SECTION: Section = Section::Workflows;

    fn resource(configurations: &Configurations) -> &Workflows {
        &configurations.workflows
    }

    fn live(state: &State) -> Vec<Live<'_, Workflow>> {
        state.workflows.iter().map(|one| Live::of(&one.name, &one.name, one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        _: Option<&Workflow>,
    ) -> Result<Made<Workflow>, PipelineError> {
        Ok(Made::plain(draft.configurations.workflows.new_workflow(draft.space, draft.read(item)?)?))
    }

    fn shape(_: &Draft<'_>, workflow: &Workflow) -> Shape {
        shape::workflow(workflow)
    }

    fn add(draft: &mut Draft<'_>, workflow: &Workflow, _: Option<&Workflow>) -> Result<(), PipelineError> {
        draft.pending.workflows.insert(workflow.name.clone(), Some(workflow.clone()));
        Ok(())
    }

    fn remove(draft: &mut Draft<'_>, workflow: &Workflow) -> Result<(), PipelineError> {
        draft.pending.workflows.insert(workflow.name.clone(), None);
        Ok(())
    }
}

pub(crate) struct AutomationsPart;

impl Part for AutomationsPart {
    type Of = Automations;
    const SECTION: Section = Section::Automations;

    fn resource(configurations: &Configurations) -> &Automations {
        &configurations.automations
    }

    fn live(state: &State) -> Vec<Live<'_, Automation>> {
        state.automations.iter().map(|one| Live::of(&one.name, &one.id, &**one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        _: Option<&Automation>,
    ) -> Result<Made<Automation>, PipelineError> {
        Ok(Made::plain(draft.configurations.automations.new_automation(draft.read(item)?)?))
    }

    fn shape(_: &Draft<'_>, automation: &Automation) -> Shape {
        shape::automation(automation)
    }
}

pub(crate) struct SchedulesPart;

impl Part for SchedulesPart {
    type Of = Schedules;
    const SECTION: Section = Section::Schedules;

    fn resource(configurations: &Configurations) -> &Schedules {
        &configurations.schedules
    }

    fn live(state: &State) -> Vec<Live<'_, Schedule>> {
        state.schedules.iter().map(|one| Live::of(&one.name, one.id, one)).collect()
    }

    fn make(
        draft: &mut Draft<'_>,
        item: Map<String, Value>,
        _: Option<&Schedule>,
    ) -> Result<Made<Schedule>, PipelineError> {
        Ok(Made::plain(draft.configurations.schedules.new_schedule(draft.read(item)?)))
    }

    fn shape(_: &Draft<'_>, schedule: &Schedule) -> Shape {
        shape::schedule(schedule)
    }
}

pub(crate) struct SourcesPart;

impl Part for SourcesPart {
    type Of = Sources;
    const SECTION: Section = Section::Sources;
    const IS_ALWAYS_CHECKED: bool = true;

    fn resource(configurations: &Configurations) -> &Sources {
        &configurations.sources
    }

    fn live(state: &State) -> Vec<Live<'_, SourceThing>> {
        state.sources.iter().map(|one| Live::of(&one.source.name, &one.source.id, one)).collect()
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
        let (mut thing, token, secret) = draft.configurations.sources.new_source(draft.space, draft.caller, input)?;
        let source = &mut thing.source;
        let Some(SourceThing { source: old, .. }) = old else {
            let once = |field, value| ShownOnce { kind: "source", name: source.name.clone(), field, value };
            let mut shown = vec![once("token", token)];
            shown.extend(secret.map(|secret| once("secret", secret)));
            return Ok(Made { shown, ..Made::plain(thing) });
        };
        // Files do not contain its owner and, unless they give one, its secret.
        source.owner.clone_from(&old.owner);
        let known = old.secret.as_ref().map(|sealed| draft.configurations.vault.open_sealed(sealed)).transpose()?;
        let mut fields = Vec::new();
        match given {
            Some(given) if !known.is_some_and(|known| same_secret(&known, given.as_bytes())) => {
                fields.push(secret_changes());
            }
            _ if source.kind == INCOMING || old.secret.is_none() => {}
            _ => source.secret.clone_from(&old.secret),
        }
        Ok(Made { fields, ..Made::plain(thing) })
    }

    fn shape(_: &Draft<'_>, source: &SourceThing) -> Shape {
        shape::source(source)
    }
}

/// API keys.
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

impl Resource for Keys {
    type Thing = ApiKey;

    fn changes(swap: Swap<ApiKey>) -> Vec<ConfigChange> {
        vec![ConfigChange::Key(swap)]
    }
}

impl Part for Keys {
    type Of = Self;
    const SECTION: Section = Section::Keys;

    fn resource(_: &Configurations) -> &Self {
        &Self
    }

    fn live(state: &State) -> Vec<Live<'_, ApiKey>> {
        state.keys.iter().map(|one| Live::of(&one.name, &one.id, one)).collect()
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

    fn add(draft: &mut Draft<'_>, key: &ApiKey, old: Option<&ApiKey>) -> Result<(), PipelineError> {
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

    fn remove(draft: &mut Draft<'_>, key: &ApiKey) -> Result<(), PipelineError> {
        let replaced = draft.state.replaced_by(key);
        if let Some(which) = own_key(draft.caller, key, &replaced) {
            let message = format!("this {which}: name it in the files, or revoke it with another one");
            return Err(Mistake::new("", message).into());
        }
        let ends = |former: &ApiKey| ConfigChange::Key(Swap { was: Some(former.clone()), is: None });
        draft.swaps.extend(replaced.into_iter().map(ends));
        Ok(())
    }
}
