//! Loads a plugin from its bytes. The cheapest checks with the best messages come first; nothing of the component is
//! executed before its imports are known to be permitted.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hookwright_model::{FailureKind, SpaceId, Timestamp};
use tokio::sync::Semaphore;
use wasmtime::component::{Component, Linker};

use crate::access::Access;
use crate::blocking::blocking;
use crate::cache::load_checked;
use crate::call::Call;
use crate::compile::compile;
use crate::engine::{Engine, Inner, permits};
use crate::error::LoadError;
use crate::grant::{Granted, grant};
use crate::guest::{Guest, Introduction};
use crate::hashed::HashedComponent;
use crate::inspect::{defect, inspect};
use crate::manifest::Described;
use crate::plugin::Plugin;
use crate::state::State;
use crate::stop;

/// A component whose bytes were examined: it is a plugin, and its imports are permitted.
pub(crate) struct Admitted {
    bytes: Bytes,
    digest: String,
    granted: Granted,
    imports: Vec<String>,
    started: Instant,
}

/// Examines the bytes.
///
/// # Errors
/// They are not a component, or its imports are not permitted.
pub(crate) async fn admit(engine: &Engine, component: HashedComponent) -> Result<Admitted, LoadError> {
    let started = Instant::now();
    let most = engine.options().max_component_bytes;
    blocking(move || {
        let (bytes, digest) = component.into_parts();
        let interfaces = inspect(&bytes, most)?;
        let granted = grant(&interfaces)?;
        let imports = interfaces.imports.into_iter().map(|import| import.name).collect();
        Ok(Admitted { bytes, digest, granted, imports, started })
    })
    .await?
}

/// Compiles and links the component, and calls its `describe`.
///
/// # Errors
/// It cannot be compiled, does not match the WIT, or its `describe` fails.
pub(crate) async fn load(engine: &Engine, admitted: Admitted) -> Result<Plugin, LoadError> {
    let inner = engine.inner();
    let Admitted { bytes, digest, granted, imports, started } = admitted;
    let size = bytes.len();
    let (component, compiled) = component(inner, bytes, &digest).await?;
    let mismatch = |error: wasmtime::Error| LoadError::TypeMismatch {
        version: granted.version.name,
        reason: crate::cut::cut(&format!("{error:#}"), 600),
    };
    let guest = link(inner, &granted, &component).map_err(mismatch)?;
    let (manifest, schema) = introduce(engine, guest.as_ref(), &mismatch).await?.check()?;
    Ok(Plugin {
        engine: Arc::clone(inner),
        guest,
        manifest,
        schema,
        kinds: granted.kinds,
        digest,
        imports,
        wants: granted.wants.iter().map(|interface| (*interface).to_owned()).collect(),
        size,
        compiled,
        load_time: started.elapsed(),
        slots: Semaphore::new(permits(inner.options.instances_per_plugin)),
    })
}

fn link(inner: &Inner, granted: &Granted, component: &Component) -> wasmtime::Result<Box<dyn Guest>> {
    let mut linker = Linker::new(&inner.wasm);
    for link in &granted.links {
        (link.add)(&mut linker)?;
    }
    let pre = linker.instantiate_pre(component)?;
    (granted.version.open)(pre, &granted.kinds)
}

/// The machine code, and whether it had to be compiled.
async fn component(inner: &Arc<Inner>, bytes: Bytes, digest: &str) -> Result<(Component, bool), LoadError> {
    let kept = {
        let (inner, digest) = (Arc::clone(inner), digest.to_owned());
        blocking(move || inner.cache.as_ref().and_then(|cache| cache.load(&inner.wasm, &digest))).await?
    };
    if let Some(component) = kept {
        return Ok((component, false));
    }
    let wall = inner.options.compile_wall;
    let compiling = async {
        let permit =
            Arc::clone(&inner.compiling).acquire_owned().await.map_err(|error| LoadError::compile_failed(&error))?;
        let (inner, digest) = (Arc::clone(inner), digest.to_owned());
        blocking(move || {
            // Held here, because compiling in this process cannot be interrupted: while it takes too long, others wait
            // and none begins beside it.
            let _permit = permit;
            let (component, code) = match &inner.options.compiler {
                Some(process) => {
                    let code = compile(&inner, process, &bytes).map_err(|error| defect(&bytes).unwrap_or(error))?;
                    let component = load_checked(&inner.wasm, &code)
                        .map_err(|error| LoadError::compile_failed(&format!("{error:#}")))?;
                    (component, Some(code))
                }
                None => {
                    let component = Component::from_binary(&inner.wasm, &bytes).map_err(|error| {
                        defect(&bytes).unwrap_or_else(|| LoadError::compile_failed(&format!("{error:#}")))
                    })?;
                    (component, None)
                }
            };
            if let Some(cache) = &inner.cache {
                cache.keep(&digest, &component, code);
            }
            Ok(component)
        })
        .await?
    };
    match tokio::time::timeout(wall, compiling).await {
        Ok(component) => component.map(|component| (component, true)),
        Err(_) => Err(LoadError::compile_failed(&format!(
            "it took longer than {} s: make the component smaller",
            wall.as_secs()
        ))),
    }
}

async fn introduce(
    engine: &Engine,
    guest: &dyn Guest,
    mismatch: &(dyn Fn(wasmtime::Error) -> LoadError + Sync),
) -> Result<Described, LoadError> {
    let inner = engine.inner();
    let options = &inner.options;
    let wall = options.describe_wall;
    let slot = tokio::time::timeout(wall, inner.slots.acquire()).await;
    let Ok(Ok(_slot)) = slot else { return Err(LoadError::DescribeFailed(stop::busy(wall).message)) };
    // `describe` does not depend on a space, so it gets the harmless interfaces and nothing of any space.
    let access = Arc::new(Access::new("describe", options.limits));
    let call = Call::new(SpaceId::main(), Timestamp::from_millis(0), access);
    let mut store = State::store(&inner.wasm, options.describe_cpu, call, inner.memory.open(&SpaceId::main()));
    match tokio::time::timeout(wall, guest.introduce(&mut store)).await {
        Ok(Ok(described)) => Ok(described),
        Ok(Err(Introduction::Mismatch(error))) => Err(mismatch(error)),
        Ok(Err(Introduction::Failed(error))) => {
            let log = &mut store.data_mut().log;
            log.end();
            let failure = stop::failure_of(&error, log.explanation());
            Err(match failure.kind() {
                FailureKind::PluginTrapped => LoadError::DescribeTrapped(failure.message),
                _ => LoadError::DescribeFailed(failure.message),
            })
        }
        Err(_) => Err(LoadError::DescribeFailed(stop::timeout(wall).message)),
    }
}
