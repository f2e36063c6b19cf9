//! Mails that a step requests.

use super::{Workbench, invalid};
use crate::{Failure, Letter, Mail, MailState};

impl Workbench {
    /// Queues a mail; returns its id.
    pub fn send_mail(&mut self, letter: Letter) -> Result<String, Failure> {
        self.room()?;
        letter.check().map_err(|mistake| invalid(&mistake))?;
        self.budget.charge(letter.size())?;
        let id = self.stored.next_id("mail")?;
        self.mails.push(Mail {
            id,
            space: self.stored.space().clone(),
            letter,
            cause: self.origin.cause.clone(),
            state: MailState::Queued,
            attempts: 0,
            next_attempt_at: Some(self.now),
            tried_at: None,
            last_error: None,
            created_at: self.now,
            sent_at: None,
        });
        Ok(id.to_string())
    }
}
