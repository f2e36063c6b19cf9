//! The key of a plugin: its name in a space.

use hookwright_model::SpaceId;

/// A plugin's name in a space.
pub(crate) type PluginKey = (SpaceId, String);
