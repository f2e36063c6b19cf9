//! Ways in with a URL of their own, behind each of which stands a source plugin, or tools of the space.

mod gate;
mod intake;
mod log;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_model::{
    ACCESS_WORDS, FormerUrl, INCOMING, KeyId, Kind, Mistake, Mistakes, PollTimes, Rate, Source, SourceId, SpaceId,
    StateView as _,
};
use hookwright_store::{ConfigChange, Configured, Swap};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

pub(crate) use gate::Gates;
pub use intake::{Arrival, Received, SourceRefusal};
pub(crate) use intake::{MAX_CONFLICTS, drafts};
pub(crate) use log::{RequestLog, keep as keep_log};

/// What a caller sends to make or change a source; what is absent keeps its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceInput {
    /// See [`Source::name`].
    pub name: Option<String>,
    /// See [`Source::kind`].
    pub kind: Option<String>,
    /// See [`Source::access`].
    pub access: Option<Vec<String>>,
    /// See [`Source::active`].
    pub active: Option<bool>,
    /// See [`Source::with`].
    pub with: Option<Map<String, Value>>,
    /// The provider's signing secret; one is made if it is absent.
    pub secret: Option<String>,
    /// See [`Source::owner`]: the id of a key of the space, which is the caller's to check.
    pub owner: Option<String>,
    /// See [`Source::rate`]; null: the server's setting.
    #[serde(default, deserialize_with = "given")]
    pub rate: Option<Option<Rate>>,
    /// When the server asks it by itself. A null takes the times away.
    #[serde(default, deserialize_with = "given")]
    pub poll: Option<Option<PollTimes>>,
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A source that was just made, with what is shown only now.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// The source.
    pub source: Source,
    /// The last part of its URL.
    pub token: String,
    /// The signing secret, if Hookwright made it.
    pub secret: Option<String>,
}

/// What a caller says about a rotation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRotation {
    /// For how many seconds the former URL still works; 0, the default: no longer.
    pub overlap_seconds: Option<u64>,
}

/// How long a former URL may work beside the new one, in seconds.
const LONGEST_OVERLAP: u64 = 7 * 86_400;

impl Pipeline {
    /// Makes a source with a URL of its own, which belongs to `owner` unless the input names another.
    pub async fn create_source(
        &self,
        space: &SpaceId,
        owner: &KeyId,
        input: SourceInput,
    ) -> Result<NewSource, PipelineError> {
        let _changing = self.changing.lock().await;
        if let Some(kind) = &input.kind {
            self.loaded(space, &[kind.as_str()].into()).await;
        }
        let times = input.poll.clone().flatten();
        let made = self.new_source(space, owner, &Outlook::default(), input)?;
        self.swap_source(space, Swap { was: None, is: Some(made.source.clone()) }, times).await?;
        Ok(made)
    }

    /// A new source, checked: what `input` does not give is as it is unless said otherwise.
    pub(crate) fn new_source(
        &self,
        space: &SpaceId,
        owner: &KeyId,
        outlook: &Outlook,
        input: SourceInput,
    ) -> Result<NewSource, PipelineError> {
        let name = input.name.ok_or_else(|| Mistake::new("name", "is missing"))?;
        let kind = input.kind.ok_or_else(|| {
            Mistake::new(
                "kind",
                "is missing: the source plugin, such as `github`, or `incoming` for an incoming webhook",
            )
        })?;
        let is_incoming = kind == INCOMING;
        let (token, sealed) = self.new_token()?;
        let mut source = Source {
            id: SourceId::new(),
            space: space.clone(),
            name,
            kind,
            access: input.access.unwrap_or_default(),
            active: input.active.unwrap_or(true),
            with: input.with.unwrap_or_default(),
            token_digest: digest(&token),
            token: sealed,
            former: None,
            secret: None,
            owner: Some(input.owner.as_deref().map_or_else(|| owner.clone(), KeyId::from)),
            rate: input.rate.flatten(),
            created_at: self.now(),
            rotated_at: None,
        };
        self.check_source(&mut source, outlook, input.secret.is_some())?;
        if let Some(times) = input.poll.flatten() {
            self.check_polling(space, outlook, &source.kind, &times)?;
        }
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

    /// Changes what `input` gives. The URL stays.
    pub async fn change_source(&self, space: &SpaceId, id: &str, input: SourceInput) -> Result<Source, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.source(space, id)?;
        if let Some(kind) = input.kind.as_deref().filter(|kind| (*kind == INCOMING) != (old.kind == INCOMING)) {
            let message = format!("is `{}`, which does not become `{}`: make another source", old.kind, begin(kind));
            return Err(Mistake::new("kind", message).into());
        }
        let times = match input.poll {
            Some(times) => times,
            None => self.polling(&old)?.map(|polling| polling.times),
        };
        let mut source = Source {
            name: input.name.unwrap_or_else(|| old.name.clone()),
            kind: input.kind.unwrap_or_else(|| old.kind.clone()),
            access: input.access.unwrap_or_else(|| old.access.clone()),
            active: input.active.unwrap_or(old.active),
            with: input.with.unwrap_or_else(|| old.with.clone()),
            owner: input.owner.as_deref().map(KeyId::from).or_else(|| old.owner.clone()),
            rate: input.rate.unwrap_or(old.rate),
            ..old.clone()
        };
        self.loaded(space, &[source.kind.as_str()].into()).await;
        self.check_source(&mut source, &Outlook::default(), input.secret.is_some())?;
        if let Some(times) = &times {
            self.check_polling(space, &Outlook::default(), &source.kind, times)?;
        }
        if let Some(given) = input.secret {
            source.secret = Some(self.vault.seal(check_secret(given)?.as_bytes())?);
        }
        self.swap_source(space, Swap { was: Some(old), is: Some(source.clone()) }, times).await?;
        Ok(source)
    }

    /// Gives a source a new URL. The former one is dead at once, or after as long as the input says.
    pub async fn rotate_source(
        &self,
        space: &SpaceId,
        id: &str,
        input: SourceRotation,
    ) -> Result<NewSource, PipelineError> {
        let overlap = input.overlap_seconds.unwrap_or(0);
        if overlap > LONGEST_OVERLAP {
            let message = format!("{overlap}: at most {LONGEST_OVERLAP}, which is 7 days");
            return Err(Mistake::new("overlap_seconds", message).into());
        }
        let _changing = self.changing.lock().await;
        let old = self.source(space, id)?;
        let (token, sealed) = self.new_token()?;
        let now = self.now();
        let until = now.after(Duration::from_secs(overlap));
        let former = FormerUrl { token_digest: old.token_digest.clone(), until };
        let source = Source {
            token_digest: digest(&token),
            token: sealed,
            former: Some(former).filter(|_| overlap > 0),
            rotated_at: Some(now),
            ..old
        };
        self.store.put_source(&source).await?;
        self.catalogue.put_source(source.clone());
        Ok(NewSource { source, token, secret: None })
    }

    /// Gives what one key answered for to another, which came in its place.
    pub async fn hand_over_sources(&self, space: &SpaceId, from: &KeyId, to: &KeyId) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
        for mut source in self.store.sources(space)? {
            if source.owner.as_ref() == Some(from) {
                source.owner = Some(to.clone());
                self.store.put_source(&source).await?;
                self.catalogue.put_source(source);
            }
        }
        Ok(())
    }

    /// The last part of a URL that nobody can guess, and the same sealed.
    fn new_token(&self) -> Result<(String, String), PipelineError> {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let sealed = self.vault.seal(token.as_bytes())?;
        Ok((token, sealed))
    }

    /// Refuses a source that makes no sense; the words of its access are brought into one form.
    fn check_source(&self, source: &mut Source, outlook: &Outlook, has_secret: bool) -> Result<(), PipelineError> {
        let mut mistakes = Mistakes::default();
        if let Err(mistake) = check_name(&source.name) {
            mistakes.add(mistake.path, mistake.message);
        }
        if let Some(rate) = source.rate {
            rate.check(&mut mistakes);
        }
        if source.kind == INCOMING {
            check_incoming(source, has_secret, &mut mistakes);
            return Ok(mistakes.check()?);
        }
        mistakes.check()?;
        self.check_kind(&source.space, outlook, &source.kind, &source.with)
    }

    /// The source, or an error that says there is none.
    pub fn source(&self, space: &SpaceId, id: &str) -> Result<Source, PipelineError> {
        self.store.source(space, id)?.ok_or_else(|| PipelineError::not_found("source", id))
    }

    /// The last part of a source's URL.
    pub fn source_token(&self, source: &Source) -> Result<String, PipelineError> {
        let token = self.vault.open_sealed(&source.token)?;
        String::from_utf8(token).map_err(|_| PipelineError::Vault("the source's URL cannot be read".to_owned()))
    }

    /// Deletes a source: its URL is dead from then on.
    pub async fn delete_source(&self, space: &SpaceId, id: &str) -> Result<(), PipelineError> {
        let _changing = self.changing.lock().await;
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
        // How its polls go is written down in between, so the times may be another's by the time of the commit.
        for _ in 0..MAX_CONFLICTS {
            let was = source.was.as_ref().map(|was| self.polling(was)).transpose()?.flatten();
            let is = source.is.as_ref().map(|is| self.polling_with(is, was.as_ref(), times.clone())).transpose()?;
            let mut polling = Swap { was, is: is.flatten() };
            if let Swap { was: None, is: Some(is) } = &mut polling {
                is.number = self.store.next_id(space, "polling")?;
            }
            let mut changes = vec![ConfigChange::Source(source.clone())];
            if polling.was != polling.is {
                changes.push(ConfigChange::Polling(polling));
            }
            if let Configured::Done(changes) = self.store.configure(space, changes).await? {
                self.follow(space, &changes);
                return Ok(());
            }
        }
        Err(PipelineError::Conflict {
            code: "source.changed",
            message: "the source was changed meanwhile: read it again and repeat the change".to_owned(),
        })
    }

    /// Has what is in memory of webhooks, automations and sources follow what was committed.
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
        outlook: &Outlook,
        kind: &str,
        with: &Map<String, Value>,
    ) -> Result<(), PipelineError> {
        let plugin = self.plugin_ahead(space, outlook, kind);
        let Some(plugin) = plugin.filter(|plugin| plugin.kinds().contains(&Kind::Source)) else {
            let (shown, known) = (begin(kind), self.names_ahead(space, outlook, Kind::Source).join(", "));
            let message =
                format!("there is no source `{shown}`; there are: {known}, and `{INCOMING}` for incoming webhooks");
            return Err(Mistake::new("kind", message).into());
        };
        let mistakes = plugin.check_parameters(&Value::Object(with.clone()));
        match mistakes.into_iter().next() {
            None => Ok(()),
            Some(mistake) if mistake.path.is_empty() => Err(Mistake::new("with", mistake.message).into()),
            Some(mistake) => Err(Mistake::new(format!("with.{}", mistake.path), mistake.message).into()),
        }
    }
}

/// What an incoming webhook has beside its name.
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
            mistakes.add(format!("access[{place}]"), format!("`{}` is no tool; there are: {known}", begin(word)));
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
            _ => {
                mistakes.add(format!("with.{}", begin(name)), "is no parameter of an incoming webhook: there is `user`")
            }
        }
    }
    if has_secret {
        mistakes.add("secret", "an incoming webhook has none: its URL is the secret. Leave it out");
    }
}

/// The beginning of a text, for a message.
fn begin(text: &str) -> String {
    text.chars().take(80).collect()
}

fn check_name(name: &str) -> Result<(), Mistake> {
    if name.trim().is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err(Mistake::new("name", "give it 1 to 256 characters, none of them a control character"));
    }
    Ok(())
}

fn check_secret(secret: String) -> Result<String, Mistake> {
    if secret.is_empty() || secret.len() > 1024 {
        return Err(Mistake::new("secret", format!("has {} bytes: give it 1 to 1024", secret.len())));
    }
    Ok(secret)
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
