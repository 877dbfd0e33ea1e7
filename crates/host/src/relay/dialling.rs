//! Dialling a relay, with what this host can do and what answers there.

use latchkey_net::authority::Authority;
use latchkey_net::proxy::coding::Coder;
use latchkey_net::tunnel::{
    DialError, Dialler, DiallerConfig, FEATURE_APP_KEYS, FEATURE_CAMERA, FEATURE_ENDS,
    FEATURE_LOCAL_ADDRESS, FEATURE_PRINTING, FEATURE_SCOPES, FEATURE_SHARED_CAMERA, HostIdentity,
};

use crate::app_connections::AppConnections;
use crate::app_keys::through_relay::KeysThroughRelay;
use crate::config::Relay;
use crate::doors::{Doors, TunnelDoor};
use crate::local_api::LocalApi;
use crate::printing::Printing;

/// Makes a dialler for whatever relay there is.
pub(crate) struct Dialling {
    pub(crate) identity: HostIdentity,
    pub(crate) host_name: String,
    pub(crate) doors: Doors,
    pub(crate) app_connections: AppConnections,
    pub(crate) keys: KeysThroughRelay,
    pub(crate) local_api: LocalApi,
    pub(crate) printing: Printing,
    pub(crate) coder: Coder,
}

impl Dialling {
    pub(crate) fn dialler(&self, relay: &Relay) -> Result<Dialler<TunnelDoor>, DialError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut features = vec![
            FEATURE_SCOPES,
            FEATURE_ENDS,
            FEATURE_APP_KEYS,
            FEATURE_LOCAL_ADDRESS,
            FEATURE_SHARED_CAMERA,
        ];
        if relay.printing {
            features.extend([FEATURE_PRINTING, FEATURE_CAMERA]);
        }
        let config = DiallerConfig {
            allow_unbound: relay.allow_unbound,
            connections: relay.connections,
            ca_file: relay.ca_file.clone(),
            features: features.into_iter().map(str::to_owned).collect(),
            ..DiallerConfig::new(relay.url.clone(), self.host_name.clone(), version)
        };
        let door = TunnelDoor {
            doors: self.doors.clone(),
            relay_is_local: Authority::of_url(&relay.url)
                .is_some_and(|authority| authority.is_loopback()),
            app_connections: self.app_connections.clone(),
            keys: self.keys.clone(),
            local_api: self.local_api.clone(),
            printing: relay.printing.then(|| self.printing.clone()),
            coder: relay.compression.then(|| self.coder.clone()),
        };
        let tracker = self.doors.tracker.clone();
        Dialler::new(config, self.identity.clone(), door, tracker)
    }
}
