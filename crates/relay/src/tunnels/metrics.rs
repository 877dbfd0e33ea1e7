//! What scrapers are told of tunnels. A label is a connection's number, and nothing of a host.

use latchkey_net::tunnel::{MOST_CONNECTIONS, Tunnel};
use latchkey_web::metrics::Metrics;

use super::Tunnels;
use super::here::Here;

const NUMBERS: [&str; MOST_CONNECTIONS as usize] = ["0", "1", "2", "3"];

impl Tunnels {
    /// Has it told whenever somebody asks.
    pub(crate) fn report(&self, metrics: &Metrics) {
        let tunnels = self.clone();
        metrics.reading("hosts_connected", "Hosts that are connected", move || {
            i64::try_from(tunnels.count()).unwrap_or(i64::MAX)
        });
        self.report_each(
            metrics,
            (
                "tunnel_connections",
                "Connections of hosts, by their number",
            ),
            |_| 1,
        );
        self.report_each(
            metrics,
            (
                "tunnel_streams",
                "Open streams, by the number of their connection",
            ),
            Tunnel::active_streams,
        );
        self.report_each(
            metrics,
            (
                "tunnel_heavy_streams",
                "Those that moved more than 64 KiB within five seconds, or are running pictures",
            ),
            Tunnel::heavy_streams,
        );
    }

    fn report_each(
        &self,
        metrics: &Metrics,
        (name, help): (&'static str, &'static str),
        of: impl Fn(&Tunnel) -> usize + Send + Sync + 'static,
    ) {
        let tunnels = self.clone();
        metrics.readings(name, help, "connection", move || {
            let mut sums = NUMBERS.map(|number| (number, 0));
            let registry = tunnels.registry();
            for tunnel in registry.live.values().flat_map(Here::open) {
                if let Some((_, sum)) = sums.get_mut(usize::from(tunnel.hello().connection)) {
                    *sum += i64::try_from(of(tunnel)).unwrap_or(0);
                }
            }
            sums.to_vec()
        });
    }
}
