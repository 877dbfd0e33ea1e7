//! `latchkey host`.

use std::path::Path;
use std::sync::Arc;

use latchkey_host::Host;
use latchkey_model::chance::SystemChance;
use latchkey_model::clock::SystemClock;

use crate::config::session_apps::{self, Overlay};
use crate::config::{self, Checking};
use crate::lifecycle::run_until_signalled;
use crate::output;

pub(crate) async fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::host::read(&Checking::with_environment(path))?.logged();
    let apps = config.session_apps.clone();
    let host = Host::bind(config, Arc::new(SystemClock), Arc::new(SystemChance)).await?;
    let address = host.local_addr()?;
    tracing::info!(
        host.address = %address,
        status.address = host.status_addr().map(tracing::field::display),
        "the host is listening"
    );
    let stop = host.stop();
    if let Some(code) = host.setup_code().await {
        let at = if address.ip().is_unspecified() {
            format!("ADDRESS-OF-THIS-MACHINE:{}", address.port())
        } else {
            address.to_string()
        };
        // On the console only: a log may be read by more people than may administer the host.
        output::note(&format!(
            "This host has no administrator yet.\nOpen http://{at}/latchkey/setup in a browser at home and type the code  {code}"
        ));
    }
    let followed = Box::pin(session_apps::run_following(
        host,
        path,
        Overlay::Environment,
        apps,
    ));
    run_until_signalled(stop, followed).await
}
