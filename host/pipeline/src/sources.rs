//! Ways in with a URL of their own, behind each of which stands a source plugin.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hookwright_model::{Cause, EventDraft, Failure, Kind, Mistake, Source, SourceId, SpaceId, Workbench};
use hookwright_plugin::{Reception, Secrets, SourceDraft, SourceRequest};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::outlook::Outlook;
use crate::{Pipeline, PipelineError};

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

/// A request that came to a source's URL.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// What followed the token, with its slash.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Who sent it.
    pub remote: IpAddr,
}

/// What a source's request came to.
#[derive(Clone, Debug)]
pub enum Received {
    /// The events are durable; this is the answer. Status 0: answer as the event API does.
    Accepted {
        /// Ids of the events, new and repeated.
        ids: Vec<String>,
        /// The status.
        status: u16,
        /// Header fields.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// It was not taken.
    Refused {
        /// 400 to 499.
        status: u16,
        /// Stable.
        code: String,
        /// For people.
        message: String,
    },
}

/// The name by which plugins use a source's signing secret.
const SIGNING_SECRET: &str = "signing-secret";
/// How often a source is asked again because somebody else changed what it had read.
const MAX_CONFLICTS: u32 = 100;

impl Pipeline {
    /// Makes a source with a URL of its own.
    pub async fn create_source(&self, space: &SpaceId, input: SourceInput) -> Result<NewSource, PipelineError> {
        let _changing = self.changing.lock().await;
        if let Some(kind) = &input.kind {
            self.loaded(space, &[kind.as_str()].into()).await;
        }
        let made = self.new_source(space, &Outlook::default(), input)?;
        self.store.put_source(&made.source).await?;
        self.catalogue.put_source(made.source.clone());
        Ok(made)
    }

    /// A new source, checked: what `input` does not give is as it is unless said otherwise.
    pub(crate) fn new_source(
        &self,
        space: &SpaceId,
        outlook: &Outlook,
        input: SourceInput,
    ) -> Result<NewSource, PipelineError> {
        let name = input.name.ok_or_else(|| Mistake::new("name", "is missing"))?;
        let kind = input.kind.ok_or_else(|| Mistake::new("kind", "is missing: the source plugin, such as `github`"))?;
        let with = input.with.unwrap_or_default();
        check_name(&name)?;
        self.check_kind(space, outlook, &kind, &with)?;
        let (secret, made) = match input.secret {
            Some(given) => (check_secret(given)?, None),
            None => {
                let secret = hex::encode(rand::random::<[u8; 32]>());
                (secret.clone(), Some(secret))
            }
        };
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>());
        let source = Source {
            id: SourceId::new(),
            space: space.clone(),
            name,
            kind,
            access: input.access.unwrap_or_default(),
            active: input.active.unwrap_or(true),
            with,
            token_digest: digest(&token),
            token: self.vault.seal(token.as_bytes())?,
            secret: Some(self.vault.seal(secret.as_bytes())?),
            created_at: self.now(),
        };
        Ok(NewSource { source, token, secret: made })
    }

    /// Changes what `input` gives. The URL stays.
    pub async fn change_source(&self, space: &SpaceId, id: &str, input: SourceInput) -> Result<Source, PipelineError> {
        let _changing = self.changing.lock().await;
        let old = self.source(space, id)?;
        let source = Source {
            name: input.name.unwrap_or(old.name),
            kind: input.kind.unwrap_or(old.kind),
            access: input.access.unwrap_or(old.access),
            active: input.active.unwrap_or(old.active),
            with: input.with.unwrap_or(old.with),
            secret: match input.secret {
                Some(given) => Some(self.vault.seal(check_secret(given)?.as_bytes())?),
                None => old.secret,
            },
            ..old
        };
        check_name(&source.name)?;
        self.loaded(space, &[source.kind.as_str()].into()).await;
        self.check_kind(space, &Outlook::default(), &source.kind, &source.with)?;
        self.store.put_source(&source).await?;
        self.catalogue.put_source(source.clone());
        Ok(source)
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
        self.store.delete_source(space, id).await?;
        self.catalogue.remove_source(&source.token_digest);
        Ok(())
    }

    /// Lets the source behind `token` take a request. Its events are durable when this returns.
    pub async fn receive(&self, token: &str, arrival: Arrival) -> Result<Received, PipelineError> {
        let unknown = || PipelineError::not_found("source", "of this URL");
        let source = self.catalogue.source_by_token(&digest(token)).ok_or_else(unknown)?;
        if !source.active {
            return Ok(Received::Refused {
                status: 403,
                code: "source.inactive".to_owned(),
                message: format!("the source `{}` is switched off", source.name),
            });
        }
        let content_type = arrival.headers.iter().find(|(name, _)| name == "content-type").map(|(_, v)| v.clone());
        let request = SourceRequest {
            method: arrival.method,
            path: arrival.path,
            query: arrival.query,
            headers: arrival.headers,
            body: arrival.body.clone(),
            remote_address: arrival.remote.to_string(),
        };
        for conflicts in 0..MAX_CONFLICTS {
            let (reception, workbench) = self.ask_source(&source, request.clone()).await?;
            let intake = match reception {
                Reception::Refused { status, code, message } => {
                    return Ok(Received::Refused { status: status.clamp(400, 499), code, message });
                }
                Reception::Accepted(intake) => intake,
            };
            let drafts = drafts(&source, &arrival.body, content_type.as_deref(), intake.events)?;
            if let Some(accepted) = self.accept_with(&source.space, drafts, workbench).await? {
                return Ok(Received::Accepted {
                    ids: accepted.into_iter().map(|appended| appended.id).collect(),
                    status: intake.answer.status,
                    headers: intake.answer.headers,
                    body: intake.answer.body,
                });
            }
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..100) * u64::from(conflicts))).await;
        }
        Err(PipelineError::Conflict {
            code: "record.contended",
            message: format!("others changed what the source keeps {MAX_CONFLICTS} times meanwhile: send it again"),
        })
    }

    /// Lets the plugin of a source look at a request.
    async fn ask_source(
        &self,
        source: &Source,
        request: SourceRequest,
    ) -> Result<(Reception, Option<Workbench>), PipelineError> {
        let (space, kind) = (&source.space, source.kind.as_str());
        self.loaded(space, &[kind].into()).await;
        let callable = self
            .available(space, kind)
            .map_err(|unavailable| Failure::transient("plugin.unavailable", unavailable.reason))?;
        let mut call = self.call(space, &callable.access);
        call.workbench = Some(self.workbench(space, &source.name, Cause::api()));
        if let Some(sealed) = &source.secret {
            call.secrets = Secrets::from_iter([(SIGNING_SECRET.to_owned(), self.vault.open_sealed(sealed)?)]);
        }
        let parameters = Value::Object(source.with.clone());
        let called = callable.plugin.receive(call, request, &parameters).await;
        self.note_call(callable, space, &source.name, &called);
        Ok((called.result?, called.workbench))
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
            let known = self.names_ahead(space, outlook, Kind::Source);
            let shown: String = kind.chars().take(80).collect();
            let message = format!("there is no source `{shown}`; there are: {}", known.join(", "));
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

/// The events that a source made of a request.
fn drafts(
    source: &Source,
    body: &Bytes,
    content_type: Option<&str>,
    events: Vec<SourceDraft>,
) -> Result<Vec<EventDraft>, PipelineError> {
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        let data = data_in(body, event.data)?;
        drafts.push(EventDraft {
            id: event.id,
            event_type: event.event_type,
            source: source.name.clone(),
            subject: event.subject,
            time: event.time,
            content_type: content_type.map(str::to_owned),
            attributes: event.attributes,
            payload: body.clone(),
            data: Some(data),
            cause: None,
            starts: None,
        });
    }
    Ok(drafts)
}

/// Where the data stands in the body, if it does: then it is stored once.
fn data_in(body: &Bytes, data: String) -> Result<hookwright_model::Data, PipelineError> {
    hookwright_model::json_span(data.as_bytes(), "data")?;
    if body.as_ref() == data.as_bytes() {
        Ok(hookwright_model::Data::Span(0, body.len()))
    } else {
        Ok(hookwright_model::Data::Json(data))
    }
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
