//! From the name in a URL to the addresses to try.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Host;

/// The addresses of a host, in the order in which to try them.
pub async fn addresses(host: &Host<String>, port: u16) -> io::Result<Vec<SocketAddr>> {
    let ips: Vec<IpAddr> = match host {
        Host::Ipv4(ip) => vec![(*ip).into()],
        Host::Ipv6(ip) => vec![(*ip).into()],
        // Never ask a name server for them (RFC 6761): it could send us elsewhere.
        Host::Domain(name) if is_localhost(name) => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await?;
            return Ok(found.collect());
        }
    };
    Ok(ips
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

/// Whether a host is this machine by its name alone.
pub fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
        Host::Domain(name) => is_localhost(name),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
