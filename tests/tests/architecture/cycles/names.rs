//! What a path in a module names, through imports and re-exports.

use super::source::{Crate, Defined};

/// How many imports a name may lead through. It only ends names that lead to themselves.
const MAX_IMPORTS: usize = 24;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The module that defines the name, or the module itself.
    pub(crate) module: usize,
    /// The name that it defines; none if the path names a module.
    pub(crate) name: Option<String>,
    /// How many segments of the path came after it: a variant, a method, an associated constant.
    pub(crate) rest: usize,
}

impl Crate<'_> {
    /// What a path in a module names; none if that is not part of this crate.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<Found> {
        self.resolve_within(module, path, MAX_IMPORTS)
    }

    /// What kind of thing was found.
    pub(crate) fn defined(&self, found: &Found) -> Option<&Defined> {
        self.modules[found.module].defined.get(found.name.as_deref()?)
    }

    fn resolve_within(&self, module: usize, path: &[String], left: usize) -> Option<Found> {
        let left = left.checked_sub(1)?;
        let (first, mut rest) = path.split_first()?;
        let mut found = match first.as_str() {
            "crate" => Found { module: 0, name: None, rest: 0 },
            "self" => Found { module, name: None, rest: 0 },
            "super" => Found { module: self.modules[module].parent, name: None, rest: 0 },
            name => self.lookup(module, name, rest.is_empty(), left)?,
        };
        while found.name.is_none() {
            let Some((name, after)) = rest.split_first() else { return Some(found) };
            found = match name.as_str() {
                "super" => Found { module: self.modules[found.module].parent, ..found },
                name => self.lookup(found.module, name, after.is_empty(), left)?,
            };
            rest = after;
        }
        Some(Found { rest: found.rest + rest.len(), ..found })
    }

    /// What a name is in a module. Modules and other items have names of their own: the last segment of a path prefers
    /// an item.
    fn lookup(&self, module: usize, name: &str, last: bool, left: usize) -> Option<Found> {
        let this = &self.modules[module];
        let item = || {
            let defined = this.defined.contains_key(name);
            defined.then(|| Found { module, name: Some(name.to_owned()), rest: 0 })
        };
        let child = || this.children.get(name).map(|module| Found { module: *module, name: None, rest: 0 });
        let imported = || {
            let path = this.imported.get(name)?;
            // `use serde::...` beside an import called `serde` would lead to itself.
            let itself = path.first().is_some_and(|first| first == name) && !this.children.contains_key(name);
            if itself { None } else { self.resolve_within(module, path, left) }
        };
        let by_glob = || {
            this.globs.iter().find_map(|path| {
                let from = self.resolve_within(module, path, left)?;
                if from.name.is_some() { None } else { self.lookup(from.module, name, last, left.checked_sub(1)?) }
            })
        };
        let found =
            if last { item().or_else(imported).or_else(child) } else { child().or_else(item).or_else(imported) };
        found.or_else(by_glob)
    }
}
