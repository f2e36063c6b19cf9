//! File descriptors: as many as the system lets the server have, and so many of them for callers that deliveries and the
//! store are never without.

use hookwright_server::ConnectionLimits;

/// Descriptors for the store, plugins, the log, and what the runtime needs.
const RESERVED: usize = 64;

/// Raises the limit of open files, and bounds connections so that deliveries have a reserve. Connections that have shown
/// no credentials get at most half.
pub(crate) fn share_out(wanted: ConnectionLimits, deliveries: usize) -> ConnectionLimits {
    let shared = shares(wanted, deliveries, raise());
    if shared.connections < wanted.connections {
        let (connections, wanted) = (shared.connections, wanted.connections);
        tracing::warn!(
            connections,
            wanted,
            "accepting fewer connections because the limit on open files is low: raise it (`ulimit -n`)"
        );
    }
    shared
}

fn shares(wanted: ConnectionLimits, deliveries: usize, files: Option<usize>) -> ConnectionLimits {
    let connections = files.map_or(wanted.connections, |files| {
        let reserve = deliveries.min(files / 2).saturating_add(RESERVED);
        wanted.connections.min(files.saturating_sub(reserve)).max(1)
    });
    ConnectionLimits { connections, unknown: (connections / 2).max(1), ..wanted }
}

/// Raises the soft limit to the hard one; returns how many files may be open, if that is bounded.
#[cfg(unix)]
fn raise() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let held = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    held.current.and_then(|files| usize::try_from(files).ok())
}

#[cfg(not(unix))]
fn raise() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deliveries_keep_a_reserve_of_descriptors() {
        let wanted = ConnectionLimits {
            connections: 10_000,
            unknown: 0,
            header_time: Duration::from_secs(1),
            header_bytes: 1,
            grace: Duration::from_secs(1),
        };
        for (files, deliveries, connections) in [
            (None, 1024, 10_000),
            (Some(1_048_576), 1024, 10_000),
            (Some(8192), 1024, 8192 - 1024 - RESERVED),
            (Some(1024), 1024, 512 - RESERVED),
            (Some(1024), 16, 1024 - 16 - RESERVED),
            (Some(20), 1024, 1),
        ] {
            let shared = shares(wanted, deliveries, files);
            assert_eq!(shared.connections, connections, "{files:?}, {deliveries}");
            assert_eq!(shared.unknown, (connections / 2).max(1));
        }
    }
}
