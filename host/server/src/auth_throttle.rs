//! Rate limit for wrong keys, so that keys cannot be guessed. Wrong keys are counted by address, and by prefix, because
//! a guesser may use many addresses.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;

use hookwright_model::{Rate, Timestamp};
use hookwright_pipeline::TokenBucket;
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

/// The number of addresses, key prefixes, and valid keys that are cached.
const MAX_CACHED: usize = 10_000;
/// The length of a key's prefix.
const KEY_PREFIX_LENGTH: usize = 9;
/// The factor by which the limit for one prefix, over all addresses, exceeds that for one address.
const PREFIX_LIMIT_FACTOR: u32 = 10;

type Digest = [u8; 32];

/// The counts.
#[derive(Debug)]
pub(crate) struct AuthThrottle {
    per_minute: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    addresses: LruCache<IpAddr, TokenBucket>,
    beginnings: LruCache<String, TokenBucket>,
    /// The digests of valid keys, by the address that they came from. They are accepted despite wrong keys from there: many programs
    /// may share one address.
    right: LruCache<(IpAddr, Digest), ()>,
}

impl AuthThrottle {
    /// `per_minute` wrong keys are permitted for each address; 0: no limit.
    pub(crate) fn new(per_minute: u32) -> Self {
        let remembered = NonZeroUsize::new(MAX_CACHED).unwrap_or(NonZeroUsize::MIN);
        let state = State {
            addresses: LruCache::new(remembered),
            beginnings: LruCache::new(remembered),
            right: LruCache::new(remembered),
        };
        Self { per_minute, state: Mutex::new(state) }
    }

    /// Whether a key may be looked up; else the number of seconds to wait. True: it was right before.
    pub(crate) fn admit(&self, address: IpAddr, key: &str, now: Timestamp) -> Result<bool, u32> {
        if self.per_minute == 0 {
            return Ok(true);
        }
        let (address, digest) = (network(address), digest_of(key));
        let mut state = self.state.lock();
        if state.right.get(&(address, digest)).is_some() {
            return Ok(true);
        }
        let State { addresses, beginnings, .. } = &mut *state;
        for bucket in addresses.get_mut(&address).into_iter().chain(beginnings.get_mut(beginning(key))) {
            if let Err(next) = bucket.available(now) {
                return Err(u32::try_from(next.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1));
            }
        }
        Ok(false)
    }

    /// Counts a wrong key.
    pub(crate) fn wrong(&self, address: IpAddr, key: &str, now: Timestamp) {
        if self.per_minute == 0 {
            return;
        }
        let full = |requests| move || TokenBucket::new(Rate { requests, per_seconds: 60 }, now);
        let all = self.per_minute.saturating_mul(PREFIX_LIMIT_FACTOR);
        let mut state = self.state.lock();
        state.addresses.get_or_insert_mut(network(address), full(self.per_minute)).take();
        state.beginnings.get_or_insert_mut(beginning(key).to_owned(), full(all)).take();
    }

    /// Records a valid key.
    pub(crate) fn right(&self, address: IpAddr, key: &str) {
        if self.per_minute != 0 {
            let cached = (network(address), digest_of(key));
            self.state.lock().right.put(cached, ());
        }
    }
}

/// The network of one client: a /64 for IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

fn digest_of(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

fn beginning(key: &str) -> &str {
    let end = key.char_indices().nth(KEY_PREFIX_LENGTH).map_or(key.len(), |(end, _)| end);
    key.get(..end).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guess(throttle: &AuthThrottle, from: &str, key: &str, now: i64) -> Result<(), u32> {
        throttle.admit(address(from), key, at(now))?;
        throttle.wrong(address(from), key, at(now));
        Ok(())
    }

    #[test]
    fn only_the_address_that_sends_wrong_keys_is_throttled() {
        let throttle = AuthThrottle::new(30);
        throttle.right(address("10.0.0.1"), "right");
        for n in 0..30 {
            assert_eq!(guess(&throttle, "10.0.0.1", &format!("key-{n}-abcdefgh"), 0), Ok(()));
        }
        assert_eq!(guess(&throttle, "10.0.0.1", "another-key", 0), Err(2));
        assert_eq!(throttle.admit(address("10.0.0.1"), "right", at(0)), Ok(true), "a key that was right works on");
        assert_eq!(throttle.admit(address("10.0.0.1"), "x", at(0)), Err(2), "others are not even looked up");
        assert_eq!(guess(&throttle, "10.0.0.2", "another-key", 0), Ok(()));
        assert_eq!(guess(&throttle, "10.0.0.1", "another-key", 2000), Ok(()));
        assert_eq!(guess(&throttle, "10.0.0.1", "another-key", 2000), Err(2));
    }

    #[test]
    fn a_key_prefix_guessed_from_many_addresses_is_throttled() {
        let throttle = AuthThrottle::new(1);
        for n in 0..10 {
            assert_eq!(guess(&throttle, &format!("10.0.1.{n}"), &format!("hw_abcdef-{n}"), 0), Ok(()));
        }
        assert_eq!(guess(&throttle, "10.0.2.1", "hw_abcdef-zzz", 0), Err(6));
        assert_eq!(guess(&throttle, "10.0.2.1", "hw_ghijkl-zzz", 0), Ok(()));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_0_disables_the_limit() {
        let throttle = AuthThrottle::new(1);
        assert_eq!(guess(&throttle, "2001:db8:1:2::1", "a", 0), Ok(()));
        assert!(guess(&throttle, "2001:db8:1:2:3::9", "b", 0).is_err());
        assert_eq!(guess(&throttle, "2001:db8:1:3::1", "c", 0), Ok(()));
        let throttle = AuthThrottle::new(0);
        for _ in 0..1000 {
            assert_eq!(guess(&throttle, "10.0.0.1", "a", 0), Ok(()));
        }
    }
}
