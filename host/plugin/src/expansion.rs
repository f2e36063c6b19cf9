//! The expanded size of a component. A component may contain others and instantiate each of them several times,
//! recursively: a few kilobytes can denote millions of instances, all of which the compiler would process. This counts
//! them from the sections, without instantiating any.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Instance,
    Payload,
};

use crate::error::LoadError;

/// Maximum number of instances, arguments, aliases, types and functions of an expanded component. An interpreter with a
/// hundred libraries has some thousands.
const PARTS: u64 = 250_000;
/// Maximum number of entries of all sections, instantiated or not.
const ENTRIES: u64 = 500_000;

/// The error for a component that cannot be parsed.
pub(crate) fn malformed(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Malformed(crate::cut::cut(&error.to_string(), 400))
}

/// Counts entries while the sections are parsed.
#[derive(Default)]
pub(crate) struct Expansion {
    scopes: Vec<Scope>,
    entries: u64,
}

/// A component, or a module, that is being parsed.
#[derive(Default)]
struct Scope {
    is_module: bool,
    /// The expanded size of one instance.
    parts: u64,
    /// The same for each component in its index space. An imported component is unknown and cannot be instantiated: it
    /// counts as more than the maximum.
    components: Vec<u64>,
}

impl Scope {
    fn add(&mut self, parts: u64) {
        self.parts = self.parts.saturating_add(parts);
    }

    fn component(&self, index: u32) -> u64 {
        usize::try_from(index).ok().and_then(|index| self.components.get(index)).copied().unwrap_or(u64::MAX)
    }
}

impl Expansion {
    /// Processes the next payload.
    ///
    /// # Errors
    /// It has too many parts, or cannot be parsed.
    pub(crate) fn take(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_module = *encoding == wasmparser::Encoding::Module;
                self.scopes.push(Scope { is_module, ..Scope::default() });
            }
            Payload::End(_) => {
                let ended = self.scopes.pop();
                if let (Some(ended), Some(holder)) = (ended.filter(|ended| !ended.is_module), self.scopes.last_mut()) {
                    holder.components.push(ended.parts.saturating_add(1));
                }
            }
            Payload::TypeSection(section) => self.count(section.count())?,
            Payload::ImportSection(section) => self.count(section.count())?,
            Payload::ExportSection(section) => self.count(section.count())?,
            Payload::CoreTypeSection(section) => self.part(section.count())?,
            Payload::ComponentTypeSection(section) => self.part(section.count())?,
            Payload::ComponentCanonicalSection(section) => self.part(section.count())?,
            Payload::ComponentStartSection { .. } => self.part(1)?,
            Payload::InstanceSection(section) => {
                self.part(section.count())?;
                for instance in section.clone() {
                    match instance.map_err(|error| malformed(&error))? {
                        Instance::Instantiate { args, .. } => self.parts(args.len())?,
                        Instance::FromExports(exports) => self.parts(exports.len())?,
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                self.part(section.count())?;
                for instance in section.clone() {
                    match instance.map_err(|error| malformed(&error))? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            self.parts(args.len())?;
                            if let Some(scope) = self.scopes.last_mut() {
                                scope.add(scope.component(component_index));
                            }
                        }
                        ComponentInstance::FromExports(exports) => self.parts(exports.len())?,
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                self.part(section.count())?;
                for alias in section.clone() {
                    let parts = match alias.map_err(|error| malformed(&error))? {
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            self.outer(count).map_or(u64::MAX, |scope| scope.component(index))
                        }
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => u64::MAX,
                        _ => continue,
                    };
                    self.known(parts);
                }
            }
            Payload::ComponentImportSection(section) => {
                self.part(section.count())?;
                for import in section.clone() {
                    let import = import.map_err(|error| malformed(&error))?;
                    if matches!(import.ty, ComponentTypeRef::Component(_)) {
                        self.known(u64::MAX);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                self.part(section.count())?;
                for export in section.clone() {
                    let export = export.map_err(|error| malformed(&error))?;
                    if export.kind == ComponentExternalKind::Component {
                        let parts = self.scopes.last().map_or(u64::MAX, |scope| scope.component(export.index));
                        self.known(parts);
                    }
                }
            }
            _ => {}
        }
        if self.scopes.first().is_some_and(|whole| whole.parts > PARTS) || self.entries > ENTRIES {
            return Err(LoadError::CompileFailed(format!(
                "it comes to more than {PARTS} instances, types and functions once every component in it is instantiated: \
                 instantiate fewer, and pass none on as an argument"
            )));
        }
        Ok(())
    }

    /// The scope this many levels outside of the current one.
    fn outer(&self, count: u32) -> Option<&Scope> {
        let place = self.scopes.len().checked_sub(1)?.checked_sub(usize::try_from(count).ok()?)?;
        self.scopes.get(place)
    }

    /// Adds a component to the current scope's index space.
    fn known(&mut self, parts: u64) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.components.push(parts);
        }
    }

    /// Counts entries of a section, which each instance has.
    fn part(&mut self, count: u32) -> Result<(), LoadError> {
        if let Some(scope) = self.scopes.last_mut() {
            scope.add(u64::from(count));
        }
        self.count(count)
    }

    fn parts(&mut self, count: usize) -> Result<(), LoadError> {
        self.part(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Counts entries of a section.
    fn count(&mut self, count: u32) -> Result<(), LoadError> {
        self.entries = self.entries.saturating_add(u64::from(count));
        if self.entries > ENTRIES {
            return Err(LoadError::CompileFailed(format!(
                "its sections have more than {ENTRIES} entries: leave out what the plugin does not need"
            )));
        }
        Ok(())
    }
}
