//! From an empty folder to a component, in nine languages.
//!
//! [`scaffold`] writes a plugin that builds at once, [`build`] makes a component of one. Both work from the folder alone:
//! its [`Settings`] (`hookwright.toml`) define the kind, the language and the world. Bindings are generated and components
//! are encoded in this process, so a language needs its compiler and nothing else; [`Tools`] finds that compiler, or
//! names the command that installs it.
//!
//! Nothing here runs a plugin.

mod adapter;
mod build;
mod error;
mod files;
mod language;
mod process;
mod scaffold;
mod settings;
mod tool;
mod tools;
mod world;

pub use build::{Built, Profile, build, build_with};
pub use error::AuthorError;
pub use language::{Kind, Language};
pub use scaffold::scaffold;
pub use settings::Settings;
pub use tool::Tool;
pub use tools::Tools;

/// Every language that plugins are written in, in display order.
#[must_use]
pub fn languages() -> &'static [Language] {
    &Language::ALL
}
