//! The kinds of plugin that a component is, and whether its imports are permitted.

use std::fmt::Write as _;

use hookwright_model::Kind;
use semver::Version;

use crate::capability::{ALL, Capability, Link};
use crate::error::LoadError;
use crate::guest::WitVersion;
use crate::inspect::{Import, Interfaces};
use crate::versions;

/// The WIT package.
const PACKAGE: &str = "hookwright:plugin";
/// Every kind, with the world that a plugin of the kind is built for.
const KINDS: [Kind; 4] = [Kind::Condition, Kind::Action, Kind::Transform, Kind::Source];
/// The interface that every plugin exports.
const METADATA: &str = "metadata";
/// The interface of types only, which any plugin may import.
const TYPES: &str = "types";

/// The kinds and the imports of a component.
pub(crate) struct Granted {
    /// Its kinds.
    pub(crate) kinds: Vec<Kind>,
    /// The version of the WIT package of its exports.
    pub(crate) version: &'static WitVersion,
    /// The linked interfaces.
    pub(crate) links: Vec<&'static Link>,
    /// Those of them that must be granted, in order.
    pub(crate) wants: Vec<&'static str>,
}

/// Compares the exports and imports of a component with what the host provides.
///
/// # Errors
/// It does not export a kind of plugin, or imports something that its kinds do not get. All such imports are named.
pub(crate) fn grant(interfaces: &Interfaces) -> Result<Granted, LoadError> {
    let (kinds, version) = kinds(&interfaces.exports)?;
    let mut links: Vec<&'static Link> = Vec::new();
    let mut wants = Vec::new();
    let mut refused: Vec<(Vec<String>, String)> = Vec::new();
    for import in &interfaces.imports {
        match wanted(import, &kinds) {
            Ok(Some((_, link))) if links.iter().any(|linked| std::ptr::eq(*linked, link)) => {}
            Ok(Some((capability, link))) => {
                links.push(link);
                if !capability.is_basic() {
                    wants.push(capability.interface);
                }
            }
            Ok(None) => {}
            Err(why) => {
                let name = format!("`{}`", crate::cut::cut(&import.name, 120));
                // Each remedy once, for any number of imports: a WASI component has two dozen of them.
                match refused.iter_mut().find(|(_, known)| *known == why) {
                    Some((names, _)) => names.push(name),
                    None => refused.push((vec![name], why)),
                }
            }
        }
    }
    if refused.is_empty() {
        return Ok(Granted { kinds, version, links, wants });
    }
    let refused: Vec<String> = refused.into_iter().map(|(names, why)| format!("{}: {why}", listed(&names))).collect();
    let kinds_named = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ");
    let granted = ALL
        .iter()
        .filter(|capability| is_granted(capability, &kinds))
        .map(|capability| capability.interface)
        .collect::<Vec<_>>()
        .join(", ");
    Err(LoadError::ImportNotGranted(format!(
        "the component imports interfaces that it has no access to. {}. As {kinds_named} it gets {granted} of {PACKAGE}@{}: \
         build it without the others",
        refused.join("; "),
        version.name
    )))
}

/// Maximum number of named imports for one remedy.
const NAMED: usize = 4;

/// The first names, and the number of the others.
fn listed(names: &[String]) -> String {
    let mut named: Vec<String> = names.iter().take(NAMED).cloned().collect();
    if names.len() > named.len() {
        named.push(format!("{} more", names.len() - named.len()));
    }
    named.join(", ")
}

fn is_granted(capability: &Capability, kinds: &[Kind]) -> bool {
    capability.kinds.iter().any(|kind| kinds.contains(kind))
}

/// What is linked for an import. `None`: nothing needs to be. The error is the reason for which it is refused.
fn wanted(import: &Import, kinds: &[Kind]) -> Result<Option<(&'static Capability, &'static Link)>, String> {
    let name = parse(&import.name);
    if name.package != PACKAGE {
        return Err(if name.package.starts_with("wasi:") {
            "plugins have no access to WASI: build for wasm32-unknown-unknown, or have the toolchain leave WASI out (componentize-py \
             and componentize-qjs: --stub-wasi; jco: --disable all)"
                .to_owned()
        } else if import.is_interface {
            format!("only interfaces of {PACKAGE} can be imported")
        } else {
            "only interfaces can be imported, not functions or components by themselves".to_owned()
        });
    }
    if name.interface == TYPES {
        return known_version(&name).map(|_| None);
    }
    let Some(capability) = ALL.iter().find(|capability| capability.interface == name.interface) else {
        let there = ALL.iter().map(|capability| capability.interface).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no such interface; there are {there}"));
    };
    let version = known_version(&name)?;
    if !is_granted(capability, kinds) {
        let those = capability.kinds.iter().map(|kind| format!("{kind}s")).collect::<Vec<_>>().join(" and ");
        return Err(format!("only {those} have access to it"));
    }
    let Some(link) = capability.links.iter().find(|link| link.version == version.name) else {
        return Err(format!("version {} of {PACKAGE} does not have it", version.name));
    };
    Ok(Some((capability, link)))
}

fn kinds(exports: &[String]) -> Result<(Vec<Kind>, &'static WitVersion), LoadError> {
    let ours: Vec<Name<'_>> = exports.iter().map(|name| parse(name)).filter(|name| name.package == PACKAGE).collect();
    for version in versions::ALL {
        let is_of = |name: &Name<'_>| known_version(name).is_ok_and(|known| known.name == version.name);
        let has = |interface: &str| ours.iter().any(|name| name.interface == interface && is_of(name));
        let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| has(kind.name())).collect();
        if has(METADATA) && !kinds.is_empty() {
            return Ok((kinds, version));
        }
    }
    Err(no_known_world(exports, &ours))
}

fn no_known_world(exports: &[String], ours: &[Name<'_>]) -> LoadError {
    let mut text = if exports.is_empty() {
        "the component exports nothing".to_owned()
    } else {
        let mut list: Vec<String> =
            exports.iter().take(20).map(|name| format!("`{}`", crate::cut::cut(name, 120))).collect();
        if exports.len() > list.len() {
            list.push(format!("{} more", exports.len() - list.len()));
        }
        format!("the component exports {}", list.join(", "))
    };
    let unknown: Vec<String> = ours.iter().filter_map(|name| known_version(name).err()).collect();
    let is_kind = |name: &&Name<'_>| KINDS.iter().any(|kind| kind.name() == name.interface);
    if let Some(why) = unknown.first() {
        let _ = write!(text, "; {why}");
    } else if ours.iter().any(|name| is_kind(&name)) {
        let _ = write!(text, "; `{PACKAGE}/{METADATA}` is missing: every plugin must export it");
    } else if !ours.is_empty() {
        text.push_str("; none of these makes it a plugin");
    }
    let worlds: Vec<String> = KINDS.iter().map(|kind| format!("{kind}-plugin")).collect();
    let _ = write!(text, ". Build it for one of the worlds {} of {PACKAGE}@{}", worlds.join(", "), known_names());
    LoadError::NoKnownWorld(text)
}

/// The parts of `package/interface@version`.
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: Option<&'a str>,
}

fn parse(name: &str) -> Name<'_> {
    let (path, version) = name.split_once('@').map_or((name, None), |(path, version)| (path, Some(version)));
    let (package, interface) = path.split_once('/').unwrap_or(("", path));
    Name { package, interface, version }
}

/// The host's version that satisfies `name`.
fn known_version(name: &Name<'_>) -> Result<&'static WitVersion, String> {
    let serves = |ours: &&WitVersion| match (Version::parse(ours.name), name.version.map(Version::parse)) {
        (Ok(ours), Some(Ok(theirs))) => compatible(&ours, &theirs),
        _ => false,
    };
    versions::ALL.into_iter().find(|ours| serves(ours)).ok_or_else(|| {
        let version = crate::cut::cut(name.version.unwrap_or("none"), 40);
        format!("version {version} of {PACKAGE} is not known here; known: {}", known_names())
    })
}

fn known_names() -> String {
    versions::names().collect::<Vec<_>>().join(", ")
}

/// Whether one version satisfies the other, by the rules for linking components (semver 2.0, as in Cargo).
fn compatible(ours: &Version, theirs: &Version) -> bool {
    if !ours.pre.is_empty() || !theirs.pre.is_empty() {
        return ours == theirs;
    }
    match (ours.major, ours.minor) {
        (0, 0) => ours == theirs,
        (0, minor) => theirs.major == 0 && theirs.minor == minor,
        (major, _) => theirs.major == major,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(imports: &[&str], exports: &[&str]) -> Interfaces {
        Interfaces {
            imports: imports
                .iter()
                .map(|name| Import { name: (*name).to_owned(), is_interface: name.contains('/') })
                .collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    const META: &str = "hookwright:plugin/metadata@0.1.0";
    const CONDITION: &str = "hookwright:plugin/condition@0.1.0";
    const ACTION: &str = "hookwright:plugin/action@0.1.0";
    const TICKETS: &str = "hookwright:plugin/tickets@0.1.0";

    #[test]
    fn a_component_of_several_kinds_gets_the_interfaces_of_each() {
        let imports = ["hookwright:plugin/types@0.1.0", "hookwright:plugin/log@0.1.3", TICKETS];
        let granted = grant(&interfaces(&imports, &[META, CONDITION, ACTION, "init"])).ok().unwrap();
        assert_eq!(granted.kinds, [Kind::Condition, Kind::Action]);
        assert_eq!((granted.version.name, granted.links.len()), ("0.1.0", 2));
        assert_eq!(granted.wants, ["tickets"]);
    }

    #[test]
    fn every_refused_import_is_named_with_the_reason() {
        let imports = [
            TICKETS,
            "wasi:cli/environment@0.2.0",
            "hookwright:plugin/files@0.1.0",
            "hookwright:plugin/log@0.2.0",
            "print",
        ];
        let error = grant(&interfaces(&imports, &[META, CONDITION])).err().unwrap();
        assert_eq!(error.code(), "plugin.import_not_granted");
        let text = error.to_string();
        for part in [
            "`hookwright:plugin/tickets@0.1.0`: only actions have access to it",
            "`wasi:cli/environment@0.2.0`: plugins have no access to WASI",
            "`hookwright:plugin/files@0.1.0`: there is no such interface; there are log, clock",
            "`hookwright:plugin/log@0.2.0`: version 0.2.0 of hookwright:plugin is not known here; known: 0.1.0",
            "`print`: only interfaces can be imported",
            "As condition it gets log, clock, random, config, crypto, encoding of hookwright:plugin@0.1.0",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_remedy_is_reported_once_for_all_its_imports() {
        let wasi: Vec<String> = (0..18).map(|number| format!("wasi:cli/thing-{number}@0.2.0")).collect();
        let mut imports: Vec<&str> = wasi.iter().map(String::as_str).collect();
        imports.push(TICKETS);
        let text = grant(&interfaces(&imports, &[META, CONDITION])).err().unwrap().to_string();
        assert_eq!(text.matches("plugins have no access to WASI").count(), 1, "{text}");
        for part in
            ["`wasi:cli/thing-3@0.2.0`, 14 more: plugins have no access to WASI", "only actions have access to it"]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_component_that_is_not_a_plugin_is_refused_with_what_it_lacks() {
        for (exports, part) in [
            (&[][..], "exports nothing"),
            (
                &["wasi:http/incoming-handler@0.2.0"],
                "`wasi:http/incoming-handler@0.2.0`. Build it for one of the worlds condition-plugin",
            ),
            (&[CONDITION], "`hookwright:plugin/metadata` is missing"),
            (&[META], "none of these makes it a plugin"),
            (
                &["hookwright:plugin/action@0.9.0", "hookwright:plugin/metadata@0.9.0"],
                "version 0.9.0 of hookwright:plugin is not known",
            ),
        ] {
            let error = grant(&interfaces(&[], exports)).err().unwrap();
            assert_eq!(error.code(), "plugin.no_known_world");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn versions_serve_for_one_another_by_the_rules_of_semver() {
        for (ours, theirs, serves) in [
            ("0.1.0", "0.1.7", true),
            ("0.1.0", "0.2.0", false),
            ("1.2.0", "1.0.0", true),
            ("1.2.0", "2.0.0", false),
            ("0.0.1", "0.0.2", false),
            ("1.0.0", "1.0.0-rc.1", false),
        ] {
            assert_eq!(compatible(&ours.parse().unwrap(), &theirs.parse().unwrap()), serves, "{ours} {theirs}");
        }
    }
}
