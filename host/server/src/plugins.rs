use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use hookwright_model::RolloutMode;
use hookwright_pipeline::Installed;
use hookwright_plugin::{Listed as Found, Plugin, Scope};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::page::{Listed, Named};
use crate::problem::Problem;
use crate::rollouts::Rolling;
use crate::{Shared, body, versions};

fn about(plugin: &Plugin) -> Map<String, Value> {
    let mut about = plugin.about();
    about.insert("compiled".to_owned(), plugin.compiled().into());
    about.insert("load_ms".to_owned(), (plugin.load_time().as_secs_f64() * 1000.0).into());
    about
}

fn shown(found: &Found) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), found.name.as_str().into());
    let origin = match found.scope {
        Scope::Builtin => "builtin",
        Scope::Folder => "folder",
        Scope::Space(_) => "uploaded",
    };
    shown.insert("origin".to_owned(), origin.into());
    let state = if found.plugin.is_some() { "live" } else { "failed" };
    shown.insert("state".to_owned(), state.into());
    if found.shadowed {
        shown.insert("shadowed".to_owned(), true.into());
    }
    if let Some(error) = &found.error {
        shown.insert(
            "error".to_owned(),
            json!({
                "code": error.error.code(),
                "message": error.error.to_string(),
                "digest": error.digest,
            }),
        );
    }
    if let Some(plugin) = &found.plugin {
        shown.extend(about(plugin));
    }
    Value::Object(shown)
}

pub(crate) async fn list(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    app.pipeline.all_loaded().await;
    let found = app.pipeline.registry().list(&caller.space);
    Ok(Listed::whole(found.iter().map(shown).collect()).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    app.pipeline.loaded(&caller.space, &[name.as_str()].into()).await;
    let found = app.pipeline.registry().list(&caller.space);
    let found = found
        .iter()
        .find(|found| found.name == name && !found.shadowed)
        .ok_or_else(|| Problem::not_found("plugin", &name))?;
    let mut shown = shown(found);
    if let Value::Object(shown) = &mut shown {
        shown.insert("usage".to_owned(), app.pipeline.usage(&caller.space, &name)?);
        shown.insert("recordings".to_owned(), app.pipeline.recorded(&caller.space, &name)?);
        let (rollout, last_rollout) = app.pipeline.rollout(&caller.space, &name)?;
        shown.insert("rollout".to_owned(), rollout);
        shown.insert("last_rollout".to_owned(), last_rollout);
    }
    Ok(axum::Json(shown).into_response())
}

/// What may be said with an upload, besides the bytes.
#[derive(Deserialize)]
pub(crate) struct Upload {
    /// Grant what the version wants beyond what was granted.
    #[serde(default)]
    approve: bool,
    /// Put the version in use; false: only keep it.
    #[serde(default = "yes")]
    activate: bool,
}

fn yes() -> bool {
    true
}

/// The header with signatures of the component, separated by commas.
const SIGNATURE: &str = "x-hookwright-signature";

/// `PUT /v1/plugins/{name}`: the component's bytes are the body.
pub(crate) async fn install(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    query: Result<Query<Upload>, QueryRejection>,
    rolling: Result<Query<Rolling>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Query(Upload { approve, activate }) =
        query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let Query(rolling) = rolling.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    let (component, signatures) = (component(&app, body).await?, signatures(&headers));
    let (pipeline, space) = (&app.pipeline, &caller.space);
    if !activate {
        if approve || rolling.input().is_some() {
            let detail = "activate=false with approve or rollout: what is only kept is granted nothing and called by nobody, \
                          leave one of them out";
            return Err(Problem::bad("query.invalid", detail));
        }
        let kept = pipeline.keep_plugin(space, &name, component, &signatures).await?;
        let mut shown = versions::shown(&kept);
        if let Some(shown) = shown.as_object_mut() {
            shown.shift_insert(0, "name".to_owned(), name.into());
        }
        return Ok(axum::Json(shown).into_response());
    }
    let Some(input) = rolling.input() else {
        let installed = pipeline.install_plugin(space, &name, component, &signatures, approve).await?;
        return Ok(put_in(&name, &installed, None));
    };
    let installed = pipeline.install_for_rollout(space, &name, component, &signatures, approve, &input).await?;
    Ok(put_in(&name, &installed, input.mode))
}

/// The component that a request carries.
pub(crate) async fn component(app: &Shared, body: Body) -> Result<Bytes, Problem> {
    body::read(body, app.limits.plugin_bytes, app.limits.time)
        .await
        .map_err(|problem| if problem.is("body.too_large") { problem.renamed("plugin.too_large") } else { problem })
}

/// The signatures of the component that a request carries.
pub(crate) fn signatures(headers: &HeaderMap) -> Vec<String> {
    let fields = headers.get_all(SIGNATURE).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|value| value.split(',')).map(|signature| signature.trim().to_owned()).collect()
}

/// The answer to whoever put a version in.
pub(crate) fn put_in(name: &str, installed: &Installed, rollout: Option<RolloutMode>) -> Response {
    let held = !installed.held.is_empty();
    let mut shown = Map::new();
    shown.insert("name".to_owned(), name.into());
    shown.insert("origin".to_owned(), "uploaded".into());
    let state = match rollout {
        _ if held => "held",
        None => "live",
        Some(RolloutMode::Shadow) => "shadow",
        Some(RolloutMode::Canary) => "canary",
    };
    shown.insert("state".to_owned(), state.into());
    shown.extend(about(&installed.plugin));
    if held {
        shown.insert("wants_more".to_owned(), json!(installed.held));
        let detail = format!(
            "it wants more than was granted, so the version before stays in use; to approve it, POST to \
             /v1/plugins/{name}/approve"
        );
        shown.insert("detail".to_owned(), detail.into());
    }
    if !installed.signed_by.is_empty() {
        shown.insert("signed_by".to_owned(), json!(installed.signed_by));
    }
    let replaced = installed.replaced.as_ref();
    let replaced = replaced.map(|old| json!({"version": old.manifest().version, "digest": old.digest()}));
    shown.insert("replaced".to_owned(), replaced.unwrap_or_default());
    let status = if held { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, axum::Json(shown)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Removal {
    /// Even if automations use it.
    #[serde(default)]
    force: bool,
}

pub(crate) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    query: Result<Query<Removal>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let Query(removal) = query.map_err(|error| Problem::bad("query.invalid", error.body_text()))?;
    app.pipeline.remove_plugin(&caller.space, &name, removal.force).await?;
    Ok(StatusCode::NO_CONTENT)
}
