//! The values of filters.

use jaq_core::data::JustLut;
use jaq_json::Val;

/// The values that filters work on, and nothing besides them.
pub(crate) type Data = JustLut<Val>;
