//! Every released version of the WIT package that plugins may be built for. Each is a folder here, `v0_1_0` the first:
//! its bindings, conversions between its types and the model's, and calls of its components. To add one, add its folder
//! to `wit/`, copy the newest folder here, change what differs, link the capabilities that have it (their `links`), and
//! list it below. A plugin built for any of them keeps loading, which `tests/golden` verifies.

use crate::guest::WitVersion;
use crate::v0_1_0;

/// Every version, the oldest first.
pub(crate) const ALL: [&WitVersion; 1] = [&v0_1_0::VERSION];

/// The names of all of them.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|version| version.name)
}
