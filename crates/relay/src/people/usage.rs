//! What an account used of its plan, for its own pages and for administrators.

use std::collections::HashMap;

use axum::response::Response;
use latchkey_model::account::Account;
use latchkey_model::id::PrinterId;
use latchkey_store::StoreError;
use latchkey_store::relay::Overview;

use crate::limits::Used;
use crate::pages::views::{UsageCard, UsageLine, WatchedWebcam};
use crate::pages::visit::Visit;

/// The use of the account that is signed in.
pub(super) async fn card(visit: &Visit, account: &Account) -> Result<UsageCard, Response> {
    let found = visit
        .state
        .store
        .accounts()
        .find_overview(&account.id)
        .await;
    let found = found.map_err(|failure| visit.failed(&failure))?;
    let found = found.unwrap_or_else(|| Overview {
        account: account.clone(),
        printers: 0,
        app_connections: 0,
        seen: None,
    });
    card_of(visit, &found, true).await
}

/// The use of an account.
pub(super) async fn card_of(
    visit: &Visit,
    found: &Overview,
    own: bool,
) -> Result<UsageCard, Response> {
    let account = &found.account;
    let known = visit.state.config.plans.find(&account.plan);
    let plan = known.copied().unwrap_or_default();
    let used = used(visit, account).await?;
    let printers = visit.state.store.printers();
    let printers = printers.list_usable(&account.id).await;
    let printers = printers.map_err(|failure| visit.failed(&failure))?;
    let names: HashMap<_, _> = printers
        .iter()
        .map(|printer| (&printer.id, printer.name.as_str()))
        .collect();
    let watched = used.webcams.iter().filter_map(|(printer, time, _)| {
        Some(WatchedWebcam {
            printer: (*names.get(printer)?).to_owned(),
            seconds: time.as_secs(),
        })
    });
    Ok(UsageCard {
        own,
        plan_known: known.is_some(),
        bytes: used.bytes,
        most_bytes: plan.max_bytes_per_month,
        printers: found.printers,
        most_printers: plan.max_printers,
        apps: found.app_connections,
        most_apps: plan.max_app_connections,
        upload: plan.max_upload_bytes,
        download: plan.max_download_bytes,
        streams: plan.max_concurrent_streams,
        stream_seconds: plan.max_webcam_stream_seconds,
        webcam: plan
            .webcam_allowance()
            .map(|webcam| (webcam.seconds, webcam.window_seconds)),
        watched: watched.collect(),
    })
}

/// What the account used, beside one printer.
pub(super) async fn line(
    visit: &Visit,
    account: &Account,
    printer: &PrinterId,
) -> Result<UsageLine, Response> {
    let plan = visit.state.config.plans.find(&account.plan);
    let plan = plan.copied().unwrap_or_default();
    let used = used(visit, account).await?;
    let watched = used.webcams.iter().find(|(watched, ..)| watched == printer);
    let watched = watched.map_or(0, |(_, time, _)| time.as_secs());
    Ok(UsageLine {
        bytes: used.bytes,
        most_bytes: plan.max_bytes_per_month,
        webcam: plan
            .webcam_allowance()
            .map(|webcam| (watched, webcam.seconds, webcam.window_seconds)),
    })
}

async fn used(visit: &Visit, account: &Account) -> Result<Used, Response> {
    let plan = visit.state.config.plans.find(&account.plan);
    let plan = plan.copied().unwrap_or_default();
    let used = visit.state.limits.used(&account.id, &plan).await;
    used.map_err(|failure: StoreError| visit.failed(&failure))
}
