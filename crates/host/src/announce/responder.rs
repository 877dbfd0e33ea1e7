//! The library at work: announcing under one name, for as long as that goes well.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use mdns_sd::{DaemonEvent, Error, IfKind, IfPredicate, ServiceDaemon, ServiceInfo};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::services::Announcement;
use crate::interfaces::{is_on_lan, lan_addresses};

/// RFC 6762, 8.3 wants two announcements a second apart, but the library forgets the second one if
/// there is a capital letter in the name (mdns-sd 0.21.7). Asking for a name takes up to 1 s.
const REPEAT_AFTER: Duration = Duration::from_secs(3);

/// How long it may take to be announced before the log says that something is wrong.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(10);

/// The library says goodbye a second time after 120 ms, in case somebody missed the first.
const GOODBYE_REPEATED: Duration = Duration::from_millis(150);

/// A host that stops waits no longer than this for the library to say goodbye, nor for its end.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Why announcing under a name ended.
pub(super) enum End {
    Stopped,
    /// Somebody has the name already, be it the host itself.
    NameTaken,
}

/// One run of the library.
pub(super) struct Responder<'a> {
    announcement: &'a Announcement,
    name: &'a str,
    services: Vec<ServiceInfo>,
    daemon: ServiceDaemon,
}

impl<'a> Responder<'a> {
    /// Starts the library's thread. If it `asks`, it announces nothing before nobody objected.
    pub(super) fn start(
        announcement: &'a Announcement,
        name: &'a str,
        asks: bool,
    ) -> Result<Self, Error> {
        let mut services = announcement.services(name)?;
        for service in &mut services {
            service.set_requires_probe(asks);
        }
        Ok(Self {
            announcement,
            name,
            services,
            daemon: ServiceDaemon::new()?,
        })
    }

    /// Announces until stopped, or until it turns out that the name will not do. Nothing of it is
    /// left then.
    pub(super) async fn run(self, stop: &CancellationToken) -> Result<End, Error> {
        let end = self.announce(stop).await;
        self.leave().await;
        end
    }

    /// One service after the other: of two hosts with one name that start together, the one that
    /// is first with the first service is so with all of them.
    async fn announce(&self, stop: &CancellationToken) -> Result<End, Error> {
        let events = self.daemon.monitor()?;
        let listen = self.announcement.listen().ip();
        let elsewhere = IfPredicate::new(move |interface| !is_on_lan(listen, interface));
        self.daemon
            .disable_interface(IfKind::Predicate(elsewhere))?;
        self.register(0)?;
        let mut announced = 0;
        let mut repeat = pin!(sleep(REPEAT_AFTER));
        let mut late = pin!(sleep(ANNOUNCED_WITHIN));
        let (mut repeated, mut complained) = (false, false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(End::Stopped),
                event = events.recv_async() => match event {
                    Ok(DaemonEvent::Announce(name, _)) if self.is_next(announced, &name) => {
                        announced += 1;
                        self.register(announced)?;
                    }
                    Ok(DaemonEvent::NameChange(_)) => return Ok(End::NameTaken),
                    Ok(DaemonEvent::Error(error)) => return Err(error),
                    Ok(_) => {}
                    Err(_) => return Err(Error::DaemonShutdown),
                },
                () = &mut repeat, if !repeated => {
                    repeated = true;
                    (0..announced).try_for_each(|service| self.register(service))?;
                }
                () = &mut late, if announced == 0 && !complained => {
                    complained = true;
                    self.complain();
                }
            }
        }
    }

    fn is_next(&self, announced: usize, name: &str) -> bool {
        let next = self.services.get(announced);
        next.is_some_and(|service| service.get_fullname() == name)
    }

    /// Hands a service to the library; after the last one, all of them are announced.
    fn register(&self, service: usize) -> Result<(), Error> {
        if let Some(service) = self.services.get(service) {
            return self.daemon.register(service.clone());
        }
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        tracing::info!(
            service.name = self.name,
            host.addresses = ?lan_addresses(self.announcement.listen()),
            "the host is announced in the local network"
        );
    }

    fn complain(&self) {
        let addresses = lan_addresses(self.announcement.listen());
        let reason = if addresses.iter().all(IpAddr::is_loopback) {
            "no network is up yet"
        } else {
            "a program holds UDP port 5353 and does not share it, or the interface takes no multicast"
        };
        tracing::warn!(
            reason,
            "the host is not announced in the local network; apps have to be told its address"
        );
    }

    /// Takes back what was announced (RFC 6762, 10.1), and ends the library's thread.
    async fn leave(self) {
        let goodbye = async {
            for service in &self.services {
                if let Ok(done) = self.daemon.unregister(service.get_fullname()) {
                    let _ = done.recv_async().await;
                }
            }
            sleep(GOODBYE_REPEATED).await;
        };
        let _ = timeout(GONE_WITHIN, goodbye).await;
        if let Ok(done) = self.daemon.shutdown() {
            let _ = timeout(GONE_WITHIN, done.recv_async()).await;
        }
    }
}
