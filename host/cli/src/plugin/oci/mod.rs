//! Components in OCI registries, in the format of `wkg` and others: an image manifest (OCI Image Format 1.1) whose only
//! layer is the component and whose config says what it imports and exports (CNCF Wasm OCI Artifact layout).

mod reference;
mod registry;

use hookwright_model::{Clock as _, SystemClock};
use hookwright_plugin::Plugin;
use serde_json::{Value, json};

use reference::digest_of;
pub(crate) use reference::{Reference, SCHEME};
use registry::Registry;

use crate::failed::{Failed, problem};

/// The media type of the manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of the config.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of the layer.
const LAYER: &str = "application/wasm";
/// The annotation with signatures of the component, separated by commas.
const SIGNATURES: &str = "hookwright.plugin.signatures";
/// How large a component may be, in bytes.
const MAX_COMPONENT_BYTES: u64 = 256 * 1024 * 1024;
/// How large a manifest may be, in bytes (OCI Distribution 1.1, "Pushing Manifests").
const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// A component from a registry.
pub(crate) struct Pulled {
    /// The component.
    pub(crate) bytes: Vec<u8>,
    /// The signatures that came with it.
    pub(crate) signatures: Vec<String>,
    /// The manifest's digest.
    pub(crate) digest: String,
}

/// Pushes a component to a registry; returns the digest of its manifest.
pub(crate) fn push(
    reference: &Reference,
    component: &[u8],
    signatures: &[String],
    plugin: &Plugin,
) -> Result<String, Failed> {
    let Some(tag) = reference.tag() else {
        return Err(problem(
            "oci.reference_invalid",
            format!("{reference}: give a tag, such as :{}", plugin.manifest().version),
        ));
    };
    let registry = Registry::new(reference)?;
    let now = SystemClock.now().to_string();
    let layer = registry.put_blob(component)?;
    let config = config(plugin, &layer, &now).to_string();
    let config_digest = registry.put_blob(config.as_bytes())?;
    let about = plugin.manifest();
    let mut annotations = json!({
        "org.opencontainers.image.title": about.name,
        "org.opencontainers.image.version": about.version,
        "org.opencontainers.image.description": about.summary,
        "org.opencontainers.image.created": now,
    });
    if let (false, Some(annotations)) = (signatures.is_empty(), annotations.as_object_mut()) {
        annotations.insert(SIGNATURES.to_owned(), signatures.join(",").into());
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config_digest, "size": config.len()},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": component.len()}],
        "annotations": annotations,
    });
    let manifest = manifest.to_string();
    registry.put_manifest(tag, MANIFEST, manifest.as_bytes())?;
    Ok(digest_of(manifest.as_bytes()))
}

/// What the component is, for registries that show it.
fn config(plugin: &Plugin, layer: &str, now: &str) -> Value {
    let version =
        plugin.imports().iter().find_map(|import| import.rsplit_once('@')).map_or("0.1.0", |(_, version)| version);
    let exports = plugin.kinds().iter().map(|kind| format!("hookwright:plugin/{kind}@{version}"));
    let exports: Vec<String> =
        std::iter::once(format!("hookwright:plugin/metadata@{version}")).chain(exports).collect();
    json!({
        "created": now,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer],
        "component": {"exports": exports, "imports": plugin.imports(), "target": null},
    })
}

/// Fetches a component, checked against the digests on the way to it.
pub(crate) fn pull(reference: &Reference) -> Result<Pulled, Failed> {
    let registry = Registry::new(reference)?;
    let bytes = registry.manifest(reference.which(), MANIFEST, MAX_MANIFEST_BYTES)?;
    let digest = digest_of(&bytes);
    if reference.digest().is_some_and(|wanted| wanted != digest) {
        return Err(invalid(reference, &format!("its manifest has the digest {digest}")));
    }
    let manifest: Value = serde_json::from_slice(&bytes)
        .map_err(|error| invalid(reference, &format!("its manifest is not JSON: {error}")))?;
    let (layer, size) = layer(&manifest).map_err(|why| invalid(reference, &why))?;
    let component = registry.blob(&layer, size)?;
    let found = digest_of(&component);
    if found != layer {
        return Err(invalid(reference, &format!("its layer is {found}, the manifest says {layer}")));
    }
    let signatures =
        manifest.get("annotations").and_then(|annotations| annotations.get(SIGNATURES)).and_then(Value::as_str);
    let signatures = signatures.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    Ok(Pulled { bytes: component, signatures: signatures.map(str::to_owned).collect(), digest })
}

/// The digest and the size of the one layer that is a component.
fn layer(manifest: &Value) -> Result<(String, u64), String> {
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |layer: &Value, name: &str| layer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let [layer] = layers else { return Err(format!("it has {} layers: a component is one", layers.len())) };
    let media = text(layer, "mediaType");
    if media != LAYER {
        return Err(format!("its layer is `{media}`: a component is `{LAYER}`"));
    }
    let digest = text(layer, "digest");
    if !reference::is_digest(&digest) {
        return Err(format!("its layer has the digest `{digest}`: only sha256 is supported"));
    }
    let size = layer.get("size").and_then(Value::as_u64).unwrap_or_default();
    if size > MAX_COMPONENT_BYTES {
        Err(format!("it has {size} bytes: at most {MAX_COMPONENT_BYTES}"))
    } else {
        Ok((digest, size))
    }
}

fn invalid(reference: &Reference, why: &str) -> Failed {
    problem("oci.artifact_invalid", format!("{reference} is not a component: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_manifest_with_a_single_wasm_layer_is_accepted() {
        let digest = digest_of(b"x");
        let manifest = |media: &str, digest: &str, size: u64| json!({"layers": [{"mediaType": media, "digest": digest, "size": size}]});
        assert_eq!(layer(&manifest(LAYER, &digest, 1)).unwrap(), (digest.clone(), 1));
        for (manifest, part) in [
            (json!({}), "0 layers"),
            (json!({"layers": [{}, {}]}), "2 layers"),
            (manifest("application/tar", &digest, 1), "`application/tar`"),
            (manifest(LAYER, "md5:x", 1), "only sha256"),
            (manifest(LAYER, "sha256:../x", 1), "only sha256"),
            (manifest(LAYER, &digest, u64::MAX), "at most"),
        ] {
            assert!(layer(&manifest).unwrap_err().contains(part), "{part}");
        }
    }
}
