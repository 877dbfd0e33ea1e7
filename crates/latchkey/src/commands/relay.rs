//! `latchkey relay`.

use std::path::Path;
use std::sync::Arc;

use latchkey_model::chance::SystemChance;
use latchkey_model::clock::SystemClock;
use latchkey_relay::Relay;

use crate::config::{self, Checking};
use crate::lifecycle::run_until_signalled;
use crate::output;

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::relay::read(&Checking::with_environment(path))?.logged();
    let relay = Relay::bind(config, Arc::new(SystemClock), Arc::new(SystemChance)).await?;
    tracing::info!(
        relay.address = %relay.local_addr()?,
        status.address = relay.status_addr().map(tracing::field::display),
        "the relay is listening"
    );
    if let Some(link) = relay.first_administrator().await? {
        // Not in the log: whoever opens it first runs this relay.
        output::note(&format!(
            "Nobody runs this relay yet. The first account is made here, once:\n\n    {link}\n"
        ));
    }
    run_until_signalled(relay.stop(), relay.run()).await
}
