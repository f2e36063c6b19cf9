//! Which toolchain builds the plugins, found in three steps and each told in a sentence.

use std::process::Command;

use crate::debian::{self, Debian};
use crate::error::MissingTarget;
use crate::{TARGET, rustup};

/// A toolchain that can build for [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The active compiler has the target.
    Active,
    /// Debian's compiler, which compiles its own standard library first.
    Debian(Debian),
}

impl Toolchain {
    /// Looks for a toolchain, changes nothing and takes a fraction of a second.
    ///
    /// # Errors
    /// [`MissingTarget`], whose message ends with `cargo xtask setup`, which mends it.
    pub fn find() -> Result<Self, MissingTarget> {
        let mut tried = Vec::new();
        Self::look(&mut tried)
            .ok_or_else(|| MissingTarget { tried, remedy: "To install it, run: cargo xtask setup".into() })
    }

    /// Debian's toolchain even where the active one would do: for tests of that way.
    ///
    /// # Errors
    /// [`MissingTarget`], whose message ends with the command that installs the packages.
    pub fn debian() -> Result<Self, MissingTarget> {
        Debian::find().map(|debian| Self { kind: Kind::Debian(debian) }).map_err(|reason| MissingTarget {
            tried: vec![reason],
            remedy: format!("To install them, run as root: {}", debian::by_hand()),
        })
    }

    /// Looks for a toolchain and installs what is missing: first with rustup (at most two minutes), then with apt.
    ///
    /// `report` is given one sentence for each step.
    ///
    /// # Errors
    /// [`MissingTarget`], whose message ends with the one command to run by hand.
    pub fn find_or_install(report: &mut dyn FnMut(&str)) -> Result<Self, MissingTarget> {
        let mut tried = Vec::new();
        if let Some(found) = Self::look(&mut tried) {
            report(&format!("WebAssembly toolchain: {}", found.name()));
            return Ok(found);
        }
        report(&format!("WebAssembly toolchain: none yet ({})", tried.join("; ")));
        report(&format!("Asking rustup for {TARGET} (at most two minutes)"));
        match rustup::add_target() {
            Ok(()) => {
                if let Some(found) = Self::look(&mut Vec::new()) {
                    report(&format!("WebAssembly toolchain: {}", found.name()));
                    return Ok(found);
                }
                tried.push(format!("rustup added {TARGET}, but to another toolchain than the active one"));
            }
            Err(reason) => {
                report(&reason);
                tried.push(reason);
            }
        }
        report(&format!("Installing Debian's {} (about 200 MB)", debian::PACKAGES.join(", ")));
        match debian::install().and_then(|()| Debian::find()) {
            Ok(debian) => {
                let found = Self { kind: Kind::Debian(debian) };
                report(&format!("WebAssembly toolchain: {}", found.name()));
                Ok(found)
            }
            Err(reason) => {
                report(&reason);
                tried.push(reason);
                let remedy = format!(
                    "Where rustup reaches its server, run: rustup target add {TARGET}; on Debian, run as root: {}",
                    debian::by_hand()
                );
                Err(MissingTarget { tried, remedy })
            }
        }
    }

    fn look(tried: &mut Vec<String>) -> Option<Self> {
        match rustup::installed() {
            Ok(_) => return Some(Self { kind: Kind::Active }),
            Err(reason) => tried.push(reason),
        }
        match Debian::find() {
            Ok(debian) => Some(Self { kind: Kind::Debian(debian) }),
            Err(reason) => {
                tried.push(reason);
                None
            }
        }
    }

    /// What it is, in a few words for a message.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Active => "the active Rust toolchain",
            Kind::Debian(_) => "Debian's rustc-web, with its standard library built once",
        }
    }

    /// Whether the standard library is compiled with the plugins, which takes about a minute the first time.
    #[must_use]
    pub fn builds_std(&self) -> bool {
        matches!(self.kind, Kind::Debian(_))
    }

    /// A cargo of this toolchain, ready for arguments.
    pub(crate) fn cargo(&self) -> Command {
        match &self.kind {
            Kind::Active => {
                let mut command = crate::command::clean(rustup::active_cargo());
                // A compiler chosen by the user for the outer build is the one that was looked at above.
                if let Some(rustc) = std::env::var_os("RUSTC") {
                    command.env("RUSTC", rustc);
                }
                command
            }
            Kind::Debian(debian) => debian.command(),
        }
    }

    /// A folder name of its own, since two compilers must not share a target directory.
    pub(crate) fn folder(&self) -> &'static str {
        match self.kind {
            Kind::Active => "active",
            Kind::Debian(_) => "debian",
        }
    }
}
