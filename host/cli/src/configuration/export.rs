//! Exports the configuration of a space as files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};
use ureq::http::Method;

use super::files::{PLUGINS, SECTIONS};
use super::yaml;
use crate::failed::{Done, Failed, at, problem};
use crate::remote::{Connection, Content, Remote};
use crate::screen::{self, text};

#[derive(Args)]
pub(crate) struct Export {
    /// The folder that the files are written to, one a section, with the components in plugins/ [default: all of it is
    /// shown as one YAML document]
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only these sections, such as automations
    #[arg(long = "kind", value_name = "SECTION", value_delimiter = ',', value_parser = SECTIONS)]
    kinds: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn export(export: &Export) -> Done {
    let remote = export.connection.open()?;
    // The server looks at these sections only, so nothing is reported of others.
    let wanted = if export.kinds.is_empty() { String::new() } else { format!("?section={}", export.kinds.join(",")) };
    let exported = remote.get(&format!("/v1/configuration/export{wanted}"))?;
    let known = exported.get("configuration").and_then(Value::as_object).cloned().unwrap_or_default();
    let is_wanted = |section: &str| export.kinds.is_empty() || export.kinds.iter().any(|kind| kind == section);
    let mut sections: Map<String, Value> = Map::new();
    for section in SECTIONS.into_iter().filter(|section| is_wanted(section)) {
        let things = known.get(section).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        sections.insert(section.to_owned(), things);
    }
    match &export.output {
        None => screen::line(written(&Value::Object(sections)).0.trim_end()),
        Some(folder) => write_files(&remote, folder, sections)?,
    }
    let left_out = exported.get("left_out").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for left in left_out {
        screen::note(format_args!(
            "skipped: {} {}: {}",
            text(left, "kind"),
            screen::list(left, "ids"),
            text(left, "reason")
        ));
    }
    // The exit code tells scripts that the files are incomplete.
    Ok(if left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A document as YAML, or as JSON where YAML could not say the same; and what its file is called after.
fn written(value: &Value) -> (String, &'static str) {
    match yaml::write(value) {
        Some(text) => (text, "yaml"),
        None => (format!("{value:#}\n"), "json"),
    }
}

fn write_files(remote: &Remote, folder: &Path, sections: Map<String, Value>) -> Result<(), Failed> {
    std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    for (section, mut things) in sections {
        if section == PLUGINS {
            write_components(remote, &folder.join(PLUGINS), &mut things)?;
        }
        let (text, ending) = written(&Value::Object([(section.clone(), things)].into_iter().collect()));
        for stale in ["yaml", "yml", "json"].into_iter().filter(|other| *other != ending) {
            // Both files would be read, and each object found twice.
            let path = folder.join(format!("{section}.{stale}"));
            if path.exists() {
                std::fs::remove_file(&path).map_err(|error| at(&path, &error))?;
            }
        }
        let path = folder.join(format!("{section}.{ending}"));
        std::fs::write(&path, text).map_err(|error| at(&path, &error))?;
        screen::line(path.display());
    }
    Ok(())
}

/// Writes the live components, so that their digests need not be written in the files.
fn write_components(remote: &Remote, folder: &Path, things: &mut Value) -> Result<(), Failed> {
    let mut live = Vec::new();
    for thing in things.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if thing.shift_remove("digest").is_none() {
            continue;
        }
        let name = thing.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        hookwright_plugin::check_name(&name)?;
        std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
        let bytes = remote.bytes(&Method::GET, &format!("/v1/plugins/{name}/component"), &Content::Nothing)?;
        let path = folder.join(format!("{name}.wasm"));
        std::fs::write(&path, bytes).map_err(|error| at(&path, &error))?;
        screen::line(path.display());
        live.push(path);
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(|error| at(folder, &error))?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") && !live.contains(&path) {
            let message = format!(
                "{} is not a plugin of the space: remove the file, or the plugin is installed again",
                path.display()
            );
            return Err(problem("configuration.stale_component", message));
        }
    }
    Ok(())
}
