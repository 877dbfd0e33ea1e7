//! A host with an optional port, in the one spelling everything is routed by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use url::Url;

/// Host and optional port of a URL or `Host` field (RFC 3986 section 3.2).
///
/// The host is lower case, without a trailing dot; user information is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

/// The text is not `host` or `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address with an optional port")]
pub struct InvalidAuthority;

impl Authority {
    /// Host and port as a URL writes them: without the scheme's default port.
    pub fn of_url(url: &Url) -> Option<Self> {
        let host = url.host_str()?;
        match url.port() {
            Some(port) => format!("{host}:{port}").parse().ok(),
            None => host.parse().ok(),
        }
    }

    /// The host: a name in lower case, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port if one was written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, or the default of the scheme at hand.
    pub fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }

    /// The host as an address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        let bare = self
            .host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }

    /// Whether the host is this very machine: `localhost`, a name under it, or a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// The same without its port where that is the scheme's default, as URLs are written.
    #[must_use]
    pub fn without_default_port(mut self, secure: bool) -> Self {
        if self.port == Some(if secure { 443 } else { 80 }) {
            self.port = None;
        }
        self
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text).ok_or(InvalidAuthority)?;
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| InvalidAuthority)?)
            }
            Some(_) => return Err(InvalidAuthority),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let host = canonical_host(host).ok_or(InvalidAuthority)?;
        Ok(Self { host, port })
    }
}

fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let rest = &text[end..];
        return match rest.strip_prefix(':') {
            Some(port) => Some((&text[..end], Some(port))),
            None if rest.is_empty() => Some((text, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

fn canonical_host(host: String) -> Option<String> {
    if let Some(inside) = host.strip_prefix('[') {
        let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        !label.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (host.len() <= 253 && host.split('.').all(is_label)).then_some(host)
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Authority;

    #[test]
    fn one_spelling_for_one_authority() {
        for (text, canonical) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("example.com:8443", "example.com:8443"),
            ("example.com:", "example.com"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:5000", "[::1]:5000"),
            ("[::1]", "[::1]"),
            ("[0:0::01]:80", "[::1]:80"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("my_printer.local", "my_printer.local"),
        ] {
            assert_eq!(text.parse::<Authority>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..",
            "a..b",
            ".a",
            "[::1].",
            ":80",
            "a b",
            "user@host",
            "host:port",
            "host:99999",
            "host:80:80",
            "[::1",
            "[::1]x",
            "[nonsense]",
            "host/path",
            "h\u{f6}st",
            "a,b",
            "host:+80",
        ] {
            assert!(text.parse::<Authority>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_url_has_the_authority_it_writes() {
        for (url, authority) in [
            ("https://Example.com/a", Some("example.com")),
            ("https://example.com:443/", Some("example.com")),
            ("http://127.0.0.1:5000/", Some("127.0.0.1:5000")),
            ("http://[::1]:5000/", Some("[::1]:5000")),
            ("data:,x", None),
        ] {
            let found = Authority::of_url(&url.parse().unwrap());
            assert_eq!(found.map(|found| found.to_string()).as_deref(), authority);
        }
    }

    #[test]
    fn a_default_port_is_left_out_of_urls() {
        let authority: Authority = "host:443".parse().unwrap();
        assert_eq!(
            authority.clone().without_default_port(true).to_string(),
            "host"
        );
        assert_eq!(
            authority.without_default_port(false).to_string(),
            "host:443"
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(text in "\\PC{0,12}|[A-Za-z0-9._-]{1,30}(:[0-9]{0,6})?|\\[[0-9a-fA-F:.]{0,20}\\](:[0-9]{0,5})?") {
            let Ok(authority) = text.parse::<Authority>() else {
                return Ok(());
            };
            let printed = authority.to_string();
            prop_assert_eq!(printed.parse::<Authority>(), Ok(authority));
            prop_assert!(printed.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!printed.contains(['/', '@', ',', '?', '#', '\\']));
        }
    }
}
