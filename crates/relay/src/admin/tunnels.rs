//! `/admin/tunnels`: which hosts are connected, and cutting one off.

use std::time::Duration;

use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Form, Router};
use http::StatusCode;
use latchkey_model::clock::Timestamp;
use latchkey_model::id::PrinterId;
use latchkey_model::printer::{HostKey, Printer};
use latchkey_net::tunnel::Tunnel;
use latchkey_store::StoreError;
use latchkey_web::moment::Moment;
use serde::Deserialize;
use tokio::time::Instant;

use super::VERSION;
use crate::audit::Act;
use crate::pages::ids::Id;
use crate::pages::paths;
use crate::pages::views::{AdminTunnels, ListedConnection, ListedTunnel, Tab};
use crate::pages::visit::{About, Answered, Visit};
use crate::state::State;

const HERE: &str = "/admin/tunnels";

/// Tunnels on a page: each is asked whether it answers.
const PAGE: usize = 25;

/// For so long it is waited for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it is told that a copy was held off.
const COPY_SHOWN: Duration = Duration::from_hours(1);

/// Longest version of a host's program that is shown.
const LONGEST_VERSION: usize = 32;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/admin/tunnels", get(show))
        .route("/admin/tunnels/{id}/disconnect", post(disconnect))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    page: String,
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
struct Cutting {
    #[serde(default)]
    csrf_token: String,
    /// Which tunnels were on the page, with blanks between them.
    #[serde(default)]
    tunnel: String,
}

async fn show(visit: Visit, Query(asked): Query<Asked>) -> Answered {
    let account = visit.administrator()?;
    let mut all = visit.state.tunnels.all();
    all.sort_by_key(|tunnels| std::cmp::Reverse(tunnels.first().map(Tunnel::since)));
    let page: usize = asked.page.parse().unwrap_or(0);
    let shown = all.iter().skip(page.saturating_mul(PAGE)).take(PAGE);
    let listed = futures_util::future::join_all(shown.map(|tunnels| listed(&visit, tunnels)));
    let listed: Result<Vec<_>, StoreError> = listed.await.into_iter().collect();
    let listed = listed.map_err(|failure| visit.failed(&failure))?;
    let more = all.len() > page.saturating_add(1).saturating_mul(PAGE);
    let site = visit.site();
    let page = AdminTunnels {
        shell: visit.viewer(account).bar(&site, Tab::Administration),
        site,
        version: VERSION,
        cut: asked.done == "cut",
        open: all.len(),
        list: listed.into_iter().flatten().collect(),
        next: more.then(|| paths::with(HERE, "page", &(page + 1).to_string())),
    };
    Ok(visit.page(&page))
}

/// A host's tunnels with what is known of them; nothing if its printer was just removed.
async fn listed(visit: &Visit, tunnels: &[Tunnel]) -> Result<Option<ListedTunnel>, StoreError> {
    let Some(tunnel) = tunnels.first() else {
        return Ok(None);
    };
    let host = HostKey::from_bytes(tunnel.hello().host_key).id();
    let store = &visit.state.store;
    let Some(printer) = store.printers().find_by_host(&host).await? else {
        return Ok(None);
    };
    let Some(account) = store.accounts().find(&printer.account).await? else {
        return Ok(None);
    };
    let connections = tunnels.iter().map(|tunnel| connection(visit, tunnel));
    let connections = futures_util::future::join_all(connections).await;
    let since = tunnels.iter().min_by_key(|tunnel| tunnel.since());
    let version = &tunnel.hello().version;
    let ids: Vec<_> = tunnels.iter().map(Tunnel::id).collect();
    Ok(Some(ListedTunnel {
        id: printer.id.to_string(),
        tunnel: ids.join(" "),
        account: account.id.to_string(),
        email: account.email.as_str().to_owned(),
        version: version.chars().take(LONGEST_VERSION).collect(),
        since: up_since(visit, since.unwrap_or(tunnel)),
        connections,
        copy: recent_copy(visit, &printer),
        printer: printer.name.to_string(),
        network: printer.seen.network,
    }))
}

async fn connection(visit: &Visit, tunnel: &Tunnel) -> ListedConnection {
    let asked = Instant::now();
    let answers = tunnel.probe(PATIENCE).await;
    let answers_in = u64::try_from(asked.elapsed().as_millis()).ok();
    ListedConnection {
        streams: tunnel.active_streams(),
        rate: visit.state.tunnels.rate(tunnel),
        answers_in: answers_in.filter(|_| answers),
    }
}

fn up_since(visit: &Visit, tunnel: &Tunnel) -> Moment {
    let now = visit.state.clock.now();
    let up = i64::try_from(tunnel.since().elapsed().as_millis()).unwrap_or(i64::MAX);
    visit.moment(Timestamp::from_millis(now.millis().saturating_sub(up)))
}

fn recent_copy(visit: &Visit, printer: &Printer) -> Option<(Moment, String)> {
    let copy = printer.seen.copy.as_ref()?;
    let age = visit.state.clock.now().since(copy.at);
    (age < COPY_SHOWN).then(|| (visit.moment(copy.at), copy.network.clone()))
}

async fn disconnect(visit: Visit, Id(id): Id<PrinterId>, Form(form): Form<Cutting>) -> Answered {
    visit.administrators_form(&form.csrf_token, HERE)?;
    let found = visit.state.store.printers().find(&id).await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    let printer = found.ok_or_else(|| visit.problem(StatusCode::NOT_FOUND))?;
    let host = printer.host.as_ref().map(HostKey::id);
    let tunnels = host.map(|host| visit.state.tunnels.all_of(&host));
    let tunnels = tunnels.unwrap_or_default();
    let mut shown = form.tunnel.split(' ');
    // A second click finds those of the page gone, and leaves the next ones alone.
    if shown.any(|id| tunnels.iter().any(|tunnel| tunnel.id() == id)) {
        for tunnel in &tunnels {
            tunnel.close();
        }
        let about = About {
            account: Some(&printer.account),
            ..About::printer(&id)
        };
        visit.note(Act::TunnelDisconnected, about).await;
        tracing::info!(
            printer.id = %id,
            tunnel.id = form.tunnel,
            "an administrator cut a host's tunnel"
        );
    }
    Ok(visit.go_on("/admin/tunnels?done=cut"))
}
