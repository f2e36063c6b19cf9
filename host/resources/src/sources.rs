//! Inbound endpoints with their own URLs, each of which is served by a source plugin or by tools of the space.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_foundation::conflicts::{TryOutcome, retry_on_conflict};
use hookwright_foundation::error::{PipelineError, together};
use hookwright_foundation::keyed_locks::KeyedLocks;
use hookwright_foundation::keys::token_digest;
use hookwright_foundation::turns::Turns;
use hookwright_foundation::watched_clock::WatchedClock;
use hookwright_intake::gate::Gates;
use hookwright_intake::polling::{HINT, Polls, PollsInFlight, note};
use hookwright_intake::timetable::Timetable;
use hookwright_invoke::loading::Loading;
use hookwright_model::{
    ACCESS_WORDS, Creates, FormerUrl, INCOMING, KeyId, Kind, Mistake, Mistakes, PollStatus, PollTimes, Polling, Rate,
    Source, SourceId, SpaceId, StateView as _, check_display_name, nullable,
};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::{ConfigChange, Configured, Store, Swap, Vault};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// See [`Source::owner`]: the id of a key of the space, which the caller must check.
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

/// Creates, changes and deletes sources.
pub struct Sources {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) changing: Arc<KeyedLocks<SpaceId>>,
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) gates: Arc<Gates>,
    pub(crate) polls: Arc<PollsInFlight>,
    pub(crate) store: Store,
    pub(crate) turns: Arc<Turns>,
    pub(crate) vault: Arc<Vault>,
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
        let _changing = self.changing.lock(space).await;
        let times = input.poll.clone().flatten();
        let made = self.new_source(space, owner, &PendingChanges::default(), input)?;
        self.swap_source(space, Swap { was: None, is: Some(made.source.clone()) }, times).await?;
        Ok(made)
    }

    /// A new, valid source. Omitted fields take their defaults.
    pub(crate) fn new_source(
        &self,
        space: &SpaceId,
        owner: &KeyId,
        pending: &PendingChanges,
        input: SourceInput,
    ) -> Result<NewSource, PipelineError> {
        let has = |field: &str| if field == "name" { input.name.is_some() } else { input.kind.is_some() };
        SourceInput::missing(&has).check()?;
        let (name, kind) = (input.name.unwrap_or_default(), input.kind.unwrap_or_default());
        let is_incoming = kind == INCOMING;
        let (token, sealed) = self.new_token()?;
        let mut source = Source {
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
            secret: None,
            owner: Some(input.owner.flatten().as_deref().map_or_else(|| owner.clone(), KeyId::from)),
            rate: input.rate.flatten(),
            created_at: self.clock.now(),
            rotated_at: None,
        };
        self.check_source(&mut source, pending, input.secret.is_some(), input.poll.flatten().as_ref())?;
        let mut made = None;
        if !is_incoming {
            let secret = match input.secret {
                Some(given) => check_secret(given)?,
                None => made.insert(hex::encode(rand::random::<[u8; 32]>())).clone(),
            };
            source.secret = Some(self.vault.seal(secret.as_bytes())?);
        }
        Ok(NewSource { source, token, secret: made })
    }

    /// Changes the fields that `input` gives. The URL stays the same.
    pub async fn change_source(&self, space: &SpaceId, id: &str, input: SourceInput) -> Result<Source, PipelineError> {
        let _changing = self.changing.lock(space).await;
        let old = self.source(space, id)?;
        if input.owner == Some(None) {
            return Err(Mistake::new("owner", nullable::NOT_NULL).into());
        }
        if let Some(kind) = input.kind.as_deref().filter(|kind| (*kind == INCOMING) != (old.kind == INCOMING)) {
            let message =
                format!("is `{}` and cannot be changed to `{}`: create another source", old.kind, begin(kind));
            return Err(Mistake::new("kind", message).into());
        }
        let times = match input.poll {
            Some(times) => times,
            None => self.polling.polling(&old)?.map(|polling| polling.times),
        };
        let mut source = Source {
            name: input.name.unwrap_or_else(|| old.name.clone()),
            kind: input.kind.unwrap_or_else(|| old.kind.clone()),
            access: input.access.map_or_else(|| old.access.clone(), Option::unwrap_or_default),
            active: input.active.map_or(old.active, |active| active.unwrap_or(true)),
            with: input.with.map_or_else(|| old.with.clone(), Option::unwrap_or_default),
            owner: input.owner.flatten().as_deref().map(KeyId::from).or_else(|| old.owner.clone()),
            rate: input.rate.unwrap_or(old.rate),
            ..old.clone()
        };
        self.loading.loaded(space, &[source.kind.as_str()].into()).await;
        self.check_source(&mut source, &PendingChanges::default(), input.secret.is_some(), times.as_ref())?;
        if let Some(given) = input.secret {
            source.secret = Some(self.vault.seal(check_secret(given)?.as_bytes())?);
        }
        self.swap_source(space, Swap { was: Some(old), is: Some(source.clone()) }, times).await?;
        Ok(source)
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
        let _changing = self.changing.lock(space).await;
        let old = self.source(space, id)?;
        let (token, sealed) = self.new_token()?;
        let now = self.clock.now();
        let until = now.after(Duration::from_secs(overlap));
        let former = FormerUrl { token_digest: old.token_digest.clone(), until };
        let source = Source {
            token_digest: token_digest(&token),
            token: sealed,
            former: Some(former).filter(|_| overlap > 0),
            rotated_at: Some(now),
            ..old
        };
        self.store.sources.put_source(&source).await?;
        self.catalogue.put_source(source.clone());
        Ok(NewSource { source, token, secret: None })
    }

    /// Transfers the sources that one key owns to the key that replaces it.
    pub async fn hand_over_sources(&self, space: &SpaceId, from: &KeyId, to: &KeyId) -> Result<(), PipelineError> {
        let _changing = self.changing.lock(space).await;
        for mut source in self.store.sources.sources(space)? {
            if source.owner.as_ref() == Some(from) {
                source.owner = Some(to.clone());
                self.store.sources.put_source(&source).await?;
                self.catalogue.put_source(source);
            }
        }
        Ok(())
    }

    /// The last part of a URL, which cannot be guessed, and the same sealed.
    fn new_token(&self) -> Result<(String, String), PipelineError> {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let sealed = self.vault.seal(token.as_bytes())?;
        Ok((token, sealed))
    }

    /// Validates a source; normalizes the words of its access.
    fn check_source(
        &self,
        source: &mut Source,
        pending: &PendingChanges,
        has_secret: bool,
        times: Option<&PollTimes>,
    ) -> Result<(), PipelineError> {
        let mut mistakes = Mistakes::default();
        check_display_name("name", &source.name, &mut mistakes);
        if let Some(rate) = source.rate {
            rate.check(&mut mistakes);
        }
        if source.kind == INCOMING {
            check_incoming(source, has_secret, &mut mistakes);
        } else {
            mistakes.0.extend(self.check_kind(&source.space, pending, &source.kind, &source.with));
        }
        // Only a known kind says whether a source can be polled.
        let times = times.filter(|_| mistakes.0.iter().all(|mistake| mistake.path != "kind"));
        let polling = times.map_or(Ok(()), |times| self.check_polling(&source.space, pending, &source.kind, times));
        together([mistakes.check().map_err(PipelineError::Invalid), polling])
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
        let _changing = self.changing.lock(space).await;
        let source = self.source(space, id)?;
        self.swap_source(space, Swap { was: Some(source), is: None }, None).await
    }

    /// Makes a change of a source durable together with its times. The caller holds `changing`.
    async fn swap_source(
        &self,
        space: &SpaceId,
        source: Swap<Source>,
        times: Option<PollTimes>,
    ) -> Result<(), PipelineError> {
        // Polls record their status concurrently, so the times may have changed by the time of the commit.
        let swapped = retry_on_conflict(&self.turns, space, || async {
            let was = source.was.as_ref().map(|was| self.polling.polling(was)).transpose()?.flatten();
            let is = source.is.as_ref().map(|is| self.polling_with(is, was.as_ref(), times.clone())).transpose()?;
            let mut polling = Swap { was, is: is.flatten() };
            if let Swap { was: None, is: Some(is) } = &mut polling {
                is.number = self.store.next_id(space, "polling")?;
            }
            let mut changes = vec![ConfigChange::Source(source.clone())];
            if polling.was != polling.is {
                changes.push(ConfigChange::Polling(polling));
            }
            match self.store.configuration.configure(space, changes).await? {
                Configured::Done(changes) => Ok(TryOutcome::Done(changes)),
                Configured::Conflict | Configured::Refused(..) => Ok(TryOutcome::Superseded),
            }
        });
        let changes = swapped.await?.ok_or_else(|| PipelineError::Conflict {
            code: "source.changed",
            message: "the source was changed concurrently: read it again and repeat the change".to_owned(),
        })?;
        self.follow(space, &changes);
        Ok(())
    }

    /// Applies committed changes to the webhooks, automations and sources in memory.
    pub(crate) fn follow(&self, space: &SpaceId, changes: &[ConfigChange]) {
        self.catalogue.follow(space, changes);
        for change in changes {
            if let ConfigChange::Source(Swap { was: Some(was), is: None }) = change {
                self.gates.forget(&was.id);
            }
        }
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

/// Validates the fields of an incoming webhook.
fn check_incoming(source: &mut Source, has_secret: bool, mistakes: &mut Mistakes) {
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
    if has_secret {
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
    pub(crate) fn check_polling(
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
    pub(crate) fn polling_with(
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
