//! What can be chosen about a simulated printer before it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::faults::Faults;

/// Everything a simulated printer needs to know at start.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The one key of this printer server.
    pub api_key: String,
    /// The name shown on the page and in the printer profile.
    pub name: String,
    pub webcam: WebcamConfig,
    /// How many simulated seconds pass in one real second.
    pub speed: f64,
    /// Where uploads are kept; `None` is a temporary folder that goes away with the simulator.
    pub uploads_dir: Option<PathBuf>,
    /// Start a print of the bundled model soon after start, and again some time after each print.
    pub autoprint: Option<Autoprint>,
    /// Seed of the noise in the temperatures.
    pub seed: u64,
    /// Faults that are on from the beginning.
    pub faults: Faults,
    /// The largest upload that is taken.
    pub max_upload_bytes: u64,
}

/// The webcam's picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WebcamConfig {
    pub fps: f64,
    pub width: u16,
    pub height: u16,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

/// When the demo prints by itself. Real time, not simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoprint {
    pub first_after: Duration,
    pub again_after: Duration,
}

impl Default for SimConfig {
    /// A printer on the loopback address that starts to print by itself, as the demo wants it.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5000)),
            api_key: "latchkey-sim".to_owned(),
            name: "Simulated printer".to_owned(),
            webcam: WebcamConfig::default(),
            speed: 2.0,
            uploads_dir: None,
            autoprint: Some(Autoprint::default()),
            seed: 0x1a7c_4e5e,
            faults: Faults::default(),
            max_upload_bytes: 8 << 30,
        }
    }
}

impl Default for WebcamConfig {
    fn default() -> Self {
        Self {
            fps: 10.0,
            width: 640,
            height: 360,
            quality: 82,
        }
    }
}

impl Default for Autoprint {
    fn default() -> Self {
        Self {
            first_after: Duration::from_secs(2),
            again_after: Duration::from_secs(45),
        }
    }
}

impl WebcamConfig {
    /// The nearest values that can be drawn: a frame needs whole 16 x 16 blocks of sense.
    pub(crate) fn within_bounds(self) -> Self {
        Self {
            fps: if self.fps.is_finite() {
                self.fps.clamp(0.1, 30.0)
            } else {
                10.0
            },
            width: self.width.clamp(160, 1920),
            height: self.height.clamp(90, 1080),
            quality: self.quality.clamp(1, 100),
        }
    }
}
