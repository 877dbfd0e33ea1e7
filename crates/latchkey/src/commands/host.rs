//! `latchkey host`.

use std::path::Path;

use latchkey_host::Host;

use crate::config::{self, Checking};
use crate::lifecycle::run_until_signalled;

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::host::read(&Checking::with_environment(path))?.logged();
    let host = Host::bind(config).await?;
    tracing::info!(
        host.address = %host.local_addr()?,
        status.address = host.status_addr().map(tracing::field::display),
        "the host is listening"
    );
    run_until_signalled(host.stop(), host.run()).await
}
