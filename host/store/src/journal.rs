//! The journal: accepted events.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{Delivery, DeliveryId, DeliveryState, Event, NewDelivery, NewEvent, SpaceId, scoped_source};

use crate::backlog::Backlog;
use crate::batch::{Batch, Faults};
use crate::db::Db;
use crate::page::{Cursor, Listing, Page};
use crate::recent::Newest;
use crate::tables::{DESCENDANTS, EVENT_IDS, EVENTS};
use crate::work::WorkRow;
use crate::{StoreError, lanes, queue, rows};

pub(crate) const FAULTS: Faults = Faults { before: "append.before-commit", after: "append.after-commit" };

/// About how many bytes the rows of a delivery have.
const DELIVERY: usize = 512;

/// The result of appending an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position in the journal.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// The same source had sent this id before: nothing was written.
    pub repeat: bool,
    /// It is a repeat, but with another payload than the stored event with this id.
    pub changed: bool,
}

/// The events that have an id.
#[derive(Debug)]
pub enum EventLookup {
    /// No event.
    None,
    /// This event.
    One(u64, Box<Event>),
    /// One event of each of these sources.
    Several(Vec<String>),
}

/// An event that the caller has prepared, so that the writer has little work.
pub(crate) struct Prepared {
    event: Arc<Event>,
    row: Vec<u8>,
    /// What is to be done for it, and the row that says so.
    work: Option<(WorkRow, Vec<u8>)>,
    /// Ordinals with the names of their lanes.
    lanes: Vec<(u32, String)>,
    deliveries: Vec<NewDelivery>,
}

impl Prepared {
    pub(crate) fn new(new: NewEvent) -> Result<Self, StoreError> {
        let NewEvent { mut event, plan } = new;
        if !plan.automations.is_empty() || !plan.deliveries.is_empty() {
            // It is kept in memory for a while, without the body of the request that it is a part of.
            event.payload = Bytes::copy_from_slice(&event.payload);
        }
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
            let work = WorkRow { space: event.space.clone(), automations, lanes };
            let row = rows::json(&work)?;
            Some((work, row))
        };
        Ok(Self { event: Arc::new(event), row, work, lanes, deliveries: plan.deliveries })
    }

    pub(crate) fn bytes(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |(_, row)| row.len());
        let deliveries = self.deliveries.len().saturating_mul(DELIVERY);
        self.row.len().saturating_add(work).saturating_add(deliveries)
    }
}

/// Writes an event, its work and its deliveries.
pub(crate) fn append(batch: &mut Batch<'_>, prepared: Prepared) -> Result<Appended, StoreError> {
    let Prepared { event, row, work, lanes, deliveries } = prepared;
    let space = batch.number(&event.space)?;
    let seq = batch.next_seq;
    let scope = event.id_scope();
    let id_key = (space, event.id.as_str(), &*scope);
    let known = batch.event_ids()?.insert(id_key, seq)?.map(|known| known.value());
    if let Some(known) = known {
        batch.event_ids()?.insert(id_key, known)?;
        let changed = match batch.events()?.get((space, known))? {
            Some(row) => rows::event_payload(row.value())? != event.payload.as_ref(),
            None => false,
        };
        return Ok(Appended { seq: known, id: event.id.clone(), repeat: true, changed });
    }
    batch.next_seq = seq.saturating_add(1);
    batch.events()?.insert((space, seq), row.as_slice())?;
    if let Some((_, work)) = &work {
        batch.work()?.insert(seq, work.as_slice())?;
        batch.work_opened.push((space, seq));
        if let Some(root) = event.cause.as_ref().and_then(|cause| cause.root.as_ref()) {
            let key = (space, root.as_str());
            let made = batch.descendants()?.get(key)?.map_or(0, |count| count.value()).saturating_add(1);
            batch.descendants()?.insert(key, made)?;
        }
    }
    if work.is_some() || !deliveries.is_empty() {
        let bytes = row.len().saturating_add(work.as_ref().map_or(0, |(_, row)| row.len()));
        let work = work.map(|(work, _)| work);
        batch.newest.push(Newest { place: (space, seq), event: Arc::clone(&event), work, bytes });
    }
    for (ordinal, lane) in &lanes {
        batch.lanes()?.insert((space, lane.as_str(), seq, *ordinal), ())?;
    }
    for (place, new) in deliveries.into_iter().enumerate() {
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
    Ok(Appended { seq, id: event.id.clone(), repeat: false, changed: false })
}

/// Prepares events, and refuses those beyond the limit of their space's backlog.
pub(crate) fn prepare(backlog: &Backlog, events: Vec<NewEvent>) -> Result<Vec<Prepared>, StoreError> {
    for new in events.iter().filter(|new| !new.plan.automations.is_empty()) {
        backlog.takes_events(&new.event.space)?;
    }
    events.into_iter().map(Prepared::new).collect()
}

/// Accepted events.
#[derive(Clone)]
pub struct Events {
    pub(crate) db: Db,
    pub(crate) backlog: Backlog,
}

impl Events {
    /// Appends events atomically: when this returns they are durable, with their work and deliveries. An event whose id
    /// the same source sent before is left out and reported as a repeat.
    pub async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        let Some(space) = events.first().map(|new| new.event.space.clone()) else { return Ok(Vec::new()) };
        let prepared = prepare(&self.backlog, events)?;
        let bytes = prepared.iter().map(Prepared::bytes).sum();
        self.db
            .write_now(&space, Some(FAULTS), bytes, move |batch| {
                prepared.into_iter().map(|event| append(batch, event)).collect()
            })
            .await
    }

    /// Appends events that the server emits because of a change that is committed already. They are refused only where
    /// nothing is written at all, not while little space is left or the backlog of their space is full, and they wait
    /// for capacity.
    pub async fn append_own(&self, events: Vec<NewEvent>) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let prepared: Vec<Prepared> = events.into_iter().map(Prepared::new).collect::<Result<_, _>>()?;
        let bytes = prepared.iter().map(Prepared::bytes).sum();
        self.db
            .write(Some(FAULTS), bytes, move |batch| prepared.into_iter().map(|event| append(batch, event)).collect())
            .await
    }

    /// The event with this id.
    pub fn event(&self, space: &SpaceId, id: &str, source: Option<&str>) -> Result<EventLookup, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(EventLookup::None) };
        let read = self.db.begin_read()?;
        let ids = read.open_table(EVENT_IDS)?;
        let mut found = Vec::new();
        for row in ids.range((number, id, "")..)? {
            let (key, seq) = row?;
            let (other, other_id, other_source) = key.value();
            if other != number || other_id != id || found.len() >= 20 {
                break;
            }
            let name = scoped_source(other_source);
            if source.is_some_and(|source| source != name) {
                continue;
            }
            // Of two that differ only in their ingress, the one of a source's URL sorts last and is returned.
            match found.last_mut() {
                Some((known, place)) if *known == name => *place = seq.value(),
                _ => found.push((name.to_owned(), seq.value())),
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

    /// The event at a position in the journal.
    pub fn event_at(&self, space: &SpaceId, seq: u64) -> Result<Option<Arc<Event>>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        if let Some(event) = self.db.shared().recent.get((number, seq)) {
            return Ok(Some(event));
        }
        let read = self.db.begin_read()?;
        let row = read.open_table(EVENTS)?.get((number, seq))?;
        row.map(|row| rows::read_event(space, row.value()).map(Arc::new)).transpose()
    }

    /// The journal position of a space's newest event; `None`: it has no event.
    pub fn last_seq(&self, space: &SpaceId) -> Result<Option<u64>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let table = read.open_table(EVENTS)?;
        let last = table.range((number, 0)..=(number, u64::MAX))?.next_back().transpose()?;
        Ok(last.map(|(key, _)| key.value().1))
    }

    /// Calls `visit` with the events from position `from` up to `to` in the journal, at most `limit` of them. Returns
    /// the position to continue with; `None`: there are no more.
    pub fn visit_events(
        &self,
        space: &SpaceId,
        from: u64,
        to: u64,
        limit: usize,
        visit: &mut dyn FnMut(u64, &Event),
    ) -> Result<Option<u64>, StoreError> {
        let Some(number) = self.db.number(space).filter(|_| from <= to) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let table = read.open_table(EVENTS)?;
        for (seen, row) in table.range((number, from)..=(number, to))?.enumerate() {
            let (key, row) = row?;
            let seq = key.value().1;
            if seen >= limit {
                return Ok(Some(seq));
            }
            visit(seq, &rows::read_event(space, row.value())?);
        }
        Ok(None)
    }

    /// Events for which `keep` returns true, newest first.
    pub fn events(
        &self,
        space: &SpaceId,
        page: Page,
        keep: &dyn Fn(&Event) -> bool,
    ) -> Result<Listing<(u64, Event)>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Listing::empty()) };
        let read = self.db.begin_read()?;
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

    /// The number of events caused by this one, directly or through others, for which automations were to be
    /// considered.
    pub fn descendants(&self, space: &SpaceId, root: &str) -> Result<u64, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let read = self.db.begin_read()?;
        let count = read.open_table(DESCENDANTS)?.get((number, root))?;
        Ok(count.map_or(0, |count| count.value()))
    }
}
