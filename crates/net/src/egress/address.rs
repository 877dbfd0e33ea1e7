//! Which addresses are the open internet's, and which are somebody's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What of IPv4 is not the open internet (RFC 6890 and its registry).
const CLOSED_4: [(Ipv4Addr, u8); 18] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // The addresses by which clouds tell a machine about itself are here, all but one.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All of IPv6 that has been given to the open internet.
const OPEN_6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of that is something else: protocols' own (Teredo among them), documentation.
const CLOSED_6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address may be connected to: it is the open internet's, or in one of the networks
/// that were allowed. Forms of IPv6 that carry an address of IPv4 are judged by that one.
pub(super) fn may_be_reached(address: IpAddr, allowed: &[IpNet]) -> bool {
    let meant = carried(address);
    let is_allowed = |address: &IpAddr| allowed.iter().any(|network| network.contains(address));
    if is_allowed(&meant) || is_allowed(&address) {
        return true;
    }
    match meant {
        IpAddr::V4(address) => is_open_4(address),
        IpAddr::V6(address) => is_open_6(address),
    }
}

fn is_open_4(address: Ipv4Addr) -> bool {
    let within = |(network, prefix): &(Ipv4Addr, u8)| {
        Ipv4Net::new(*network, *prefix).is_ok_and(|network| network.contains(&address))
    };
    !CLOSED_4.iter().any(within)
}

fn is_open_6(address: Ipv6Addr) -> bool {
    let within = |(network, prefix): &(Ipv6Addr, u8)| {
        Ipv6Net::new(*network, *prefix).is_ok_and(|network| network.contains(&address))
    };
    within(&OPEN_6) && !CLOSED_6.iter().any(within)
}

/// The address of IPv4 that one of IPv6 leads to: mapped (RFC 4291), translated (RFC 6052), or
/// tunnelled by 6to4 (RFC 3056).
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => {
            Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: [&str; 22] = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "126.255.255.255",
        "128.0.0.1",
        "168.63.129.15",
        "169.253.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.167.0.1",
        "192.169.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:0101:0101::1",
    ];

    const CLOSED: [&str; 58] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::c0a8:1",
        "64:ff9b:1::1.1.1.1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:c0a8:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];

    fn reached(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        may_be_reached(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn the_open_internet_is_reached_and_nothing_else() {
        for open in OPEN {
            assert!(reached(open, &[]), "{open}");
        }
        for closed in CLOSED {
            assert!(!reached(closed, &[]), "{closed}");
        }
    }

    #[test]
    fn allowed_networks_are_reached_in_every_form() {
        let allowed = ["192.168.7.0/24", "fd00:7::/32"];
        for (address, expected) in [
            ("192.168.7.9", true),
            ("::ffff:192.168.7.9", true),
            ("64:ff9b::192.168.7.9", true),
            ("fd00:7::1", true),
            ("192.168.8.9", false),
            ("fd00:8::1", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(reached(address, &allowed), expected, "{address}");
        }
    }
}
