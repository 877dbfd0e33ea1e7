//! App keys: long-lived keys that a host gives one app for one user.

use std::net::IpAddr;

use crate::access::KeyScope;
use crate::app::AppName;
use crate::clock::Timestamp;
use crate::id::{AppConnectionId, AppKeyId};
use crate::secret::AppKeyHash;
use crate::user::UserName;

/// One app's key for one user. The key itself is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    /// Its identifier.
    pub id: AppKeyId,
    /// Whose it is.
    pub user: UserName,
    /// What the app calls itself, in the spelling it had first.
    pub app: AppName,
    /// What it is looked up by.
    pub hash: AppKeyHash,
    /// What its owner chose.
    pub scope: KeyScope,
    /// When it was made.
    pub created: Timestamp,
    /// When and from where it was last used.
    pub last_use: Option<LastUse>,
    /// How many requests came with it.
    pub requests: u64,
    /// The app connection for which the relay had it made, and with which it ends; none for keys
    /// that somebody allowed at the host.
    pub through: Option<AppConnectionId>,
}

/// The last time that a key was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From which network: an address's /24 or /48, not the address.
    pub network: String,
}

/// An address's network, enough to tell home from elsewhere and too little to single
/// somebody out.
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_not_an_address() {
        for (address, network) in [
            ("192.168.1.77", "192.168.1.0/24"),
            ("::ffff:192.168.1.77", "192.168.1.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()), network);
        }
    }
}
