//! The journal: events as they were accepted, and the work that they give.

use std::time::Duration;

use hookwright_model::{
    AutomationId, Delivery, DeliveryId, DeliveryState, Effects, Event, NewDelivery, NewEvent, NewLane, SpaceId,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::page::{Cursor, Listing, Page};
use crate::records::{self, Ready};
use crate::tables::{EVENT_IDS, EVENTS, WORK};
use crate::writer::{Batch, Faults};
use crate::{Store, StoreError, lanes, queue, rows};

const FAULTS: Faults = Faults { before: "append.before-commit", after: "append.after-commit" };

/// What became of an event that was to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the journal.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// The same source had sent this id before: nothing was written.
    pub repeat: bool,
}

/// Which events have an id.
#[derive(Debug)]
pub enum EventLookup {
    /// None.
    None,
    /// This one.
    One(u64, Box<Event>),
    /// One of each of these sources.
    Several(Vec<String>),
}

/// Automations that are still to be considered for an event, or carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The event's place in the journal.
    pub seq: u64,
    /// Its space.
    pub space: SpaceId,
    /// The automations.
    pub automations: Vec<AutomationId>,
    /// Lanes that their runs are in.
    pub lanes: Vec<NewLane>,
}

impl Work {
    /// The key of the lane that a run of this ordinal is in.
    pub fn lane(&self, ordinal: u32) -> Option<&str> {
        self.lanes.iter().find(|lane| lane.ordinal == ordinal).map(|lane| lane.key.as_str())
    }
}

#[derive(Serialize, Deserialize)]
struct WorkRow {
    space: SpaceId,
    automations: Vec<AutomationId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lanes: Vec<NewLane>,
}

/// An event made ready by its caller, so that the writer has little left to do.
pub(crate) struct Prepared {
    space: SpaceId,
    id: String,
    source: String,
    event_type: String,
    subject: Option<String>,
    received_at: Timestamp,
    row: Vec<u8>,
    work: Option<Vec<u8>>,
    /// Ordinals with the names of their lanes.
    lanes: Vec<(u32, String)>,
    deliveries: Vec<NewDelivery>,
}

impl Prepared {
    pub(crate) fn new(new: NewEvent) -> Result<Self, StoreError> {
        let NewEvent { event, plan } = new;
        let row = rows::event_row(&event)?;
        let lanes = plan.lanes.iter().filter_map(|lane| {
            let automation = plan.automations.get(usize::try_from(lane.ordinal).ok()?)?;
            Some((lane.ordinal, lanes::name(automation, &lane.key)))
        });
        let lanes = lanes.collect();
        let work = if plan.automations.is_empty() {
            None
        } else {
            let (automations, lanes) = (plan.automations, plan.lanes);
            Some(rows::json(&WorkRow { space: event.space.clone(), automations, lanes })?)
        };
        Ok(Self {
            space: event.space,
            id: event.id,
            source: event.source,
            event_type: event.event_type,
            subject: event.subject,
            received_at: event.received_at,
            row,
            work,
            lanes,
            deliveries: plan.deliveries,
        })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.row.len()
    }
}

/// Writes an event, its work and its deliveries.
pub(crate) fn append(batch: &mut Batch<'_>, event: Prepared) -> Result<Appended, StoreError> {
    let space = batch.number(&event.space)?;
    let seq = batch.next_seq;
    let id_key = (space, event.id.as_str(), event.source.as_str());
    let known = batch.event_ids()?.insert(id_key, seq)?.map(|known| known.value());
    if let Some(known) = known {
        batch.event_ids()?.insert(id_key, known)?;
        return Ok(Appended { seq: known, id: event.id, repeat: true });
    }
    batch.next_seq = seq.saturating_add(1);
    batch.events()?.insert((space, seq), event.row.as_slice())?;
    if let Some(work) = event.work {
        batch.work()?.insert(seq, work.as_slice())?;
        batch.work_opened = batch.work_opened.saturating_add(1);
    }
    for (ordinal, lane) in &event.lanes {
        batch.lanes()?.insert((space, lane.as_str(), seq, *ordinal), ())?;
    }
    for (place, new) in event.deliveries.into_iter().enumerate() {
        let ordinal = u32::try_from(place).unwrap_or(u32::MAX);
        let mut delivery = Delivery {
            id: DeliveryId { seq, ordinal },
            space: event.space.clone(),
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            webhook: new.webhook,
            queue: new.queue,
            key: new.key.filter(|_| new.purpose.is_event()),
            purpose: new.purpose,
            message_id: new.message_id,
            state: DeliveryState::Pending,
            attempts: 0,
            next_attempt_at: None,
            last_error: None,
            redelivery_of: None,
            redelivered_by: None,
            created_at: event.received_at,
            finished_at: None,
        };
        let due = event.received_at.after(Duration::from_millis(u64::from(new.wait_ms)));
        queue::enqueue(batch, space, &mut delivery, due)?;
        queue::store(batch, space, &delivery)?;
    }
    Ok(Appended { seq, id: event.id, repeat: false })
}

impl Store {
    /// Appends events as one: when this returns they are durable, with the work and the deliveries that they give. An
    /// event whose id the same source sent before is left out and reported as a repeat.
    pub async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        let prepared = self.prepare(events)?;
        let bytes = prepared.iter().map(Prepared::bytes).sum();
        self.write_now(Some(FAULTS), bytes, move |batch| {
            prepared.into_iter().map(|event| append(batch, event)).collect()
        })
        .await
    }

    /// Refuses work beyond the backlog's bound.
    fn prepare(&self, events: Vec<NewEvent>) -> Result<Vec<Prepared>, StoreError> {
        let backlog = self.backlog();
        if backlog >= self.inner.max_backlog && events.iter().any(|new| !new.plan.automations.is_empty()) {
            return Err(StoreError::Backlog(backlog));
        }
        events.into_iter().map(Prepared::new).collect()
    }

    /// Appends events together with effects; none if what those read has changed, and then nothing is written.
    pub async fn append_with(
        &self,
        space: &SpaceId,
        events: Vec<NewEvent>,
        effects: Effects,
    ) -> Result<Option<Vec<Appended>>, StoreError> {
        let (space, prepared) = (space.clone(), self.prepare(events)?);
        let ready = Ready::new(effects)?;
        let bytes = prepared.iter().map(Prepared::bytes).fold(ready.bytes(), usize::saturating_add);
        self.write_now(Some(FAULTS), bytes, move |batch| {
            let number = batch.number(&space)?;
            if records::conflict(batch, number, &ready)?.is_some() {
                return Ok(None);
            }
            records::apply(batch, number, ready)?;
            let appended: Result<Vec<_>, _> = prepared.into_iter().map(|event| append(batch, event)).collect();
            Ok(Some(appended?))
        })
        .await
    }

    /// The event with this id.
    pub fn event(&self, space: &SpaceId, id: &str, source: Option<&str>) -> Result<EventLookup, StoreError> {
        let Some(number) = self.number(space) else { return Ok(EventLookup::None) };
        let read = self.begin_read()?;
        let ids = read.open_table(EVENT_IDS)?;
        let mut found = Vec::new();
        for row in ids.range((number, id, "")..)? {
            let (key, seq) = row?;
            let (other, other_id, other_source) = key.value();
            if other != number || other_id != id || found.len() >= 20 {
                break;
            }
            if source.is_none_or(|source| source == other_source) {
                found.push((other_source.to_owned(), seq.value()));
            }
        }
        match found.as_slice() {
            [] => Ok(EventLookup::None),
            [(_, seq)] => match read.open_table(EVENTS)?.get((number, *seq))? {
                Some(row) => Ok(EventLookup::One(*seq, Box::new(rows::read_event(space, row.value())?))),
                None => Ok(EventLookup::None),
            },
            _ => Ok(EventLookup::Several(found.into_iter().map(|(source, _)| source).collect())),
        }
    }

    /// The event at a place in the journal.
    pub fn event_at(&self, space: &SpaceId, seq: u64) -> Result<Option<Event>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(EVENTS)?.get((number, seq))?;
        row.map(|row| rows::read_event(space, row.value())).transpose()
    }

    /// Events for which `keep` says yes, newest first.
    pub fn events(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Event) -> bool,
    ) -> Result<Listing<(u64, Event)>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Listing::empty()) };
        let read = self.begin_read()?;
        let table = read.open_table(EVENTS)?;
        let before = page.before.map_or(u64::MAX, |cursor| cursor.seq);
        let rows = table.range((number, 0)..(number, before))?.rev().map(|row| row.map_err(StoreError::from));
        Listing::fill(
            page.limit,
            rows,
            |(key, _)| Cursor { seq: key.value().1, ordinal: 0 },
            |(key, row)| {
                let event = rows::read_event(space, row.value())?;
                Ok(keep(&event).then(|| (key.value().1, event)))
            },
        )
    }

    /// Work of events after `after`, in the order of the journal.
    pub fn work(&self, after: u64, limit: usize) -> Result<Vec<Work>, StoreError> {
        let read = self.begin_read()?;
        let table = read.open_table(WORK)?;
        let mut work = Vec::new();
        for row in table.range(after.saturating_add(1)..)?.take(limit) {
            let (seq, row) = row?;
            let WorkRow { space, automations, lanes } = rows::read(row.value())?;
            work.push(Work { seq: seq.value(), space, automations, lanes });
        }
        Ok(work)
    }

    /// The work of one event, if something is still to be done for it.
    pub fn work_of(&self, seq: u64) -> Result<Option<Work>, StoreError> {
        Ok(self.work(seq.saturating_sub(1), 1)?.into_iter().next().filter(|work| work.seq == seq))
    }

    /// Notes that nothing is left to be done for an event.
    pub async fn close_work(&self, seq: u64) -> Result<(), StoreError> {
        self.write(None, 16, move |batch| close_work(batch, seq)).await
    }
}

pub(crate) fn close_work(batch: &mut Batch<'_>, seq: u64) -> Result<(), StoreError> {
    if batch.work()?.remove(seq)?.is_some() {
        batch.work_closed = batch.work_closed.saturating_add(1);
    }
    Ok(())
}
