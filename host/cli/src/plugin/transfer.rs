//! Components on their way to and from a server or a registry.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use ureq::http::Method;

use super::artifact::{Artifact, signature_path};
use super::engine::Workshop;
use super::lifecycle::outcome;
use super::oci::{self, Reference, SCHEME};
use super::{sign, test};
use crate::failed::{Done, Failed, at, problem};
use crate::remote::{Connection, Content, Remote};
use crate::screen::{self, Busy};

#[derive(Args)]
pub(crate) struct Push {
    /// A component, or a plugin's folder, which is built first
    #[arg(default_value = ".", value_name = "FILE.wasm|DIR")]
    what: PathBuf,
    /// A registry instead of the server: oci://HOST[:PORT]/REPOSITORY:TAG
    #[arg(value_name = "oci://..", value_parser = Reference::parse, conflicts_with_all = ["name", "approve"])]
    to: Option<Reference>,
    /// The plugin's name on the server [default: the file's name]
    #[arg(long, value_parser = super::name)]
    name: Option<String>,
    /// Grant what this version requests beyond the existing grants
    #[arg(long)]
    approve: bool,
    /// Sign it with the private key in this file
    #[arg(long, value_name = "KEYFILE")]
    sign: Option<PathBuf>,
    /// Push it without running its cases first
    #[arg(long)]
    no_test: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
// `--version` names the version to pull here, and must not clash with the flag that every command inherits.
#[command(disable_version_flag = true)]
pub(crate) struct Pull {
    /// A plugin that was uploaded to the space, or oci://HOST[:PORT]/REPOSITORY:TAG
    #[arg(value_name = "NAME|oci://..", value_parser = place)]
    from: Origin,
    /// The version, or the first digits of its digest [default: the active one]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<String>,
    /// The output file [default: NAME.wasm]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// The origin of a component.
#[derive(Clone, Debug)]
enum Origin {
    Server(String),
    Registry(Reference),
}

fn place(text: &str) -> Result<Origin, String> {
    if text.starts_with(SCHEME) {
        return Reference::parse(text).map(Origin::Registry);
    }
    super::name(text).map(Origin::Server)
}

/// A version or a digest, which needs no encoding in a query.
fn version(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let text_is = !text.is_empty() && text.chars().all(|c| fits(c) || c == '+');
    if text_is { Ok(text.replace('+', "%2B")) } else { Err(format!("`{text}` is neither a version nor a digest")) }
}

pub(crate) fn push(push: &Push) -> Done {
    // With one word, a registry is where it goes, and the plugin is that of the present folder.
    let (what, to) = match push.what.to_str().filter(|what| what.starts_with(SCHEME)) {
        Some(_) if push.to.is_some() => {
            let message = "two registries are given: give a component or a folder, and one registry";
            return Err(problem("oci.reference_invalid", message));
        }
        Some(text) => {
            let reference = Reference::parse(text).map_err(|message| problem("oci.reference_invalid", message))?;
            (Path::new("."), Some(reference))
        }
        None => (push.what.as_path(), push.to.clone()),
    };
    let artifact = Artifact::of(what)?;
    if !push.no_test {
        pass_cases(&artifact)?;
    }
    if let Some(reference) = &to {
        // Others should find nothing there that no server would take.
        let plugin = Workshop::with_user_cache()?.load(artifact.bytes.clone())?;
        let signatures = signatures(&artifact, push.sign.as_deref())?;
        let _busy = Busy::with(format!("pushing to {reference}"));
        let digest = oci::push(reference, &artifact.bytes, &signatures, &plugin)?;
        screen::line(format_args!("{reference} is {digest}"));
        return Ok(ExitCode::SUCCESS);
    }
    let name = push.name.clone().map_or_else(|| artifact.name(), Ok)?;
    let remote = push.connection.open()?;
    let how = InstallOptions { approve: push.approve, dev: false, key: push.sign.as_deref() };
    let answer = send(&remote, &artifact, &name, how)?;
    screen::line(outcome(&answer));
    let signers = screen::list(&answer, "signed_by");
    if signers != "-" {
        screen::line(format_args!("signed by {signers}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the component's cases, if it has any; a component that fails one is not sent.
fn pass_cases(artifact: &Artifact) -> Result<(), Failed> {
    let Some(folder) = artifact.cases_folder() else { return Ok(()) };
    let workshop = Workshop::with_user_cache()?;
    let plugin = workshop.load(artifact.bytes.clone())?;
    let passed =
        test::pass(&workshop, &plugin, &hookwright_cases::read(&folder)?, "nothing is pushed (--no-test pushes)")?;
    screen::note(format_args!("{passed} cases passed"));
    Ok(())
}

/// How a component is installed.
#[derive(Clone, Copy, Default)]
pub(crate) struct InstallOptions<'a> {
    /// Grant what it wants.
    pub(crate) approve: bool,
    /// As a development version.
    pub(crate) dev: bool,
    /// Sign it with the private key in this file.
    pub(crate) key: Option<&'a Path>,
}

/// Installs a component in a server; returns the response.
pub(crate) fn send(remote: &Remote, artifact: &Artifact, name: &str, how: InstallOptions<'_>) -> Result<Value, Failed> {
    let signatures = signatures(artifact, how.key)?;
    let mut query = String::new();
    for (name, _) in [("approve", how.approve), ("dev", how.dev)].into_iter().filter(|(_, set)| *set) {
        query.push_str(if query.is_empty() { "?" } else { "&" });
        query.push_str(name);
        query.push_str("=true");
    }
    let size = u64::try_from(artifact.bytes.len()).unwrap_or(u64::MAX);
    let _busy = Busy::with(format!("installing {} in {}", screen::bytes(size), remote.base()));
    let content = Content::Component(&artifact.bytes, &signatures);
    remote.ask(&Method::PUT, &format!("/v1/plugins/{name}{query}"), &content)
}

/// Stores a component in a server without activating it; returns the response.
pub(crate) fn send_unused(remote: &Remote, artifact: &Artifact, name: &str) -> Result<Value, Failed> {
    let signatures = signatures(artifact, None)?;
    let _busy = Busy::with(format!("installing {name} in {}", remote.base()));
    let content = Content::Component(&artifact.bytes, &signatures);
    remote.ask(&Method::PUT, &format!("/v1/plugins/{name}?activate=false"), &content)
}

/// The signatures beside a component, and one by the key.
fn signatures(artifact: &Artifact, key: Option<&Path>) -> Result<Vec<String>, Failed> {
    let mut signatures = artifact.signatures()?;
    if let Some(key) = key {
        signatures.push(sign::signature(&artifact.bytes, key)?);
    }
    Ok(signatures)
}

pub(crate) fn pull(pull: &Pull) -> Done {
    let output = |name: &str| pull.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.wasm")));
    match &pull.from {
        Origin::Server(name) => {
            let query = pull.version.as_ref().map(|version| format!("?version={version}")).unwrap_or_default();
            let path = format!("/v1/plugins/{name}/component{query}");
            let busy = Busy::with("fetching it");
            let bytes = pull.connection.open()?.bytes(&Method::GET, &path, &Content::Nothing)?;
            drop(busy);
            write(&output(name), &bytes)?;
        }
        Origin::Registry(reference) => {
            if pull.version.is_some() {
                let message = format!("{reference} names its version by tag or digest: leave --version out");
                return Err(problem("oci.reference_invalid", message));
            }
            let busy = Busy::with(format!("fetching {reference}"));
            let pulled = oci::pull(reference)?;
            drop(busy);
            let output = output(reference.name());
            write(&output, &pulled.bytes)?;
            if !pulled.signatures.is_empty() {
                let signature = signature_path(&output);
                let text = format!("{}\n", pulled.signatures.join("\n"));
                std::fs::write(&signature, text).map_err(|error| at(&signature, &error))?;
                screen::line(signature.display());
            }
            screen::line(pulled.digest);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a component atomically, and prints the path.
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
