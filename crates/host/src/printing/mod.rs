//! What the printer does: followed at its server, in that server's own language, and told to the
//! relay.
//!
//! Each kind of server has a file that turns what it says into `Seen` and `Told`; `tale` makes
//! states and events of those, for all alike; `outbox` keeps what the relay has not heard.
//! `docs/reference/printer-events.md` says what is known of which server.

mod asking;
pub(crate) mod camera;
mod generic;
mod layers;
mod moonraker;
mod octoprint;
mod outbox;
mod prusalink;
mod seen;
mod tale;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latchkey_model::chance::Chance;
use latchkey_model::clock::Clock;
use latchkey_net::body::Body;
use latchkey_net::tunnel::{CameraRefusal, View};
use tokio_util::sync::CancellationToken;

use self::camera::Camera;
use self::outbox::Outbox;
use crate::config::Config;
use crate::relay::RelayLink;

/// What is known of the printer. Clones share it.
#[derive(Clone)]
pub(crate) struct Printing(Arc<Shared>);

struct Shared {
    config: Config,
    outbox: Outbox,
    camera: Camera,
    has_camera: AtomicBool,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    stopping: CancellationToken,
}

impl Printing {
    pub(crate) fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            outbox: Outbox::new(Arc::clone(&clock), stopping.clone()),
            camera: Camera::new(config, stopping.clone()),
            has_camera: AtomicBool::new(false),
            config: config.clone(),
            clock,
            chance,
            stopping,
        }))
    }

    /// Tells the relay, line by line, from the event after `after` on. Nothing if it has it told
    /// often enough already.
    pub(crate) fn tell(&self, after: u64) -> Option<Body> {
        self.0.outbox.tell(after)
    }

    /// Shows the camera to the relay.
    pub(crate) async fn show(&self, view: View) -> Result<http::Response<Body>, CameraRefusal> {
        self.0.camera.show(view).await
    }

    /// Where the running picture is that the relay is shown, if there is one.
    pub(crate) async fn running_picture(&self) -> Option<http::Uri> {
        self.0.camera.running_picture().await
    }

    /// Follows the printer while there is a relay that may hear of it. What one relay may hear,
    /// another one does not.
    pub(crate) async fn run(self, relay: RelayLink) {
        let mut targets = relay.follow_target();
        loop {
            let target = targets.borrow_and_update().clone();
            let told = target.filter(|relay| relay.printing);
            let follow = async {
                match &told {
                    Some(_) => watch::follow(&self.0).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = follow => {}
                changed = targets.changed() => if changed.is_err() { return },
                () = self.0.stopping.cancelled() => return,
            }
            self.0.has_camera.store(false, Ordering::Relaxed);
            self.0.outbox.forget();
        }
    }
}
