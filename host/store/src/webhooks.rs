//! Webhooks, and the policies that several of them share.

use hookwright_model::{SpaceId, Webhook, WebhookPolicy};

use crate::batch::Batch;
use crate::db::Db;
use crate::tables::{WEBHOOK, WEBHOOK_NUMBER, WEBHOOK_POLICY};
use crate::{StoreError, config, rows};

fn stored(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<Option<Webhook>, StoreError> {
    config::stored(batch, (space, WEBHOOK, id))
}

pub(crate) fn write(batch: &mut Batch<'_>, space: u32, webhook: &Webhook) -> Result<(), StoreError> {
    config::insert(batch, (space, WEBHOOK, webhook.id.as_str()), &rows::json(webhook)?)
}

/// Writes a webhook under its existing number, if it exists.
pub(crate) fn replace(batch: &mut Batch<'_>, space: u32, mut webhook: Webhook) -> Result<(), StoreError> {
    let Some(old) = stored(batch, space, webhook.id.as_str())? else { return Ok(()) };
    webhook.number = old.number;
    write(batch, space, &webhook)
}

/// Deletes a webhook. Its deliveries stay in the queue, which counts as touched, so that they are dead-lettered.
/// [`Queues::queues`](crate::Queues::queues) lists it until then.
pub(crate) fn remove(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<(), StoreError> {
    let Some(old) = stored(batch, space, id)? else { return Ok(()) };
    batch.config()?.remove((space, WEBHOOK, id))?;
    batch.touched.insert((space, old.number));
    Ok(())
}

/// Policies are listed in the order of their numbers.
pub(crate) fn policy_id(number: u64) -> String {
    format!("{number:020}")
}

/// Webhooks, and their policies.
#[derive(Clone)]
pub struct Webhooks {
    pub(crate) db: Db,
}

impl Webhooks {
    /// Stores a webhook. An existing one keeps its number; a new one gets the next (upsert).
    pub async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let mut webhook = webhook.clone();
        self.db
            .write(None, 4096, move |batch| {
                let space = batch.number(&webhook.space)?;
                webhook.number = match stored(batch, space, webhook.id.as_str())? {
                    Some(old) => old.number,
                    None => batch.next(space, WEBHOOK_NUMBER)?,
                };
                write(batch, space, &webhook)
            })
            .await
    }

    /// The webhooks of a space.
    pub fn webhooks(&self, space: &SpaceId) -> Result<Vec<Webhook>, StoreError> {
        config::list(&self.db, space, WEBHOOK)
    }

    /// The webhooks of all spaces.
    pub fn all_webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        Ok(config::all(&self.db, WEBHOOK)?.into_iter().map(|(_, webhook)| webhook).collect())
    }

    /// A policy.
    pub fn webhook_policy(&self, space: &SpaceId, number: u64) -> Result<Option<WebhookPolicy>, StoreError> {
        config::get(&self.db, space, WEBHOOK_POLICY, &policy_id(number))
    }

    /// The policies of a space, the lowest number first.
    pub fn webhook_policies(&self, space: &SpaceId) -> Result<Vec<WebhookPolicy>, StoreError> {
        config::list(&self.db, space, WEBHOOK_POLICY)
    }
}
