//! Announces the LAN door in the local network, by mDNS and DNS-SD, so that apps find it.
//!
//! A hint for those who look, and no proof: anybody in the network can say the same. Nothing that
//! is heard there changes what this host does, but for the name it goes by. [`services`] says what
//! is announced, [`responder`] talks to the library, whose thread sends and receives the packets.

mod others;
mod responder;
mod services;

use mdns_sd::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::responder::{End, Responder};
pub(crate) use self::services::{Announcement, Unannounced};

/// Starts to announce, until stopped.
pub(crate) fn start(
    announcement: Result<Announcement, Unannounced>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    match announcement {
        Ok(announcement) => {
            tracker.spawn(announce(announcement, stop.clone()));
        }
        Err(reason) => {
            tracing::debug!(%reason, "the host is not announced in the local network");
        }
    }
}

async fn announce(announcement: Announcement, stop: CancellationToken) {
    match announce_under_some_name(&announcement, &stop).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(
            "the host is not announced in the local network: others there claim its name with every number after it; \
             apps have to be told its address"
        ),
        Err(error) => tracing::warn!(
            %error,
            "the host cannot be announced in the local network; apps have to be told its address"
        ),
    }
}

/// Announces until stopped, under the first name that nobody else has; `false` if there is none.
///
/// The library asks around by itself whether somebody has the name, and then finds another. But if
/// there is a capital letter in it, it goes on to answer for the name that it gave up, and on two
/// interfaces into one network it gives way to itself, for ever (mdns-sd 0.21.7). So where it finds
/// that somebody has the name, it is looked who that is, and the library begins anew; if it is
/// nobody else, without asking.
async fn announce_under_some_name(
    announcement: &Announcement,
    stop: &CancellationToken,
) -> Result<bool, Error> {
    let (mut number, mut asks) = (1, true);
    loop {
        let name = announcement.name(number);
        match Responder::start(announcement, &name, asks)?
            .run(stop)
            .await?
        {
            End::Stopped => return Ok(true),
            End::NameTaken => {}
        }
        let Some(others) = others::look(announcement.kinds(), stop).await? else {
            return Ok(true);
        };
        let Some(free) = announcement.first_free(&others) else {
            return Ok(false);
        };
        asks = free != number;
        number = free;
        if asks {
            tracing::info!(
                service.name = announcement.name(number),
                "another device in the local network has the host's name; it is announced under a new one"
            );
        } else {
            tracing::debug!("the host's own announcement came back by another interface");
        }
    }
}
