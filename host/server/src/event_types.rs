//! The event catalogue: the types of events, and their names in the reference systems.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_model::{Creates, EventTypeInput, Mistake, Mistakes, Vocabulary};
use hookwright_pipeline::{EventTypeChange, KnownType};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Shared;
use crate::auth::Caller;
use crate::body::{Json, NewJson};
use crate::page::{Listed, Named, Paging, Window};
use crate::problem::Problem;
use crate::query::{self, Query};

/// Filters types.
#[derive(Deserialize)]
pub(crate) struct EventTypeFilter {
    vocabulary: Option<String>,
    search: Option<String>,
    builtin: Option<bool>,
}

impl EventTypeFilter {
    fn keeps(&self, known: &KnownType) -> bool {
        let about = &known.event_type;
        let says = |text: &String| {
            let text = text.to_lowercase();
            let words = about.vocabularies.values().chain([&about.name, &about.summary]);
            words.into_iter().any(|word| word.to_lowercase().contains(&text))
        };
        self.builtin.is_none_or(|builtin| builtin == known.builtin)
            && self.vocabulary.as_ref().is_none_or(|name| about.vocabularies.contains_key(name))
            && self.search.as_ref().is_none_or(says)
    }
}

/// `GET /v1/event-types`: by name.
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    paging: Paging,
    Query(filter): Query<EventTypeFilter>,
) -> Result<Response, Problem> {
    if let Some(name) = filter.vocabulary.as_deref().filter(|name| Vocabulary::named(name).is_none()) {
        let known: Vec<&str> = Vocabulary::all().iter().map(Vocabulary::name).collect();
        let name = hookwright_model::abridged(name);
        return Err(query::invalid(format!("vocabulary `{name}`: give one of {}", known.join(", "))));
    }
    let after = paging.cursor.as_deref().unwrap_or_default();
    let all = app.pipeline.routing.known_types.event_types(&caller.space)?;
    let mut rest = all.into_iter().filter(|(name, known)| name.as_str() > after && filter.keeps(known));
    let data: Vec<KnownType> = rest.by_ref().take(paging.limit).map(|(_, known)| known).collect();
    let next = rest.next().and(data.last()).map(|last| last.event_type.name.clone());
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    let found = app.pipeline.routing.known_types.find_event_type(&caller.space, &name)?;
    Ok(axum::Json(found.ok_or_else(|| Problem::not_found("event_type", &name))?).into_response())
}

/// The declaration of a type of event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declaration {
    name: Option<String>,
    #[serde(default)]
    summary: String,
    schema: Option<Value>,
    example: Option<Value>,
    #[serde(default)]
    strict: bool,
}

impl Creates for Declaration {
    fn missing(has: &dyn Fn(&str) -> bool) -> Mistakes {
        Mistakes::of_missing(&[("name", "is missing: dotted words, such as `order.paid`")], has)
    }
}

impl Declaration {
    fn of(self, name: String) -> (EventTypeInput, bool) {
        let Self { summary, schema, example, strict, .. } = self;
        (EventTypeInput { name, summary, schema, example }, strict)
    }
}

pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    NewJson(mut input): NewJson<Declaration>,
) -> Result<Response, Problem> {
    Declaration::missing(&|_| input.name.is_some()).check().map_err(Problem::invalid)?;
    let name = input.name.take().unwrap_or_default();
    let (input, strict) = input.of(name);
    let (made, _) =
        app.pipeline.resources.event_types.put_event_type(&caller.space, input, strict, EventTypeChange::New).await?;
    let location = format!("/v1/event-types/{}", made.event_type.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(made)).into_response())
}

/// `PUT /v1/event-types/{name}`: 201 if it is new.
pub(crate) async fn replace(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    Json(input): Json<Declaration>,
) -> Result<Response, Problem> {
    if input.name.as_ref().is_some_and(|given| *given != name) {
        return Err(Mistake::new("name", "differs from the name in the path: leave it out").into());
    }
    let (input, strict) = input.of(name);
    let (made, new) = app
        .pipeline
        .resources
        .event_types
        .put_event_type(&caller.space, input, strict, EventTypeChange::Replace)
        .await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(made)).into_response())
}

pub(crate) async fn delete(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.event_types.delete_event_type(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/vocabularies`: every name of the reference systems, with the types that it stands for.
pub(crate) async fn vocabularies(window: Window) -> Response {
    let words = |vocabulary: &Vocabulary| {
        let names: Vec<Value> = vocabulary
            .names()
            .into_iter()
            .map(|name| {
                let types = vocabulary.parse(&name).unwrap_or_default();
                json!({"name": name, "types": types})
            })
            .collect();
        json!({"name": vocabulary.name(), "title": vocabulary.title(), "events": names})
    };
    let mut all: Vec<&Vocabulary> = Vocabulary::all().iter().collect();
    all.sort_by_key(|vocabulary| vocabulary.name());
    let axum::Json(Listed { data, next }) = window.ascending(all, |vocabulary| vocabulary.name().to_owned());
    axum::Json(Listed { data: data.into_iter().map(words).collect(), next }).into_response()
}
