//! Schedules: made, changed, and what happens when one is due.

use std::collections::BTreeMap;
use std::time::Duration;

use hookwright_model::{
    Cause, EventDraft, Missed, Mistakes, NewEvent, Schedule, ScheduleId, ScheduleInput, ScheduleStatus, SpaceId,
    StateView as _, Timestamp,
};
use hookwright_plugin::InputSchema;
use hookwright_store::{EventLookup, Stored};
use serde_json::{Map, Value};

use crate::outlook::Outlook;
use crate::timetable::Timetable;
use crate::{Pipeline, PipelineError};

/// A time that is past for less than this was not missed: the server was only busy.
const ON_TIME: Duration = Duration::from_secs(15);
/// The most records for which there are events at one time.
const MAX_RECORDS: usize = 1000;

impl Pipeline {
    /// Makes a schedule. Every mistake in it is reported at once, with its path.
    pub async fn create_schedule(&self, space: &SpaceId, input: ScheduleInput) -> Result<Schedule, PipelineError> {
        let _changing = self.changing.lock().await;
        let schedule = self.new_schedule(input);
        let schedule = Schedule { id: ScheduleId(self.store.next_id(space, "schedule")?), ..schedule };
        self.save_schedule(space, schedule, None).await
    }

    /// A new schedule without an id: what `input` does not give is as it is unless said otherwise.
    pub(crate) fn new_schedule(&self, input: ScheduleInput) -> Schedule {
        let now = self.now();
        Schedule {
            id: ScheduleId(0),
            name: input.name.unwrap_or_default(),
            cron: input.cron,
            every_seconds: input.every_seconds,
            timezone: input.timezone.unwrap_or_else(|| "UTC".to_owned()),
            missed: input.missed.unwrap_or_default(),
            overlap: input.overlap.unwrap_or(false),
            event_type: input.event_type,
            data: input.data,
            for_each: input.for_each.flatten(),
            workflow: input.workflow,
            input: input.input,
            enabled: input.enabled.unwrap_or(true),
            revision: 1,
            created_at: now,
            updated_at: now,
            status: ScheduleStatus::default(),
        }
    }

    /// Changes what `input` gives. Its times begin anew.
    pub async fn change_schedule(
        &self,
        space: &SpaceId,
        id: &str,
        input: ScheduleInput,
    ) -> Result<Schedule, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.schedule(space, id)?;
        let was = old.revision;
        let (cron, every_seconds) = match (input.cron, input.every_seconds) {
            (None, None) => (old.cron, old.every_seconds),
            given => given,
        };
        let to_event = input.event_type.is_some() && input.workflow.is_none();
        let to_workflow = input.workflow.is_some() && input.event_type.is_none();
        let schedule = Schedule {
            name: input.name.unwrap_or(old.name),
            cron,
            every_seconds,
            timezone: input.timezone.unwrap_or(old.timezone),
            missed: input.missed.unwrap_or(old.missed),
            overlap: input.overlap.unwrap_or(old.overlap),
            event_type: input.event_type.or(old.event_type.filter(|_| !to_workflow)),
            data: input.data.or(old.data.filter(|_| !to_workflow)),
            for_each: input.for_each.unwrap_or(old.for_each.filter(|_| !to_workflow)),
            workflow: input.workflow.or(old.workflow.filter(|_| !to_event)),
            input: input.input.or(old.input.filter(|_| !to_event)),
            enabled: input.enabled.unwrap_or(old.enabled),
            revision: was.saturating_add(1),
            updated_at: self.now(),
            ..old
        };
        self.save_schedule(space, schedule, Some(was)).await
    }

    async fn save_schedule(
        &self,
        space: &SpaceId,
        mut schedule: Schedule,
        expected: Option<u32>,
    ) -> Result<Schedule, PipelineError> {
        self.set_times(space, &Outlook::default(), &mut schedule)?;
        match self.store.put_schedule(space, &schedule, expected).await? {
            Stored::Done => Ok(schedule),
            Stored::Conflict => Err(PipelineError::Conflict {
                code: "schedule.changed",
                message: "the schedule was changed meanwhile: read it again and repeat the change".to_owned(),
            }),
        }
    }

    /// Checks a schedule, and sets when it is due.
    pub(crate) fn set_times(
        &self,
        space: &SpaceId,
        outlook: &Outlook,
        schedule: &mut Schedule,
    ) -> Result<(), PipelineError> {
        let mut mistakes = schedule.check();
        let timetable = Timetable::of(schedule).map_err(|wrong| mistakes.0.extend(wrong.0));
        if let (Some(name), None) = (&schedule.workflow, &schedule.event_type) {
            match self.start_ahead(space, outlook, name, &input_of(schedule)) {
                Ok(()) | Err(PipelineError::Conflict { .. }) => {}
                Err(PipelineError::Invalid(wrong)) => mistakes.0.extend(wrong.0),
                Err(error) => mistakes.add("workflow", error.to_string()),
            }
        }
        mistakes.check()?;
        schedule.status.next_at = match timetable {
            Ok(timetable) if schedule.enabled => timetable.next(self.now()),
            _ => None,
        };
        if schedule.enabled && schedule.status.next_at.is_none() {
            let mut mistakes = Mistakes::default();
            mistakes.add("cron", "there is no such time any more: give another pattern, or switch the schedule off");
            return Err(mistakes.into());
        }
        Ok(())
    }

    /// Fails if the workflow could not be started with this input as things will be.
    fn start_ahead(&self, space: &SpaceId, outlook: &Outlook, name: &str, input: &Value) -> Result<(), PipelineError> {
        match outlook.workflows.get(name) {
            None => self.workflow_start(space, name, input).map(|_| ()),
            Some(None) => Err(PipelineError::not_found("workflow", name)),
            Some(Some(workflow)) => {
                let mistakes = InputSchema::new(&workflow.input).map(|schema| schema.check(input)).unwrap_or_default();
                Ok(Mistakes(mistakes).check()?)
            }
        }
    }

    /// The schedule, or an error that says there is none.
    pub fn schedule(&self, space: &SpaceId, id: &str) -> Result<Schedule, PipelineError> {
        let not_found = || PipelineError::not_found("schedule", id);
        let key = id.parse().map_err(|()| not_found())?;
        self.store.schedule(space, key)?.ok_or_else(not_found)
    }

    /// Deletes a schedule. What its events have set in motion goes on.
    pub async fn delete_schedule(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        let key = id.parse().map_err(|()| PipelineError::not_found("schedule", id))?;
        if self.store.delete_schedule(space, key).await? {
            Ok(())
        } else {
            Err(PipelineError::not_found("schedule", id))
        }
    }

    /// What a schedule that is due sets in motion.
    pub(crate) async fn fire(&self, space: &SpaceId, id: ScheduleId, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut schedule) = self.store.schedule(space, id)? else { return Ok(()) };
        let now = self.now();
        let timetable = match Timetable::of(&schedule) {
            Ok(timetable) => timetable,
            Err(mistakes) => {
                // It was checked when it was saved: another build knows another set of zones.
                schedule.status.last_error = Some(mistakes.to_string());
                schedule.status.next_at = None;
                self.store.fire_schedule(space, schedule, due, Vec::new()).await?;
                return Ok(());
            }
        };
        let past = timetable.past(due, now, Missed::MOST);
        schedule.status.next_at = timetable.next(now);
        let chosen = chosen(&schedule, &past.times, now);
        let (mut times, mut reason) = (chosen, "the server did not run then");
        if !schedule.overlap && self.under_way(space, schedule.status.last_seq)? {
            (times, reason) = (Vec::new(), "what the time before had set in motion was still under way");
        }
        let left_out = past.times.len().saturating_sub(times.len());
        let mut events = Vec::new();
        let made = times.iter().try_for_each(|at| {
            events.extend(self.events_at(space, &schedule, *at, left_out, now)?);
            Ok::<_, PipelineError>(())
        });
        let status = &mut schedule.status;
        status.last_error = made.err().map(|error| format!("{now}: {error}"));
        if let Some(at) = times.last() {
            status.last_at = Some(*at);
        }
        if left_out > 0 {
            let more = if past.more { " or more" } else { "" };
            status.left_out = status.left_out.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX));
            let last = past.times.iter().rev().find(|at| !times.contains(at)).copied().unwrap_or(due);
            status.last_left_out = Some(format!("{left_out}{more} times, the last of them {last}: {reason}"));
        }
        self.store.fire_schedule(space, schedule, due, events).await?;
        Ok(())
    }

    /// Whether anything is still to be done for the event.
    fn under_way(&self, space: &SpaceId, seq: Option<u64>) -> Result<bool, PipelineError> {
        let Some(seq) = seq else { return Ok(false) };
        Ok(self.store.work_of(seq)?.is_some() || self.store.runs_of(space, seq)?.iter().any(|run| run.state.live()))
    }

    /// The events of one time.
    fn events_at(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        at: Timestamp,
        left_out: usize,
        now: Timestamp,
    ) -> Result<Vec<NewEvent>, PipelineError> {
        let source = format!("hookwright/schedules/{}", schedule.id);
        let cause = Some(Cause::api());
        let event_type = schedule.event_type.as_deref().unwrap_or_default();
        let mut drafts = match (&schedule.workflow, &schedule.for_each) {
            (Some(name), _) => {
                let input = input_of(schedule);
                vec![EventDraft::start(self.workflow_start(space, name, &input)?, &source, &input, cause)]
            }
            (None, None) => {
                let data = schedule.data.clone().unwrap_or_else(|| Value::Object(Map::new()));
                vec![EventDraft::json(event_type, &source, None, &data, cause)]
            }
            (None, Some(_)) => self.events_of_records(space, schedule, &source, now)?,
        };
        for draft in &mut drafts {
            draft.time = Some(at.to_string());
            if left_out > 0 {
                draft.attributes.push(("leftout".to_owned(), left_out.to_string()));
            }
        }
        self.planned(space, drafts)
    }

    /// One event for each record.
    fn events_of_records(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        source: &str,
        now: Timestamp,
    ) -> Result<Vec<EventDraft>, PipelineError> {
        let Some(each) = &schedule.for_each else { return Ok(Vec::new()) };
        let event_type = schedule.event_type.as_deref().unwrap_or_default();
        // The id of an event that there is once for each record and time: the journal takes it only once.
        let once = |record: &Value| {
            let time = each.past.as_ref().and_then(|past| past.of(record)).map(Timestamp::millis).unwrap_or_default();
            let id = record.get("id").unwrap_or(&Value::Null);
            // It stands in paths, so it has no slash.
            format!("{event_type}:{}:{id}:{time}", each.kind).replace('/', "-")
        };
        let new = |record: &Value| {
            let known = self.store.event(space, &once(record), Some(source));
            !each.once || !matches!(known, Ok(EventLookup::One(..) | EventLookup::Several(_)))
        };
        let keep = |record: &Value| each.takes(record, now) && new(record);
        let found = self.store.find(space, &each.kind, MAX_RECORDS, &keep)?;
        // In the order in which they were made.
        let found: BTreeMap<u64, Value> = found.into_iter().map(|(key, record)| (key.id, record.value)).collect();
        let drafts = found.into_iter().map(|(id, record)| {
            let name = once(&record);
            let mut data = Map::new();
            data.insert("id".to_owned(), id.into());
            data.insert(each.kind.clone(), record);
            if let Some(given) = &schedule.data {
                data.insert("data".to_owned(), given.clone());
            }
            let subject = Some(format!("{}/{id}", each.kind));
            let draft = EventDraft::json(event_type, source, subject, &Value::Object(data), Some(Cause::api()));
            EventDraft { id: each.once.then_some(name), ..draft }
        });
        Ok(drafts.collect())
    }
}

/// What a workflow is started with.
fn input_of(schedule: &Schedule) -> Value {
    schedule.input.clone().unwrap_or_else(|| Value::Object(Map::new()))
}

/// The times among those that passed for which something happens.
fn chosen(schedule: &Schedule, past: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    let Some(newest) = past.last() else { return Vec::new() };
    match schedule.missed {
        Missed::All => past.to_vec(),
        Missed::Once => vec![*newest],
        Missed::Skip if now.since(*newest) <= ON_TIME => vec![*newest],
        Missed::Skip => Vec::new(),
    }
}
