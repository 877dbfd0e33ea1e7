//! What is noted of hosts while they are connected.

use std::time::Duration;

use latchkey_model::clock::Clock;
use latchkey_model::id::{AppConnectionId, PrinterId};
use latchkey_net::tunnel::Tunnel;
use latchkey_store::RelayStore;
use tokio_util::sync::CancellationToken;

use super::Tunnels;

/// How often it is noted that connected hosts still are.
const ALIVE_EVERY: Duration = Duration::from_mins(1);
/// How many are noted in one transaction.
const BATCH: usize = 500;
/// How often a host is asked where it is at home: its address may change, and a page may tell it
/// of a proxy.
const ADDRESS_EVERY: Duration = Duration::from_mins(5);

/// Notes now and then which hosts are connected, until stopped.
pub(crate) async fn watch(
    tunnels: Tunnels,
    store: RelayStore,
    clock: std::sync::Arc<dyn Clock>,
    stop: CancellationToken,
) {
    loop {
        let wait = tokio::time::sleep(ALIVE_EVERY);
        if stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        for batch in tunnels.hosts().chunks(BATCH) {
            let printers = store.printers();
            let noted = printers.note_hosts_alive(batch, clock.now()).await;
            if let Err(error) = noted {
                tracing::warn!(%error, "cannot note which hosts are connected");
            }
        }
    }
}

/// Follows where a host is at home, until it is gone.
pub(super) async fn follow_address(store: &RelayStore, printer: &PrinterId, tunnel: &Tunnel) {
    let mut told: Option<String> = None;
    loop {
        // Boxed: between two questions there is no need for its room.
        match Box::pin(tunnel.local_address()).await {
            Ok(Some(address)) if told.as_ref() != Some(&address) => {
                let printers = store.printers();
                match Box::pin(printers.note_local_address(printer, &address)).await {
                    Ok(_) => told = Some(address),
                    Err(error) => tracing::warn!(%error, "cannot note where a host is at home"),
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(tunnel.id = tunnel.id(), %error, "a host did not say where it is");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ADDRESS_EVERY) => {}
            () = tunnel.closed() => return,
        }
    }
}

/// Tells a host that came back which of the app connections it made keys for have ended meanwhile.
pub(super) async fn tell_ended(store: &RelayStore, tunnel: &Tunnel) {
    let kept = match tunnel.app_connections_with_keys().await {
        Ok(kept) if kept.is_empty() => return,
        Ok(kept) => kept,
        Err(error) => {
            tracing::debug!(tunnel.id = tunnel.id(), %error, "a host did not say what it keeps");
            return;
        }
    };
    let ids: Vec<AppConnectionId> = kept.iter().filter_map(|id| id.parse().ok()).collect();
    // Only what is certain ends a key: an unknown id is that of another relay, or of nobody.
    match store.app_connections().standings(&ids).await {
        Ok(standings) => {
            let ended = standings.iter().filter(|standing| standing.has_ended());
            let ended: Vec<String> = ended.map(|standing| standing.id.to_string()).collect();
            if let Some(telling) = tunnel.hear_of_ends(&ended) {
                telling.await;
            }
        }
        Err(error) => tracing::warn!(%error, "cannot look which app connections have ended"),
    }
}
