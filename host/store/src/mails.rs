//! Outgoing mails.

use hookwright_model::{Mail, MailState, SpaceId, Timestamp};

use crate::batch::Batch;
use crate::db::Db;
use crate::page::{Cursor, Listing, Page};
use crate::tables::{DUE_MAIL, MAILS};
use crate::{StoreError, rows};

/// The kind under which the ids of mails are counted.
pub(crate) const MAIL: &str = "mail";

/// Writes a mail and its due time.
pub(crate) fn write(
    batch: &mut Batch<'_>,
    space: u32,
    id: u64,
    due: Option<Timestamp>,
    row: &[u8],
) -> Result<(), StoreError> {
    batch.mails()?.insert((space, id), row)?;
    if let Some(at) = due {
        batch.due()?.insert((at.millis(), space, id, 0, DUE_MAIL), ())?;
        batch.due_added = true;
    }
    Ok(())
}

/// The time of a mail's next attempt.
pub(crate) fn due(mail: &Mail) -> Option<Timestamp> {
    mail.next_attempt_at.filter(|_| mail.state == MailState::Queued)
}

/// Outgoing mails.
#[derive(Clone)]
pub struct Mails {
    pub(crate) db: Db,
}

impl Mails {
    /// Records the outcome of an attempt to send a mail, which was due at `due_was`.
    pub async fn record_mail(&self, mail: Mail, due_was: Timestamp) -> Result<(), StoreError> {
        let row = rows::json(&mail)?;
        self.db
            .write(None, row.len(), move |batch| {
                let number = batch.number(&mail.space)?;
                let stored: Option<Mail> = {
                    let row = batch.mails()?.get((number, mail.id))?;
                    row.map(|row| rows::read(row.value())).transpose()?
                };
                let stale = [stored.as_ref().and_then(due), Some(due_was)];
                for at in stale.into_iter().flatten() {
                    batch.due()?.remove((at.millis(), number, mail.id, 0, DUE_MAIL))?;
                }
                write(batch, number, mail.id, due(&mail), &row)
            })
            .await
    }

    /// Bytes of a mail as it is stored, without reading it.
    pub fn mail_bytes(&self, space: &SpaceId, id: u64) -> Result<usize, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(0) };
        let read = self.db.begin_read()?;
        let row = read.open_table(MAILS)?.get((number, id))?;
        Ok(row.map_or(0, |row| row.value().len()))
    }

    /// A mail.
    pub fn mail(&self, space: &SpaceId, id: u64) -> Result<Option<Mail>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(None) };
        let read = self.db.begin_read()?;
        let row = read.open_table(MAILS)?.get((number, id))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// Mails, newest first.
    pub fn mails(&self, space: &SpaceId, page: Page) -> Result<Listing<Mail>, StoreError> {
        let Some(number) = self.db.number(space) else { return Ok(Listing::empty()) };
        let read = self.db.begin_read()?;
        let table = read.open_table(MAILS)?;
        let before = page.before.map_or(u64::MAX, |cursor| cursor.seq);
        let rows = table.range((number, 0)..(number, before))?.rev().map(|row| row.map_err(StoreError::from));
        Listing::fill(
            page.limit,
            rows,
            |(key, _)| Cursor { seq: key.value().1, ordinal: 0 },
            |(_, row)| Ok(Some(rows::read::<Mail>(row.value())?)),
        )
    }
}
