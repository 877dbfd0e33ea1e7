//! Who else is announced in the local network.

use std::time::Duration;

use mdns_sd::{Error, ServiceDaemon, ServiceEvent};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The library asks at once and a second later; RFC 6762 gives those who answer 120 ms.
const LOOK_FOR: Duration = Duration::from_secs(2);

/// A service of somebody, or of this host in an earlier life.
#[derive(Debug)]
pub(super) struct Other {
    /// With the name of the instance before that of the kind.
    pub(super) fullname: String,
    pub(super) hostname: String,
}

/// Everybody who is announced as one of these kinds; `None` if stopped meanwhile.
///
/// Whoever asks by a library that announces nothing does not hear themselves.
pub(super) async fn look(
    kinds: impl Iterator<Item = &str>,
    stop: &CancellationToken,
) -> Result<Option<Vec<Other>>, Error> {
    let daemon = ServiceDaemon::new()?;
    let answers: Result<Vec<_>, Error> = kinds.map(|kind| daemon.browse(kind)).collect();
    let stopped = tokio::select! {
        () = sleep(LOOK_FOR) => false,
        () = stop.cancelled() => true,
    };
    let _ = daemon.shutdown();
    if stopped {
        return Ok(None);
    }
    let events = answers?.into_iter().flat_map(|answers| {
        let all: Vec<_> = answers.try_iter().collect();
        all
    });
    let others = events.filter_map(|event| match event {
        ServiceEvent::ServiceResolved(found) => Some(Other {
            fullname: found.get_fullname().to_owned(),
            hostname: found.get_hostname().to_owned(),
        }),
        _ => None,
    });
    Ok(Some(others.collect()))
}
