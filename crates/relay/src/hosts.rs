//! The listener for hosts alone. TLS ends there, at the relay itself, and nothing else is served:
//! what is in front of the other listener is not on a host's way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use latchkey_model::clock::Clock;
use latchkey_net::authority::Authority;
use latchkey_net::body::Body;
use latchkey_net::cores::Deal;
use latchkey_net::gate::Rejection;
use latchkey_net::listen::{self, Call, Handler, ListenSettings, Stop};
use latchkey_net::tls::{Certificate, Shown};
use latchkey_net::tunnel::{PAIRING_PATH, PAIRING_POLL_PATH, TUNNEL_PATH};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::certificate::{Keeping, Reload};
use crate::config::Config;
use crate::role::RelayError;
use crate::router::{Destination, Router, destination, is_named_in_handshake};

/// What hosts ask for.
const PATHS: [&str; 3] = [TUNNEL_PATH, PAIRING_PATH, PAIRING_POLL_PATH];

/// The listener with its certificate, before it serves.
pub(crate) struct HostsListener {
    listener: TcpListener,
    shown: Shown,
    /// Keeps a certificate of its own current; the relay's is kept already.
    pub(crate) keeping: Option<Keeping>,
    settings: ListenSettings,
}

impl HostsListener {
    /// Takes the socket, if there is to be one, and loads its certificate unless that is the
    /// relay's, which is kept by `main`.
    pub(crate) async fn bind(
        config: &Config,
        main: Option<&Keeping>,
        clock: &Arc<dyn Clock>,
        reload: &Reload,
    ) -> Result<Option<Self>, RelayError> {
        let Some(hosts) = &config.hosts else {
            return Ok(None);
        };
        let shared = main.filter(|_| config.own_tls_of_hosts().is_none());
        let (shown, keeping) = if let Some(main) = shared {
            (main.shown().clone(), None)
        } else {
            let keeping = Keeping::for_hosts(&hosts.tls, clock, reload);
            let keeping = keeping.map_err(RelayError::HostsTls)?;
            (keeping.shown().clone(), Some(keeping))
        };
        let tls = shown.server_config().map_err(RelayError::HostsTls)?;
        Ok(Some(Self {
            listener: listen::bind(hosts.listen).await?,
            shown,
            keeping,
            // Nobody's word is believed: whoever connects is the caller.
            settings: ListenSettings {
                tls: Some(tls),
                ..ListenSettings::default()
            },
        }))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until stopped. Connections live on `callers`.
    pub(crate) async fn serve(
        mut self,
        router: Router,
        places: Places,
        stop: Stop,
        callers: TaskTracker,
    ) {
        self.settings.max_connections = places.most;
        self.settings.deal = places.deal;
        let handler = HostsRouter {
            router,
            shown: self.shown,
        };
        listen::serve(self.listener, self.settings, handler, stop, callers).await;
    }
}

/// How many connections there may be, and where they run.
pub(crate) struct Places {
    pub(crate) most: usize,
    pub(crate) deal: Option<Deal>,
}

/// The handler of the listener for hosts.
#[derive(Clone)]
struct HostsRouter {
    router: Router,
    shown: Shown,
}

impl Handler for HostsRouter {
    async fn handle(&self, request: Request<Body>, call: Call) -> Response<Body> {
        let asked = call.authority.clone().without_default_port(true);
        let for_hosts = PATHS.contains(&request.uri().path());
        let certificate = self.shown.current();
        let ours = is_ours(self.router.edge.config(), &certificate, &asked);
        if !for_hosts || !ours || !is_named_in_handshake(&call) {
            return self.router.misdirected(&request, &call);
        }
        let web_origin = &self.router.web_origin;
        web_origin.answer_as(Some(asked), request, call).await
    }

    fn refuse(&self, rejection: Rejection) -> Response<Body> {
        self.router.refuse(rejection)
    }
}

/// Whether this relay may go by that name, at whatever port.
///
/// Hosts sign for the name that they asked for. One that the certificate is not for is somebody
/// else's: what was signed for them must be worth nothing here. What is served under the names of
/// app connections is not the relay's either, although a certificate for everything is for them, too.
fn is_ours(config: &Config, certificate: &Certificate, asked: &Authority) -> bool {
    let public = config.public_url.authority();
    let whose = destination(asked, public, &config.connection_domain);
    !matches!(whose, Destination::Edge(_)) && certificate.is_for(asked.host())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn the_relay_goes_by_names_that_its_certificate_is_for() {
        let names = [
            "relay.example.net",
            "hosts.example.org",
            "*.printers.example.net",
            "192.0.2.1",
        ];
        let key = KeyPair::generate().unwrap();
        let wanted = CertificateParams::new(names.map(str::to_owned)).unwrap();
        let made = wanted.self_signed(&key).unwrap();
        let pem = (made.pem(), key.serialize_pem());
        let certificate = Certificate::from_pem(pem.0.as_bytes(), pem.1.as_bytes()).unwrap();
        let config = crate::tests::config();
        for (asked, ours) in [
            ("relay.example.net", true),
            ("relay.example.net:7443", true),
            ("hosts.example.org:7443", true),
            ("192.0.2.1:7443", true),
            ("192.0.2.2:7443", false),
            ("evil.example:7443", false),
            ("sub.relay.example.net", false),
            ("app-abc.printers.example.net:7443", false),
        ] {
            let authority = asked.parse().unwrap();
            assert_eq!(is_ours(&config, &certificate, &authority), ours, "{asked}");
        }
    }
}
