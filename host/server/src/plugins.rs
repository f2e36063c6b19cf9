use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_pipeline::Upload;
use hookwright_plugin::{Listed as Found, Scope, check_name};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::page::{Listed, Named, Window};
use crate::plugin_view::{about, installed_version, version};
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::rollouts::RolloutQuery;
use crate::{Shared, body};

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

/// Whether the list of plugins can have returned this cursor: a name and the number of a layer, joined by a comma,
/// which sorts before every character of a name, so that places are in the order of names.
fn is_place(cursor: &str) -> bool {
    let parts = cursor.split_once(',');
    parts.is_some_and(|(name, layer)| check_name(name).is_ok() && ["0", "1", "2"].contains(&layer))
}

/// A name may occur several times: the plugin that hides the others comes first.
pub(crate) async fn list(State(app): State<Shared>, caller: Caller, window: Window) -> Result<Response, Problem> {
    let window = window.checked(is_place)?;
    app.pipeline.invoke.loading.all_loaded().await;
    let found = app.pipeline.resources.plugins.plugins(&caller.space);
    let place = |found: &Found| {
        let layer = match found.scope {
            Scope::Space(_) => 0,
            Scope::Folder => 1,
            Scope::Builtin => 2,
        };
        format!("{},{layer}", found.name)
    };
    let axum::Json(Listed { data, next }) = window.ascending(found, place);
    let data: Vec<Value> = data.iter().map(shown).collect();
    Ok(axum::Json(Listed { data, next }).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    app.pipeline.invoke.loading.loaded(&caller.space, &[name.as_str()].into()).await;
    let found = app.pipeline.resources.plugins.plugins(&caller.space);
    let found = found
        .iter()
        .find(|found| found.name == name && !found.shadowed)
        .ok_or_else(|| Problem::not_found("plugin", &name))?;
    let mut shown = shown(found);
    if let Value::Object(shown) = &mut shown {
        shown.insert("usage".to_owned(), app.pipeline.resources.plugin_policies.usage(&caller.space, &name)?);
        shown.insert("recordings".to_owned(), app.pipeline.invoke.tapes.recorded(&caller.space, &name)?);
        let (rollout, last_rollout) = app.pipeline.resources.plugins.rollout(&caller.space, &name)?;
        shown.insert("rollout".to_owned(), rollout);
        shown.insert("last_rollout".to_owned(), last_rollout);
    }
    Ok(axum::Json(shown).into_response())
}

/// The query parameters of an upload.
#[derive(Deserialize)]
pub(crate) struct UploadQuery {
    /// Grant what the version needs beyond the existing grants.
    #[serde(default)]
    approve: bool,
    /// Activate the version; false: only store it.
    #[serde(default = "yes")]
    activate: bool,
    /// A development version: its number may be reused for other bytes, and it never evicts a release.
    #[serde(default)]
    dev: bool,
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
    Query(UploadQuery { approve, activate, dev }): Query<UploadQuery>,
    Query(rolling): Query<RolloutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let upload = Upload { component: component(&app, body).await?, signatures: signatures(&headers), approve, dev };
    let (pipeline, space) = (&app.pipeline, &caller.space);
    if !activate {
        if approve || dev || rolling.input().is_some() {
            let detail = "activate=false cannot be combined with approve, dev or rollout: a version that is only stored \
                          gets no grants and is not called";
            return Err(query::invalid(detail));
        }
        let kept = pipeline.resources.plugins.store_plugin(space, &name, upload).await?;
        let mut shown = version(&kept);
        if let Some(shown) = shown.as_object_mut() {
            shown.shift_insert(0, "name".to_owned(), name.into());
        }
        return Ok(axum::Json(shown).into_response());
    }
    let Some(input) = rolling.input() else {
        let installed = pipeline.resources.plugins.install_plugin(space, &name, upload).await?;
        return Ok(installed_version(&name, &installed, None));
    };
    let installed = pipeline.resources.plugins.install_for_rollout(space, &name, upload, &input).await?;
    Ok(installed_version(&name, &installed, input.mode))
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
    Query(removal): Query<Removal>,
) -> Result<StatusCode, Problem> {
    app.pipeline.resources.plugins.remove_plugin(&caller.space, &name, removal.force).await?;
    Ok(StatusCode::NO_CONTENT)
}
