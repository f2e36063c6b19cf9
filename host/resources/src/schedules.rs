//! Creates, changes and deletes schedules.

use std::sync::Arc;

use hookwright_foundation::error;
use hookwright_foundation::error::PipelineError;
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::firing::input_of;
use hookwright_intake::timetable::Timetable;
use hookwright_model::{
    Expected, Mistakes, Schedule, ScheduleId, ScheduleInput, ScheduleStatus, SpaceId, StateView as _, is_kind,
};
use hookwright_plugin::{InputSchema, NameOf};
use hookwright_runs::stored::Runs;
use hookwright_store::{Store, Stored};
use serde_json::Value;

use crate::pending_changes::PendingChanges;
use crate::references::{References, unknown};
use crate::switching::only_switched_off;

fn as_expected(schedule: &Schedule, expected: Option<&Expected>) -> Result<(), PipelineError> {
    let what = format!("schedule `{}`", schedule.id);
    error::as_expected(expected, schedule.revision, &what, "schedule.precondition_failed")
}

/// Creates, changes and deletes schedules.
pub struct Schedules {
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) store: Store,
    pub(crate) references: Arc<References>,
    pub(crate) runs: Arc<Runs>,
}

impl Schedules {
    /// Creates a schedule. All validation errors are reported at once, each with its path.
    pub async fn create_schedule(&self, space: &SpaceId, input: ScheduleInput) -> Result<Schedule, PipelineError> {
        let _changing = self.changing.lock(space).await;
        let schedule = self.new_schedule(input);
        let mut schedule = Schedule { id: ScheduleId(self.store.next_id(space, "schedule")?), ..schedule };
        self.set_times(space, &PendingChanges::default(), &mut schedule)?;
        self.save_schedule(space, schedule, None).await
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
        let _changing = self.changing.lock(space).await;
        let old = self.schedule(space, id)?;
        as_expected(&old, expected)?;
        let (was, before) = (old.revision, old.clone());
        let (cron, every_seconds) = match (input.cron, input.every_seconds) {
            // Each of these fields replaces the other.
            (Some(Some(cron)), None) => (Some(cron), None),
            (None, Some(Some(every))) => (None, Some(every)),
            (cron, every) => (cron.unwrap_or(old.cron), every.unwrap_or(old.every_seconds)),
        };
        let (type_given, workflow_given) = (is_set(&input.event_type), is_set(&input.workflow));
        let (to_event, to_workflow) = (type_given && !workflow_given, workflow_given && !type_given);
        let mut schedule = Schedule {
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
            revision: was.saturating_add(1),
            updated_at: self.clock.now(),
            ..old
        };
        if only_switched_off(&before, &schedule, schedule.enabled) {
            schedule.status.next_at = None;
        } else {
            self.set_times(space, &PendingChanges::default(), &mut schedule)?;
        }
        self.save_schedule(space, schedule, Some(was)).await
    }

    async fn save_schedule(
        &self,
        space: &SpaceId,
        schedule: Schedule,
        expected: Option<u32>,
    ) -> Result<Schedule, PipelineError> {
        match self.store.schedules.put_schedule(space, &schedule, expected).await? {
            Stored::Done => Ok(schedule),
            Stored::Conflict => Err(PipelineError::Conflict {
                code: "schedule.changed",
                message: "the schedule was changed concurrently: read it again and repeat the change".to_owned(),
            }),
        }
    }

    /// Validates a schedule, and sets when it is due.
    pub(crate) fn set_times(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        schedule: &mut Schedule,
    ) -> Result<(), PipelineError> {
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
        let _changing = self.changing.lock(space).await;
        let schedule = self.schedule(space, id)?;
        as_expected(&schedule, expected)?;
        if self.store.schedules.delete_schedule(space, schedule.id).await? {
            Ok(())
        } else {
            Err(PipelineError::not_found("schedule", id))
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
