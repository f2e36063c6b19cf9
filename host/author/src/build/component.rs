//! From a core module to a component.

use std::fmt::Display;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::Work;
use crate::adapter;
use crate::error::AuthorError;
use crate::world;

/// Makes a component of the module at `path`, whose texts have `encoding`, for the plugin's world. Without an
/// encoding the module says its world itself.
///
/// # Errors
/// The module lacks an export of the world, or imports something that is neither in the world nor of WASI preview 1.
pub(super) fn encode(work: &Work<'_>, path: &Path, encoding: Option<StringEncoding>) -> Result<Vec<u8>, AuthorError> {
    let mut module = std::fs::read(path).map_err(AuthorError::file(path, "reading the compiled module"))?;
    if let Some(bare) = hookwright_guests::without_debugging(&module, work.keeps_names()) {
        module = bare;
    }
    if let Some(roomy) = hookwright_guests::with_room(&module) {
        module = roomy;
    }
    if let Some(encoding) = encoding {
        let world = world::of(&work.folder, &work.settings)?;
        embed_component_metadata(&mut module, &world.resolve, world.id, encoding)
            .map_err(|error| wrong(path, &format!("{error:#}")))?;
    }
    let adapter = adapter::module()?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter(adapter::NAME, &adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| wrong(path, &format!("{error:#}")))
}

fn wrong(path: &Path, reason: &dyn Display) -> AuthorError {
    AuthorError::Component { path: path.into(), reason: reason.to_string() }
}
