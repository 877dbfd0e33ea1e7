//! Waiting until a request really travels the whole path.

use std::time::Duration;

use anyhow::bail;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use latchkey_net::body;
use tokio::time::{Instant, sleep};

use super::report::Report;

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(25);

/// Asks through the relay until the printer answers. A printer server of the user's own
/// may want a key first or be switched off; then the tunnel being up is enough.
pub(super) async fn wait(report: &Report, printer_is_ours: bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = ask(report).await;
        let ready = match status {
            Some(status) if printer_is_ours => status == 200,
            Some(status) => status != 601,
            None => false,
        };
        if ready {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "the demo does not answer through its relay (last status: {}); \
                 start it again with --log info to see why",
                status.map_or("none".to_owned(), |status| status.to_string())
            );
        }
        sleep(PAUSE).await;
    }
}

async fn ask(report: &Report) -> Option<u16> {
    let connection = report.app_connection("bearer")?;
    let authority = connection.url.strip_prefix("http://")?;
    let port = authority.rsplit_once(':')?.1;
    // Not every resolver knows that names under localhost are this machine.
    let request = Request::get(format!("http://127.0.0.1:{port}/api/version"))
        .header(HOST, authority)
        .header(
            AUTHORIZATION,
            format!("Bearer {}", connection.bearer.as_ref()?),
        )
        .body(body::empty())
        .ok()?;
    let client: Client<_, body::Body> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.ok()?;
    Some(response.status().as_u16())
}
