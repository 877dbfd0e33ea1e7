//! The simulated printer alone, for a look at it: `cargo run -p latchkey-sim --example sim -- 5000`.

use std::io::Write as _;
use std::net::SocketAddr;

use latchkey_sim::{SimConfig, bind};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args()
        .nth(1)
        .map_or(Ok(5000), |port| port.parse())?;
    let listen = SocketAddr::from(([127, 0, 0, 1], port));
    let sim = bind(SimConfig {
        listen,
        ..SimConfig::default()
    })
    .await?;
    writeln!(
        std::io::stderr(),
        "http://{}/ with the key latchkey-sim",
        sim.local_addr()
    )?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::select! {
        () = sim.run(shutdown) => {}
        _ = tokio::signal::ctrl_c() => stop.cancel(),
    }
    Ok(())
}
