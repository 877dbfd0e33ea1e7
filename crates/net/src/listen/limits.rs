//! How many connections may be open, in all and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::ListenSettings;
use crate::client_addr::TrustedPeers;

pub(super) struct Limits {
    open: Arc<Mutex<Open>>,
    max: usize,
    max_per_address: usize,
    exempt: TrustedPeers,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection's place; gives its place back when dropped.
pub(super) struct Permit {
    open: Arc<Mutex<Open>>,
    counted: Option<IpAddr>,
}

impl Limits {
    pub(super) fn new(settings: &ListenSettings) -> Self {
        Self {
            open: Arc::default(),
            max: settings.max_connections,
            max_per_address: settings.max_connections_per_address,
            exempt: settings.trusted.clone(),
        }
    }

    pub(super) fn admit(&self, address: IpAddr) -> Option<Permit> {
        let address = address.to_canonical();
        let counted = (!address.is_loopback() && !self.exempt.contains(address))
            .then(|| counting_unit(address));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.max {
            return None;
        }
        if let Some(unit) = counted {
            let count = open.by_address.entry(unit).or_default();
            if *count >= self.max_per_address {
                return None;
            }
            *count += 1;
        }
        open.total += 1;
        Some(Permit {
            open: Arc::clone(&self.open),
            counted,
        })
    }
}

/// One household has one IPv4 address or one IPv6 /64.
fn counting_unit(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        let Some(unit) = self.counted else { return };
        if let Some(count) = open.by_address.get_mut(&unit) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(&ListenSettings {
            max_connections: 5,
            max_connections_per_address: 2,
            ..ListenSettings::default()
        })
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let limits = limits();
        let address: IpAddr = "203.0.113.9".parse().unwrap();
        let first = limits.admit(address);
        let second = limits.admit(address);
        assert!(first.is_some() && second.is_some());
        assert!(limits.admit(address).is_none());
        assert!(limits.admit("203.0.113.10".parse().unwrap()).is_some());
        drop(first);
        assert!(limits.admit(address).is_some());
    }

    #[test]
    fn a_network_of_ipv6_addresses_counts_as_one() {
        let limits = limits();
        let _a = limits.admit("2001:db8::1".parse().unwrap());
        let _b = limits.admit("2001:db8::2".parse().unwrap());
        assert!(limits.admit("2001:db8::3".parse().unwrap()).is_none());
        assert!(limits.admit("2001:db8:0:1::3".parse().unwrap()).is_some());
    }

    #[test]
    fn the_total_holds_for_everybody() {
        let limits = limits();
        let permits: Vec<_> = (0..5)
            .map(|_| limits.admit("127.0.0.1".parse().unwrap()).unwrap())
            .collect();
        assert!(limits.admit("127.0.0.1".parse().unwrap()).is_none());
        drop(permits);
        assert!(limits.open.lock().unwrap().by_address.is_empty());
    }
}
