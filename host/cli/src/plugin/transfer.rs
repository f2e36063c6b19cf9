//! Components on their way to and from a server or a registry.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use ureq::http::Method;

use super::artifact::Artifact;
use super::lifecycle::outcome;
use super::sign;
use crate::failed::{Done, Failed, at};
use crate::remote::{Connection, Content, Remote};
use crate::screen::{self, Busy};

/// The server checks, compiles and tries the component first. If anything is wrong with it, nothing changes. Signatures
/// in FILE.sig go with it.
#[derive(Args)]
pub(crate) struct Push {
    /// A component, or a plugin's folder, which is built first
    #[arg(value_name = "FILE.wasm|DIR")]
    what: PathBuf,
    /// The name that the plugin gets [default: the file's name]
    #[arg(long, value_parser = super::name)]
    name: Option<String>,
    /// Grant what this version wants beyond what was granted
    #[arg(long)]
    approve: bool,
    /// Sign it with the private key in this file
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
pub(crate) struct Pull {
    /// The plugin, which must have been uploaded to the space
    #[arg(value_parser = super::name)]
    name: String,
    /// The version, or the first digits of its digest [default: the one in use]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<String>,
    /// Where it goes [default: NAME.wasm]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// A version or a digest: what may stand in a query as it is.
fn version(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let text_is = !text.is_empty() && text.chars().all(|c| fits(c) || c == '+');
    if text_is { Ok(text.replace('+', "%2B")) } else { Err(format!("`{text}` is neither a version nor a digest")) }
}

pub(crate) fn push(push: &Push) -> Done {
    let artifact = Artifact::of(&push.what)?;
    let name = push.name.clone().map_or_else(|| artifact.name(), Ok)?;
    let remote = push.connection.open()?;
    let answer = send(&remote, &artifact, &name, push.approve, push.sign.as_deref())?;
    screen::line(outcome(&answer));
    let signers = screen::list(&answer, "signed_by");
    if signers != "-" {
        screen::line(format_args!("signed by {signers}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts a component into a server; returns its answer.
pub(crate) fn send(
    remote: &Remote,
    artifact: &Artifact,
    name: &str,
    approve: bool,
    key: Option<&Path>,
) -> Result<Value, Failed> {
    let mut signatures = artifact.signatures()?;
    if let Some(key) = key {
        signatures.push(sign::signature(&artifact.bytes, key)?);
    }
    let approve = if approve { "?approve=true" } else { "" };
    let size = u64::try_from(artifact.bytes.len()).unwrap_or(u64::MAX);
    let _busy = Busy::with(format!("putting {} into {}", screen::bytes(size), remote.base()));
    let content = Content::Component(&artifact.bytes, &signatures);
    remote.ask(&Method::PUT, &format!("/v1/plugins/{name}{approve}"), &content)
}

pub(crate) fn pull(pull: &Pull) -> Done {
    let query = pull.version.as_ref().map(|version| format!("?version={version}")).unwrap_or_default();
    let path = format!("/v1/plugins/{}/component{query}", pull.name);
    let busy = Busy::with("fetching it");
    let bytes = pull.connection.open()?.bytes(&Method::GET, &path, &Content::Nothing)?;
    drop(busy);
    let output = pull.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.wasm", pull.name)));
    write(&output, &bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a component, whole or not at all, and says where.
fn write(output: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    let mut file = builder.tempfile_in(folder).map_err(|error| at(folder, &error))?;
    std::io::Write::write_all(&mut file, bytes).map_err(|error| at(output, &error))?;
    file.persist(output).map_err(|error| at(output, &error.error))?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    screen::line(format_args!("{} ({})", output.display(), screen::bytes(size)));
    Ok(())
}
