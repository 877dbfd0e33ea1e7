//! Under which addresses of this machine a listener can be reached from the local network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use if_addrs::Interface;

/// Where the local network can reach a listener, the likeliest first.
///
/// IPv4 before IPv6, and addresses that machines gave themselves for want of a better one last or,
/// of IPv6, not at all: those mean nothing without the name of an interface. Loopback only if the
/// listener has no other, or the machine none.
pub(crate) fn lan_addresses(listen: SocketAddr) -> Vec<IpAddr> {
    choose(listen.ip(), &if_addrs::get_if_addrs().unwrap_or_default())
}

/// Whether callers that come in by this address of an interface reach a listener at `listen`.
///
/// Tunnels to one other machine are no local network, and are never asked about by mDNS either.
pub(crate) fn is_on_lan(listen: IpAddr, interface: &Interface) -> bool {
    let up = interface.is_oper_up() && !interface.is_p2p() && !interface.is_loopback();
    up && match listen.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => interface.ip().is_ipv4(),
        // It takes callers over IPv4 too.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        specific => interface.ip() == specific,
    }
}

fn choose(listen: IpAddr, interfaces: &[Interface]) -> Vec<IpAddr> {
    let listen = listen.to_canonical();
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut found: Vec<IpAddr> = interfaces
        .iter()
        .filter(|interface| is_on_lan(listen, interface))
        .map(Interface::ip)
        .filter(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()))
        .collect();
    found.sort_by_key(|ip| (ip.is_ipv6(), is_makeshift(*ip), *ip));
    found.dedup();
    if found.is_empty() {
        found.push(match listen {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    found
}

fn is_makeshift(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.is_link_local())
}

#[cfg(test)]
pub(crate) mod tests {
    use if_addrs::{IfAddr, IfOperStatus, Ifv4Addr, Ifv6Addr};

    use super::*;

    pub(crate) fn interface(name: &str, ip: &str) -> Interface {
        let addr = match ip.parse().unwrap() {
            IpAddr::V4(ip) => IfAddr::V4(Ifv4Addr {
                ip,
                netmask: Ipv4Addr::new(255, 255, 255, 0),
                prefixlen: 24,
                broadcast: None,
            }),
            IpAddr::V6(ip) => IfAddr::V6(Ifv6Addr {
                ip,
                netmask: "ffff:ffff:ffff:ffff::".parse().unwrap(),
                prefixlen: 64,
                broadcast: None,
            }),
        };
        Interface {
            name: name.to_owned(),
            addr,
            index: Some(1),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
            #[cfg(windows)]
            adapter_name: String::new(),
        }
    }

    fn machine() -> Vec<Interface> {
        let mut down = interface("eth1", "192.168.7.7");
        down.oper_status = IfOperStatus::Down;
        let mut vpn = interface("wg0", "10.8.0.2");
        vpn.is_p2p = true;
        vec![
            interface("lo", "127.0.0.1"),
            interface("lo", "::1"),
            interface("usb0", "169.254.9.9"),
            interface("wlan0", "fe80::1"),
            interface("wlan0", "2001:db8::20"),
            interface("wlan0", "fd00::20"),
            interface("wlan0", "192.168.1.21"),
            interface("eth0", "192.168.1.20"),
            interface("eth0", "192.168.1.20"),
            down,
            vpn,
        ]
    }

    fn chosen(listen: &str, interfaces: &[Interface]) -> Vec<String> {
        let chosen = choose(listen.parse().unwrap(), interfaces);
        chosen.iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn a_listener_on_every_address_is_reached_by_those_of_its_family() {
        let v4 = ["192.168.1.20", "192.168.1.21", "169.254.9.9"];
        assert_eq!(chosen("0.0.0.0", &machine()), v4);
        let v6 = ["2001:db8::20", "fd00::20"];
        assert_eq!(chosen("::", &machine()), [&v4[..], &v6[..]].concat());
    }

    #[test]
    fn a_listener_on_one_address_is_reached_by_that() {
        assert_eq!(chosen("192.168.1.21", &machine()), ["192.168.1.21"]);
        assert_eq!(chosen("::ffff:10.0.0.1", &[]), ["10.0.0.1"]);
        assert_eq!(chosen("127.0.0.1", &machine()), ["127.0.0.1"]);
    }

    #[test]
    fn a_machine_without_a_network_reaches_itself() {
        let alone = &machine()[..2];
        assert_eq!(chosen("0.0.0.0", alone), ["127.0.0.1"]);
        assert_eq!(chosen("::", alone), ["::1"]);
    }

    #[test]
    fn callers_reach_what_they_came_in_by() {
        let listen = "192.168.1.20".parse().unwrap();
        let reached: Vec<_> = machine()
            .into_iter()
            .filter(|interface| is_on_lan(listen, interface))
            .map(|interface| interface.name)
            .collect();
        assert_eq!(reached, ["eth0", "eth0"]);
    }
}
