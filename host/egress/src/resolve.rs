//! Resolves names to addresses.
//!
//! The system's resolver blocks a thread for each query, for seconds if the name servers are slow. So concurrent
//! requests for a name share one query, and the number of concurrent queries is limited: a receiver whose name resolves
//! slowly occupies one thread. Results are not cached; the resolver of the system or the network does that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::EgressError;

/// The maximum number of concurrent queries. The runtime has 512 threads for blocking calls.
const AT_ONCE: usize = 128;
/// The maximum number of names that are being resolved or wait for that.
const MOST_NAMES: usize = 4096;
/// The maximum number of addresses of a name that are used.
const MOST_ADDRESSES: usize = 16;

type Found = Option<Result<Arc<[IpAddr]>, EgressError>>;

#[derive(Debug)]
pub(crate) struct Resolver {
    under_way: Mutex<HashMap<Box<str>, watch::Receiver<Found>>>,
    places: Semaphore,
}

impl Resolver {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { under_way: Mutex::default(), places: Semaphore::new(AT_ONCE) })
    }

    /// The addresses of a name, in the order of the system's preference.
    pub(crate) async fn addresses(self: &Arc<Self>, host: &str) -> Result<Arc<[IpAddr]>, EgressError> {
        let gone = || EgressError::Resolve(format!("`{host}` could not be looked up: try again"));
        let mut waiting = self.ask(host).ok_or_else(gone)?;
        let found = waiting.wait_for(Option::is_some).await.map_err(|_| gone())?;
        found.as_ref().cloned().unwrap_or_else(|| Err(gone()))
    }

    /// Joins the query for a name, or starts one; `None` if there are too many already.
    fn ask(self: &Arc<Self>, host: &str) -> Option<watch::Receiver<Found>> {
        let mut under_way = self.under_way.lock();
        if let Some(waiting) = under_way.get(host) {
            return Some(waiting.clone());
        }
        if under_way.len() >= MOST_NAMES {
            return None;
        }
        let (tell, waiting) = watch::channel(None);
        under_way.insert(host.into(), waiting.clone());
        let resolver = Arc::clone(self);
        let host: Box<str> = host.into();
        tokio::spawn(async move {
            let place = resolver.places.acquire().await;
            let found = look_up(&host).await;
            drop(place);
            resolver.under_way.lock().remove(&host);
            tell.send_replace(Some(found));
        });
        Some(waiting)
    }
}

async fn look_up(host: &str) -> Result<Arc<[IpAddr]>, EgressError> {
    let found = tokio::net::lookup_host((host, 0))
        .await
        .map_err(|error| EgressError::Resolve(format!("`{host}` has no address: {error}")))?;
    let addresses: Arc<[IpAddr]> = found.map(|address| address.ip()).take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(EgressError::Resolve(format!("`{host}` has no address")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn concurrent_lookups_of_a_name_share_one_query() {
        let resolver = Resolver::new();
        let first = resolver.ask("localhost").unwrap();
        let second = resolver.ask("localhost").unwrap();
        assert!(first.same_channel(&second));
        let found = resolver.addresses("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(resolver.under_way.lock().is_empty());
        let error = resolver.addresses("nowhere.invalid").await.unwrap_err();
        assert_eq!(error.code(), "name.unresolved", "{error}");
    }
}
