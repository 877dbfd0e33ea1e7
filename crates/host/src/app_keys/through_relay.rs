//! Keys that the relay has made, for apps that somebody lets in there, and that end there.
//!
//! A relay is trusted so far: who pairs a host with it lets it carry what they type. Still the host
//! may refuse (`relay.app_keys`), bounds how many are made, and lists them as what they are.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey_model::access::KeyScope;
use latchkey_model::app::AppName;
use latchkey_model::id::AppConnectionId;
use latchkey_model::user::{User, UserName};
use latchkey_net::body::{self, Body};
use latchkey_net::tunnel::{AppKeyRefusal, AppKeyWish, Ended, MOST_NAMED, MadeAppKey, Scope};
use latchkey_web::limits::{Limits, Window};
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::authority::Authority;
use crate::config::{Credential, UpstreamAddress};
use crate::relay::RelayLink;

/// Keys that a relay has made.
const MOST: [Window; 1] = [Window::new(60, Duration::from_hours(1))];
/// Time for the printer's server, within what the relay waits.
const WITHIN: Duration = Duration::from_secs(8);
const MAX_ANSWER: usize = 16 * 1024;

/// Makes keys for the relay. Clones share what they count.
#[derive(Clone)]
pub(crate) struct KeysThroughRelay(std::sync::Arc<Inner>);

struct Inner {
    relay: RelayLink,
    maker: Maker,
    limits: Limits<()>,
    tracker: TaskTracker,
}

/// Who makes them.
pub(crate) enum Maker {
    Host(Authority),
    OctoPrint(Box<OctoPrintKeys>),
    Nobody,
}

impl KeysThroughRelay {
    pub(crate) fn new(relay: RelayLink, maker: Maker, tracker: TaskTracker) -> Self {
        Self(std::sync::Arc::new(Inner {
            relay,
            maker,
            limits: Limits::new(&MOST),
            tracker,
        }))
    }

    /// Makes a key, in place of what was made for the same app connection before.
    pub(crate) async fn make(&self, wish: AppKeyWish) -> Result<MadeAppKey, AppKeyRefusal> {
        let Inner {
            relay,
            maker,
            limits,
            ..
        } = &*self.0;
        if !relay.allows_app_keys() {
            return Err(AppKeyRefusal::NotAllowed);
        }
        let app = AppName::cleaned(&wish.app).map_err(|_| AppKeyRefusal::Name)?;
        if limits.count(&(), relay.now()).is_err() {
            return Err(AppKeyRefusal::TooMany);
        }
        let made = match maker {
            Maker::Host(authority) => {
                let id = wish.app_connection.parse();
                let id: AppConnectionId = id.map_err(|_| AppKeyRefusal::Name)?;
                let scope = match wish.scope {
                    Scope::Full => KeyScope::Full,
                    Scope::View => KeyScope::View,
                };
                self.mint(authority, &app, scope, &id).await?
            }
            Maker::OctoPrint(_) if wish.scope != Scope::Full => return Err(AppKeyRefusal::Scope),
            Maker::OctoPrint(server) => server.generate(&app).await?,
            Maker::Nobody => return Err(AppKeyRefusal::NotOffered),
        };
        tracing::info!(
            app_connection.id = wish.app_connection.escape_debug().to_string(),
            "the relay had an app key made"
        );
        Ok(made)
    }

    async fn mint(
        &self,
        authority: &Authority,
        app: &AppName,
        scope: KeyScope,
        id: &AppConnectionId,
    ) -> Result<MadeAppKey, AppKeyRefusal> {
        let owner = self.owner(authority).await?;
        let keys = &authority.app_keys;
        let made = keys.generate_for(&owner, app, scope, id).await;
        let made = made.map_err(|error| {
            tracing::error!(%error, "a key for the relay could not be made");
            AppKeyRefusal::Failed
        })?;
        let (key, app) = made.ok_or(AppKeyRefusal::Name)?;
        Ok(MadeAppKey {
            api_key: Zeroizing::new(key.expose().to_owned()),
            app: app.to_string(),
        })
    }

    /// Whose keys they are: who paired the host, or else the first administrator.
    async fn owner(&self, authority: &Authority) -> Result<UserName, AppKeyRefusal> {
        let users = authority.store.users().list().await.map_err(|error| {
            tracing::error!(%error, "cannot look up whose a key for the relay is to be");
            AppKeyRefusal::Failed
        })?;
        let mut active: Vec<User> = users.into_iter().filter(|user| user.active).collect();
        if let Some(by) = self.0.relay.kept().by
            && let Some(user) = active.iter().find(|user| user.name.as_str() == by)
        {
            return Ok(user.name.clone());
        }
        active.retain(|user| user.group.is_admin());
        let first = active.into_iter().min_by_key(|user| user.created);
        first.map(|user| user.name).ok_or(AppKeyRefusal::Nobody)
    }

    /// Ends the keys of app connections that ended.
    pub(crate) fn hear(&self, ended: &Ended) {
        let (Maker::Host(authority), Ended::These(ids)) = (&self.0.maker, ended) else {
            // What ended before a tunnel began the relay says once it is up.
            return;
        };
        let ids: Vec<AppConnectionId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let keys = authority.app_keys.clone();
        self.0.tracker.spawn(async move {
            for id in ids {
                if let Err(error) = keys.revoke_of_app_connection(&id).await {
                    tracing::error!(%error, "the keys of an app connection that ended could not be revoked; it is tried again with the next tunnel");
                }
            }
        });
    }

    /// The app connections that there are keys for.
    pub(crate) async fn app_connections(&self) -> Vec<String> {
        let Maker::Host(authority) = &self.0.maker else {
            return Vec::new();
        };
        let most = u32::try_from(MOST_NAMED).unwrap_or(u32::MAX);
        match authority.store.app_keys().app_connections(most).await {
            Ok(ids) => ids.iter().map(ToString::to_string).collect(),
            Err(error) => {
                tracing::error!(%error, "cannot look up for which app connections there are keys");
                Vec::new()
            }
        }
    }
}

/// An OctoPrint that makes keys of its own for whoever has one.
pub(crate) struct OctoPrintKeys {
    address: UpstreamAddress,
    credential: Credential,
    client: Client<HttpConnector, Body>,
}

impl OctoPrintKeys {
    pub(crate) fn new(address: UpstreamAddress, credential: Credential) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(WITHIN));
        Self {
            address,
            credential,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    async fn generate(&self, app: &AppName) -> Result<MadeAppKey, AppKeyRefusal> {
        let asked = tokio::time::timeout(WITHIN, self.ask(app)).await;
        let answered = asked.map_err(|_| AppKeyRefusal::Failed)?;
        let key = answered.map_err(|why| {
            tracing::warn!(error = why, "OctoPrint made no key for the relay");
            AppKeyRefusal::Failed
        })?;
        Ok(MadeAppKey {
            api_key: Zeroizing::new(key),
            app: app.to_string(),
        })
    }

    /// As a page of OctoPrint's asks; a key counts there as credentials seen lately.
    async fn ask(&self, app: &AppName) -> Result<String, &'static str> {
        let authority = self.address.authority().to_string();
        let uri = format!(
            "http://{authority}{}/api/plugin/appkeys",
            self.address.base_path()
        );
        let json = HeaderValue::from_static("application/json");
        let wish = serde_json::json!({"command": "generate", "app": app.as_str()});
        let request = Request::post(uri)
            .header(HOST, authority)
            .header(ACCEPT, &json)
            .header(CONTENT_TYPE, &json)
            .header("x-api-key", self.credential.value())
            .body(body::full(wish.to_string()))
            .map_err(|_| "its address cannot be asked")?;
        let response = self.client.request(request).await;
        let response = response.map_err(|_| "it does not answer")?;
        if response.status() != StatusCode::OK {
            return Err("it refuses; does it know the host's key, and may that make keys?");
        }
        let text = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let text = text.map_err(|_| "its answer broke off")?.to_bytes();
        let answer: serde_json::Value =
            serde_json::from_slice(&text).map_err(|_| "its answer is no JSON")?;
        let key = answer["api_key"].as_str().filter(|key| !key.is_empty());
        key.map(str::to_owned).ok_or("its answer has no key")
    }
}
