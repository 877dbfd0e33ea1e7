//! Keys at a printer's host, made on the way through the portal.

use std::time::Duration;

use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::id::AppConnectionId;
use latchkey_model::printer::{HostKey, Printer};
use latchkey_net::tunnel::{AppKeyError, AppKeyWish, ControlError, Scope};
use zeroize::Zeroizing;

use crate::tunnels::Tunnels;

/// How long a person waits for a key before the rest goes on without it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Which key an app asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyWish<'a> {
    pub(crate) printer: &'a Printer,
    pub(crate) name: &'a AppName,
    pub(crate) scope: KeyScope,
    /// Asked twice for one app connection, a host gives the same answer.
    pub(crate) connection: &'a AppConnectionId,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyRefused {
    /// The host is not connected.
    #[error("the printer's host is not connected")]
    NotConnected,
    /// The host cannot make keys on its owner's behalf from here.
    #[error("the printer's host makes no keys on this way")]
    NotAvailable,
}

/// Asks hosts for keys.
#[derive(Clone)]
pub(crate) struct Keys {
    tunnels: Tunnels,
}

impl Keys {
    pub(crate) const fn new(tunnels: Tunnels) -> Self {
        Self { tunnels }
    }

    /// Makes a key at the printer's host.
    pub(crate) async fn make_key(
        &self,
        wish: KeyWish<'_>,
    ) -> Result<Zeroizing<String>, KeyRefused> {
        let host = wish.printer.host.as_ref().map(HostKey::id);
        let tunnel = host.and_then(|host| self.tunnels.lead_of(&host));
        let tunnel = tunnel.ok_or(KeyRefused::NotConnected)?;
        let wished = AppKeyWish {
            app: wish.name.to_string(),
            app_connection: wish.connection.to_string(),
            scope: match wish.scope {
                KeyScope::Full => Scope::Full,
                KeyScope::View => Scope::View,
            },
        };
        match tunnel.make_app_key(&wished).await {
            Ok(made) => Ok(made.api_key),
            Err(error) => {
                tracing::info!(
                    printer.id = %wish.printer.id,
                    app_connection.id = %wish.connection,
                    %error,
                    "a host made no key"
                );
                Err(match error {
                    AppKeyError::Control(ControlError::Lost(_) | ControlError::Finished) => {
                        KeyRefused::NotConnected
                    }
                    _ => KeyRefused::NotAvailable,
                })
            }
        }
    }
}
