//! Names of plugins as arguments.

/// A plugin's name, checked before it is used in a path.
pub(crate) fn name(text: &str) -> Result<String, String> {
    hookwright_plugin::check_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
