//! Which names and addresses are this host's own surroundings, and which are not.

use std::net::{IpAddr, Ipv4Addr};

use latchkey_net::authority::Authority;

/// Names under these never leave a home network: no registry hands them out
/// (RFC 6762, RFC 8375, and names reserved or in use for local networks).
const LOCAL_SUFFIXES: [&str; 7] = [
    ".localhost",
    ".local",
    ".lan",
    ".home",
    ".home.arpa",
    ".internal",
    ".localdomain",
];

/// The address told to an upstream for a caller whose real one it might take for a
/// neighbour's: 192.0.2.1, reserved for documentation (RFC 5737).
pub(crate) const SOMEBODY_FAR_AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Whether a browser that asks under this name can only mean this host.
///
/// Any other name may belong to a page on the internet whose owner pointed it at this
/// address (DNS rebinding), and the page would speak with the visitor's rights.
pub(crate) fn is_own_name(asked: &Authority, configured: &[String]) -> bool {
    let host = asked.host();
    asked.ip().is_some()
        || !host.contains('.')
        || LOCAL_SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
        || configured
            .iter()
            .any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host))
}

/// The address of a caller from outside, as an upstream may be told it.
///
/// An upstream lets neighbours in on their address alone, so nobody who came through a
/// relay may carry one: a relay behind a proxy that hides its callers, or a hostile
/// one, would make everybody a neighbour.
pub(crate) fn address_from_outside(address: IpAddr) -> IpAddr {
    let address = address.to_canonical();
    if is_nearby(address) {
        SOMEBODY_FAR_AWAY
    } else {
        address
    }
}

/// Whether an address is of this machine or of a network that the internet does not reach.
pub(crate) fn is_nearby(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                // Shared by providers, used by overlay networks (RFC 6598).
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_the_internet_has_no_name_of_this_host() {
        let configured = ["printer.fritz.box".to_owned()];
        for (asked, own) in [
            ("192.168.1.5:5010", true),
            ("[fe80::1]:5010", true),
            ("localhost:5010", true),
            ("octopi", true),
            ("octopi.local:5010", true),
            ("voron.home.arpa", true),
            ("app-x.localhost", true),
            ("Printer.Fritz.Box:5010", true),
            ("evil.example", false),
            ("192.168.1.5.evil.example", false),
            ("local.evil.example", false),
            ("fritz.box", false),
        ] {
            let authority = asked.parse().unwrap();
            assert_eq!(is_own_name(&authority, &configured), own, "{asked}");
        }
    }

    #[test]
    fn nobody_from_outside_is_a_neighbour() {
        for (address, told) in [
            ("203.0.113.9", "203.0.113.9"),
            ("2001:db8::1", "2001:db8::1"),
            ("127.0.0.1", "192.0.2.1"),
            ("::ffff:127.0.0.1", "192.0.2.1"),
            ("::1", "192.0.2.1"),
            ("10.1.2.3", "192.0.2.1"),
            ("172.17.0.1", "192.0.2.1"),
            ("192.168.1.9", "192.0.2.1"),
            ("169.254.1.1", "192.0.2.1"),
            ("100.64.0.1", "192.0.2.1"),
            ("100.128.0.1", "100.128.0.1"),
            ("fd00::1", "192.0.2.1"),
            ("fe80::1", "192.0.2.1"),
        ] {
            let told: IpAddr = told.parse().unwrap();
            assert_eq!(
                address_from_outside(address.parse().unwrap()),
                told,
                "{address}"
            );
        }
    }
}
