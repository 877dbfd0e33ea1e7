use std::net::{IpAddr, SocketAddr};
pub(crate) fn lan_addresses(listen: SocketAddr) -> Vec<IpAddr> {
    vec![listen.ip()]
}
