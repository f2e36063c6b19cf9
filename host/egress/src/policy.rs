//! Where requests may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hookwright_model::host_fits;
use ipnet::IpNet;
use url::{Host, Url};

use crate::{EgressError, Proxy};

/// The permitted destinations, and the proxy.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// Networks allowed besides public addresses.
    pub allow_networks: Vec<IpNet>,
    /// Whether targets without TLS are allowed.
    pub allow_http: bool,
    /// Hosts that plugins may reach: names, `*.example.com` for all names below one, or `*`.
    pub allow_hosts: Vec<String>,
    /// The proxy for all requests, at any address; a transport may have its own.
    pub proxy: Option<Proxy>,
    /// Targets that are reached without `proxy`: hosts as in `allow_hosts`, addresses, or networks of addresses.
    pub no_proxy: Vec<String>,
    /// Networks in which the proxy of a transport may be, besides public addresses and `allow_networks`.
    pub proxy_networks: Vec<IpNet>,
}

impl EgressPolicy {
    /// Checks a target as far as that is possible without resolving its name.
    pub(crate) fn check(&self, url: &Url) -> Result<(), EgressError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                return Err(EgressError::Url(format!(
                    "`{}` has no TLS: use https, or set HOOKWRIGHT_ALLOW_HTTP=true for development",
                    shown(url.as_str())
                )));
            }
            other => {
                return Err(EgressError::Url(format!("`{}` has the scheme `{other}`: use https", shown(url.as_str()))));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Url(
                "the URL contains credentials: leave them out, requests are signed".to_owned(),
            ));
        }
        let host = url.host().ok_or_else(|| EgressError::Url(format!("`{}` names no host", shown(url.as_str()))))?;
        check_host(&host, |address| self.admit(address, true))
    }

    /// Checks a transport's own proxy as far as that is possible without resolving its name.
    pub(crate) fn check_proxy(&self, proxy: &Proxy) -> Result<(), EgressError> {
        let host = match proxy.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::Domain(proxy.host.as_str()),
        };
        check_host(&host, |address| self.admit_proxy(address))
    }

    /// Whether a target's address may be connected to: one of the allowed networks or, if `public`, a public one.
    pub(crate) fn admit(&self, address: IpAddr, public: bool) -> Result<(), EgressError> {
        let listed = self.allow_networks.iter().any(|network| network.contains(&address));
        if listed || (public && is_public(address)) {
            return Ok(());
        }
        let length = if address.is_ipv4() { 32 } else { 128 };
        Err(EgressError::AddressRefused(format!(
            "{address} is not a public address: allow its network with HOOKWRIGHT_ALLOW_NETWORKS={address}/{length}"
        )))
    }

    /// Whether the address of a transport's own proxy may be connected to.
    pub(crate) fn admit_proxy(&self, address: IpAddr) -> Result<(), EgressError> {
        if self.proxy_networks.iter().any(|network| network.contains(&address)) || self.admit(address, true).is_ok() {
            return Ok(());
        }
        Err(EgressError::AddressRefused(format!(
            "the proxy's address {address} is not a public one: the operator can allow its network with proxy_networks"
        )))
    }

    /// Whether `host` is on the allowlist of hosts that every plugin may reach.
    pub fn lists(&self, host: &str) -> bool {
        self.allow_hosts.iter().any(|pattern| host_fits(pattern, host))
    }

    /// The server's proxy, if `host` is reached through it.
    pub(crate) fn proxy_for(&self, host: &str) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref()?;
        let address: Option<IpAddr> = host.parse().ok();
        let fits = |entry: &String| match (address, entry.parse::<IpNet>(), entry.parse::<IpAddr>()) {
            (Some(address), Ok(network), _) => network.contains(&address),
            (Some(address), _, Ok(other)) => address == other,
            _ => host_fits(entry, host),
        };
        (!self.no_proxy.iter().any(fits)).then_some(proxy)
    }
}

/// Checks a host as far as that is possible without resolving its name. `admit` decides whether an address may be
/// connected to.
fn check_host(host: &Host<&str>, admit: impl Fn(IpAddr) -> Result<(), EgressError>) -> Result<(), EgressError> {
    match host {
        // These names mean this machine and are never looked up (RFC 6761, section 6.3).
        Host::Domain(name) if is_localhost(name) => admit(IpAddr::V4(Ipv4Addr::LOCALHOST))
            .or_else(|refused| admit(IpAddr::V6(Ipv6Addr::LOCALHOST)).map_err(|_| refused)),
        Host::Domain(_) => Ok(()),
        Host::Ipv4(address) => admit(IpAddr::V4(*address)),
        Host::Ipv6(address) => admit(IpAddr::V6(*address)),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// The beginning of a string for a message.
pub(crate) fn shown(text: &str) -> String {
    hookwright_model::abridged(text)
}

/// Whether an address belongs to the public Internet (IANA special-purpose registries). For an address that embeds
/// another one, the embedded address decides.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, c, _, _, _, g, h] = segments;
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match segments {
        // ::/96 (unspecified, loopback, IPv4-compatible) is never used on the Internet.
        [0, 0, 0, 0, 0, 0, ..] => false,
        // IPv4-mapped.
        [0, 0, 0, 0, 0, 0xffff, ..] => embedded(g, h),
        // NAT64: the well-known prefix carries an IPv4 address; the local-use prefix may carry anything.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(g, h),
        [0x64, 0xff9b, 1, ..] => false,
        // 6to4.
        [0x2002, ..] => embedded(b, c),
        // Teredo and the other protocol assignments, documentation, discard-only.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [0x100, 0, 0, 0, ..] => false,
        // Only 2000::/3 is global unicast: unique local, link-local and multicast addresses are outside of it.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_purpose_addresses_are_not_public() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("1.1.1.1", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("198.19.0.1", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("::127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2002:808:808::", true),
            ("2001:0:7f00:1::", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn the_host_list_matches_names_and_subdomains() {
        let policy = EgressPolicy {
            allow_hosts: vec!["api.example.com".into(), "*.example.org".into()],
            ..EgressPolicy::default()
        };
        for (host, listed) in [
            ("api.example.com", true),
            ("API.example.com", true),
            ("x.api.example.com", false),
            ("a.example.org", true),
            ("example.org", false),
            ("evilexample.org", false),
        ] {
            assert_eq!(policy.lists(host), listed, "{host}");
        }
    }

    #[test]
    fn a_url_is_checked_before_it_is_resolved() {
        let strict = EgressPolicy::default();
        for (url, code) in [
            ("https://example.com/hook", None),
            ("http://example.com/hook", Some("url.invalid")),
            ("ftp://example.com", Some("url.invalid")),
            ("https://user:pw@example.com", Some("url.invalid")),
            ("https://127.0.0.1/", Some("address.refused")),
            ("https://[::ffff:10.0.0.1]/", Some("address.refused")),
            ("https://2130706433/", Some("address.refused")),
            ("https://localhost", Some("address.refused")),
            ("https://LocalHost.:8443/x", Some("address.refused")),
            ("https://api.localhost/", Some("address.refused")),
            ("https://localhost.example.com/", None),
        ] {
            let checked = strict.check(&Url::parse(url).unwrap());
            assert_eq!(checked.err().map(|error| error.code()), code, "{url}");
        }
        let open = EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            allow_http: true,
            ..EgressPolicy::default()
        };
        assert_eq!(open.check(&Url::parse("http://127.0.0.1:8080/").unwrap()), Ok(()));
        assert_eq!(open.check(&Url::parse("http://localhost:8080/").unwrap()), Ok(()));
        let six = EgressPolicy { allow_networks: vec!["::1/128".parse().unwrap()], ..EgressPolicy::default() };
        assert_eq!(six.check(&Url::parse("https://localhost/").unwrap()), Ok(()));
    }

    #[test]
    fn targets_in_no_proxy_bypass_the_proxy() {
        let policy = EgressPolicy {
            proxy: Some(Proxy::parse("http://proxy.example:3128").unwrap()),
            no_proxy: ["intranet.example", "*.local.example", "10.0.0.0/8", "192.0.2.7", "fd00::/8"]
                .map(str::to_owned)
                .into(),
            ..EgressPolicy::default()
        };
        for (host, through) in [
            ("api.example.com", true),
            ("intranet.example", false),
            ("a.intranet.example", true),
            ("a.local.example", false),
            ("10.1.2.3", false),
            ("11.1.2.3", true),
            ("192.0.2.7", false),
            ("fd00::1", false),
        ] {
            assert_eq!(policy.proxy_for(host).is_some(), through, "{host}");
        }
    }

    #[test]
    fn the_proxy_of_a_transport_has_its_own_allowlist() {
        let policy = EgressPolicy { proxy_networks: vec!["10.9.0.0/16".parse().unwrap()], ..EgressPolicy::default() };
        for (address, proxy, target) in [
            ("10.9.0.1", true, false),
            ("10.8.0.1", false, false),
            ("8.8.8.8", true, true),
            ("127.0.0.1", false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(policy.admit_proxy(address).is_ok(), proxy, "{address}");
            assert_eq!(policy.admit(address, true).is_ok(), target, "{address}");
        }
        for (url, code) in [
            ("http://10.9.0.1:3128", None),
            ("http://user:pw@8.8.8.8", None),
            ("http://proxy.example", None),
            ("http://10.8.0.1:3128", Some("address.refused")),
            ("http://user:pw@127.0.0.1:3128", Some("address.refused")),
            ("http://[::ffff:10.8.0.1]:3128", Some("address.refused")),
            ("http://localhost:3128", Some("address.refused")),
        ] {
            let checked = policy.check_proxy(&Proxy::parse(url).unwrap());
            assert_eq!(checked.err().map(|error| error.code()), code, "{url}");
        }
    }
}
