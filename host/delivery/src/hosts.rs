//! How many requests go to one host at a time, over all spaces. This limits connections and nothing else: whether a
//! webhook is sent to at all is decided by its own circuit. Queues that find no capacity are served in turn.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::Mutex;
use url::Url;

use crate::queue_key::QueueKey;

/// The share of all concurrent deliveries that one host may have: a quarter.
const HOST_SHARE: usize = 4;

/// The least number of concurrent requests for a host, as far as the server allows that many in all.
const MIN_PER_HOST: usize = 64;

/// Requests in flight by host, and the queues that wait for one of them to end.
pub(crate) struct Hosts {
    most: usize,
    hosts: Mutex<HashMap<String, Host>>,
}

#[derive(Default)]
struct Host {
    in_flight: usize,
    waiting: VecDeque<QueueKey>,
    /// The queues in `waiting`.
    queued: HashSet<QueueKey>,
}

/// Scheme, host and port of a URL.
pub(crate) fn host_of(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

impl Hosts {
    /// `places` is the number of concurrent deliveries of the server.
    pub(crate) fn new(places: usize) -> Self {
        let most = (places / HOST_SHARE).max(MIN_PER_HOST).min(places).max(1);
        Self { most, hosts: Mutex::default() }
    }

    /// Acquires capacity for up to `wanted` requests and returns for how many. If that is none, [`Hosts::release`]
    /// returns the queue when it is its turn. A queue that had its turn and finds no capacity keeps its place in front.
    pub(crate) fn acquire(&self, host: &str, key: &QueueKey, wanted: usize, had_turn: bool) -> usize {
        let mut hosts = self.hosts.lock();
        let known = hosts.entry(host.to_owned()).or_default();
        let free = self.most.saturating_sub(known.in_flight);
        if free == 0 {
            if known.queued.insert(key.clone()) {
                if had_turn {
                    known.waiting.push_front(key.clone());
                } else {
                    known.waiting.push_back(key.clone());
                }
            }
            return 0;
        }
        // While others wait, each queue gets one request at a time.
        let granted = if known.waiting.is_empty() { wanted.min(free) } else { wanted.min(1) };
        known.in_flight = known.in_flight.saturating_add(granted);
        granted
    }

    /// Releases the capacity of `count` requests that ended or did not start. Returns the queues whose turn it is.
    pub(crate) fn release(&self, host: &str, count: usize) -> Vec<QueueKey> {
        let mut hosts = self.hosts.lock();
        let Some(known) = hosts.get_mut(host) else { return Vec::new() };
        known.in_flight = known.in_flight.saturating_sub(count);
        let free = self.most.saturating_sub(known.in_flight);
        let turn: Vec<QueueKey> = known.waiting.drain(..free.min(known.waiting.len())).collect();
        for key in &turn {
            known.queued.remove(key);
        }
        if known.in_flight == 0 && known.waiting.is_empty() {
            hosts.remove(host);
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use hookwright_model::SpaceId;

    use super::*;

    fn key(number: u64) -> QueueKey {
        (SpaceId::main(), number)
    }

    #[test]
    fn one_host_gets_a_share_of_all_requests_and_queues_take_turns() {
        let hosts = Hosts::new(400);
        let host = host_of("https://example.com:8443/a/b?c");
        assert_eq!(host, "https://example.com:8443");
        assert_eq!(hosts.acquire(&host, &key(1), 1000, false), 100, "a quarter");
        assert_eq!(hosts.acquire("https://example.org", &key(2), 1000, false), 100, "another host has its own");
        assert_eq!((hosts.acquire(&host, &key(2), 5, false), hosts.acquire(&host, &key(3), 5, false)), (0, 0));
        assert_eq!(hosts.release(&host, 1), [key(2)], "the first that waited");
        assert_eq!(hosts.acquire(&host, &key(1), 5, false), 1, "somebody was faster");
        assert_eq!(hosts.acquire(&host, &key(2), 5, true), 0);
        assert_eq!(hosts.release(&host, 1), [key(2)], "it keeps its place in front");
        assert_eq!(hosts.acquire(&host, &key(2), 5, true), 1, "one at a time while others wait");
        assert_eq!(hosts.release(&host, 101), [key(3)]);
        assert!(hosts.hosts.lock().get(&host).is_none(), "an idle host is forgotten");
    }

    #[test]
    fn a_small_server_gives_one_host_its_whole_capacity() {
        assert_eq!(Hosts::new(8).acquire("h", &key(1), 1000, false), 8);
        assert_eq!(Hosts::new(100).acquire("h", &key(1), 1000, false), 64);
        assert_eq!(Hosts::new(0).acquire("h", &key(1), 1000, false), 1);
    }
}
