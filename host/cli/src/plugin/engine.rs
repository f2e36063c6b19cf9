//! The engine in which commands run components: the server's own, with its limits, in this process.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use hookwright_plugin::{Engine, EngineOptions, Plugin, Registry};
use tokio::runtime::Runtime;

use crate::failed::Failed;
use crate::screen::{self, Busy};

/// The maximum number of concurrent instances.
const MAX_INSTANCES: u32 = 16;

/// An engine and its async runtime.
pub(crate) struct Workshop {
    runtime: Runtime,
    registry: Registry,
}

impl Workshop {
    /// Creates it. `cache`: the folder for compiled components; `None`: they are not cached.
    pub(crate) fn open(cache: Option<PathBuf>) -> Result<Self, Failed> {
        let options = EngineOptions {
            instances: MAX_INSTANCES,
            instances_per_plugin: MAX_INSTANCES,
            cache_dir: cache,
            ..EngineOptions::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { runtime, registry: Registry::new(Engine::new(&options)?) })
    }

    /// Creates it with the user's cache folder for compiled components, if there is one.
    pub(crate) fn with_user_cache() -> Result<Self, Failed> {
        Self::open(user_cache()).or_else(|_| Self::open(None))
    }

    /// Checks and compiles a component.
    pub(crate) fn load(&self, bytes: Bytes) -> Result<Arc<Plugin>, Failed> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let _busy = Busy::with(format!("compiling {}", screen::bytes(size)));
        let loaded = self.runtime.block_on(self.registry.prepare(bytes));
        loaded.map_err(|error| crate::failed::problem(error.code(), error.to_string()))
    }

    /// Runs a future to completion.
    pub(crate) fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

/// The folder for what can be made again, as the XDG Base Directory Specification says.
fn user_cache() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("hookwright"))
}
