//! Inbound endpoints with their own URLs, each of which is served by a source plugin or by tools of the space.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_foundation::error::{PipelineError, together};
use hookwright_foundation::keys::token_digest;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::gate::Gates;
use hookwright_intake::polling::{HINT, Polls, PollsInFlight, note};
use hookwright_intake::timetable::Timetable;
use hookwright_invoke::loading::Loading;
use hookwright_model::{
    ACCESS_WORDS, Creates, FormerUrl, INCOMING, KeyId, Kind, Mistake, Mistakes, PollStatus, PollTimes, Polling, Rate,
    Source, SourceId, SpaceId, check_display_name, nullable,
};
use hookwright_store::{ConfigChange, Store, Swap, Vault};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::key_ring::KeyRing;
use crate::lifecycle::{Lifecycle, Resource};
use crate::pending_changes::PendingChanges;
use crate::references::References;

/// How long a former URL may work beside the new one, in seconds.
const MAX_OVERLAP_SECONDS: u64 = 7 * 86_400;

/// The input to create or change a source; omitted fields keep their values, null restores the default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceInput {
    /// See [`Source::name`].
    #[serde(default, deserialize_with = "nullable::required")]
    pub name: Option<String>,
    /// See [`Source::kind`].
    #[serde(default, deserialize_with = "nullable::required")]
    pub kind: Option<String>,
    /// See [`Source::access`].
    #[serde(default, deserialize_with = "nullable::given")]
    pub access: Option<Option<Vec<String>>>,
    /// See [`Source::active`].
    #[serde(default, deserialize_with = "nullable::given")]
    pub active: Option<Option<bool>>,
    /// See [`Source::with`].
    #[serde(default, deserialize_with = "nullable::given")]
    pub with: Option<Option<Map<String, Value>>>,
    /// The provider's signing secret. One is generated if it is absent.
    pub secret: Option<String>,
    /// See [`Source::owner`]: the id of a key of the space.
    #[serde(default, deserialize_with = "nullable::given")]
    pub owner: Option<Option<String>>,
    /// See [`Source::rate`].
    #[serde(default, deserialize_with = "nullable::given")]
    pub rate: Option<Option<Rate>>,
    /// When the server polls it.
    #[serde(default, deserialize_with = "nullable::given")]
    pub poll: Option<Option<PollTimes>>,
}

impl Creates for SourceInput {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        let fields = [
            ("name", "is missing: give the source a name"),
            ("kind", "is missing: the source plugin, such as `github`, or `incoming` for an incoming webhook"),
        ];
        Mistakes::of_missing(&fields, has)
    }
}

/// A source that was just created, with what is shown only once.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// The source.
    pub source: Source,
    /// The last part of its URL.
    pub token: String,
    /// The signing secret, if Hookwright generated it.
    pub secret: Option<String>,
}

/// The input of a rotation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRotation {
    /// For how many seconds the former URL still works. Default 0: it stops working at once.
    pub overlap_seconds: Option<u64>,
}

/// A source, with its polling schedule.
#[derive(Clone, Debug)]
pub(crate) struct SourceThing {
    pub(crate) source: Source,
    pub(crate) polling: Option<Polling>,
    /// When it is to be polled: `polling` follows once that is validated.
    times: Option<PollTimes>,
}

impl SourceThing {
    /// A source as it is stored.
    pub(crate) fn stored(source: Source, polling: Option<Polling>) -> Self {
        let times = polling.as_ref().map(|polling| polling.times.clone());
        Self { source, polling, times }
    }
}

/// Creates, changes and deletes sources.
pub struct Sources {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) key_ring: Arc<KeyRing>,
    pub(crate) polls: Arc<PollsInFlight>,
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) polling: Arc<Polls>,
    pub(crate) references: Arc<References>,
}

impl Sources {
    /// Creates a source with a URL of its own, which belongs to `owner` unless the input names another owner.
    pub async fn create_source(
        &self,
        space: &SpaceId,
        owner: &KeyId,
        input: SourceInput,
    ) -> Result<NewSource, PipelineError> {
        if let Some(kind) = &input.kind {
            self.loading.loaded(space, &[kind.as_str()].into()).await;
        }
        let (thing, token, secret) = self.new_source(space, owner, input)?;
        let saved = self
            .lifecycle
            .put(self, space, "", || {
                self.check_owner(space, thing.source.owner.as_ref().map(KeyId::as_str))?;
                Ok((None, thing.clone()))
            })
            .await?;
        Ok(NewSource { source: saved.thing.source, token, secret })
    }

    /// A new source, the last part of its URL, and its secret if that is generated. Omitted fields take their defaults.
    pub(crate) fn new_source(
        &self,
        space: &SpaceId,
        owner: &KeyId,
        input: SourceInput,
    ) -> Result<(SourceThing, String, Option<String>), PipelineError> {
        let has = |field: &str| if field == "name" { input.name.is_some() } else { input.kind.is_some() };
        SourceInput::missing(&has).check()?;
        let (name, kind) = (input.name.unwrap_or_default(), input.kind.unwrap_or_default());
        let (token, sealed) = self.new_token()?;
        let mut made = None;
        let secret = match input.secret {
            Some(given) => Some(check_secret(given)?),
            None if kind == INCOMING => None,
            None => Some(made.insert(hex::encode(rand::random::<[u8; 32]>())).clone()),
        };
        let source = Source {
            id: SourceId::new(),
            space: space.clone(),
            name,
            kind,
            access: input.access.flatten().unwrap_or_default(),
            active: input.active.flatten().unwrap_or(true),
            with: input.with.flatten().unwrap_or_default(),
            token_digest: token_digest(&token),
            token: sealed,
            former: None,
            secret: secret.map(|secret| self.vault.seal(secret.as_bytes())).transpose()?,
            owner: Some(input.owner.flatten().as_deref().map_or_else(|| owner.clone(), KeyId::from)),
            rate: input.rate.flatten(),
            created_at: self.clock.now(),
            rotated_at: None,
        };
        Ok((SourceThing { source, polling: None, times: input.poll.flatten() }, token, made))
    }

    /// Changes the fields that `input` gives. The URL stays the same.
    pub async fn change_source(&self, space: &SpaceId, id: &str, input: SourceInput) -> Result<Source, PipelineError> {
        let next = || {
            self.check_owner(space, input.owner.as_ref().and_then(Option::as_deref))?;
            let (was, input) = (self.stored_source(space, id)?, input.clone());
            let old = &was.source;
            if input.owner == Some(None) {
                return Err(PipelineError::from(Mistake::new("owner", nullable::NOT_NULL)));
            }
            if let Some(kind) = input.kind.as_deref().filter(|kind| (*kind == INCOMING) != (old.kind == INCOMING)) {
                let message =
                    format!("is `{}` and cannot be changed to `{}`: create another source", old.kind, begin(kind));
                return Err(Mistake::new("kind", message).into());
            }
            let secret = match input.secret {
                Some(given) => Some(self.vault.seal(check_secret(given)?.as_bytes())?),
                None => old.secret.clone(),
            };
            let source = Source {
                name: input.name.unwrap_or_else(|| old.name.clone()),
                kind: input.kind.unwrap_or_else(|| old.kind.clone()),
                access: input.access.map_or_else(|| old.access.clone(), Option::unwrap_or_default),
                active: input.active.map_or(old.active, |active| active.unwrap_or(true)),
                with: input.with.map_or_else(|| old.with.clone(), Option::unwrap_or_default),
                secret,
                owner: input.owner.flatten().as_deref().map(KeyId::from).or_else(|| old.owner.clone()),
                rate: input.rate.unwrap_or(old.rate),
                ..old.clone()
            };
            let times = input.poll.unwrap_or_else(|| was.times.clone());
            Ok((Some(was), SourceThing { source, polling: None, times }))
        };
        Ok(self.lifecycle.put(self, space, "", next).await?.thing.source)
    }

    /// Gives a source a new URL. The former one stops working at once, or after the overlap that the input gives.
    pub async fn rotate_source(
        &self,
        space: &SpaceId,
        id: &str,
        input: SourceRotation,
    ) -> Result<NewSource, PipelineError> {
        let overlap = input.overlap_seconds.unwrap_or(0);
        if overlap > MAX_OVERLAP_SECONDS {
            let message = format!("{overlap}: at most {MAX_OVERLAP_SECONDS}, which is 7 days");
            return Err(Mistake::new("overlap_seconds", message).into());
        }
        let _changing = self.lifecycle.changing.lock(space).await;
        let was = self.stored_source(space, id)?;
        let (token, sealed) = self.new_token()?;
        let now = self.clock.now();
        let until = now.after(Duration::from_secs(overlap));
        let former = FormerUrl { token_digest: was.source.token_digest.clone(), until };
        let source = Source {
            token_digest: token_digest(&token),
            token: sealed,
            former: Some(former).filter(|_| overlap > 0),
            rotated_at: Some(now),
            ..was.source.clone()
        };
        let thing = SourceThing { source, ..was.clone() };
        let source = self.lifecycle.save(self, space, Some(was), thing).await?.source;
        Ok(NewSource { source, token, secret: None })
    }

    /// Transfers the sources that one key owns to the key that replaces it. The caller holds `changing`.
    pub(crate) async fn hand_over_sources(
        &self,
        space: &SpaceId,
        from: &KeyId,
        to: &KeyId,
    ) -> Result<(), PipelineError> {
        for source in self.store.sources.sources(space)? {
            if source.owner.as_ref() == Some(from) {
                // Its polling schedule stays the same.
                let was = SourceThing::stored(source, None);
                let source = Source { owner: Some(to.clone()), ..was.source.clone() };
                self.lifecycle.save(self, space, Some(was), SourceThing::stored(source, None)).await?;
            }
        }
        Ok(())
    }

    /// Refuses an owner that is not a key of the space.
    fn check_owner(&self, space: &SpaceId, owner: Option<&str>) -> Result<(), Mistake> {
        match owner {
            Some(owner) if self.key_ring.key_of_id(space, owner).is_none() => {
                let owner = begin(owner);
                let message =
                    format!("there is no key `{owner}` in this space: give the id of one, as `GET /v1/keys` has it");
                Err(Mistake::new("owner", message))
            }
            _ => Ok(()),
        }
    }

    /// The last part of a URL, which cannot be guessed, and the same sealed.
    fn new_token(&self) -> Result<(String, String), PipelineError> {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let sealed = self.vault.seal(token.as_bytes())?;
        Ok((token, sealed))
    }

    /// A source with its polling schedule, or an error if it does not exist.
    fn stored_source(&self, space: &SpaceId, id: &str) -> Result<SourceThing, PipelineError> {
        let source = self.source(space, id)?;
        let polling = self.polling.polling(&source)?;
        Ok(SourceThing::stored(source, polling))
    }

    /// The sources of a space.
    pub fn sources(&self, space: &SpaceId) -> Result<Vec<Source>, PipelineError> {
        Ok(self.store.sources.sources(space)?)
    }

    /// The source, or an error if it does not exist.
    pub fn source(&self, space: &SpaceId, id: &str) -> Result<Source, PipelineError> {
        self.store.sources.source(space, id)?.ok_or_else(|| PipelineError::not_found("source", id))
    }

    /// The last part of a source's URL.
    pub fn source_token(&self, source: &Source) -> Result<String, PipelineError> {
        let token = self.vault.open_sealed(&source.token)?;
        String::from_utf8(token).map_err(|_| PipelineError::Vault("the source's URL cannot be read".to_owned()))
    }

    /// Deletes a source: its URL stops working.
    pub async fn delete_source(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        self.lifecycle.delete(self, space, || self.stored_source(space, id)).await
    }

    fn check_kind(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        kind: &str,
        with: &Map<String, Value>,
    ) -> Vec<Mistake> {
        if self.references.is_unread(space, pending, kind) {
            return Vec::new();
        }
        let plugin = self.references.plugin_ahead(space, pending, kind);
        let Some(plugin) = plugin.filter(|plugin| plugin.kinds().contains(&Kind::Source)) else {
            let (shown, known) = (begin(kind), self.references.names_ahead(space, pending, Kind::Source).join(", "));
            let message =
                format!("there is no source `{shown}`; available: {known}, and `{INCOMING}` for incoming webhooks");
            return vec![Mistake::new("kind", message)];
        };
        let inside = |path: &str| match path {
            "" => "with".to_owned(),
            path if path.starts_with('[') => format!("with{path}"),
            path => format!("with.{path}"),
        };
        let mistakes = plugin.check_parameters(&Value::Object(with.clone())).into_iter();
        mistakes.map(|mistake| Mistake::new(inside(&mistake.path), mistake.message)).collect()
    }
}

impl Resource for Sources {
    type Thing = SourceThing;
    const CHANGED: &'static str = "source.changed";

    fn successor(&self, old: Option<&SourceThing>, new: SourceThing, _by: &str) -> Result<SourceThing, PipelineError> {
        let Some(old) = old else { return Ok(new) };
        let Source { name, kind, access, active, with, secret, owner, rate, .. } = new.source;
        let source = Source { name, kind, access, active, with, secret, owner, rate, ..old.source.clone() };
        Ok(SourceThing { source, polling: old.polling.clone(), times: new.times })
    }

    fn plugins(thing: &SourceThing) -> BTreeSet<&str> {
        [thing.source.kind.as_str()].into()
    }

    /// Normalizes the words of its access, and sets when it is polled.
    fn check(&self, space: &SpaceId, pending: &PendingChanges, thing: &mut SourceThing) -> Result<(), PipelineError> {
        let SourceThing { source, polling, times } = thing;
        let mut mistakes = Mistakes::default();
        check_display_name("name", &source.name, &mut mistakes);
        if let Some(rate) = source.rate {
            rate.check(&mut mistakes);
        }
        if source.kind == INCOMING {
            check_incoming(source, &mut mistakes);
        } else {
            mistakes.0.extend(self.check_kind(space, pending, &source.kind, &source.with));
        }
        // Only a known kind says whether a source can be polled.
        let known = times.as_ref().filter(|_| mistakes.0.iter().all(|mistake| mistake.path != "kind"));
        let wrong_times = known.map_or(Ok(()), |times| self.check_polling(space, pending, &source.kind, times));
        together([mistakes.check().map_err(PipelineError::Invalid), wrong_times])?;
        *polling = self.polling_with(source, polling.as_ref(), times.clone())?;
        Ok(())
    }

    fn changes(swap: Swap<SourceThing>) -> Vec<ConfigChange> {
        let parts =
            |thing: Option<SourceThing>| thing.map_or((None, None), |thing| (Some(thing.source), thing.polling));
        let ((was, polled_was), (is, polled_is)) = (parts(swap.was), parts(swap.is));
        let mut changes = vec![ConfigChange::Source(Swap { was, is })];
        if polled_was != polled_is {
            changes.push(ConfigChange::Polling(Swap { was: polled_was, is: polled_is }));
        }
        changes
    }

    fn follow(&self, _space: &SpaceId, change: &ConfigChange) {
        if let ConfigChange::Source(Swap { was: Some(was), is: None }) = change {
            self.gates.forget(&was.id);
        }
    }
}

/// Validates the fields of an incoming webhook.
fn check_incoming(source: &mut Source, mistakes: &mut Mistakes) {
    for word in &mut source.access {
        *word = word.trim().to_ascii_lowercase();
    }
    let known = ACCESS_WORDS.join(", ");
    if source.access.is_empty() {
        mistakes.add("access", format!("is empty: name the tools that it may reach, of {known}"));
    }
    for (place, word) in source.access.iter().enumerate().take(20) {
        if !ACCESS_WORDS.contains(&word.as_str()) {
            mistakes.add(format!("access[{place}]"), format!("`{}` is not a tool; available: {known}", begin(word)));
        }
    }
    source.access.sort_unstable();
    source.access.dedup();
    for (name, value) in &source.with {
        let is_user = name == "user" && value.as_u64().is_some_and(|user| user > 0);
        match name.as_str() {
            _ if is_user => {}
            "user" => {
                mistakes.add("with.user", "give the id of the user that records are made by: a whole number from 1")
            }
            _ => mistakes
                .add(format!("with.{}", begin(name)), "is not a parameter of an incoming webhook: only `user` is"),
        }
    }
    if source.secret.is_some() {
        mistakes.add("secret", "an incoming webhook has none: its URL is the secret. Leave it out");
    }
}

/// The beginning of a string, for a message.
fn begin(text: &str) -> String {
    hookwright_model::abridged(text)
}

fn check_secret(secret: String) -> Result<String, Mistake> {
    if secret.is_empty() || secret.len() > 1024 {
        return Err(Mistake::new("secret", format!("has {} bytes: give it 1 to 1024", secret.len())));
    }
    Ok(secret)
}

impl Sources {
    /// Polls a source now. Its events are durable when this returns, together with how far it has read.
    ///
    /// # Errors
    /// The source cannot be polled, or a poll is in progress, or the plugin or the service reported an error.
    pub async fn poll(&self, space: &SpaceId, id: &str) -> Result<Vec<String>, PipelineError> {
        let source = self.source(space, id)?;
        self.loading.loaded(space, &[source.kind.as_str()].into()).await;
        self.check_pollable(space, &PendingChanges::default(), &source.kind, "kind")?;
        if !source.active {
            return Err(PipelineError::Conflict {
                code: "source.inactive",
                message: format!("the source `{}` is not active: set {{\"active\": true}}", source.name),
            });
        }
        let under_way = self.polls.begin(&source).ok_or_else(|| PipelineError::Conflict {
            code: "poll.under_way",
            message: format!(
                "a poll of the source `{}` is already in progress: wait for its result in `status`",
                source.name
            ),
        })?;
        let polling = self.polling.polling(&source)?;
        let began = self.clock.now();
        let result = self.polling.ask(&source).await;
        if let Some(mut polling) = polling {
            note(&mut polling.status, began, &result);
            self.store.pollings.polled(space, polling, None).await?;
        }
        drop(under_way);
        result
    }

    /// Validates times before anything is saved.
    fn check_polling(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        kind: &str,
        times: &PollTimes,
    ) -> Result<(), PipelineError> {
        let mut mistakes = times.check();
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, self.clock.now());
        match table {
            Ok(table) if mistakes.0.is_empty() && table.next(self.clock.now()).is_none() => {
                mistakes.add("cron", "never occurs again: give another pattern");
            }
            Ok(_) => {}
            Err(wrong) => mistakes.0.extend(wrong.0),
        }
        let inside = |mistake: Mistake| Mistake::new(format!("poll.{}", mistake.path), mistake.message);
        Mistakes(mistakes.0.into_iter().map(inside).collect()).check()?;
        self.check_pollable(space, pending, kind, "poll")
    }

    fn check_pollable(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        kind: &str,
        path: &str,
    ) -> Result<(), PipelineError> {
        if self.references.is_unread(space, pending, kind) {
            return Ok(());
        }
        let plugin = self.references.plugin_ahead(space, pending, kind);
        let hints = plugin.map(|plugin| plugin.manifest().hints.clone()).unwrap_or_default();
        if hints.iter().any(|(name, value)| (name.as_str(), value.as_str()) == HINT) {
            return Ok(());
        }
        let message = format!("`{kind}` accepts requests and cannot be polled: use a source such as `poll`");
        Err(Mistake::new(path, message).into())
    }

    /// The times of a source after a change. They start again if they, or whether the source is active, change: the old
    /// ones if nothing changes, and without a number if they are its first.
    fn polling_with(
        &self,
        source: &Source,
        old: Option<&Polling>,
        times: Option<PollTimes>,
    ) -> Result<Option<Polling>, PipelineError> {
        let Some(times) = times else { return Ok(None) };
        if let Some(old) = old.filter(|old| old.times == times && old.status.next_at.is_some() == source.active) {
            return Ok(Some(old.clone()));
        }
        let now = self.clock.now();
        let table = Timetable::new(times.cron.as_deref(), times.every_seconds, &times.timezone, now)?;
        let next_at = if source.active { table.next(now) } else { None };
        Ok(Some(Polling {
            number: old.map_or(0, |old| old.number),
            source: source.id.clone(),
            times,
            revision: old.map_or(0, |old| old.revision).saturating_add(1),
            since: now,
            status: PollStatus { next_at, ..old.map(|old| old.status.clone()).unwrap_or_default() },
        }))
    }
}
