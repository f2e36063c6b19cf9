//! Webhooks, the policies that several of them share, and event types of a space's own.

use hookwright_model::{SpaceId, Webhook, WebhookPolicy};
use redb::ReadableTable as _;
use serde_json::Value;

use crate::writer::Batch;
use crate::{Store, StoreError, config, rows};

pub(crate) const WEBHOOK: &str = "webhook";
pub(crate) const POLICY: &str = "webhook-policy";
pub(crate) const EVENT_TYPE: &str = "event-type";

/// The kinds under which numbers are counted: no record's kind has a colon.
pub(crate) const WEBHOOK_NUMBER: &str = ":webhook";
pub(crate) const POLICY_NUMBER: &str = ":webhook-policy";

fn stored(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<Option<Webhook>, StoreError> {
    let row = batch.config()?.get((space, WEBHOOK, id))?;
    row.map(|row| rows::read(row.value())).transpose()
}

pub(crate) fn write(batch: &mut Batch<'_>, space: u32, webhook: &Webhook) -> Result<(), StoreError> {
    config::insert(batch, (space, WEBHOOK, webhook.id.as_str()), &rows::json(webhook)?)
}

/// Writes a webhook under the number that it has, if it is there.
pub(crate) fn replace(batch: &mut Batch<'_>, space: u32, mut webhook: Webhook) -> Result<(), StoreError> {
    let Some(old) = stored(batch, space, webhook.id.as_str())? else { return Ok(()) };
    webhook.number = old.number;
    write(batch, space, &webhook)
}

/// Deletes a webhook. What lies in its queue stays there, and the queue counts as touched: it is to be given up.
pub(crate) fn remove(batch: &mut Batch<'_>, space: u32, id: &str) -> Result<bool, StoreError> {
    let Some(old) = stored(batch, space, id)? else { return Ok(false) };
    batch.config()?.remove((space, WEBHOOK, id))?;
    batch.touched.insert((space, old.number));
    Ok(true)
}

/// Policies are listed in the order of their numbers.
pub(crate) fn policy_id(number: u64) -> String {
    format!("{number:020}")
}

impl Store {
    /// Stores a new webhook under the next number of its space; returns it with that.
    pub async fn create_webhook(&self, mut webhook: Webhook) -> Result<Webhook, StoreError> {
        self.write(None, 4096, move |batch| {
            let space = batch.number(&webhook.space)?;
            webhook.number = batch.next(space, WEBHOOK_NUMBER)?;
            write(batch, space, &webhook)?;
            Ok(webhook)
        })
        .await
    }

    /// Stores a webhook. It keeps the number that it has; one that is new gets the next.
    pub async fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let mut webhook = webhook.clone();
        self.write(None, 4096, move |batch| {
            let space = batch.number(&webhook.space)?;
            webhook.number = match stored(batch, space, webhook.id.as_str())? {
                Some(old) => old.number,
                None => batch.next(space, WEBHOOK_NUMBER)?,
            };
            write(batch, space, &webhook)
        })
        .await
    }

    /// Deletes a webhook. What waits for it stays in its queue, which [`Store::queues`] lists until all of it was given
    /// up.
    pub async fn delete_webhook(&self, space: &SpaceId, id: &str) -> Result<bool, StoreError> {
        let (space, id) = (space.clone(), id.to_owned());
        self.write(None, 64, move |batch| {
            let space = batch.number(&space)?;
            remove(batch, space, &id)
        })
        .await
    }

    /// A webhook.
    pub fn webhook(&self, space: &SpaceId, id: &str) -> Result<Option<Webhook>, StoreError> {
        self.get(space, WEBHOOK, id)
    }

    /// The webhooks of a space.
    pub fn webhooks(&self, space: &SpaceId) -> Result<Vec<Webhook>, StoreError> {
        self.list(space, WEBHOOK)
    }

    /// The webhooks of all spaces.
    pub fn all_webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        Ok(self.all(WEBHOOK)?.into_iter().map(|(_, webhook)| webhook).collect())
    }

    /// Stores a new policy under the next number of its space; returns it with that.
    pub async fn create_webhook_policy(&self, mut policy: WebhookPolicy) -> Result<WebhookPolicy, StoreError> {
        self.write(None, 4096, move |batch| {
            let space = batch.number(&policy.space)?;
            policy.number = batch.next(space, POLICY_NUMBER)?;
            config::insert(batch, (space, POLICY, &policy_id(policy.number)), &rows::json(&policy)?)?;
            Ok(policy)
        })
        .await
    }

    /// Stores a policy under its number.
    pub async fn put_webhook_policy(&self, policy: &WebhookPolicy) -> Result<(), StoreError> {
        self.put(&policy.space, POLICY, &policy_id(policy.number), policy).await
    }

    /// Deletes a policy.
    pub async fn delete_webhook_policy(&self, space: &SpaceId, number: u64) -> Result<bool, StoreError> {
        self.delete(space, POLICY, &policy_id(number)).await
    }

    /// A policy.
    pub fn webhook_policy(&self, space: &SpaceId, number: u64) -> Result<Option<WebhookPolicy>, StoreError> {
        self.get(space, POLICY, &policy_id(number))
    }

    /// The policies of a space, the lowest number first.
    pub fn webhook_policies(&self, space: &SpaceId) -> Result<Vec<WebhookPolicy>, StoreError> {
        self.list(space, POLICY)
    }

    /// The policies of all spaces.
    pub fn all_webhook_policies(&self) -> Result<Vec<WebhookPolicy>, StoreError> {
        Ok(self.all(POLICY)?.into_iter().map(|(_, policy)| policy).collect())
    }

    /// Stores what is known of an event type of a space's own.
    pub async fn put_event_type(&self, space: &SpaceId, name: &str, about: &Value) -> Result<(), StoreError> {
        self.put(space, EVENT_TYPE, name, about).await
    }

    /// Deletes an event type.
    pub async fn delete_event_type(&self, space: &SpaceId, name: &str) -> Result<bool, StoreError> {
        self.delete(space, EVENT_TYPE, name).await
    }

    /// What is known of an event type.
    pub fn event_type(&self, space: &SpaceId, name: &str) -> Result<Option<Value>, StoreError> {
        self.get(space, EVENT_TYPE, name)
    }

    /// The event types of a space's own, by name.
    pub fn event_types(&self, space: &SpaceId) -> Result<Vec<(String, Value)>, StoreError> {
        self.list_by_id(space, EVENT_TYPE)
    }
}
