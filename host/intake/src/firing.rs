//! Creates the events of schedules that are due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright_foundation::error::PipelineError;
use hookwright_foundation::outcome_log::schedule_failed;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_model::{Cause, EventDraft, Missed, NewEvent, Schedule, ScheduleId, SpaceId, StateView as _, Timestamp};
use hookwright_routing::planning::Routing;
use hookwright_runs::stored::Runs;
use hookwright_store::{EventLookup, Store};
use serde_json::{Map, Value};

use crate::timetable::Timetable;

/// A time that passed less than this ago was not missed: the server was only busy.
const ON_TIME_TOLERANCE: Duration = Duration::from_secs(15);

/// The most records for which one time of a schedule creates events.
const MAX_RECORDS: usize = 1000;

/// What the times of a schedule create.
#[derive(Default)]
struct MadeEvents {
    events: Vec<NewEvent>,
    /// The first record whose event was refused, and why.
    refused: Option<(String, PipelineError)>,
    /// How many events of records were refused after it.
    more: usize,
}

/// Creates the events of schedules that are due.
pub(crate) struct Firing {
    pub(crate) store: Store,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) routing: Arc<Routing>,
    pub(crate) runs: Arc<Runs>,
}

impl Firing {
    /// Creates the events of a schedule that is due, and sets its next time.
    pub(crate) async fn fire(&self, space: &SpaceId, id: ScheduleId, due: Timestamp) -> Result<(), PipelineError> {
        let Some(mut schedule) = self.store.schedules.schedule(space, id)? else { return Ok(()) };
        let now = self.clock.now();
        let timetable = match Timetable::of(&schedule) {
            Ok(timetable) => timetable,
            Err(mistakes) => {
                // It was valid when it was saved: another build has other time zones.
                schedule.status.last_error = Some(mistakes.to_string());
                schedule.status.next_at = None;
                self.store.schedules.fire_schedule(space, schedule, due, Vec::new()).await?;
                schedule_failed(space, id, due, &mistakes.into());
                return Ok(());
            }
        };
        let past = timetable.past(due, now, Missed::MOST);
        schedule.status.next_at = timetable.next(now);
        let chosen = chosen(&schedule, &past.times, now);
        let (mut times, mut reason) = (chosen, "the server was not running");
        if !schedule.overlap && self.is_in_progress(space, schedule.status.last_seq)? {
            (times, reason) = (Vec::new(), "the work of the previous time was still in progress");
        }
        let left_out = past.times.len().saturating_sub(times.len());
        let mut made = MadeEvents::default();
        let ended = times.iter().try_for_each(|at| self.events_at(space, &schedule, *at, left_out, now, &mut made));
        let MadeEvents { events, refused, more } = made;
        let status = &mut schedule.status;
        let (said, failed) = match (ended, refused) {
            (Err(error), _) => (Some(error.to_string()), Some(error)),
            (Ok(()), Some((record, error))) => {
                let others = if more > 0 { format!(" (and {more} more)") } else { String::new() };
                (Some(format!("no event for the record {record}{others}: {error}")), Some(error))
            }
            (Ok(()), None) => (None, None),
        };
        status.last_error = said.map(|said| format!("{now}: {said}"));
        if let Some(at) = times.last() {
            status.last_at = Some(*at);
        }
        if left_out > 0 {
            let more = if past.more { " or more" } else { "" };
            status.left_out = status.left_out.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX));
            let last = past.times.iter().rev().find(|at| !times.contains(at)).copied().unwrap_or(due);
            status.last_left_out = Some(format!("{left_out}{more} times, the last of them {last}: {reason}"));
        }
        self.store.schedules.fire_schedule(space, schedule, due, events).await?;
        if let Some(error) = failed {
            schedule_failed(space, id, due, &error);
        }
        Ok(())
    }

    /// Whether the event still has work or runs that have not ended.
    fn is_in_progress(&self, space: &SpaceId, seq: Option<u64>) -> Result<bool, PipelineError> {
        let Some(seq) = seq else { return Ok(false) };
        Ok(self.store.backlog.work_of(seq)?.is_some()
            || self.store.runs.runs_of(space, seq)?.iter().any(|run| run.state.live()))
    }

    /// Creates the events of one time. A refused event of one record does not prevent those of the others.
    fn events_at(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        at: Timestamp,
        left_out: usize,
        now: Timestamp,
        made: &mut MadeEvents,
    ) -> Result<(), PipelineError> {
        let source = format!("hookwright/schedules/{}", schedule.id);
        let cause = Some(Cause::api());
        let event_type = schedule.event_type.as_deref().unwrap_or_default();
        let drafts = match (&schedule.workflow, &schedule.for_each) {
            (Some(name), _) => {
                let input = input_of(schedule);
                vec![EventDraft::start(self.runs.workflow_start(space, name, &input)?, &source, &input, cause)]
            }
            (None, None) => {
                let data = schedule.data.clone().unwrap_or_else(|| Value::Object(Map::new()));
                vec![EventDraft::json(event_type, &source, None, &data, cause)]
            }
            (None, Some(_)) => self.events_of_records(space, schedule, &source, now)?,
        };
        for mut draft in drafts {
            draft.time = Some(at.to_string());
            if left_out > 0 {
                draft.attributes.push(("leftout".to_owned(), left_out.to_string()));
            }
            let record = draft.subject.clone().filter(|_| schedule.for_each.is_some());
            match (self.routing.planned(space, vec![draft]), record) {
                (Ok(events), _) => made.events.extend(events),
                (Err(error), None) => return Err(error),
                (Err(_), Some(_)) if made.refused.is_some() => made.more = made.more.saturating_add(1),
                (Err(error), Some(record)) => made.refused = Some((record, error)),
            }
        }
        Ok(())
    }

    /// One event per record.
    fn events_of_records(
        &self,
        space: &SpaceId,
        schedule: &Schedule,
        source: &str,
        now: Timestamp,
    ) -> Result<Vec<EventDraft>, PipelineError> {
        let Some(each) = &schedule.for_each else { return Ok(Vec::new()) };
        let event_type = schedule.event_type.as_deref().unwrap_or_default();
        // The id of an event that exists once per record and time: the journal accepts it only once.
        let once = |record: &Value| {
            let time = each.past.as_ref().and_then(|past| past.of(record)).map(Timestamp::millis).unwrap_or_default();
            let id = record.get("id").unwrap_or(&Value::Null);
            // The id is part of URL paths, so it has no slash.
            format!("{event_type}:{}:{id}:{time}", each.kind).replace('/', "-")
        };
        let new = |record: &Value| {
            let known = self.store.events.event(space, &once(record), Some(source));
            !each.once || !matches!(known, Ok(EventLookup::One(..) | EventLookup::Several(_)))
        };
        let keep = |record: &Value| each.takes(record, now) && new(record);
        let found = self.store.find(space, &each.kind, MAX_RECORDS, &keep)?;
        // In the order in which the records were created.
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

/// The times among those that passed for which events are created.
fn chosen(schedule: &Schedule, past: &[Timestamp], now: Timestamp) -> Vec<Timestamp> {
    let Some(newest) = past.last() else { return Vec::new() };
    match schedule.missed {
        Missed::All => past.to_vec(),
        Missed::Once => vec![*newest],
        Missed::Skip if now.since(*newest) <= ON_TIME_TOLERANCE => vec![*newest],
        Missed::Skip => Vec::new(),
    }
}

/// The input with which a workflow is started.
pub fn input_of(schedule: &Schedule) -> Value {
    schedule.input.clone().unwrap_or_else(|| Value::Object(Map::new()))
}

#[cfg(test)]
mod tests {
    use hookwright_model::Plan;
    use hookwright_plugin::Workflows;
    use hookwright_samples::{self as samples, NOW, minutes};
    use hookwright_store::Stored;
    use serde_json::json;

    use super::*;

    /// The clock stands still at [`NOW`].
    fn firing(store: &Store) -> Firing {
        let foundation = samples::foundation(store);
        let routing = hookwright_routing::Layer::new(&foundation).unwrap();
        let startable = Arc::clone(&routing.catalogue) as Arc<dyn Workflows>;
        let invoke = hookwright_invoke::Layer::new(&foundation, startable).unwrap();
        let runs = hookwright_runs::Layer::new(&foundation, &invoke, &routing).unwrap();
        Firing { store: store.clone(), clock: foundation.clock, routing: routing.planning, runs: runs.stored }
    }

    /// A schedule of every minute after it was due five minutes ago.
    async fn fired(store: &Store, mut schedule: Schedule) -> Schedule {
        let (space, due) = (SpaceId::main(), minutes(-5));
        (schedule.updated_at, schedule.status.next_at) = (minutes(-10), Some(due));
        assert_eq!(store.schedules.put_schedule(&space, &schedule, None).await.unwrap(), Stored::Done);
        firing(store).fire(&space, schedule.id, due).await.unwrap();
        store.schedules.schedule(&space, schedule.id).unwrap().unwrap()
    }

    #[test]
    fn times_that_passed_are_made_up_for_as_the_schedule_says() {
        let past = [minutes(-2), minutes(-1)];
        let late = minutes(-1).after(ON_TIME_TOLERANCE + Duration::from_millis(1));
        for (missed, now, wanted) in [
            ("all", NOW, past.to_vec()),
            ("once", NOW, vec![minutes(-1)]),
            ("skip", NOW, vec![]),
            ("skip", late, vec![]),
            ("skip", minutes(-1).after(ON_TIME_TOLERANCE), vec![minutes(-1)]),
        ] {
            let schedule = samples::schedule(&json!({"missed": missed}));
            assert_eq!(chosen(&schedule, &past, now), wanted, "{missed} {now}");
            assert!(chosen(&schedule, &[], now).is_empty());
        }
    }

    #[tokio::test]
    async fn one_event_stands_for_all_missed_times_and_says_how_many_were_left_out() {
        let (_folder, store) = samples::store();
        let status = fired(&store, samples::schedule(&json!({"data": {"n": 1}}))).await.status;
        assert_eq!((status.events, status.left_out, status.last_error), (1, 5, None));
        assert_eq!((status.last_at, status.next_at), (Some(NOW), Some(minutes(1))));
        let reason = status.last_left_out.unwrap();
        assert!(reason.starts_with("5 times") && reason.contains("was not running"), "{reason}");
        let event = store.events.event_at(&SpaceId::main(), status.last_seq.unwrap()).unwrap().unwrap();
        assert_eq!(Timestamp::parse(&event.time), Some(NOW));
        assert_eq!(event.event_type, "tick");
        assert_eq!(event.data_json(), r#"{"n":1}"#);
        assert_eq!(event.attributes, [("leftout".to_owned(), "5".to_owned())]);
    }

    #[tokio::test]
    async fn each_missed_time_has_its_event_where_the_schedule_wants_all() {
        let (_folder, store) = samples::store();
        let status = fired(&store, samples::schedule(&json!({"missed": "all"}))).await.status;
        assert_eq!((status.events, status.left_out, status.last_left_out), (6, 0, None));
    }

    #[tokio::test]
    async fn times_are_left_out_while_the_previous_one_is_in_progress() {
        let (_folder, store) = samples::store();
        let space = SpaceId::main();
        let plan = Plan { automations: vec!["aut_1".into()], ..Plan::default() };
        let event = samples::event("tick", &json!({}));
        let seq = store.events.append(vec![NewEvent { event, plan }]).await.unwrap()[0].seq;
        let mut schedule = samples::schedule(&json!({"overlap": false}));
        schedule.status.last_seq = Some(seq);
        let held = fired(&store, schedule).await;
        assert_eq!((held.status.events, held.status.left_out, held.status.last_at), (0, 6, None));
        assert!(held.status.last_left_out.unwrap().contains("still in progress"));
        store.backlog.close_work(seq).await.unwrap();
        firing(&store).fire(&space, held.id, minutes(1)).await.unwrap();
        assert_eq!(store.schedules.schedule(&space, held.id).unwrap().unwrap().status.events, 1);
    }

    #[tokio::test]
    async fn a_schedule_whose_workflow_is_missing_says_so_and_goes_on() {
        let (_folder, store) = samples::store();
        let status = fired(&store, samples::schedule(&json!({"workflow": "gone"}))).await.status;
        assert_eq!((status.events, status.next_at), (0, Some(minutes(1))));
        let error = status.last_error.unwrap();
        assert!(error.contains("workflow `gone`"), "{error}");
    }
}
