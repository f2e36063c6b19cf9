use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hookwright_plugin::{Listed as Found, Plugin, Scope};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::page::{Listed, Named};
use crate::problem::Problem;
use crate::{Shared, body};

fn about(plugin: &Plugin) -> Map<String, Value> {
    let manifest = plugin.manifest();
    let about = json!({
        "version": manifest.version,
        "summary": manifest.summary,
        "kinds": plugin.kinds(),
        "declared_name": manifest.name,
        "imports": plugin.imports(),
        "parameters": manifest.parameters,
        "hints": manifest.hints,
        "digest": plugin.digest(),
        "size_bytes": plugin.size(),
        "compiled": plugin.compiled(),
        "load_ms": plugin.load_time().as_secs_f64() * 1000.0,
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
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
    let found = app.pipeline.registry().list(&caller.space);
    Ok(Listed::whole(found.iter().map(shown).collect()).into_response())
}

pub(crate) async fn read(State(app): State<Shared>, caller: Caller, Named(name): Named) -> Result<Response, Problem> {
    let found = app.pipeline.registry().list(&caller.space);
    let found = found
        .iter()
        .find(|found| found.name == name && !found.shadowed)
        .ok_or_else(|| Problem::not_found("plugin", &name))?;
    Ok(axum::Json(shown(found)).into_response())
}

/// `PUT /v1/plugins/{name}`: the component's bytes are the body.
pub(crate) async fn install(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
    body: Body,
) -> Result<Response, Problem> {
    let component = body::read(body, app.limits.plugin_bytes, app.limits.time)
        .await
        .map_err(|problem| if problem.is("body.too_large") { problem.renamed("plugin.too_large") } else { problem })?;
    let installed = app.pipeline.install_plugin(&caller.space, &name, component).await?;
    let mut shown = Map::new();
    shown.insert("name".to_owned(), name.into());
    shown.insert("origin".to_owned(), "uploaded".into());
    shown.insert("state".to_owned(), "live".into());
    shown.extend(about(&installed.plugin));
    let replaced = installed.replaced.map(|old| json!({"version": old.manifest().version, "digest": old.digest()}));
    shown.insert("replaced".to_owned(), replaced.unwrap_or_default());
    Ok(axum::Json(shown).into_response())
}

pub(crate) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    app.pipeline.remove_plugin(&caller.space, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
