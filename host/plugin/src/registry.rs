//! The registry of plugins by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use bytes::Bytes;
use hookwright_model::SpaceId;
use parking_lot::Mutex;

use crate::engine::Engine;
use crate::error::LoadError;
use crate::hashed::HashedComponent;
use crate::load::{admit, load};
use crate::plugin::Plugin;

/// The scope of a plugin, which determines who can use it. A space's own takes precedence over one of the folder, and
/// that over a built-in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Built in; available in every space.
    Builtin,
    /// From the watched folder; available in every space.
    Folder,
    /// Belongs to one space.
    Space(SpaceId),
}

/// The plugins, by name. Looking one up takes no lock; it stays valid for as long as it is held, even if it is
/// replaced.
pub struct Registry {
    engine: Engine,
    names: ArcSwap<Names>,
    /// Held while `names` is replaced.
    writing: Mutex<()>,
    /// Every plugin that is in use, by digest.
    loaded: Mutex<HashMap<String, Weak<Plugin>>>,
    /// Held, by digest, while a component is loaded, so that the same bytes are never compiled twice.
    loading: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A name in a scope.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// Its scope.
    pub scope: Scope,
    /// The plugin, if a version could be loaded.
    pub plugin: Option<Arc<Plugin>>,
    /// The newer version that could not be loaded.
    pub error: Option<FailedVersion>,
    /// Whether another scope takes precedence, so that the space does not use this plugin.
    pub shadowed: bool,
}

/// A version that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedVersion {
    /// SHA-256 of its bytes in hex, or empty if they could not be read.
    pub digest: String,
    /// The error.
    pub error: LoadError,
}

#[derive(Clone, Default)]
struct Names(BTreeMap<Scope, BTreeMap<String, Entry>>);

#[derive(Clone, Default)]
struct Entry {
    plugin: Option<Arc<Plugin>>,
    failed: Option<FailedVersion>,
}

impl Registry {
    /// An empty one.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            names: ArcSwap::default(),
            writing: Mutex::default(),
            loaded: Mutex::default(),
            loading: Mutex::default(),
        }
    }

    /// The engine that runs the plugins.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Validates and compiles a component, and calls its `describe`. Nothing is replaced yet: see
    /// [`Registry::activate`].
    ///
    /// # Errors
    /// What is wrong with the component.
    pub async fn prepare(&self, bytes: Bytes) -> Result<Arc<Plugin>, LoadError> {
        self.prepare_hashed(HashedComponent::of(bytes).await?).await
    }

    /// The same for an uploaded component. Also returns the names of the trusted keys that signed it.
    ///
    /// # Errors
    /// What is wrong with its signatures, or with the component.
    pub async fn prepare_signed(
        &self,
        component: HashedComponent,
        signatures: &[String],
    ) -> Result<(Arc<Plugin>, Vec<String>), LoadError> {
        // Signatures first: if they are required, unsigned bytes are not even parsed.
        let signed_by = self.engine.options().trust.check(component.digest(), signatures)?;
        Ok((self.prepare_hashed(component).await?, signed_by))
    }

    /// The same as [`Registry::prepare`] for a component whose digest is known.
    ///
    /// # Errors
    /// What is wrong with the component.
    pub async fn prepare_hashed(&self, component: HashedComponent) -> Result<Arc<Plugin>, LoadError> {
        let digest = component.digest().to_owned();
        if let Some(plugin) = self.loaded(&digest) {
            return Ok(plugin);
        }
        let admitted = admit(&self.engine, component).await?;
        let turn = {
            let mut loading = self.loading.lock();
            loading.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(loading.entry(digest.clone()).or_default())
        };
        let _turn = turn.lock().await;
        if let Some(plugin) = self.loaded(&digest) {
            return Ok(plugin);
        }
        let plugin = Arc::new(load(&self.engine, admitted).await?);
        let mut loaded = self.loaded.lock();
        loaded.retain(|_, plugin| plugin.strong_count() > 0);
        loaded.insert(plugin.digest().to_owned(), Arc::downgrade(&plugin));
        Ok(plugin)
    }

    /// Registers `plugin` under `name` atomically. Returns the previous one, on which calls in progress end.
    ///
    /// # Errors
    /// The name is not 1 to 64 of `a-z 0-9 -`.
    pub fn activate(&self, scope: Scope, name: &str, plugin: Arc<Plugin>) -> Result<Option<Arc<Plugin>>, LoadError> {
        check_name(name)?;
        let entry = Entry { plugin: Some(plugin), failed: None };
        Ok(self.change(|names| {
            names.0.entry(scope).or_default().insert(name.to_owned(), entry).and_then(|old| old.plugin)
        }))
    }

    /// Records that a version could not be loaded. The one under `name`, if any, stays live.
    pub fn failed(&self, scope: Scope, name: &str, digest: &str, error: LoadError) {
        let failed = FailedVersion { digest: digest.to_owned(), error };
        self.change(|names| {
            names.0.entry(scope).or_default().entry(name.to_owned()).or_default().failed = Some(failed);
        });
    }

    /// Removes a name. Returns whether it existed. Calls in progress end normally.
    pub fn deactivate(&self, scope: &Scope, name: &str) -> bool {
        self.change(|names| names.0.get_mut(scope).is_some_and(|entries| entries.remove(name).is_some()))
    }

    /// The plugin with this name in a space.
    pub fn get(&self, space: &SpaceId, name: &str) -> Option<Arc<Plugin>> {
        self.resolve(space, name).map(|(_, plugin)| plugin)
    }

    /// The plugin with this name in a space, and its scope.
    pub fn resolve(&self, space: &SpaceId, name: &str) -> Option<(Scope, Arc<Plugin>)> {
        let names = self.names.load();
        // A scope owns its space's id, and a clone only counts a reference.
        [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin].into_iter().find_map(|scope| {
            let plugin = names.0.get(&scope)?.get(name)?.plugin.clone()?;
            Some((scope, plugin))
        })
    }

    /// The plugin with this name in exactly this scope, and the newer version that could not be loaded.
    pub fn find(&self, scope: &Scope, name: &str) -> Option<(Option<Arc<Plugin>>, Option<FailedVersion>)> {
        let names = self.names.load();
        names.0.get(scope)?.get(name).map(|entry| (entry.plugin.clone(), entry.failed.clone()))
    }

    /// Every plugin that a space can use, by name; of several with one name, the one that takes precedence first.
    pub fn list(&self, space: &SpaceId) -> Vec<Listed> {
        let names = self.names.load();
        let mut listed: Vec<Listed> = Vec::new();
        for scope in [Scope::Space(space.clone()), Scope::Folder, Scope::Builtin] {
            for (name, entry) in names.0.get(&scope).into_iter().flatten() {
                let shadowed = listed.iter().any(|other| other.name == *name && other.plugin.is_some());
                listed.push(Listed {
                    name: name.clone(),
                    scope: scope.clone(),
                    plugin: entry.plugin.clone(),
                    error: entry.failed.clone(),
                    shadowed,
                });
            }
        }
        // A stable sort, so the scopes of one name stay in order.
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// Every name in exactly this scope.
    pub(crate) fn names(&self, scope: &Scope) -> Vec<String> {
        self.names.load().0.get(scope).into_iter().flat_map(|entries| entries.keys().cloned()).collect()
    }

    fn loaded(&self, digest: &str) -> Option<Arc<Plugin>> {
        self.loaded.lock().get(digest)?.upgrade()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Names) -> T) -> T {
        let _writing = self.writing.lock();
        let mut names = Names::clone(&self.names.load());
        let changed = change(&mut names);
        self.names.store(Arc::new(names));
        changed
    }
}

/// Whether a plugin can have this name.
pub fn check_name(name: &str) -> Result<(), LoadError> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Ok(()) } else { Err(LoadError::NameInvalid(crate::cut::cut(name, 80))) }
}
