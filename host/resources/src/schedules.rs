//! Creates, changes and deletes schedules.

use std::sync::Arc;

use hookwright_foundation::error;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::firing::input_of;
use hookwright_intake::timetable::Timetable;
use hookwright_model::{Expected, Mistakes, Schedule, ScheduleId, ScheduleInput, ScheduleStatus, SpaceId, is_kind};
use hookwright_plugin::{InputSchema, NameOf};
use hookwright_runs::stored::Runs;
use hookwright_store::{ConfigChange, Store, Swap};
use serde_json::Value;

use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::{References, unknown};
use crate::switching::only_switched_off;

fn as_expected(schedule: &Schedule, expected: Option<&Expected>) -> Result<(), PipelineError> {
    let what = format!("schedule `{}`", schedule.id);
    error::as_expected(expected, schedule.revision, &what, "schedule.precondition_failed")
}

/// Creates, changes and deletes schedules.
pub struct Schedules {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) references: Arc<References>,
    pub(crate) runs: Arc<Runs>,
}

impl Schedules {
    /// Creates a schedule. All validation errors are reported at once, each with its path.
    pub async fn create_schedule(&self, space: &SpaceId, input: ScheduleInput) -> Result<Schedule, PipelineError> {
        let schedule = self.new_schedule(input);
        Ok(self.lifecycle.put(self, space, "", || Ok((None, schedule.clone()))).await?.thing)
    }

    /// A new schedule without an id. Omitted fields take their defaults.
    pub(crate) fn new_schedule(&self, input: ScheduleInput) -> Schedule {
        let now = self.clock.now();
        Schedule {
            id: ScheduleId(0),
            name: input.name.unwrap_or_default(),
            cron: input.cron.flatten(),
            every_seconds: input.every_seconds.flatten(),
            timezone: input.timezone.flatten().unwrap_or_else(utc),
            missed: input.missed.flatten().unwrap_or_default(),
            overlap: input.overlap.flatten().unwrap_or(false),
            event_type: input.event_type.flatten(),
            data: input.data.flatten(),
            for_each: input.for_each.flatten(),
            workflow: input.workflow.flatten(),
            input: input.input.flatten(),
            enabled: input.enabled.flatten().unwrap_or(true),
            revision: 1,
            created_at: now,
            updated_at: now,
            status: ScheduleStatus::default(),
        }
    }

    /// Changes the fields that `input` gives, if the schedule has the expected revision. Its times start again.
    pub async fn change_schedule(
        &self,
        space: &SpaceId,
        id: &str,
        input: ScheduleInput,
        expected: Option<&Expected>,
    ) -> Result<Schedule, PipelineError> {
        let next = || {
            let (old, input) = (self.schedule(space, id)?, input.clone());
            as_expected(&old, expected)?;
            let was = old.clone();
            let (cron, every_seconds) = match (input.cron, input.every_seconds) {
                // Each of these fields replaces the other.
                (Some(Some(cron)), None) => (Some(cron), None),
                (None, Some(Some(every))) => (None, Some(every)),
                (cron, every) => (cron.unwrap_or(old.cron), every.unwrap_or(old.every_seconds)),
            };
            let (type_given, workflow_given) = (is_set(&input.event_type), is_set(&input.workflow));
            let (to_event, to_workflow) = (type_given && !workflow_given, workflow_given && !type_given);
            let schedule = Schedule {
                name: input.name.unwrap_or(old.name),
                cron,
                every_seconds,
                timezone: input.timezone.map_or(old.timezone, |zone| zone.unwrap_or_else(utc)),
                missed: input.missed.map_or(old.missed, Option::unwrap_or_default),
                overlap: input.overlap.map_or(old.overlap, Option::unwrap_or_default),
                event_type: input.event_type.unwrap_or(old.event_type.filter(|_| !to_workflow)),
                data: input.data.unwrap_or(old.data.filter(|_| !to_workflow)),
                for_each: input.for_each.unwrap_or(old.for_each.filter(|_| !to_workflow)),
                workflow: input.workflow.unwrap_or(old.workflow.filter(|_| !to_event)),
                input: input.input.unwrap_or(old.input.filter(|_| !to_event)),
                enabled: input.enabled.map_or(old.enabled, |enabled| enabled.unwrap_or(true)),
                ..old
            };
            Ok::<_, PipelineError>((Some(was), schedule))
        };
        Ok(self.lifecycle.put(self, space, "", next).await?.thing)
    }

    /// Fails if the workflow could not be started with this input after the changes.
    fn start_ahead(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        name: &str,
        input: &Value,
    ) -> Result<(), PipelineError> {
        let unread = &pending.unread_workflows;
        match pending.workflows.get(name) {
            _ if unread.names.contains(name) => Ok(()),
            None if unread.any && self.store.workflows.workflow(space, name)?.is_none() => Ok(()),
            None => self.runs.workflow_start(space, name, input).map(|_| ()),
            Some(None) => Err(PipelineError::not_found("workflow", name)),
            Some(Some(workflow)) => {
                let mistakes = InputSchema::new(&workflow.input).map(|schema| schema.check(input)).unwrap_or_default();
                Ok(Mistakes(mistakes).check()?)
            }
        }
    }

    /// The schedules of a space, newest first.
    pub fn schedules(&self, space: &SpaceId) -> Result<Vec<Schedule>, PipelineError> {
        Ok(self.store.schedules.schedules(space)?)
    }

    /// The schedule, or an error if it does not exist.
    pub fn schedule(&self, space: &SpaceId, id: &str) -> Result<Schedule, PipelineError> {
        let not_found = || PipelineError::not_found("schedule", id);
        let key = id.parse().map_err(|()| not_found())?;
        self.store.schedules.schedule(space, key)?.ok_or_else(not_found)
    }

    /// Deletes a schedule, if it has the expected revision. Runs of its events continue.
    pub async fn delete_schedule(
        &self,
        space: &SpaceId,
        id: &str,
        expected: Option<&Expected>,
    ) -> Result<(), PipelineError> {
        let read = || {
            let schedule = self.schedule(space, id)?;
            as_expected(&schedule, expected)?;
            Ok::<_, PipelineError>(schedule)
        };
        self.lifecycle.delete(self, space, read).await
    }
}

impl Resource for Schedules {
    type Thing = Schedule;
    const CHANGED: &'static str = "schedule.changed";

    fn successor(&self, old: Option<&Schedule>, schedule: Schedule, _by: &str) -> Result<Schedule, PipelineError> {
        let Some(old) = old else { return Ok(schedule) };
        Ok(Schedule {
            id: old.id,
            revision: old.revision.saturating_add(1),
            created_at: old.created_at,
            updated_at: self.clock.now(),
            // When it is due follows from its validation. What is only disabled is not validated, and not due.
            status: ScheduleStatus { next_at: None, ..old.status.clone() },
            ..schedule
        })
    }

    fn is_only_disabled(old: &Schedule, new: &Schedule) -> bool {
        only_switched_off(old, new, new.enabled)
    }

    /// Sets when it is due.
    fn check(&self, space: &SpaceId, pending: &PendingChanges, schedule: &mut Schedule) -> Result<(), PipelineError> {
        let mut mistakes = schedule.check();
        let timetable = Timetable::of(schedule).map_err(|wrong| mistakes.0.extend(wrong.0));
        if let Some(each) = schedule.for_each.as_ref().filter(|each| is_kind(&each.kind))
            && !self.references.exists_ahead(space, pending, NameOf::Kind, &each.kind)
        {
            mistakes.add("for_each.kind", unknown(NameOf::Kind, &each.kind));
        }
        if let (Some(name), None) = (&schedule.workflow, &schedule.event_type) {
            match self.start_ahead(space, pending, name, &input_of(schedule)) {
                Ok(()) | Err(PipelineError::Conflict { .. }) => {}
                Err(PipelineError::Invalid(wrong)) => mistakes.0.extend(wrong.0),
                Err(error) => mistakes.add("workflow", error.to_string()),
            }
        }
        mistakes.check()?;
        schedule.status.next_at = match timetable {
            Ok(timetable) if schedule.enabled => timetable.next(self.clock.now()),
            _ => None,
        };
        if schedule.enabled && schedule.status.next_at.is_none() {
            let mut mistakes = Mistakes::default();
            mistakes.add("cron", "never occurs again: give another pattern, or disable the schedule");
            return Err(mistakes.into());
        }
        Ok(())
    }

    fn changes(swap: Swap<Schedule>) -> Vec<ConfigChange> {
        vec![ConfigChange::Schedule(swap)]
    }

    fn set_number(schedule: &mut Schedule, change: &ConfigChange) {
        if let ConfigChange::Schedule(Swap { is: Some(stored), .. }) = change {
            schedule.id = stored.id;
        }
    }
}

/// The default time zone of a schedule.
fn utc() -> String {
    "UTC".to_owned()
}

/// Whether a field is given a value other than null.
fn is_set(field: &Option<Option<String>>) -> bool {
    matches!(field, Some(Some(_)))
}
