//! `latchkey sim`.

use anyhow::Context;
use latchkey_net::listen::Stop;
use latchkey_sim::{SimConfig, WebcamConfig};

use crate::cli::SimArgs;
use crate::lifecycle::run_until_signalled;
use crate::output;

pub(crate) async fn run(args: SimArgs) -> anyhow::Result<()> {
    let defaults = SimConfig::default();
    let api_key = match &args.api_key_file {
        None => defaults.api_key.clone(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .trim()
            .to_owned(),
    };
    let (width, height) = args.size;
    let config = SimConfig {
        listen: args.listen,
        api_key,
        speed: args.speed,
        uploads_dir: args.files,
        webcam: WebcamConfig {
            fps: args.fps,
            width,
            height,
            ..defaults.webcam
        },
        autoprint: defaults.autoprint.filter(|_| !args.idle),
        ..defaults
    };
    let sim = latchkey_sim::bind(config).await?;
    output::note(&format!(
        "The simulated printer is at http://{}/ (stop it with Ctrl-C)",
        sim.local_addr()
    ));
    let stop = Stop::default();
    run_until_signalled(stop.clone(), sim.run(stop.soft)).await
}
