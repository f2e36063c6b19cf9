//! `hookwright plugin inspect`: shows a component's manifest and interfaces.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use hookwright_model::Kind;
use hookwright_plugin::Plugin;
use serde_json::Value;

use super::artifact::Artifact;
use super::engine::Workshop;
use crate::failed::Done;
use crate::remote::Connection;
use crate::screen;

#[derive(Args)]
pub(crate) struct Inspect {
    /// A component, a plugin's folder, which is built first, or the name of a plugin of the server
    #[arg(default_value = ".", value_name = "FILE.wasm|DIR|NAME")]
    what: PathBuf,
    /// Print JSON, with the schema of the parameters
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(inspect: &Inspect) -> Done {
    let about = match server_name(&inspect.what) {
        Some(name) => inspect.connection.open()?.get(&format!("/v1/plugins/{name}"))?,
        None => {
            let artifact = Artifact::of(&inspect.what)?;
            about(&*Workshop::with_user_cache()?.load(artifact.bytes)?)
        }
    };
    if inspect.json {
        screen::json(&about);
    } else {
        show(&about);
    }
    Ok(ExitCode::SUCCESS)
}

/// The name, if it is valid and there is no file of that name.
fn server_name(what: &Path) -> Option<String> {
    let text = what.to_str()?;
    (!what.exists()).then(|| super::name(text).ok()).flatten()
}

/// A component's description, in the format of the server's API.
pub(crate) fn about(plugin: &Plugin) -> Value {
    Value::Object(plugin.about())
}

/// Shows it for people.
pub(crate) fn show(about: &Value) {
    let text = |name| screen::text(about, name);
    let name = if text("name").is_empty() { text("declared_name") } else { text("name") };
    screen::field("name", name);
    screen::field("version", text("version"));
    screen::field("summary", text("summary"));
    screen::field("kinds", screen::list(about, "kinds"));
    screen::field("world", world(about));
    screen::field("wit", wit(about));
    screen::field("imports", screen::list(about, "imports"));
    screen::field("wants", screen::list(about, "wants"));
    screen::field("parameters", parameters(about));
    let hints = about.get("hints").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let hints = hints
        .iter()
        .filter_map(Value::as_array)
        .map(|pair| pair.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("="));
    let hints: Vec<String> = hints.collect();
    screen::field("hints", if hints.is_empty() { "-".to_owned() } else { hints.join(", ") });
    let size = about.get("size_bytes").and_then(Value::as_u64).unwrap_or_default();
    screen::field("size", format_args!("{} ({size} bytes)", screen::bytes(size)));
    screen::field("digest", format_args!("sha256:{}", text("digest")));
    for name in ["origin", "state"] {
        if !text(name).is_empty() {
            screen::field(name, text(name));
        }
    }
}

/// The worlds that its kinds are built for.
fn world(about: &Value) -> String {
    let kinds: Vec<Kind> =
        about.get("kinds").and_then(|kinds| serde_json::from_value(kinds.clone()).ok()).unwrap_or_default();
    kinds.iter().map(|kind| format!("{kind}-plugin")).collect::<Vec<_>>().join(", ")
}

/// The version of the WIT package that its imports name.
fn wit(about: &Value) -> String {
    let imports = about.get("imports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let versions = imports.iter().filter_map(Value::as_str).filter_map(|import| {
        let (package, rest) = import.split_once('/')?;
        let (_, version) = rest.split_once('@')?;
        Some(format!("{package}@{version}"))
    });
    let mut versions: Vec<String> = versions.collect();
    versions.dedup();
    if versions.is_empty() { "-".to_owned() } else { versions.join(", ") }
}

/// The names of the parameters, those that must be given with a star.
fn parameters(about: &Value) -> String {
    let schema = about.get("parameters").unwrap_or(&Value::Null);
    let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return "-".to_owned() };
    let shown = |name: &String| {
        let star = if required.iter().any(|wanted| wanted.as_str() == Some(name)) { "*" } else { "" };
        format!("{name}{star}")
    };
    let shown: Vec<String> = properties.keys().map(shown).collect();
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn worlds_versions_and_parameters_are_derived_from_the_description() {
        let about = json!({
            "kinds": ["condition", "action"],
            "imports": ["hookwright:plugin/types@0.1.0", "hookwright:plugin/log@0.1.0"],
            "parameters": {"properties": {"id": {}, "text": {}}, "required": ["id"]},
        });
        assert_eq!(world(&about), "condition-plugin, action-plugin");
        assert_eq!(wit(&about), "hookwright:plugin@0.1.0");
        assert_eq!(parameters(&about), "id*, text");
        assert_eq!((wit(&json!({})), parameters(&json!({"parameters": true}))), ("-".to_owned(), "-".to_owned()));
    }

    #[test]
    fn plugin_names_are_distinguished_from_files() {
        assert_eq!(server_name(Path::new("note-add")).as_deref(), Some("note-add"));
        assert_eq!(server_name(Path::new("note-add.wasm")), None);
        assert_eq!(server_name(Path::new("./note-add")), None);
    }
}
