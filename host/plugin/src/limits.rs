//! Limits that are the same for every plugin.

use std::time::Duration;

/// Maximum number of core instances, memories and tables of one component. An interpreter with its libraries, each of
/// them a module, needs a hundred or more.
pub(crate) const CORE_INSTANCES: usize = 500;
/// See [`CORE_INSTANCES`].
pub(crate) const MEMORIES: usize = 8;
/// See [`CORE_INSTANCES`].
pub(crate) const TABLES: usize = 32;

/// The interval in which computing time of plugins is counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);
