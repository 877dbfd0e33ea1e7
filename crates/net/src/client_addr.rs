//! Who is calling, by the word of the socket or of a proxy we trust.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

use crate::authority::Authority;

/// How a caller reached the outermost hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme of a URL or forwarded field; anything but `http` and `https` is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            text if text.eq_ignore_ascii_case("http") => Some(Self::Http),
            text if text.eq_ignore_ascii_case("https") => Some(Self::Https),
            _ => None,
        }
    }

    /// Whether the caller's own connection was encrypted.
    pub fn is_secure(self) -> bool {
        self == Self::Https
    }
}

/// Networks whose forwarded fields are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedPeers(Vec<IpNet>);

impl TrustedPeers {
    /// Trusts exactly these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether a peer's word is believed. IPv4-mapped IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The caller as the outermost trusted hop saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The caller's address.
    pub address: IpAddr,
    /// The scheme of the address the caller used.
    pub scheme: Scheme,
    /// Whether a trusted peer speaks for the caller.
    pub vouched: bool,
    /// The scheme, if that peer said one.
    pub said_scheme: Option<Scheme>,
    /// Host and port the caller used, if a trusted proxy named another than `Host`.
    pub forwarded_host: Option<Authority>,
    /// The path below which a trusted proxy shows this server: empty, or a slash at its front and
    /// none at its end. Nothing in it needs encoding in a path, a cookie's name or a page.
    pub prefix: String,
}

/// Reads forwarded fields of trusted peers; of others only the socket counts.
///
/// `X-Forwarded-For` is read from the right, over the trusted proxies, to the first
/// address that is none of them; what stands left of it is the caller's own claim.
/// Garbage ends the reading at the last good hop.
pub fn resolve(peer: IpAddr, secure: bool, headers: &HeaderMap, trusted: &TrustedPeers) -> Caller {
    let peer = peer.to_canonical();
    let scheme = if secure { Scheme::Https } else { Scheme::Http };
    if !trusted.contains(peer) {
        return Caller {
            address: peer,
            scheme,
            vouched: false,
            said_scheme: None,
            forwarded_host: None,
            prefix: String::new(),
        };
    }
    let said_scheme = first_entry(headers, "x-forwarded-proto")
        .or_else(|| first_entry(headers, "x-scheme"))
        .and_then(Scheme::parse);
    Caller {
        address: forwarded_for(headers, trusted).unwrap_or(peer),
        scheme: said_scheme.unwrap_or(scheme),
        vouched: true,
        said_scheme,
        forwarded_host: first_entry(headers, "x-forwarded-host").and_then(|host| host.parse().ok()),
        prefix: first_entry(headers, "x-script-name")
            .or_else(|| first_entry(headers, "x-forwarded-prefix"))
            .and_then(prefix)
            .unwrap_or_default(),
    }
}

/// Longest path prefix that is believed.
const LONGEST_PREFIX: usize = 200;

/// A path prefix without the slash at its end, if it is one: others would mean another thing in
/// a URL, a cookie's name or `Path` than they do here.
fn prefix(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        return Some(String::new());
    }
    let is_segment = |segment: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'*+".contains(&b);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    let inside = text.strip_prefix('/')?;
    (text.len() <= LONGEST_PREFIX && inside.split('/').all(is_segment)).then(|| text.to_owned())
}

fn forwarded_for(headers: &HeaderMap, trusted: &TrustedPeers) -> Option<IpAddr> {
    let mut nearest = None;
    let entries: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for entry in entries.into_iter().rev() {
        let Some(address) = parse_address(entry.trim()) else {
            break;
        };
        nearest = Some(address);
        if !trusted.contains(address) {
            break;
        }
    }
    nearest
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let address = text
        .parse()
        .ok()
        .or_else(|| text.parse::<Authority>().ok()?.ip())?;
    Some(IpAddr::to_canonical(&address))
}

fn first_entry<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, fields: &[(&'static str, &str)]) -> Caller {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let trusted = TrustedPeers::new(vec![
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ]);
        resolve(peer.parse().unwrap(), false, &headers, &trusted)
    }

    #[test]
    fn a_stranger_is_never_believed() {
        let found = caller(
            "203.0.113.9",
            &[
                ("x-forwarded-for", "192.0.2.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "else.example"),
                ("x-script-name", "/octo"),
            ],
        );
        assert_eq!(found.prefix, "");
        assert_eq!(found.address, "203.0.113.9".parse::<IpAddr>().unwrap());
        assert_eq!(found.scheme, Scheme::Http);
        assert_eq!(found.forwarded_host, None);
    }

    #[test]
    fn the_rightmost_untrusted_address_counts() {
        for (chain, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1, 10.1.2.3", "192.0.2.1"),
            ("garbage, 10.1.2.3", "10.1.2.3"),
            ("garbage", "127.0.0.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("192.0.2.1:4711", "192.0.2.1"),
        ] {
            let found = caller("127.0.0.1", &[("x-forwarded-for", chain)]);
            assert_eq!(found.address, address.parse::<IpAddr>().unwrap(), "{chain}");
        }
    }

    #[test]
    fn the_first_entry_of_a_list_is_the_outermost() {
        let found = caller(
            "::ffff:127.0.0.1",
            &[
                ("x-forwarded-proto", "https, http"),
                ("x-forwarded-host", "printer.example:8443, inner"),
            ],
        );
        assert_eq!(found.scheme, Scheme::Https);
        assert_eq!(
            found.forwarded_host.unwrap().to_string(),
            "printer.example:8443"
        );
    }

    #[test]
    fn a_prefix_is_a_plain_path_or_nothing() {
        for (text, prefix) in [
            ("/octo", "/octo"),
            ("/octo/", "/octo"),
            ("/a/b", "/a/b"),
            ("/", ""),
            ("", ""),
            ("octo", ""),
            ("//evil.example", ""),
            ("/a//b", ""),
            ("/a/../b", ""),
            ("/a;b", ""),
            ("/a%2fb", ""),
            ("/a b", ""),
            ("/a\"b", ""),
        ] {
            let found = caller("127.0.0.1", &[("x-script-name", text)]);
            assert_eq!(found.prefix, prefix, "{text:?}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_PREFIX));
        assert_eq!(caller("127.0.0.1", &[("x-script-name", &long)]).prefix, "");
        let both = [
            ("x-forwarded-prefix", "/second"),
            ("x-script-name", "/first"),
        ];
        assert_eq!(caller("127.0.0.1", &both).prefix, "/first");
        assert_eq!(caller("127.0.0.1", &both[..1]).prefix, "/second");
    }
}
