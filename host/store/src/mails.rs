//! Mails on their way.

use hookwright_model::{Mail, MailState, SpaceId, Timestamp};

use crate::page::{Cursor, Listing, Page};
use crate::tables::{DUE_MAIL, MAILS};
use crate::writer::Batch;
use crate::{Store, StoreError, rows};

/// Writes a mail and when it is due.
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

/// When a mail is to be tried.
pub(crate) fn due(mail: &Mail) -> Option<Timestamp> {
    mail.next_attempt_at.filter(|_| mail.state == MailState::Queued)
}

impl Store {
    /// Writes down what a try of sending a mail came to.
    pub async fn record_mail(&self, mail: Mail, due_was: Timestamp) -> Result<(), StoreError> {
        let row = rows::json(&mail)?;
        self.write(None, row.len(), move |batch| {
            let number = batch.number(&mail.space)?;
            batch.due()?.remove((due_was.millis(), number, mail.id, 0, DUE_MAIL))?;
            write(batch, number, mail.id, due(&mail), &row)
        })
        .await
    }

    /// A mail.
    pub fn mail(&self, space: &SpaceId, id: u64) -> Result<Option<Mail>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(None) };
        let read = self.begin_read()?;
        let row = read.open_table(MAILS)?.get((number, id))?;
        row.map(|row| rows::read(row.value())).transpose()
    }

    /// Mails, newest first.
    pub fn mails(&self, space: &SpaceId, page: Page) -> Result<Listing<Mail>, StoreError> {
        let Some(number) = self.number(space) else { return Ok(Listing::empty()) };
        let read = self.begin_read()?;
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
