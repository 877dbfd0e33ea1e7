//! From the name in a URL to the addresses to try.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
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

/// Why no connection came about.
#[derive(Debug)]
pub enum ConnectError {
    /// The name has no address.
    Resolve(io::Error),
    /// None of its addresses took the connection; what the last of them said.
    Connect(io::Error),
}

/// Connects to the first address of a host that takes it, within about `within` altogether.
pub async fn connect(
    host: &Host<String>,
    port: u16,
    within: Duration,
) -> Result<TcpStream, ConnectError> {
    let addresses = addresses(host, port).await;
    let addresses = addresses.map_err(ConnectError::Resolve)?;
    // One silent address must not use up the time of the others.
    let share = within / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut cause = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        cause = match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
    }
    Err(ConnectError::Connect(cause))
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
